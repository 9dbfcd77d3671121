"""The messages that the load client sends: made once, with the places of the numbers that it puts into them.

They are what a packet gateway sends over Gy (TS 32.299 6.4): about 1 KB, Service-Information with a full
PS-Information, one Multiple-Services-Credit-Control per rating group with requested and used units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any, Final

import msgspec

from ocs.cli.avps import Tree, encode
from ocs.diameter import base_messages
from ocs.diameter.base_answers import ORIGIN_HOST, Origin, make_origin
from ocs.diameter.types import PACK, AvpType
from ocs.diameter.wire import FLAG_PROXIABLE, FLAG_REQUEST, Message, encode_avp, message_bytes

COMMAND: Final = 272
APPLICATION: Final = 4
INITIAL, UPDATE, TERMINATION = 1, 2, 3
TYPE_NAMES: Final = {INITIAL: "INITIAL", UPDATE: "UPDATE", TERMINATION: "TERMINATION"}

NTP_EPOCH_S: Final = 2_208_988_800
"""Unix time 0 as an Event-Timestamp counts it (RFC 6733 4.3.1)."""

REALM: Final = "bench.example.net"
SERVER_REALM: Final = "example.com"
CONTEXT: Final = "32251@3gpp.org"
FIRST_RATING_GROUP: Final = 100
SUBSCRIBER_DIGITS: Final = 9
MSISDN_PREFIX: Final = "4917"
IMSI_PREFIX: Final = "262010"
_HOST_DIGITS: Final = 4
_SESSION_DIGITS: Final = 10
_HOP_BY_HOP_OFFSET: Final = 12
_END_TO_END_OFFSET: Final = 16
# Marks: values that stand nowhere else in a message, found again in its octets.
_TIME_MARK_S: Final = 1_999_999_999
_NUMBER_MARK: Final = 0xE1D2C3B4
_USAGE_MARK: Final = 0xF1E2D3C4_B5A60000
_ADDRESS_MARK: Final = IPv4Address("10.253.252.251")
_CHARGING_ID_MARK: Final = b"\xfe\xdc\xba\x98"


class Patch(msgspec.Struct, frozen=True):
    """A place in a message, and what goes there.

    field: h Hop-by-Hop, e End-to-End, o number of the connection, s of the session, m of the subscriber (all three in
    digits), c charging id, a address, n CC-Request-Number, t Event-Timestamp; u, i, p: total, input and output octets
    of the rating group at position `group`.
    """

    field: str
    offset: int
    octets: int
    group: int = 0


class Template(msgspec.Struct, frozen=True):
    """One message with its places. variant: sessions are of variant 0, 1, ... in turn; groups: rating groups in it."""

    type: int
    variant: int
    groups: int
    message: bytes
    patches: tuple[Patch, ...]


class Hello(msgspec.Struct, frozen=True):
    """What one connection says of itself: CER, DPR, and the answers to DWR and DPR, whose ids are still to be set."""

    cer: bytes
    dwa: bytes
    dpa: bytes
    dpr: bytes


def msisdn(subscriber: int) -> str:
    """Number of a subscriber: 13 digits."""
    return f"{MSISDN_PREFIX}{subscriber:0{SUBSCRIBER_DIGITS}}"


def imsi(subscriber: int) -> str:
    """15 digits."""
    return f"{IMSI_PREFIX}{subscriber:0{SUBSCRIBER_DIGITS}}"


def host_name(connection: int) -> str:
    """Origin-Host of a connection."""
    return f"pgw{connection:0{_HOST_DIGITS}}.{REALM}"


def hello(connection: int) -> Hello:
    """The messages of a connection itself."""
    origin = make_origin(host_name(connection), REALM, 1)

    def request(command: int) -> Message:
        return Message(1, FLAG_REQUEST, command, base_messages.BASE_APPLICATION, 0, 0, [])

    return Hello(
        base_messages.cer(origin, IPv4Address("127.0.0.1"), (APPLICATION,), 1, 1),
        base_messages.dwa(request(base_messages.DEVICE_WATCHDOG), origin),
        base_messages.dpa(request(base_messages.DISCONNECT_PEER), origin),
        base_messages.dpr(origin, base_messages.REBOOTING, 2, 2),
    )


def make_templates(run_id: int, groups_of_variants: Sequence[int]) -> list[Template]:
    """INITIAL, UPDATE and TERMINATION for each of `groups_of_variants` (rating groups of that variant's sessions).

    run_id: the first number of the Session-Ids, so that runs on one store have sessions of their own.
    """
    return [
        _make(kind, variant, groups, run_id)
        for variant, groups in enumerate(groups_of_variants)
        for kind in (INITIAL, UPDATE, TERMINATION)
    ]


def _make(kind: int, variant: int, groups: int, run_id: int) -> Template:
    session_mark, host_mark = "#" * _SESSION_DIGITS, "%" * _HOST_DIGITS
    subscriber_mark = "&" * SUBSCRIBER_DIGITS
    host = f"pgw{host_mark}.{REALM}"
    tree: Tree = {
        "Origin-Realm": REALM,
        "Destination-Realm": SERVER_REALM,
        "Auth-Application-Id": APPLICATION,
        "Service-Context-Id": CONTEXT,
        "CC-Request-Type": kind,
        "CC-Request-Number": _NUMBER_MARK,
        "Event-Timestamp": _TIME_MARK_S,
        "Subscription-Id": [
            {"Subscription-Id-Type": 0, "Subscription-Id-Data": MSISDN_PREFIX + subscriber_mark},
            {"Subscription-Id-Type": 1, "Subscription-Id-Data": IMSI_PREFIX + subscriber_mark},
        ],
        "Termination-Cause": 1 if kind == TERMINATION else None,
        "Multiple-Services-Indicator": 1 if kind == INITIAL else None,
        "Multiple-Services-Credit-Control": [_group(kind, index) for index in range(groups)],
        "User-Equipment-Info": {"User-Equipment-Info-Type": 0, "User-Equipment-Info-Value": b"3534900698733190"},
        "Service-Information": {"PS-Information": _ps_information(kind)},
    }
    # With its mark the Origin-Host is no identity yet, so its octets are put in.
    origin_host = encode_avp(ORIGIN_HOST, host.encode())
    body = encode({"Session-Id": f"{host};{run_id};{session_mark};app_gy"}) + origin_host + encode(tree)
    message = message_bytes(FLAG_REQUEST | FLAG_PROXIABLE, COMMAND, APPLICATION, 0, 0, body)
    patches = [Patch("h", _HOP_BY_HOP_OFFSET, 4), Patch("e", _END_TO_END_OFFSET, 4)]
    patches += _find(message, host_mark.encode(), "o", 2)
    patches += _find(message, session_mark.encode(), "s", 1)
    patches += _find(message, subscriber_mark.encode(), "m", 2)
    patches += _find(message, _CHARGING_ID_MARK, "c", 2)
    patches += [Patch("a", each.offset + 1, 3) for each in _find(message, _ADDRESS_MARK.packed, "a", 1)]
    patches += _find(message, _NUMBER_MARK.to_bytes(4), "n", 1)
    patches += _find(message, PACK[AvpType.TIME](_TIME_MARK_S), "t", 1)
    if kind != INITIAL:
        for index in range(groups):
            for number, field in enumerate("uip"):
                patches += _find(message, _usage_mark(index, number).to_bytes(8), field, 1, group=index)
    return Template(kind, variant, groups, message, tuple(patches))


def _usage_mark(index: int, number: int) -> int:
    return _USAGE_MARK + index * 4 + number


def _group(kind: int, index: int) -> Tree:
    used = None
    if kind != INITIAL:
        used = {
            "Reporting-Reason": 2 if kind == TERMINATION else 3,
            "CC-Total-Octets": _usage_mark(index, 0),
            "CC-Input-Octets": _usage_mark(index, 1),
            "CC-Output-Octets": _usage_mark(index, 2),
        }
    return {
        "Requested-Service-Unit": None if kind == TERMINATION else {},
        "Used-Service-Unit": used,
        "Rating-Group": FIRST_RATING_GROUP + index,
    }


def _ps_information(kind: int) -> Tree:
    return {
        "3GPP-Charging-Id": _CHARGING_ID_MARK,
        "PDN-Connection-Charging-ID": int.from_bytes(_CHARGING_ID_MARK),
        "3GPP-PDP-Type": 0 if kind == INITIAL else None,
        "PDP-Address": _ADDRESS_MARK,
        "QoS-Information": {
            "QoS-Class-Identifier": 9,
            "Allocation-Retention-Priority": {
                "Priority-Level": 8,
                "Pre-emption-Capability": 1,
                "Pre-emption-Vulnerability": 1,
            },
            "APN-Aggregate-Max-Bitrate-UL": 50_000_000,
            "APN-Aggregate-Max-Bitrate-DL": 200_000_000,
        },
        "SGSN-Address": IPv4Address("192.0.2.17"),
        "GGSN-Address": IPv4Address("192.0.2.33"),
        "CG-Address": IPv4Address("192.0.2.65"),
        "3GPP-GPRS-Negotiated-QoS-Profile": "08-4D090000FDE8000FDE80",
        "3GPP-IMSI-MCC-MNC": "26201",
        "3GPP-GGSN-MCC-MNC": "26201",
        "3GPP-SGSN-MCC-MNC": "26201",
        "3GPP-NSAPI": b"5",
        "Called-Station-Id": "internet",
        "3GPP-Selection-Mode": "0",
        "3GPP-Charging-Characteristics": "0800",
        "3GPP-RAT-Type": b"\x06",
        "3GPP-User-Location-Info": bytes.fromhex("8262f210271062f2100001e240"),
        "3GPP-MS-TimeZone": b"\x40\x00",
        "Start-Time": _TIME_MARK_S - 1,
        "Charging-Rule-Base-Name": "default-online-charging",
    }


def _find(message: bytes, mark: bytes, field: str, times: int, *, group: int = 0) -> list[Patch]:
    offsets = list(_offsets(message, mark))
    assert len(offsets) == times, f"{field} stands {len(offsets)} times in the message, not {times}"
    return [Patch(field, offset, len(mark), group) for offset in offsets]


def _offsets(message: bytes, mark: bytes) -> Iterator[int]:
    offset = message.find(mark)
    while offset >= 0:
        yield offset
        offset = message.find(mark, offset + len(mark))


def fill(template: Template, values: Mapping[str, int], usage: Sequence[int]) -> bytes:
    """The message with these values in its places: by field, and the octets used by position of the rating group."""
    made = bytearray(template.message)
    for field, offset, octets, group in map(msgspec.structs.astuple, template.patches):
        made[offset : offset + octets] = _octets_of(field, octets, group, values, usage)
    return bytes(made)


def _octets_of(field: str, octets: int, group: int, values: Mapping[str, int], usage: Sequence[int]) -> bytes:
    if field in "uip":
        total = usage[group]
        return {"u": total, "i": total // 8, "p": total - total // 8}[field].to_bytes(octets)
    value = values[field]
    if field in "osm":
        return f"{value % 10**octets:0{octets}}".encode()
    return (value & ((1 << 8 * octets) - 1)).to_bytes(octets)


def echo_origin() -> Origin:
    """Who answers in the echo."""
    return make_origin("echo.example.com", SERVER_REALM, 1)


def echo_answer(groups: int) -> bytes:
    """Body of a CCA of the usual size, the same for everybody: what the echo answers."""
    granted: dict[str, Any] = {
        "Granted-Service-Unit": {"CC-Total-Octets": 10_485_760},
        "Rating-Group": FIRST_RATING_GROUP,
        "Validity-Time": 3_600,
        "Result-Code": 2_001,
    }
    tree: Tree = {
        "Session-Id": f"{host_name(0)};1000000000;0000000001;app_gy",
        "Result-Code": 2_001,
        "Origin-Host": echo_origin().host,
        "Origin-Realm": echo_origin().realm,
        "Auth-Application-Id": APPLICATION,
        "CC-Request-Type": UPDATE,
        "CC-Request-Number": 1,
        "CC-Session-Failover": 1,
        "Multiple-Services-Credit-Control": [granted] * groups,
    }
    return encode(tree)
