"""The transport alone: answers every request with an answer of the usual size, over the server's own TCP and framing.

    python -m ocs.bench.echo [--groups N] [--loop asyncio]

What it takes for a message, the server takes, too: its figures in the same run are what others are compared with.
It says "listening on PORT", and ends when its stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import struct
import sys
from ipaddress import IPv4Address
from typing import Final

from ocs.bench.parent import end_with_parent
from ocs.bench.templates import APPLICATION, COMMAND, echo_answer, echo_origin
from ocs.diameter import base_messages
from ocs.diameter.errors import FramingLost
from ocs.diameter.transports import Link
from ocs.diameter.transports.tcp import bound_to, listen
from ocs.diameter.wire import FLAG_PROXIABLE, decode_message, message_bytes

_HOST: Final = "127.0.0.1"
_read_command: Final = struct.Struct("!4xI").unpack_from


class Echo:
    """An `ocs.diameter.transports.Handler`."""

    def __init__(self, link: Link, answer: bytes) -> None:
        self._link = link
        self._head, self._tail = answer[:12], answer[20:]

    def frames_received(self, frames: list[bytes]) -> None:
        write, head, tail = self._link.write, self._head, self._tail
        for frame in frames:
            if _read_command(frame)[0] & 0xFFFFFF == COMMAND:
                write(head + frame[12:20] + tail)
            else:
                self._base(frame)

    def _base(self, frame: bytes) -> None:
        message = decode_message(frame)
        if message.command_code == base_messages.CAPABILITIES_EXCHANGE:
            self._link.write(base_messages.cea(message, echo_origin(), IPv4Address(_HOST), (APPLICATION,)))
        elif message.command_code == base_messages.DISCONNECT_PEER:
            self._link.write(base_messages.dpa(message, echo_origin()))

    def framing_lost(self, lost: FramingLost) -> None:  # noqa: ARG002
        self._link.abort()

    def path_changed(self, address: str, state: str) -> None:
        """TCP has one path."""

    def unsendable(self, octets: int) -> None:
        """TCP sends everything."""

    def overflowed(self) -> None:
        """The client does not read; the connection ends."""

    def disconnected(self) -> None:
        """Nothing to tidy up."""


async def run(groups: int) -> None:
    """Serve until stdin ends."""
    answer = message_bytes(FLAG_PROXIABLE, COMMAND, APPLICATION, 0, 0, echo_answer(groups))
    server = await listen([_HOST], 0, lambda link: Echo(link, answer))
    gc.collect()
    gc.freeze()
    sys.stdout.write(f"listening on {bound_to(server)[0][1]}\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    server.close()


def main() -> None:
    """Run on the loop that the server would run on."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--groups", type=int, default=1)
    arguments.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = arguments.parse_args()
    end_with_parent()
    factory = None
    if options.loop == "uvloop":
        try:
            import uvloop  # noqa: PLC0415 - optional

            factory = uvloop.new_event_loop
        except ImportError:
            pass
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(options.groups))


if __name__ == "__main__":
    main()
