"""A scripted Diameter client: one blocking socket, one request after another, every AVP written by the test.

with Client(socket.create_connection(("127.0.0.1", 3868)), "pgw.example.net", "example.net") as client:
    client.connect()
    answer = client.ccr("pgw.example.net;1;1", INITIAL, 0, mscc(rsu(total_octets=1000)), msisdn="491700000001")
    assert answer.result_code == 2001
"""

import socket
import struct
from collections.abc import Iterator
from itertools import count
from types import TracebackType
from typing import Self

from ocs.diameter.wire import HEADER_OCTETS, Avp, Message, decode_avps, decode_message, encode_avp, message_bytes

REQUEST, PROXIABLE, ERROR, RETRANSMISSION = 0x80, 0x40, 0x20, 0x10
CER, RAR, CCR, DWR, DPR = 257, 258, 272, 280, 282
CREDIT_CONTROL = 4
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
GATEWAY_CONTEXT = "32251@3gpp.org"
VENDOR_3GPP = 10415


def u32(code: int, value: int, vendor_id: int = 0) -> bytes:
    return encode_avp(code, struct.pack("!I", value), vendor_id)


def u64(code: int, value: int, vendor_id: int = 0) -> bytes:
    return encode_avp(code, struct.pack("!Q", value), vendor_id)


def text(code: int, value: str, vendor_id: int = 0) -> bytes:
    return encode_avp(code, value.encode(), vendor_id)


def group(code: int, *avps: bytes, vendor_id: int = 0) -> bytes:
    return encode_avp(code, b"".join(avps), vendor_id)


def units(
    total_octets: int | None = None,
    input_octets: int | None = None,
    output_octets: int | None = None,
    time_s: int | None = None,
    events: int | None = None,
) -> bytes:
    """The unit AVPs of a Requested-, Used- or Granted-Service-Unit; those that are None are left out."""
    sent = [u32(420, time_s)] if time_s is not None else []
    octets = ((421, total_octets), (412, input_octets), (414, output_octets), (417, events))
    return b"".join([*sent, *(u64(code, value) for code, value in octets if value is not None)])


def rsu(**asked: int | None) -> bytes:
    return group(437, units(**asked))


def usu(*more: bytes, **used: int | None) -> bytes:
    return group(446, units(**used), *more)


def mscc(*avps: bytes, rating_group: int | None = None) -> bytes:
    return group(456, *avps, *([] if rating_group is None else [u32(432, rating_group)]))


def subscription(kind: int, data: str) -> bytes:
    return group(443, u32(450, kind), text(444, data))


class Answer:
    """An answer with what a test asks of it; `message` is the whole."""

    def __init__(self, message: Message):
        self.message = message

    def data(self, *path: int) -> bytes | None:
        """The data of the first AVP at that path of codes, whatever its vendor."""
        return next((avp.data for avp in self.all(*path)), None)

    def all(self, *path: int) -> list[Avp]:
        """Every AVP at that path of codes, in order."""
        found = list(self.message.avps)
        for depth, code in enumerate(path):
            if depth:
                found = [inner for avp in found for inner in decode_avps(avp.data)]
            found = [avp for avp in found if avp.code == code]
        return found

    def number(self, *path: int) -> int | None:
        data = self.data(*path)
        return None if data is None else int.from_bytes(data, "big")

    @property
    def result_code(self) -> int | None:
        return self.number(268)

    @property
    def origin_host(self) -> str:
        return (self.data(264) or b"").decode()

    @property
    def granted_octets(self) -> int | None:
        return self.number(456, 431, 421)

    @property
    def granted_s(self) -> int | None:
        return self.number(456, 431, 420)


class Client:
    """Owns the socket. Requests of the peer that come in between are answered: a DWR with 2001."""

    def __init__(
        self,
        connection: socket.socket,
        origin_host: str,
        origin_realm: str,
        *,
        destination_realm: str = "example.com",
        timeout_s: float = 10,
    ):
        self.connection = connection
        self.connection.settimeout(timeout_s)
        self.origin = text(264, origin_host) + text(296, origin_realm)
        self.destination_realm = destination_realm
        self.watchdogs_answered = 0
        self._ids = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def connect(self, *avps: bytes) -> Answer:
        """CER and its CEA. `avps` stand instead of the applications: credit control, plain and of 3GPP."""
        local = socket.inet_aton(self.connection.getsockname()[0])
        applications = avps or (
            u32(265, VENDOR_3GPP),
            u32(258, CREDIT_CONTROL),
            group(260, u32(266, VENDOR_3GPP), u32(258, CREDIT_CONTROL)),
        )
        address = encode_avp(257, b"\0\1" + local)
        product = encode_avp(269, b"ocs test client", mandatory=False)
        return self.request(CER, 0, self.origin, address, u32(266, 0), product, *applications, flags=REQUEST)

    def disconnect(self, cause: int = 0) -> Answer:
        return self.request(DPR, 0, self.origin, u32(273, cause), flags=REQUEST)

    def watchdog(self) -> Answer:
        return self.request(DWR, 0, self.origin, flags=REQUEST)

    def ccr(
        self,
        session_id: str,
        kind: int,
        number: int,
        *avps: bytes,
        msisdn: str | None = None,
        context: str = GATEWAY_CONTEXT,
        flags: int = REQUEST | PROXIABLE,
    ) -> Answer:
        """A Credit-Control-Request; `avps` follow those that each one has."""
        return self.request(
            CCR,
            CREDIT_CONTROL,
            text(263, session_id),
            self.origin,
            text(283, self.destination_realm),
            u32(258, CREDIT_CONTROL),
            text(461, context),
            u32(416, kind),
            u32(415, number),
            *([] if msisdn is None else [subscription(0, msisdn)]),
            *avps,
            flags=flags,
        )

    def request(self, command_code: int, application_id: int, *avps: bytes, flags: int = REQUEST | PROXIABLE) -> Answer:
        """Sends one request and returns the answer with its Hop-by-Hop Identifier."""
        sent = next(self._ids)
        self.send(message_bytes(flags, command_code, application_id, sent, sent, b"".join(avps)))
        for message in self.messages():
            if message.is_request:
                self._answer(message)
            elif message.hop_by_hop_id == sent:
                return Answer(message)
        raise ConnectionError("the peer closed the connection before its answer")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def messages(self) -> Iterator[Message]:
        """What comes in, message by message, until the peer closes."""
        while header := self._receive(HEADER_OCTETS):
            length = int.from_bytes(header[1:4], "big")
            yield decode_message(header + self._receive(length - HEADER_OCTETS))

    def _answer(self, request: Message) -> None:
        assert request.command_code == DWR, f"unexpected request {request.command_code}"
        body = u32(268, 2001) + self.origin
        ids = request.hop_by_hop_id, request.end_to_end_id
        self.send(message_bytes(0, request.command_code, request.application_id, *ids, body))
        self.watchdogs_answered += 1

    def _receive(self, octets: int) -> bytes:
        """Exactly so many octets; fewer only where the peer closed."""
        parts = []
        while octets and (part := self.connection.recv(octets)):
            parts.append(part)
            octets -= len(part)
        return b"".join(parts)
