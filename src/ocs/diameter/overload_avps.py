"""What requests say of priority and overload control, and what is said to them: DRMP (RFC 7944), DOIC (RFC 7683).

Pure. These AVPs belong to one exchange of messages, never to the content of an answer: they are put into a whole answer
when it leaves, so that the stored answer to a repeat stays what it was.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from ocs.diameter.errors import PeerError
from ocs.diameter.overload import NEVER, PRIORITY_DEFAULT, PRIORITY_LOWEST, Kind, rank_of
from ocs.diameter.wire import Message, decode_avps, encode_avp
from ocs.limits import OVERLOAD_VALIDITY_MAX_S, OVERLOAD_VALIDITY_S

DRMP: Final = 301
SUPPORTED_FEATURES: Final = 621
FEATURE_VECTOR: Final = 622
OLR: Final = 623
SEQUENCE_NUMBER: Final = 624
VALIDITY_DURATION: Final = 625
REPORT_TYPE: Final = 626
REDUCTION_PERCENTAGE: Final = 627

HOST_REPORT: Final = 0
REALM_REPORT: Final = 1
LOSS_ALGORITHM: Final = 1
"""Of OC-Feature-Vector: abatement by percentage, which everybody has who has DOIC (RFC 7683 7.2)."""

_PACK_U32: Final = struct.Struct("!I").pack
_PACK_U64: Final = struct.Struct("!Q").pack
_read_length: Final = struct.Struct("!I").unpack_from

# CC-Request-Type (RFC 8506 8.3), Accounting-Record-Type (RFC 6733 9.8.1): where the kind of a command's request stands.
_KIND_AVPS: Final = {272: 416, 271: 480}
_KINDS: Final = {
    416: {b"\0\0\0\1": Kind.NEW, b"\0\0\0\2": Kind.UPDATE, b"\0\0\0\3": Kind.LAST, b"\0\0\0\4": Kind.NEW},
    480: {b"\0\0\0\1": Kind.NEW, b"\0\0\0\2": Kind.NEW, b"\0\0\0\3": Kind.UPDATE, b"\0\0\0\4": Kind.LAST},
}

FEATURES: Final = encode_avp(
    SUPPORTED_FEATURES, encode_avp(FEATURE_VECTOR, _PACK_U64(LOSS_ALGORITHM), mandatory=False), mandatory=False
)
"""OC-Supported-Features with the loss algorithm."""


class Traits(msgspec.Struct, frozen=True):
    """What counts about a request when there are too many.

    priority: DRMP. rank: see `ocs.diameter.overload.rank_of`. abates: the sender obeys overload reports.
    priority_avp: the DRMP as it came, for the answer; b"" where none came.
    """

    kind: Kind
    priority: int
    rank: int
    abates: bool = False
    priority_avp: bytes = b""


PLAIN: Final = Traits(Kind.LAST, PRIORITY_DEFAULT, NEVER)
"""A request that says nothing."""
_USUAL: Final = {kind: Traits(kind, PRIORITY_DEFAULT, rank_of(kind, PRIORITY_DEFAULT, abates=False)) for kind in Kind}


def traits_of(message: Message) -> Traits:
    """The Traits of a request; of its AVPs none is opened but OC-Supported-Features.

    What has no meaning counts as not sent: overload control never makes a request fail.
    """
    firsts = message.firsts()
    kind_code = _KIND_AVPS.get(message.command_code)
    kind_avp = None if kind_code is None else firsts.get(kind_code)
    kind = Kind.NEW if kind_avp is None else _KINDS[kind_avp.code].get(kind_avp.data, Kind.NEW)
    drmp, features = firsts.get(DRMP), firsts.get(SUPPORTED_FEATURES)
    if drmp is None and features is None:
        return _USUAL[kind]
    priority, priority_avp = PRIORITY_DEFAULT, b""
    if drmp is not None and len(drmp.data) == 4 and (asked := int.from_bytes(drmp.data)) <= PRIORITY_LOWEST:
        priority, priority_avp = asked, encode_avp(DRMP, drmp.data, mandatory=False)
    abates = features is not None and _has_loss_algorithm(features.data)
    return Traits(kind, priority, rank_of(kind, priority, abates), abates, priority_avp)


def _has_loss_algorithm(features: bytes) -> bool:
    """Without OC-Feature-Vector it is meant (RFC 7683 7.1)."""
    parts = _parts(features)
    if parts is None:
        return False
    vectors = [data for code, data in parts if code == FEATURE_VECTOR]
    return not vectors or (len(vectors[0]) == 8 and int.from_bytes(vectors[0]) & LOSS_ALGORITHM != 0)


def with_avps(answer: bytes, avps: bytes) -> bytes:
    """A whole answer with more AVPs at its end."""
    if not avps:
        return answer
    (first,) = _read_length(answer)
    return _PACK_U32(first + len(avps)) + answer[4:] + avps


class Report(msgspec.Struct, frozen=True):
    """An overload report (OC-OLR, RFC 7683 7.3): for `validity_s` so many percent fewer requests are wanted.

    of_realm: about all requests to a realm, not to one host. percent 0 or validity_s 0: the overload is over.
    """

    sequence: int
    percent: int
    validity_s: int = OVERLOAD_VALIDITY_S
    of_realm: bool = False

    def encode(self) -> bytes:
        """The AVP."""
        parts = (
            (SEQUENCE_NUMBER, _PACK_U64(self.sequence)),
            (REPORT_TYPE, _PACK_U32(REALM_REPORT if self.of_realm else HOST_REPORT)),
            (REDUCTION_PERCENTAGE, _PACK_U32(self.percent)),
            (VALIDITY_DURATION, _PACK_U32(self.validity_s)),
        )
        return encode_avp(OLR, b"".join([encode_avp(code, data, mandatory=False) for code, data in parts]), 0, False)


def reports_of(answer: Message) -> list[Report]:
    """The overload reports of an answer; those that mean nothing are left out.

    A missing or excessive validity is the default (RFC 7683 7.5); a missing percentage is none at all (7.7).
    """
    found = []
    for avp in answer.find_all(OLR):
        parts = {code: int.from_bytes(data) for code, data in _parts(avp.data) or () if len(data) <= 8}
        sequence, kind = parts.get(SEQUENCE_NUMBER), parts.get(REPORT_TYPE)
        percent, validity_s = parts.get(REDUCTION_PERCENTAGE, 0), parts.get(VALIDITY_DURATION, OVERLOAD_VALIDITY_S)
        if sequence is None or kind not in (HOST_REPORT, REALM_REPORT) or percent > 100:
            continue
        if validity_s > OVERLOAD_VALIDITY_MAX_S:
            validity_s = OVERLOAD_VALIDITY_S
        found.append(Report(sequence, percent, validity_s, kind == REALM_REPORT))
    return found


def _parts(group: bytes) -> list[tuple[int, bytes]] | None:
    """The parts of a group that belong to no vendor; None where it cannot be read."""
    try:
        return [(avp.code, avp.data) for avp in decode_avps(group, depth=1) if not avp.vendor_id]
    except PeerError:
        return None
