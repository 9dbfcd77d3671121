"""Requests as clients send them, as lists of encoded AVPs that a test can change."""

from ocs.diameter.dictionary import BY_NAME
from ocs.diameter.types import PACK
from ocs.diameter.wire import Message, decode_message, encode_avp, message_bytes


def avp(name: str, value: object = b"", mandatory: bool | None = None) -> bytes:
    """An AVP by its name; `value` is octets, what its type packs, or a list of encoded AVPs for a group."""
    definition = BY_NAME[name]
    data = value if isinstance(value, bytes) else PACK[definition.type](value)
    return encode_avp(
        definition.code, data, definition.vendor_id, definition.mandatory if mandatory is None else mandatory
    )


def message(command_code: int, parts: list[bytes], flags: int = 0xC0, application_id: int = 4) -> Message:
    return decode_message(message_bytes(flags, command_code, application_id, 7, 8, b"".join(parts)))


ORIGIN = [avp("Origin-Host", "gw.example.com"), avp("Origin-Realm", "example.com")]


def subscription(kind: int, number: str) -> bytes:
    return avp("Subscription-Id", [avp("Subscription-Id-Type", kind), avp("Subscription-Id-Data", number)])


def credit_control(request_type: int = 1, number: int = 0) -> list[bytes]:
    """A CCR of a gateway with one rating group, close to what Open5GS sends."""
    used = avp("Used-Service-Unit", [avp("CC-Time", 30), avp("CC-Input-Octets", 1), avp("CC-Output-Octets", 2**33)])
    asked = avp("Requested-Service-Unit", [avp("CC-Total-Octets", 1_000_000)])
    packet_switched = [
        avp("3GPP-Charging-Id", bytes(4)),
        avp("PDP-Address", "10.45.0.2"),
        avp("GGSN-Address", "2001:db8::1"),
        avp("Called-Station-Id", "internet"),
        avp("3GPP-Charging-Characteristics", "0800"),
        avp("3GPP-User-Location-Info", bytes(13)),
    ]
    return [
        avp("Session-Id", "gw.example.com;1;2;app_gy"),
        *ORIGIN,
        avp("Destination-Realm", "example.com"),
        avp("Auth-Application-Id", 4),
        avp("Service-Context-Id", "32251@3gpp.org"),
        avp("CC-Request-Type", request_type),
        avp("CC-Request-Number", number),
        avp("Event-Timestamp", 1_700_000_000),
        subscription(1, "262010000000001"),
        subscription(0, "491700000001"),
        avp("Requested-Action", 0),
        avp("AoC-Request-Type", 1),
        avp("Multiple-Services-Indicator", 0),
        avp("Multiple-Services-Credit-Control", [asked, used, avp("Rating-Group", 100)]),
        avp("Service-Information", [avp("PS-Information", packet_switched)]),
    ]


CAPABILITIES = [
    *ORIGIN,
    avp("Host-IP-Address", "127.0.0.1"),
    avp("Vendor-Id", 10415),
    avp("Product-Name", "gateway"),
    avp("Origin-State-Id", 1),
    avp("Supported-Vendor-Id", 10415),
    avp("Auth-Application-Id", 4),
    avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", 10415), avp("Auth-Application-Id", 4)]),
]

SESSION = [
    avp("Session-Id", "gw.example.com;1;2"),
    *ORIGIN,
    avp("Destination-Realm", "example.com"),
    avp("Auth-Application-Id", 4),
]
HOST = [avp("Destination-Host", "ocs.example.com")]

REQUESTS: dict[int, list[bytes]] = {
    257: CAPABILITIES,
    258: [*SESSION, *HOST, avp("Re-Auth-Request-Type", 0)],
    272: credit_control(),
    274: [*SESSION, *HOST],
    275: [*SESSION, avp("Termination-Cause", 1)],
    280: [*ORIGIN, avp("Origin-State-Id", 1)],
    282: [*ORIGIN, avp("Disconnect-Cause", 0)],
}
