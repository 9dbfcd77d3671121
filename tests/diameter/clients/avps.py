"""AVPs as clients write them, one function per data type, and the frame of a CCR."""

import struct
from ipaddress import ip_address

from ocs.diameter.dictionary import BY_NAME
from ocs.diameter.grammar import check_request
from ocs.diameter.wire import Message, decode_message, encode_avp, message_bytes

TGPP = 10415
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
REQUEST, PROXIABLE, RETRANSMISSION = 0x80, 0x40, 0x10
NTP_UNIX_S = 2_208_988_800
AT_S = 1_795_000_000


def raw(name: str, data: bytes, mandatory: bool = True) -> bytes:
    definition = BY_NAME[name]
    return encode_avp(definition.code, data, definition.vendor_id, mandatory)


def u32(name: str, value: int, mandatory: bool = True) -> bytes:
    return raw(name, struct.pack("!I", value), mandatory)


def u64(name: str, value: int, mandatory: bool = True) -> bytes:
    return raw(name, struct.pack("!Q", value), mandatory)


def text(name: str, value: str, mandatory: bool = True) -> bytes:
    return raw(name, value.encode(), mandatory)


def group(name: str, *avps: bytes, mandatory: bool = True) -> bytes:
    return raw(name, b"".join(avps), mandatory)


def address(name: str, value: str, mandatory: bool = True) -> bytes:
    ip = ip_address(value)
    return raw(name, (b"\0\1" if ip.version == 4 else b"\0\2") + ip.packed, mandatory)


def time(name: str, unix_s: int = AT_S, mandatory: bool = True) -> bytes:
    return u32(name, (unix_s + NTP_UNIX_S) % 2**32, mandatory)


def subscription(kind: int, data: str) -> bytes:
    return group("Subscription-Id", u32("Subscription-Id-Type", kind), text("Subscription-Id-Data", data))


def mscc(*avps: bytes, rating_group: int | None = None, service_id: int | None = None) -> bytes:
    ids = b"" if service_id is None else u32("Service-Identifier", service_id)
    if rating_group is not None:
        ids += u32("Rating-Group", rating_group)
    return group("Multiple-Services-Credit-Control", *avps, ids)


def rsu(*units: bytes) -> bytes:
    return group("Requested-Service-Unit", *units)


def usu(*units: bytes) -> bytes:
    return group("Used-Service-Unit", *units)


def total(octets: int) -> bytes:
    return u64("CC-Total-Octets", octets)


def incoming(octets: int) -> bytes:
    return u64("CC-Input-Octets", octets)


def outgoing(octets: int) -> bytes:
    return u64("CC-Output-Octets", octets)


def seconds(value: int) -> bytes:
    return u32("CC-Time", value)


def units(value: int) -> bytes:
    return u64("CC-Service-Specific-Units", value)


def session(host: str, suffix: str) -> bytes:
    return text("Session-Id", f"{host};{suffix}")


def ccr(*avps: bytes, hop_by_hop: int = 0x11111111, end_to_end: int = 0x22222222, flags: int = PROXIABLE) -> bytes:
    """A CCR with those AVPs, and no others."""
    return message_bytes(REQUEST | flags, 272, 4, hop_by_hop, end_to_end, b"".join(avps))


def received(data: bytes, *, strict: bool = False) -> Message:
    """The message as the node hands it to an application: decoded, and held to its grammar."""
    message = decode_message(data)
    check_request(message, strict)
    return message
