"""A server that answers as a test wants: some requests late, some not at all, some with other words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ocs.bench.templates import APPLICATION, COMMAND, echo_answer, echo_origin
from ocs.diameter import base_messages
from ocs.diameter.base_answers import base_answer
from ocs.diameter.transports.tcp import bound_to, listen
from ocs.diameter.wire import Message, decode_message, message_bytes


@dataclass(frozen=True)
class Reply:
    """What becomes of one request: after `delay_s`, an answer with this body; None: no answer."""

    body: bytes | None
    delay_s: float = 0


@dataclass
class Toy:
    """`decide` is asked for each CCR, with its number from 0. requests: all of them as they came."""

    decide: Callable[[int, Message], Reply]
    cea_code: int = 2001
    asks_watchdog: bool = False
    requests: list[bytes] = field(default_factory=list)
    dwas: list[Message] = field(default_factory=list)
    goodbyes: int = 0
    port: int = 0

    @asynccontextmanager
    async def running(self):
        server = await listen(["127.0.0.1"], 0, lambda link: _Peer(self, link))
        self.port = bound_to(server)[0][1]
        try:
            yield self
        finally:
            server.close()


class _Peer:
    def __init__(self, toy, link):
        self._toy, self._link = toy, link

    def frames_received(self, frames):
        for frame in frames:
            message = decode_message(frame)
            if message.command_code == COMMAND:
                self._credit_control(frame, message)
            elif message.command_code == base_messages.CAPABILITIES_EXCHANGE:
                self._capabilities(message)
            elif message.command_code == base_messages.DISCONNECT_PEER:
                self._toy.goodbyes += 1
                self._link.write(base_messages.dpa(message, echo_origin()))
            elif not message.is_request:
                self._toy.dwas.append(message)

    def _capabilities(self, message):
        if self._toy.cea_code == 2001:
            cea = base_messages.cea(message, echo_origin(), IPv4Address("127.0.0.1"), (APPLICATION,))
        else:
            cea = base_answer(message, self._toy.cea_code, echo_origin())
        self._link.write(cea)
        if self._toy.asks_watchdog:
            self._link.write(base_messages.dwr(echo_origin(), 0xABCD, 0x1234))

    def _credit_control(self, frame, message):
        reply = self._toy.decide(len(self._toy.requests), message)
        self._toy.requests.append(frame)
        if reply.body is None:
            return
        ids = (message.hop_by_hop_id, message.end_to_end_id)
        answer = message_bytes(0x40, COMMAND, APPLICATION, *ids, reply.body)
        if reply.delay_s:
            asyncio.get_running_loop().call_later(reply.delay_s, self._link.write, answer)
        else:
            self._link.write(answer)

    def framing_lost(self, lost):
        raise AssertionError(lost)

    def path_changed(self, address, state): ...
    def unsendable(self, octets): ...
    def overflowed(self): ...
    def disconnected(self): ...


GRANTED = echo_answer(1)
"""2001 with a grant for one rating group."""
