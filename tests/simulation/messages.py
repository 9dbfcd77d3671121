"""Credit-Control-Requests as octets, and what a client reads in their answers."""

from __future__ import annotations

import struct
from functools import cache
from typing import NamedTuple

from ocs.diameter.base_answers import make_origin
from ocs.diameter.wire import Avp, decode_avps, encode_avp

INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
CREDIT_CONTROL = 272
REQUEST, PROXIABLE, RETRANSMISSION = 0x80, 0x40, 0x10

CONTEXTS = {"data": b"32251@3gpp.org", "voice": b"32260@3gpp.org", "sms": b"32274@3gpp.org"}
COUNTERS = {"data": (421, 8), "voice": (420, 4), "sms": (417, 8)}
"""Code and octets of CC-Total-Octets, CC-Time, CC-Service-Specific-Units."""

_HEADER = struct.Struct("!IIIII")


def frame(flags: int, hop_by_hop_id: int, end_to_end_id: int, body: bytes) -> bytes:
    """A credit-control message."""
    return _HEADER.pack(1 << 24 | 20 + len(body), flags << 24 | CREDIT_CONTROL, 4, hop_by_hop_id, end_to_end_id) + body


@cache
def _number(code: int, value: int, octets: int = 4) -> bytes:
    return encode_avp(code, value.to_bytes(octets, "big"))


@cache
def _head(origin_host: str, service: str, msisdn: str, called: str) -> tuple[bytes, bytes]:
    """What is the same in all requests of a subscriber: (before, after) what is not."""
    before = make_origin(origin_host, "sim.example", 0).avps
    before += encode_avp(283, b"example.com") + _number(258, 4) + encode_avp(461, CONTEXTS[service])
    after = encode_avp(443, _number(450, 0) + encode_avp(444, msisdn.encode()))
    if called and service == "voice":
        information = encode_avp(832, called.encode(), 10415)
        after += encode_avp(873, encode_avp(876, _role() + information, 10415), 10415)
    return before, after


def _role() -> bytes:
    return encode_avp(829, bytes(4), 10415)


def body(origin_host: str, session_id: str, service: str, msisdn: str, called: str, kind: int, number: int,
         blocks: list[tuple[int | None, int | None, int | None]]) -> bytes:  # fmt: skip
    """The AVPs of a CCR. blocks: (rating group, units asked for: 0 = as many as the server likes, units used)."""
    before, after = _head(origin_host, service, msisdn, called)
    parts = [encode_avp(263, session_id.encode()), before, _number(416, kind), _number(415, number), after]
    if kind == EVENT:
        parts.append(_number(436, 0))
    if kind == INITIAL:
        parts.append(_number(455, 1))
    code, octets = COUNTERS[service]
    for group, asked, used in blocks:
        data = b""
        if asked is not None:
            data += encode_avp(437, encode_avp(code, asked.to_bytes(octets, "big")) if asked else b"")
        if used is not None:
            data += encode_avp(446, encode_avp(code, used.to_bytes(octets, "big")))
        if group is not None:
            data += _number(432, group)
        parts.append(encode_avp(456, data))
    return b"".join(parts)


class Given(NamedTuple):
    """What an answer says of a rating group: Result-Code, units granted (None: none), Validity-Time in seconds."""

    result: int
    granted: int | None
    validity_s: int


def result_of(answer: bytes) -> int:
    """The Result-Code of a whole answer."""
    at = 20
    while at < len(answer):
        code, length = struct.unpack_from("!II", answer, at)
        length &= 0xFFFFFF
        if code == 268:
            return int.from_bytes(answer[at + 8 : at + 12], "big")
        at += length + (-length & 3)
    return 0


def grants_of(answer: bytes) -> dict[int | None, Given]:
    """By rating group."""
    return dict(_given(avp) for avp in decode_avps(answer, 20) if avp.code == 456)


def _given(block: Avp) -> tuple[int | None, Given]:
    group = granted = None
    result = validity_s = 0
    for avp in block.children():
        if avp.code == 432:
            group = int.from_bytes(avp.data, "big")
        elif avp.code == 268:
            result = int.from_bytes(avp.data, "big")
        elif avp.code == 448:
            validity_s = int.from_bytes(avp.data, "big")
        elif avp.code == 431:
            (units,) = avp.children(2)
            granted = int.from_bytes(units.data, "big")
    return group, Given(result, granted, validity_s)
