"""Requests as real clients send them: the AVPs, their order and their oddities were read in the clients' sources.

Each function gives the octets of one CCR. Those named after a product follow that product to the AVP; `gateway` is a
composite of what commercial gateways do.
"""

from ocs.diameter.wire import encode_avp
from tests.diameter.clients.avps import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    address,
    ccr,
    group,
    incoming,
    mscc,
    outgoing,
    raw,
    rsu,
    seconds,
    session,
    subscription,
    text,
    time,
    total,
    u32,
    units,
    usu,
)

MSISDN = "491700000001"
IMSI = "262010000000001"
THRESHOLD, QHT, FINAL, QUOTA_EXHAUSTED, VALIDITY_TIME, OTHER_QUOTA_TYPE = range(6)
IN_USU = (THRESHOLD, QUOTA_EXHAUSTED, OTHER_QUOTA_TYPE)


def unknown_mandatory(code: int = 9999, vendor_id: int = 9, data: bytes = b"\1\2\3\4") -> bytes:
    """A vendor's own AVP, with the M bit."""
    return encode_avp(code, data, vendor_id, mandatory=True)


def open5gs(
    kind: int = INITIAL,
    number: int = 0,
    *,
    uplink: int = 0,
    downlink: int = 0,
    duration_s: int = 0,
    reason: int | None = None,
    suffix: str = "1;1;app_gy",
) -> bytes:
    """Open5GS SMF: exactly one MSCC without Rating-Group, no CC-Total-Octets, Requested-Action in every request."""
    reporting = b"" if reason is None else u32("Reporting-Reason", reason)
    inside = []
    if kind != TERMINATION:
        inside.append(rsu(total(1_000_000)))
    if kind != INITIAL:
        in_usu = reporting if reason in IN_USU else b""
        inside.append(usu(in_usu, seconds(duration_s), incoming(uplink), outgoing(downlink)))
        inside.append(b"" if in_usu else reporting)
    inside.append(
        group(
            "QoS-Information",
            u32("QoS-Class-Identifier", 9),
            group(
                "Allocation-Retention-Priority",
                u32("Priority-Level", 8),
                u32("Pre-emption-Capability", 1),
                u32("Pre-emption-Vulnerability", 1),
            ),
            u32("APN-Aggregate-Max-Bitrate-UL", 1_000_000_000),
            u32("APN-Aggregate-Max-Bitrate-DL", 1_000_000_000),
        )
    )
    ps_information = group(
        "PS-Information",
        raw("3GPP-Charging-Id", (77).to_bytes(4)),
        u32("3GPP-PDP-Type", 0) if kind == INITIAL else b"",
        address("PDP-Address", "10.45.0.2"),
        address("SGSN-Address", "127.0.0.3"),
        address("GGSN-Address", "127.0.0.4"),
        text("Called-Station-Id", "internet"),
        text("3GPP-Selection-Mode", "0"),
        text("3GPP-Charging-Characteristics", "0800"),
        text("3GPP-SGSN-MCC-MNC", "00101"),
        raw("3GPP-NSAPI", b"\5"),
        raw("3GPP-MS-TimeZone", b"\x40\0"),
        raw("3GPP-User-Location-Info", bytes.fromhex("8200f110000100f11000000101")),
        raw("3GPP-RAT-Type", b"\6"),
        group(
            "User-Equipment-Info",
            u32("User-Equipment-Info-Type", 0),
            raw("User-Equipment-Info-Value", b"3534900698733190"),
        ),
    )
    return ccr(
        session("smf.localdomain", suffix),
        text("Origin-Host", "smf.localdomain"),
        text("Origin-Realm", "localdomain"),
        text("Destination-Realm", "localdomain"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", "32251@3gpp.org"),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", number),
        b"" if kind == INITIAL else text("Destination-Host", "ocs.example.com"),
        time("Event-Timestamp"),
        subscription(1, IMSI),
        subscription(0, MSISDN),
        u32("Termination-Cause", 1) if kind == TERMINATION else b"",
        u32("Requested-Action", 0),
        u32("AoC-Request-Type", 1),
        u32("Multiple-Services-Indicator", 0) if kind == INITIAL else b"",
        mscc(*inside),
        group("Service-Information", ps_information),
    )


def ergw(
    kind: int = INITIAL,
    number: int = 0,
    *,
    groups: tuple[int, ...] = (3000,),
    used: dict[int, tuple[tuple[int, int, int], ...]] | None = None,
) -> bytes:
    """erGW: one MSCC per rating group, each with an empty RSU; `used` has (input, output, total) per USU and group."""
    blocks = []
    for rating_group in groups:
        containers = [
            usu(seconds(30), total(all_octets), incoming(octets_in), outgoing(octets_out))
            for octets_in, octets_out, all_octets in (used or {}).get(rating_group, ())
        ]
        asked = b"" if kind == TERMINATION else rsu()
        blocks.append(mscc(asked, *containers, rating_group=rating_group))
    return ccr(
        session("pgw.example.net", "1000;7;ro"),
        text("Origin-Host", "pgw.example.net"),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", "14.32251@3gpp.org"),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", number),
        u32("Origin-State-Id", 1_700_000_000),
        time("Event-Timestamp"),
        subscription(1, IMSI),
        subscription(0, MSISDN),
        u32("Multiple-Services-Indicator", 1),
        *blocks,
        group(
            "User-Equipment-Info",
            u32("User-Equipment-Info-Type", 0),
            raw("User-Equipment-Info-Value", bytes.fromhex("5343096089371309")),
        ),
        group(
            "Service-Information",
            group(
                "PS-Information",
                raw("3GPP-Charging-Id", (4_000_000_001).to_bytes(4)),
                u32("PDN-Connection-Charging-ID", 4_000_000_001),
                u32("3GPP-PDP-Type", 2),
                address("PDP-Address", "10.180.0.9"),
                address("PDP-Address", "2001:db8::1"),
                address("CG-Address", "192.0.2.30"),
                address("GGSN-Address", "192.0.2.20"),
                text("3GPP-IMSI-MCC-MNC", "26201"),
                text("3GPP-GGSN-MCC-MNC", "00101"),
                text("3GPP-SGSN-MCC-MNC", "26201"),
                text("3GPP-NSAPI", "5"),
                text("Called-Station-Id", "IPv6.example.net"),
                text("3GPP-Charging-Characteristics", "0A00"),
                u32("Charging-Characteristics-Selection-Mode", 2),
                text("Charging-Rule-Base-Name", "m2m0001"),
                raw("3GPP-RAT-Type", b"\x33"),
            ),
        ),
    )


def kamailio(
    kind: int = INITIAL,
    number: int = 0,
    *,
    caller: str = "sip:491700000001@ims.example.com",
    called: str = "sip:+61412345678@ims.example.com",
    requested_s: int = 30,
    used_s: int = 0,
    role: int = 0,
) -> bytes:
    """Kamailio ims_charging: no Auth-Application-Id but inside 260, accounting AVPs, Origin-Host and -Realm twice."""
    origin = text("Origin-Host", "scscf.ims.example.com") + text("Origin-Realm", "ims.example.com")
    who = subscription(0, caller.removeprefix("tel:")) if caller.startswith("tel:") else subscription(2, caller)
    method = "INVITE" if kind == INITIAL else "dummy"
    inside = []
    if kind != TERMINATION:
        inside.append(rsu(seconds(requested_s)))
    if kind != INITIAL:
        inside.append(usu(seconds(used_s)))
    return ccr(
        session("scscf.ims.example.com", "3968;1"),
        origin,
        text("Destination-Realm", "ims.example.com"),
        u32("Accounting-Record-Type", {INITIAL: 2, UPDATE: 3, TERMINATION: 4}[kind]),
        u32("Accounting-Record-Number", number),
        group("Vendor-Specific-Application-Id", u32("Vendor-Id", 10415), u32("Auth-Application-Id", 4)),
        text("User-Name", caller),
        text("Service-Context-Id", "ext.01.001.8.32260@3gpp.org"),
        group(
            "Service-Information",
            who,
            group(
                "IMS-Information",
                group("Event-Type", text("SIP-Method", method), text("Event", "dummy" if kind != INITIAL else "")),
                u32("Role-Of-Node", role),
                u32("Node-Functionality", 0),
                text("User-Session-Id", "f81d4fae@192.0.2.1"),
                text("Calling-Party-Address", caller),
                text("Called-Party-Address", called),
                group(
                    "Trunk-Group-Id",
                    text("Incoming-Trunk-Group-Id", "trunk-in"),
                    text("Outgoing-Trunk-Group-Id", "trunk-out"),
                ),
                text("Access-Network-Information", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101"),
                group("Time-Stamps", time("SIP-Request-Timestamp")),
                group("Inter-Operator-Identifier", text("Originating-IOI", "a"), text("Terminating-IOI", "b")),
                text("IMS-Charging-Identifier", "f81d4fae@192.0.2.1"),
            ),
        ),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", number),
        time("Event-Timestamp", mandatory=False),
        group(
            "User-Equipment-Info",
            u32("User-Equipment-Info-Type", 1),
            raw("User-Equipment-Info-Value", b"00:11:22:33:44:55"),
        ),
        who,
        u32("Multiple-Services-Indicator", 1),
        mscc(*inside, service_id=1000, rating_group=100),
        u32("Termination-Cause", 1) + encode_avp(3, b"\0\0\0\1", 10, mandatory=False) if kind == TERMINATION else b"",
        origin,
    )


def magma(
    kind: int = INITIAL,
    number: int = 0,
    *,
    used: tuple[int, int, int] = (0, 0, 0),
    requested: tuple[int, int, int] = (0, 0, 0),
    reason: int = QUOTA_EXHAUSTED,
    rating_group: int = 100,
) -> bytes:
    """Magma FeG: input, output and total octets in every container, zeros too; (input, output, total) each."""

    def three(amounts: tuple[int, int, int]) -> bytes:
        return incoming(amounts[0]) + outgoing(amounts[1]) + total(amounts[2])

    blocks = [u32("Rating-Group", rating_group)]
    if kind != TERMINATION:
        blocks.append(rsu(three(requested)))
    blocks.append(u32("Service-Identifier", 1))
    if kind != INITIAL:
        reporting = u32("Reporting-Reason", reason)
        in_usu = reason in IN_USU
        blocks.append(b"" if in_usu else reporting)
        blocks.append(usu(three(used), reporting if in_usu else b""))
    return ccr(
        session("feg.magma.example.com", "IMSI262010000000001-1"),
        group("Multiple-Services-Credit-Control", *blocks),
        group(
            "Service-Information",
            group(
                "PS-Information",
                u32("3GPP-PDP-Type", 0, mandatory=False),
                raw("3GPP-RAT-Type", b"\6", mandatory=False),
                text("3GPP-Selection-Mode", "0", mandatory=False),
                raw("3GPP-NSAPI", b"5", mandatory=False),
                address("CG-Address", "192.0.2.9"),
                address("PDP-Address", "192.168.128.12"),
                text("3GPP-SGSN-MCC-MNC", "00101", mandatory=False),
                text("Called-Station-Id", "magma.ipv4"),
            ),
        ),
        text("Origin-Host", "feg.magma.example.com"),
        text("Origin-Realm", "magma.example.com"),
        text("Destination-Realm", "example.com"),
        time("Event-Timestamp"),
        u32("Auth-Application-Id", 4),
        u32("CC-Request-Type", kind),
        text("Service-Context-Id", "32251@3gpp.org"),
        u32("CC-Request-Number", number),
        subscription(0, MSISDN),
        subscription(1, IMSI),
        group(
            "User-Equipment-Info",
            u32("User-Equipment-Info-Type", 0, mandatory=False),
            raw("User-Equipment-Info-Value", b"3534900698733190", mandatory=False),
            mandatory=False,
        ),
        u32("Multiple-Services-Indicator", 1),
    )


def gateway(
    kind: int = INITIAL,
    number: int = 0,
    *blocks: bytes,
    origin: str = "0001-diamproxy.pgw1.example.net",
    context: str = "8.32251@3gpp.org",
    ids: bytes = subscription(0, MSISDN) + subscription(1, IMSI),
    described: bytes = b"",
    inside: bytes = b"",
    others: bytes = b"",
    flags: int = 0x40,
    hop_by_hop: int = 0x11111111,
    end_to_end: int = 0x22222222,
) -> bytes:
    """A commercial gateway: an INITIAL without MSCC unless `blocks` are given, a vendor's AVPs with the M bit.

    ids: Subscription-Ids; described: more of PS-Information; inside: more of Service-Information; others: more of the
    command.
    """
    return ccr(
        session(origin, "5b8d80;1"),
        text("Origin-Host", origin),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", context),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", number),
        time("Event-Timestamp"),
        ids,
        u32("Multiple-Services-Indicator", 1),
        *blocks,
        others,
        group(
            "Service-Information",
            group("PS-Information", text("Called-Station-Id", "internet"), unknown_mandatory(), described),
            unknown_mandatory(9998, 10415),
            inside,
        ),
        flags=flags,
        hop_by_hop=hop_by_hop,
        end_to_end=end_to_end,
    )


def smsc(
    kind: int = EVENT,
    *,
    action: int | None = 0,
    recipients: tuple[str, ...] = ("61412345678",),
    block: bytes = b"",
    suffix: str = "1;1",
) -> bytes:
    """An SMSC: one event per message, the recipients in SMS-Information (TS 32.274)."""
    return ccr(
        session("smsc.example.net", suffix),
        text("Origin-Host", "smsc.example.net"),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", "32274@3gpp.org"),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", 0),
        time("Event-Timestamp"),
        subscription(0, MSISDN),
        b"" if action is None else u32("Requested-Action", action),
        block,
        group(
            "Service-Information",
            group(
                "SMS-Information",
                group("Originator-Address", u32("Address-Type", 1), text("Address-Data", MSISDN)),
                *(
                    group(
                        "Recipient-Info",
                        group("Recipient-Address", u32("Address-Type", 1), text("Address-Data", recipient)),
                    )
                    for recipient in recipients
                ),
                u32("SMS-Node", 3),
                address("SMSC-Address", "192.0.2.40"),
                u32("SM-Message-Type", 0),
            ),
        ),
    )


def one_unit() -> bytes:
    """An MSCC that asks for one unit."""
    return mscc(rsu(units(1)))
