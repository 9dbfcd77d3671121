"""The data types of AVPs (RFC 6733 4.2 and 4.3): from an `Avp` to a value and from a value to its octets.

`unpack_*` take the whole AVP and raise PeerError with it in Failed-AVP: 5014 where a type of fixed size has another
length, 5004 where the octets are no value of the type. `pack_*` return the data only, for `encode_avp`, and raise
UsageError for what the type cannot hold. Nothing here knows which AVP has which type; that is the dictionary's.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ocs.diameter.errors import PeerError, UsageError
from ocs.diameter.result_codes import ResultCode

if TYPE_CHECKING:
    from ocs.diameter.wire import Avp


@enum.unique
class AvpType(enum.Enum):
    """Basic and derived AVP data formats, by the names of RFC 6733."""

    OCTET_STRING = "OctetString"
    INTEGER32 = "Integer32"
    INTEGER64 = "Integer64"
    UNSIGNED32 = "Unsigned32"
    UNSIGNED64 = "Unsigned64"
    FLOAT32 = "Float32"
    FLOAT64 = "Float64"
    GROUPED = "Grouped"
    ADDRESS = "Address"
    TIME = "Time"
    UTF8_STRING = "UTF8String"
    DIAMETER_IDENTITY = "DiameterIdentity"
    DIAMETER_URI = "DiameterURI"
    ENUMERATED = "Enumerated"
    IP_FILTER_RULE = "IPFilterRule"
    QOS_FILTER_RULE = "QoSFilterRule"


AvpRows = tuple[tuple[int, str, AvpType, bool], ...]
"""How the tables of the dictionary are written: code, name, type, M bit."""

FIXED_OCTETS: Final[dict[AvpType, int]] = {
    AvpType.INTEGER32: 4,
    AvpType.INTEGER64: 8,
    AvpType.UNSIGNED32: 4,
    AvpType.UNSIGNED64: 8,
    AvpType.FLOAT32: 4,
    AvpType.FLOAT64: 8,
    AvpType.TIME: 4,
    AvpType.ENUMERATED: 4,
}
"""Data length of the types that have just one."""

MINIMUM_OCTETS: Final[dict[AvpType, int]] = {**FIXED_OCTETS, AvpType.ADDRESS: 6}
"""Least data length by type, 0 where not listed: what a Failed-AVP shows of an AVP that is missing (RFC 6733 7.1.5)."""

_NTP_UNIX_S: Final = 2_208_988_800  # from 1 January 1900 to 1 January 1970
_NTP_ERA_S: Final = 1 << 32
_NTP_FIRST_ERA_BIT: Final = 1 << 31

_FAMILY_IPV4: Final = 1
_FAMILY_IPV6: Final = 2
_FAMILY_E164: Final = 8

_INTEGER32: Final = struct.Struct("!i")
_INTEGER64: Final = struct.Struct("!q")
_UNSIGNED32: Final = struct.Struct("!I")
_UNSIGNED64: Final = struct.Struct("!Q")
_FLOAT32: Final = struct.Struct("!f")
_FLOAT64: Final = struct.Struct("!d")

_URI: Final = re.compile(
    r"(?P<scheme>aaas?)://(?P<fqdn>[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:;transport=(?P<transport>tcp|sctp|udp))?(?:;protocol=(?P<protocol>diameter|radius|tacacs\+))?"
)
_IP_FILTER_RULE: Final = re.compile(r"(?:permit|deny) (?:in|out) \S+ from .+ to .+", re.DOTALL)
_QOS_FILTER_RULE: Final = re.compile(r"(?:tag|meter) (?:in|out) \S+ from .+ to .+", re.DOTALL)

IpOrNumber = ipaddress.IPv4Address | ipaddress.IPv6Address | str


class DiameterUri(msgspec.Struct, frozen=True):
    """A DiameterURI taken apart, the defaults of RFC 6733 4.3.1 filled in."""

    scheme: str
    fqdn: str
    port: int
    transport: str
    protocol: str


def unpack_octet_string(avp: Avp) -> bytes:
    """The data as it is."""
    return avp.data


def unpack_integer32(avp: Avp) -> int:
    """-2^31 to 2^31 - 1."""
    return int(_unpack(_INTEGER32, avp))


def unpack_integer64(avp: Avp) -> int:
    """-2^63 to 2^63 - 1."""
    return int(_unpack(_INTEGER64, avp))


def unpack_unsigned32(avp: Avp) -> int:
    """0 to 2^32 - 1."""
    if len(avp.data) != 4:
        raise wrong_length(avp)
    return int.from_bytes(avp.data)


def unpack_unsigned64(avp: Avp) -> int:
    """0 to 2^64 - 1."""
    if len(avp.data) != 8:
        raise wrong_length(avp)
    return int.from_bytes(avp.data)


def unpack_float32(avp: Avp) -> float:
    """IEEE single precision; never used for money or usage."""
    return float(_unpack(_FLOAT32, avp))


def unpack_float64(avp: Avp) -> float:
    """IEEE double precision; never used for money or usage."""
    return float(_unpack(_FLOAT64, avp))


def unpack_grouped(avp: Avp) -> list[Avp]:
    """The AVPs inside."""
    return avp.children()


def unpack_address(avp: Avp) -> IpOrNumber:
    """An IP address (families 1 and 2), or the digits of an E.164 number (family 8)."""
    data = avp.data
    if len(data) < 2:
        raise wrong_length(avp)
    family = int.from_bytes(data[:2])
    value = data[2:]
    if family == _FAMILY_IPV4:
        if len(value) != 4:
            raise wrong_length(avp)
        return ipaddress.IPv4Address(value)
    if family == _FAMILY_IPV6:
        if len(value) != 16:
            raise wrong_length(avp)
        return ipaddress.IPv6Address(value)
    if family == _FAMILY_E164 and value.isdigit():
        return value.decode("ascii")
    raise wrong_value(avp, f"address family {family}")


def unpack_time(avp: Avp) -> int:
    """Seconds since 1970, UTC.

    The wire has 32 bits of seconds since 1900, which wrap on 7 February 2036; a value without the highest bit is
    taken as of the era after that (RFC 6733 4.3.1), so times from 1968 to 2104 can be told.
    """
    if len(avp.data) != 4:
        raise wrong_length(avp)
    ntp_s = int.from_bytes(avp.data)
    if ntp_s < _NTP_FIRST_ERA_BIT:
        ntp_s += _NTP_ERA_S
    return ntp_s - _NTP_UNIX_S


def unpack_utf8_string(avp: Avp) -> str:
    """Text; octets that are not UTF-8 are a wrong value (RFC 6733 4.3.1)."""
    try:
        return avp.data.decode()
    except UnicodeDecodeError as error:
        raise wrong_value(avp, "not UTF-8") from error


def unpack_diameter_identity(avp: Avp) -> str:
    """A host or realm name, as it was sent; compare with `same_identity`."""
    if not avp.data or not avp.data.isascii():
        raise wrong_value(avp, "no name in ASCII")
    return avp.data.decode("ascii")


def unpack_diameter_uri(avp: Avp) -> DiameterUri:
    """A URI as of RFC 6733 4.3.1."""
    match = _URI.fullmatch(avp.data.decode("latin-1"))
    if match is None:
        raise wrong_value(avp, "no DiameterURI")
    scheme = match["scheme"]
    port = int(match["port"] or (3868 if scheme == "aaa" else 5658))
    if not 0 < port < 65536:
        raise wrong_value(avp, f"port {port}")
    return DiameterUri(scheme, match["fqdn"], port, match["transport"] or "tcp", match["protocol"] or "diameter")


def unpack_enumerated(avp: Avp) -> int:
    """A number of Integer32; whether it is in the enumeration is the grammar's question."""
    return unpack_integer32(avp)


def unpack_ip_filter_rule(avp: Avp) -> str:
    """`action dir proto from src to dst [options]` as text; addresses and options are not looked at."""
    return _unpack_rule(avp, _IP_FILTER_RULE)


def unpack_qos_filter_rule(avp: Avp) -> str:
    """As an IPFilterRule, with the actions `tag` and `meter`."""
    return _unpack_rule(avp, _QOS_FILTER_RULE)


def pack_octet_string(value: bytes) -> bytes:
    """The octets as they are."""
    return bytes(value)


def pack_integer32(value: int) -> bytes:
    """4 octets."""
    return _pack(_INTEGER32, value)


def pack_integer64(value: int) -> bytes:
    """8 octets."""
    return _pack(_INTEGER64, value)


def pack_unsigned32(value: int) -> bytes:
    """4 octets."""
    return _pack(_UNSIGNED32, value)


def pack_unsigned64(value: int) -> bytes:
    """8 octets."""
    return _pack(_UNSIGNED64, value)


def pack_float32(value: float) -> bytes:
    """4 octets."""
    return _pack(_FLOAT32, value)


def pack_float64(value: float) -> bytes:
    """8 octets."""
    return _pack(_FLOAT64, value)


def pack_grouped(avps: Iterable[Avp | bytes]) -> bytes:
    """AVPs one after another, encoded before or not."""
    return b"".join([avp if isinstance(avp, bytes) else avp.encode() for avp in avps])


def pack_address(value: IpOrNumber) -> bytes:
    """An IP address, as an object or as text, or the digits of an E.164 number."""
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            return _FAMILY_E164.to_bytes(2) + value.encode("ascii")
        try:
            value = ipaddress.ip_address(value)
        except ValueError as error:
            raise UsageError(f"{value!r} is neither an IP address nor an E.164 number") from error
    family = _FAMILY_IPV4 if value.version == 4 else _FAMILY_IPV6
    return family.to_bytes(2) + value.packed


def pack_time(unix_s: int) -> bytes:
    """Seconds since 1970, from 20 January 1968 to 26 February 2104."""
    ntp_s = unix_s + _NTP_UNIX_S
    if not _NTP_FIRST_ERA_BIT <= ntp_s < _NTP_FIRST_ERA_BIT + _NTP_ERA_S:
        raise UsageError(f"{unix_s} s since 1970 cannot be told on the wire")
    return (ntp_s % _NTP_ERA_S).to_bytes(4)


def pack_utf8_string(value: str) -> bytes:
    """UTF-8."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!r} has no UTF-8") from error


def pack_diameter_identity(value: str) -> bytes:
    """A host or realm name."""
    return _pack_ascii(value, "a name")


def pack_diameter_uri(value: DiameterUri) -> bytes:
    """The URI with all its parts, defaults too."""
    text = f"{value.scheme}://{value.fqdn}:{value.port};transport={value.transport};protocol={value.protocol}"
    if not _URI.fullmatch(text) or not 0 < value.port < 65536:
        raise UsageError(f"{text!r} is no DiameterURI")
    return text.encode("ascii")


def pack_enumerated(value: int) -> bytes:
    """4 octets."""
    return _pack(_INTEGER32, value)


def pack_ip_filter_rule(value: str) -> bytes:
    """The rule's text."""
    return _pack_rule(value, _IP_FILTER_RULE)


def pack_qos_filter_rule(value: str) -> bytes:
    """The rule's text."""
    return _pack_rule(value, _QOS_FILTER_RULE)


def same_identity(one: str, other: str) -> bool:
    """Whether two names of hosts or realms mean the same: case does not count (RFC 6733 4.3.1)."""
    return one.lower() == other.lower()


def wrong_length(avp: Avp) -> PeerError:
    """5014 with the AVP itself."""
    reason = f"AVP {avp.code} of vendor {avp.vendor_id} has {len(avp.data)} octets"
    return PeerError(ResultCode.INVALID_AVP_LENGTH, avp.encode(), reason)


def wrong_value(avp: Avp, reason: str) -> PeerError:
    """5004 with the AVP itself."""
    reason = f"AVP {avp.code} of vendor {avp.vendor_id}: {reason}"
    return PeerError(ResultCode.INVALID_AVP_VALUE, avp.encode(), reason)


UNPACK: Final[dict[AvpType, Callable[[Avp], Any]]] = {
    AvpType.OCTET_STRING: unpack_octet_string,
    AvpType.INTEGER32: unpack_integer32,
    AvpType.INTEGER64: unpack_integer64,
    AvpType.UNSIGNED32: unpack_unsigned32,
    AvpType.UNSIGNED64: unpack_unsigned64,
    AvpType.FLOAT32: unpack_float32,
    AvpType.FLOAT64: unpack_float64,
    AvpType.GROUPED: unpack_grouped,
    AvpType.ADDRESS: unpack_address,
    AvpType.TIME: unpack_time,
    AvpType.UTF8_STRING: unpack_utf8_string,
    AvpType.DIAMETER_IDENTITY: unpack_diameter_identity,
    AvpType.DIAMETER_URI: unpack_diameter_uri,
    AvpType.ENUMERATED: unpack_enumerated,
    AvpType.IP_FILTER_RULE: unpack_ip_filter_rule,
    AvpType.QOS_FILTER_RULE: unpack_qos_filter_rule,
}

PACK: Final[dict[AvpType, Callable[[Any], bytes]]] = {
    AvpType.OCTET_STRING: pack_octet_string,
    AvpType.INTEGER32: pack_integer32,
    AvpType.INTEGER64: pack_integer64,
    AvpType.UNSIGNED32: pack_unsigned32,
    AvpType.UNSIGNED64: pack_unsigned64,
    AvpType.FLOAT32: pack_float32,
    AvpType.FLOAT64: pack_float64,
    AvpType.GROUPED: pack_grouped,
    AvpType.ADDRESS: pack_address,
    AvpType.TIME: pack_time,
    AvpType.UTF8_STRING: pack_utf8_string,
    AvpType.DIAMETER_IDENTITY: pack_diameter_identity,
    AvpType.DIAMETER_URI: pack_diameter_uri,
    AvpType.ENUMERATED: pack_enumerated,
    AvpType.IP_FILTER_RULE: pack_ip_filter_rule,
    AvpType.QOS_FILTER_RULE: pack_qos_filter_rule,
}


def _unpack(layout: struct.Struct, avp: Avp) -> Any:
    if len(avp.data) != layout.size:
        raise wrong_length(avp)
    return layout.unpack(avp.data)[0]


def _pack(layout: struct.Struct, value: float) -> bytes:
    try:
        return layout.pack(value)
    except (struct.error, OverflowError) as error:
        raise UsageError(f"{value!r} does not fit: {error}") from error


def _unpack_rule(avp: Avp, rule: re.Pattern[str]) -> str:
    text = avp.data.decode("latin-1")
    if not text.isascii() or not rule.fullmatch(text):
        raise wrong_value(avp, "no filter rule")
    return text


def _pack_rule(value: str, rule: re.Pattern[str]) -> bytes:
    if not rule.fullmatch(value):
        raise UsageError(f"{value!r} is no filter rule")
    return _pack_ascii(value, "a filter rule")


def _pack_ascii(value: str, what: str) -> bytes:
    if not value or not value.isascii():
        raise UsageError(f"{value!r} is not {what} in ASCII")
    return value.encode("ascii")
