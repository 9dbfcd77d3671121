"""A small Diameter client over TCP: what `ocs simulate` and tests speak with a server.

`Client.connect` exchanges capabilities, `request` sends a request and returns its answer, `close` says goodbye by DPR.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, cast

from ocs.diameter import base_messages
from ocs.diameter.admission import plain_address
from ocs.diameter.base_answers import RESULT_CODE, Origin, base_answer
from ocs.diameter.errors import FramingLost, PeerError
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.wire import (
    FLAG_PROXIABLE,
    FLAG_REQUEST,
    FLAG_RETRANSMISSION,
    Message,
    decode_message,
    message_bytes,
    split_frames,
)
from ocs.limits import MESSAGE_OCTETS_MAX

ANSWER_TIMEOUT_S: Final = 10
_LAST_REQUESTS_KEPT: Final = 1_000


class RefusedError(Exception):
    """The server did not take the connection; `cea` says why."""

    def __init__(self, cea: Message) -> None:
        super().__init__(f"CEA with Result-Code {result_of(cea)}")
        self.cea = cea


def result_of(message: Message) -> int:
    """The Result-Code of an answer, 0 where it has none."""
    found = message.find(RESULT_CODE)
    return 0 if found is None else int.from_bytes(found.data)


class Client(asyncio.Protocol):
    """One connection to a server. Watchdogs are answered, others as `answers` says by command code, else 3001.

    cea: what the server said of itself. requests: the last requests of the server, DWR and DPR among them.
    answers: what encodes the answer to a request of that command, None where it is not answered.
    lost: done when the connection is gone. unmatched: how many answers came to no request.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.cea: Message | None = None
        self.requests: deque[Message] = deque(maxlen=_LAST_REQUESTS_KEPT)
        self.unmatched = 0
        self.answer_watchdogs = True
        self.answers: dict[int, Callable[[Message], bytes | None]] = {}
        self.local_address: IPv4Address | IPv6Address = IPv4Address(0)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._hop_by_hop_id = random.getrandbits(32)
        self._end_to_end_id = random.getrandbits(32)

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        origin: Origin,
        applications: Iterable[int] = (4,),
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Client:
        """Connect and exchange capabilities. Raises RefusedError, OSError, TimeoutError."""
        client = await cls.connect_only(host, port, origin)
        hop_by_hop_id, end_to_end_id = client.next_ids()
        cer = base_messages.cer(origin, client.local_address, applications, hop_by_hop_id, end_to_end_id)
        try:
            client.cea = await client.exchange(hop_by_hop_id, cer, timeout_s)
        except BaseException:
            client.abort()
            raise
        if result_of(client.cea) != ResultCode.SUCCESS:
            client.abort()
            raise RefusedError(client.cea)
        return client

    @classmethod
    async def connect_only(cls, host: str, port: int, origin: Origin) -> Client:
        """Connect, and say nothing yet. Raises OSError."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(origin), host, port)
        return client

    async def request(
        self,
        command: int,
        application: int,
        avps: bytes,
        *,
        retransmission: bool = False,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Message:
        """Send one request (P bit set) and wait for its answer. Raises ConnectionError, TimeoutError."""
        hop_by_hop_id, end_to_end_id = self.next_ids()
        flags = FLAG_REQUEST | FLAG_PROXIABLE | (FLAG_RETRANSMISSION if retransmission else 0)
        data = message_bytes(flags, command, application, hop_by_hop_id, end_to_end_id, avps)
        return await self.exchange(hop_by_hop_id, data, timeout_s)

    async def exchange(self, hop_by_hop_id: int, data: bytes, timeout_s: float = ANSWER_TIMEOUT_S) -> Message:
        """Send an encoded request and wait for the answer with its id. Raises ConnectionError, TimeoutError."""
        if self.lost.done():
            raise ConnectionResetError("the connection is gone")
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[hop_by_hop_id] = future
        self.send(data)
        try:
            return await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.pop(hop_by_hop_id, None)

    def next_ids(self) -> tuple[int, int]:
        """(Hop-by-Hop, End-to-End) identifiers for one more request."""
        self._hop_by_hop_id = self._hop_by_hop_id + 1 & 0xFFFF_FFFF
        self._end_to_end_id = self._end_to_end_id + 1 & 0xFFFF_FFFF
        return self._hop_by_hop_id, self._end_to_end_id

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def close(self, cause: int = base_messages.REBOOTING, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """DPR, DPA, end of the connection; an end without DPA is an end, too."""
        if not self.lost.done():
            hop_by_hop_id, end_to_end_id = self.next_ids()
            dpr = base_messages.dpr(self.origin, cause, hop_by_hop_id, end_to_end_id)
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self.exchange(hop_by_hop_id, dpr, timeout_s)
            if self._transport is not None:
                self._transport.close()
        await self.lost

    def abort(self) -> None:
        """End without a word."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.local_address = plain_address(transport.get_extra_info("sockname")[0])

    def data_received(self, data: bytes) -> None:
        """Octets of the server; those that are no messages end the connection."""
        self._buffer += data
        try:
            messages = [decode_message(frame) for frame in split_frames(self._buffer, MESSAGE_OCTETS_MAX)]
        except (FramingLost, PeerError):
            self.abort()
            return
        for message in messages:
            if message.is_request:
                self._answer(message)
                continue
            future = self._waiting.get(message.hop_by_hop_id)
            if future is None or future.done():
                self.unmatched += 1
            else:
                future.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone; whoever waits for an answer is told."""
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(exc or ConnectionResetError("the server ended the connection"))
        if not self.lost.done():
            self.lost.set_result(None)

    def _answer(self, message: Message) -> None:
        self.requests.append(message)
        if message.command_code == base_messages.DEVICE_WATCHDOG:
            if self.answer_watchdogs:
                self.send(base_messages.dwa(message, self.origin))
        elif message.command_code == base_messages.DISCONNECT_PEER:
            self.send(base_messages.dpa(message, self.origin))
            if self._transport is not None:
                self._transport.close()
        elif message.command_code in self.answers:
            answer = self.answers[message.command_code](message)
            if answer is not None:
                self.send(answer)
        else:
            self.send(base_answer(message, ResultCode.COMMAND_UNSUPPORTED, self.origin))
