"""The codec against another one, python-diameter: the same octets, the same values, in both directions."""

import ipaddress
from datetime import UTC, datetime

import pytest
from diameter.message import Avp as TheirAvp
from diameter.message import Message as TheirMessage
from diameter.message import constants
from diameter.message.avp import grouped
from diameter.message.avp.dictionary import AVP_DICTIONARY, AVP_VENDOR_DICTIONARY
from diameter.message.commands import (
    CapabilitiesExchangeRequest,
    CreditControlAnswer,
    CreditControlRequest,
    DeviceWatchdogRequest,
    DisconnectPeerRequest,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.diameter import types
from ocs.diameter.dictionary import BY_KEY, BY_NAME
from ocs.diameter.grammar import check_answer, check_request
from ocs.diameter.types import AvpType
from ocs.diameter.wire import Avp, Message, decode_avps, decode_message, encode_avp, message_bytes
from tests.diameter import samples
from tests.diameter.samples import avp
from tests.diameter.test_types import VALUES

OCTETS = {"AvpOctetString"}
TEXT = {"AvpUtf8String"}
THEIR_CLASSES = {
    AvpType.OCTET_STRING: OCTETS,
    AvpType.INTEGER32: {"AvpInteger32"},
    AvpType.INTEGER64: {"AvpInteger64"},
    AvpType.UNSIGNED32: {"AvpUnsigned32"},
    AvpType.UNSIGNED64: {"AvpUnsigned64"},
    AvpType.FLOAT32: {"AvpFloat32"},
    AvpType.FLOAT64: {"AvpFloat64"},
    AvpType.GROUPED: {"AvpGrouped"},
    AvpType.ADDRESS: {"AvpAddress"},
    AvpType.TIME: {"AvpTime"},
    AvpType.UTF8_STRING: TEXT,
    AvpType.DIAMETER_IDENTITY: OCTETS | TEXT,
    AvpType.DIAMETER_URI: OCTETS | TEXT,
    AvpType.ENUMERATED: {"AvpInteger32", "AvpEnumerated"},
    AvpType.IP_FILTER_RULE: OCTETS | TEXT,
    AvpType.QOS_FILTER_RULE: OCTETS | TEXT,
}
# Where the other side has another type: ours is that of RFC 6733 7.1, 6.10, 8.9, RFC 7155 and TS 29.329.
TYPES_APART = {
    "Result-Code": "AvpInteger32",
    "Inband-Security-Id": "AvpInteger32",
    "Authorization-Lifetime": "AvpInteger32",
    "Login-IP-Host": "AvpAddress",
    "UDR-Flags": "AvpInteger32",
}

THEIRS = {(code, 0): info for code, info in AVP_DICTIONARY.items()} | {
    (code, vendor_id): info for vendor_id, infos in AVP_VENDOR_DICTIONARY.items() for code, info in infos.items()
}
SHARED = [key for key in BY_KEY if key in THEIRS and BY_KEY[key].name not in TYPES_APART]
PLAIN = [key for key in SHARED if BY_KEY[key].type is not AvpType.GROUPED]
GROUPS = [key for key in SHARED if BY_KEY[key].type is AvpType.GROUPED]
# The other side lets the era of NTP end an hour early, so only times before February 2036 can be compared.
TIMES = st.integers(0, 2_085_970_000)


def values(avp_type: AvpType) -> st.SearchStrategy:
    return TIMES if avp_type is AvpType.TIME else VALUES[avp_type]


@st.composite
def plain(draw) -> tuple[Avp, object]:
    """One of our AVPs, and its value in our words."""
    code, vendor_id = draw(st.sampled_from(PLAIN))
    avp_type = BY_KEY[code, vendor_id].type
    value = draw(values(avp_type))
    flags = (0x80 if vendor_id else 0) | draw(st.sampled_from([0, 0x40, 0x20, 0x60]))
    return Avp(code, vendor_id, flags, types.PACK[avp_type](value)), value


def group_of(members: st.SearchStrategy) -> st.SearchStrategy:
    def build(key: tuple[int, int], inner: list[Avp]) -> Avp:
        return Avp(key[0], key[1], 0xC0 if key[1] else 0x40, b"".join(member.encode() for member in inner))

    return st.builds(build, st.sampled_from(GROUPS), st.lists(members, max_size=4))


trees = st.recursive(plain().map(lambda pair: pair[0]), group_of, max_leaves=12)


def their_value(value: object) -> object:
    """Our value as the other side's setter wants it, and as its getter gives it but for addresses."""
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(value)
    return value


def same_value(avp_type: AvpType, ours: object, theirs: object) -> bool:
    if avp_type is AvpType.TIME:
        return datetime.fromtimestamp(ours, UTC) == theirs.astimezone(UTC)
    if avp_type is AvpType.ADDRESS:
        family, text = theirs
        expected = {4: 1, 6: 2}[ours.version] if not isinstance(ours, str) else 8
        return family == expected and types.pack_address(text) == types.pack_address(ours)
    if isinstance(theirs, bytes) and not isinstance(ours, bytes):
        return types.PACK[avp_type](ours) == theirs
    if avp_type is AvpType.DIAMETER_URI:
        return types.PACK[avp_type](ours).decode() == theirs
    return ours == theirs


def same_tree(ours: Avp, theirs: TheirAvp) -> bool:
    head = (ours.code, ours.vendor_id, ours.flags, ours.data) == (
        theirs.code,
        theirs.vendor_id,
        theirs.flags,
        theirs.payload,
    )
    if not head or BY_KEY[ours.code, ours.vendor_id].type is not AvpType.GROUPED:
        return head
    return all(same_tree(one, other) for one, other in zip(ours.children(), theirs.value, strict=True))


def test_both_dictionaries_have_the_same_types():
    apart = {
        BY_KEY[key].name: THEIRS[key]["type"].__name__
        for key in BY_KEY
        if key in THEIRS and THEIRS[key]["type"].__name__ not in THEIR_CLASSES[BY_KEY[key].type]
    }
    assert apart == TYPES_APART
    assert len(SHARED) > 850


@settings(max_examples=300)
@given(plain())
def test_a_typed_avp_of_ours_means_the_same_to_them(pair):
    ours, value = pair
    theirs = TheirAvp.from_bytes(ours.encode())
    assert (theirs.code, theirs.vendor_id, theirs.flags) == (ours.code, ours.vendor_id, ours.flags)
    assert same_value(BY_KEY[ours.code, ours.vendor_id].type, value, theirs.value)


@settings(max_examples=300)
@given(plain())
def test_a_typed_avp_of_theirs_means_the_same_to_us(pair):
    ours, value = pair
    avp_type = BY_KEY[ours.code, ours.vendor_id].type
    theirs = TheirAvp.new(ours.code, ours.vendor_id, is_mandatory=bool(ours.flags & 0x40))
    theirs.is_private = bool(ours.flags & 0x20)
    if avp_type is AvpType.TIME:
        theirs.value = datetime.fromtimestamp(value, UTC)
    elif type(theirs).__name__ in OCTETS:
        theirs.value = ours.data
    elif avp_type is AvpType.DIAMETER_URI:
        theirs.value = ours.data.decode()
    else:
        theirs.value = their_value(value)
    octets = theirs.as_bytes()
    assert octets == ours.encode()
    (read,) = decode_avps(octets)
    assert types.UNPACK[avp_type](read) == value


@settings(max_examples=150)
@given(trees)
def test_groups_in_groups_of_ours_are_the_same_to_them(tree):
    assert same_tree(tree, TheirAvp.from_bytes(tree.encode()))


@settings(max_examples=150)
@given(trees)
def test_groups_in_groups_of_theirs_are_the_same_to_us(tree):
    theirs = TheirAvp.from_bytes(tree.encode())
    assert theirs.as_bytes() == tree.encode()
    assert decode_avps(theirs.as_bytes()) == [tree]


@settings(max_examples=150)
@given(
    st.lists(trees, max_size=6),
    st.sampled_from([0x00, 0x40, 0x20, 0x80, 0xC0, 0xD0, 0x10]),
    st.sampled_from([257, 258, 272, 274, 275, 280, 282, 8388645, 12345]),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
)
def test_messages_are_the_same_to_both(inner, flags, command_code, ids):
    ours = Message(1, flags, command_code, *ids, inner)
    octets = ours.encode()
    theirs = TheirMessage.from_bytes(octets, plain_msg=True)
    header = theirs.header
    assert (header.version, header.length, header.command_flags, header.command_code) == (
        1,
        len(octets),
        flags,
        command_code,
    )
    assert (header.application_id, header.hop_by_hop_identifier, header.end_to_end_identifier) == ids
    assert (header.is_request, header.is_error, header.is_retransmit) == (
        ours.is_request,
        ours.is_error,
        ours.is_retransmission,
    )
    assert all(same_tree(one, other) for one, other in zip(inner, theirs.avps, strict=True))
    assert theirs.as_bytes() == octets
    assert decode_message(theirs.as_bytes()) == ours


def test_a_credit_control_request_of_ours_reads_the_same_to_them():
    theirs = TheirMessage.from_bytes(message_bytes(0xC0, 272, 4, 7, 8, b"".join(samples.credit_control(2, 5))))
    assert isinstance(theirs, CreditControlRequest)
    assert (theirs.session_id, theirs.origin_host) == ("gw.example.com;1;2;app_gy", b"gw.example.com")
    assert (theirs.cc_request_type, theirs.cc_request_number) == (2, 5)
    assert [(s.subscription_id_type, s.subscription_id_data) for s in theirs.subscription_id] == [
        (1, "262010000000001"),
        (0, "491700000001"),
    ]
    (services,) = theirs.multiple_services_credit_control
    assert (services.rating_group, services.requested_service_unit.cc_total_octets) == (100, 1_000_000)
    (used,) = services.used_service_unit
    assert (used.cc_time, used.cc_input_octets, used.cc_output_octets) == (30, 1, 2**33)
    packet_switched = theirs.service_information.ps_information
    assert packet_switched.pdp_address == [(1, "10.45.0.2")]
    assert packet_switched.ggsn_address == [(2, "2001:db8::1")]
    assert theirs.event_timestamp.astimezone(UTC) == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_credit_control_request_of_theirs_reads_the_same_to_us():
    theirs = CreditControlRequest()
    theirs.header.hop_by_hop_identifier = 77
    theirs.header.application_id = 4
    theirs.session_id = "smsc;1;2"
    theirs.origin_host = b"smsc.example.com"
    theirs.origin_realm = b"example.com"
    theirs.destination_realm = b"example.com"
    theirs.auth_application_id = constants.APP_DIAMETER_CREDIT_CONTROL_APPLICATION
    theirs.service_context_id = "32274@3gpp.org"
    theirs.cc_request_type = constants.E_CC_REQUEST_TYPE_EVENT_REQUEST
    theirs.cc_request_number = 0
    theirs.requested_action = constants.E_REQUESTED_ACTION_DIRECT_DEBITING
    theirs.event_timestamp = datetime.fromtimestamp(1_700_000_000, UTC)
    theirs.add_subscription_id(constants.E_SUBSCRIPTION_ID_TYPE_END_USER_E164, "491700000001")
    theirs.add_multiple_services_credit_control(
        requested_service_unit=grouped.RequestedServiceUnit(
            cc_service_specific_units=2,
            cc_money=grouped.CcMoney(grouped.UnitValue(value_digits=-5, exponent=-2), currency_code=36),
        ),
        rating_group=7,
    )
    theirs.service_information = grouped.ServiceInformation(
        sms_information=grouped.SmsInformation(
            recipient_info=[
                grouped.RecipientInfo(recipient_address=[grouped.RecipientAddress(address_type=1, address_data="614")])
            ],
            number_of_messages_sent=2,
        )
    )
    ours = decode_message(theirs.as_bytes())
    assert check_request(ours, strict=True) is None
    assert (ours.hop_by_hop_id, ours.application_id, ours.is_request) == (77, 4, True)
    flat = {
        BY_KEY[a.code, a.vendor_id].name: types.UNPACK[BY_KEY[a.code, a.vendor_id].type](a) for a in leaves(ours.avps)
    }
    assert flat == {
        "Session-Id": "smsc;1;2",
        "Origin-Host": "smsc.example.com",
        "Origin-Realm": "example.com",
        "Destination-Realm": "example.com",
        "Auth-Application-Id": 4,
        "Service-Context-Id": "32274@3gpp.org",
        "CC-Request-Type": 4,
        "CC-Request-Number": 0,
        "Requested-Action": 0,
        "Event-Timestamp": 1_700_000_000,
        "Subscription-Id-Type": 0,
        "Subscription-Id-Data": "491700000001",
        "CC-Service-Specific-Units": 2,
        "Value-Digits": -5,
        "Exponent": -2,
        "Currency-Code": 36,
        "Rating-Group": 7,
        "Address-Type": 1,
        "Address-Data": "614",
        "Number-Of-Messages-Sent": 2,
    }


def leaves(avps: list[Avp]) -> list[Avp]:
    found = []
    for one in avps:
        is_group = BY_KEY[one.code, one.vendor_id].type is AvpType.GROUPED
        found += leaves(one.children()) if is_group else [one]
    return found


def test_base_requests_of_theirs_pass_our_grammar():
    capabilities = CapabilitiesExchangeRequest()
    capabilities.origin_host = b"peer.example.com"
    capabilities.origin_realm = b"example.com"
    capabilities.host_ip_address = ["127.0.0.1", "2001:db8::1"]
    capabilities.vendor_id = 99
    capabilities.product_name = "peer"
    capabilities.origin_state_id = 1
    capabilities.supported_vendor_id = [10415]
    capabilities.auth_application_id = [4]
    capabilities.vendor_specific_application_id = [
        grouped.VendorSpecificApplicationId(vendor_id=10415, auth_application_id=16777313)
    ]
    watchdog = DeviceWatchdogRequest()
    watchdog.origin_host, watchdog.origin_realm, watchdog.origin_state_id = b"peer", b"example.com", 1
    leaving = DisconnectPeerRequest()
    leaving.origin_host, leaving.origin_realm, leaving.disconnect_cause = b"peer", b"example.com", 0
    for theirs, command_code in ((capabilities, 257), (watchdog, 280), (leaving, 282)):
        ours = decode_message(theirs.as_bytes())
        assert (ours.command_code, ours.is_request, ours.application_id) == (command_code, True, 0)
        assert check_request(ours, strict=True) is None
    addresses = decode_message(capabilities.as_bytes()).find_all(257)
    assert [str(types.unpack_address(address)) for address in addresses] == ["127.0.0.1", "2001:db8::1"]


def test_an_answer_of_ours_reads_the_same_to_them():
    final = avp("Final-Unit-Indication", [avp("Final-Unit-Action", 0)])
    granted = avp("Granted-Service-Unit", [avp("CC-Total-Octets", 5), avp("Tariff-Time-Change", 1_700_000_000)])
    services = avp(
        "Multiple-Services-Credit-Control",
        [granted, avp("Rating-Group", 100), avp("Validity-Time", 3600), avp("Result-Code", 2001), final],
    )
    cost = avp("Cost-Information", [avp("Unit-Value", [avp("Value-Digits", 2_949_219), avp("Exponent", -9)])])
    failed = encode_avp(279, avp("Rating-Group", 9))
    parts = [
        avp("Session-Id", "gw;1"),
        avp("Result-Code", 2001),
        *samples.ORIGIN,
        avp("Auth-Application-Id", 4),
        avp("CC-Request-Type", 1),
        avp("CC-Request-Number", 0),
        services,
        cost,
        failed,
    ]
    octets = message_bytes(0x40, 272, 4, 7, 8, b"".join(parts))
    assert check_answer(decode_message(octets)) is None
    theirs = TheirMessage.from_bytes(octets)
    assert isinstance(theirs, CreditControlAnswer)
    (read,) = theirs.multiple_services_credit_control
    assert (read.rating_group, read.validity_time, read.result_code) == (100, 3600, 2001)
    assert read.granted_service_unit.cc_total_octets == 5
    assert read.final_unit_indication.final_unit_action == 0
    assert (theirs.cost_information.unit_value.value_digits, theirs.cost_information.unit_value.exponent) == (
        2_949_219,
        -9,
    )


@pytest.mark.parametrize("name", ["Session-Id", "Multiple-Services-Credit-Control", "Service-Information"])
def test_both_agree_on_names(name):
    definition = BY_NAME[name]
    assert THEIRS[definition.code, definition.vendor_id]["name"] == name
