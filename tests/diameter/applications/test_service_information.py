"""What describes a service: attributes by name, the called party, and values that cannot be read."""

import msgspec
import pytest

from ocs.diameter.applications.credit_control_request import compile_rules, read_request
from ocs.diameter.applications.service_information import _SERVICE_TABLE
from ocs.diameter.dictionary import BY_NAME
from ocs.diameter.errors import PeerError
from ocs.diameter.wire import decode_message, encode_avp
from tests.diameter.applications.world import PEER, SERVICES, attributes, read, settings
from tests.diameter.clients import builders
from tests.diameter.clients.avps import (
    INITIAL,
    TERMINATION,
    UPDATE,
    address,
    ccr,
    group,
    raw,
    session,
    subscription,
    text,
    time,
    u32,
)


def voice(*inside: bytes) -> bytes:
    """A call whose IMS-Information holds just that."""
    return ccr(
        session("as.example.net", "1"),
        text("Origin-Host", "as.example.net"),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", "32260@3gpp.org"),
        u32("CC-Request-Type", INITIAL),
        u32("CC-Request-Number", 0),
        subscription(0, builders.MSISDN),
        group("Service-Information", group("IMS-Information", *inside)),
    )


@pytest.mark.conformance("C2", "B37")
def test_packet_data_is_described():
    assert attributes(builders.open5gs()) == {
        "charging_id": "77",
        "pdp_type": "0",
        "pdp_address": "10.45.0.2",
        "sgsn_address": "127.0.0.3",
        "ggsn_address": "127.0.0.4",
        "apn": "internet",
        "selection_mode": "0",
        "charging_characteristics": "0800",
        "sgsn_mcc_mnc": "00101",
        "nsapi": "5",
        "ms_time_zone": "4000",
        "user_location": "8200f110000100f11000000101",
        "rat_type": "6",
        "imei": "3534900698733190",
    }


@pytest.mark.conformance("C2")
def test_the_rest_of_packet_data_is_described():
    found = attributes(builders.ergw())
    assert found == {
        "charging_id": "4000000001",
        "pdn_connection_charging_id": "4000000001",
        "pdp_type": "2",
        "pdp_address": "10.180.0.9,2001:db8::1",
        "cg_address": "192.0.2.30",
        "ggsn_address": "192.0.2.20",
        "imsi_mcc_mnc": "26201",
        "ggsn_mcc_mnc": "00101",
        "sgsn_mcc_mnc": "26201",
        "nsapi": "5",
        "apn": "IPv6.example.net",
        "charging_characteristics": "0a00",
        "charging_characteristics_selection_mode": "2",
        "charging_rule_base": "m2m0001",
        "rat_type": "51",
        "imei": "3534900698733190",
    }


@pytest.mark.conformance("C2")
def test_node_type_and_quality_of_service_are_described():
    qos = group("QoS-Information", u32("QoS-Class-Identifier", 8))
    found = attributes(builders.gateway(described=u32("Serving-Node-Type", 2) + qos))
    assert (found["serving_node_type"], found["qci"]) == ("2", "8")


@pytest.mark.conformance("C3")
@pytest.mark.parametrize(
    ("sent", "characteristics"),
    [(b"0800", "0800"), (b"0A0f", "0a0f"), (b"\x08\x00", "0800"), (b"\x01\x0f", "010f"), (b"04", "3034")],
)
def test_charging_characteristics_are_four_digits(sent, characteristics):
    found = attributes(builders.gateway(described=raw("3GPP-Charging-Characteristics", sent)))
    assert found["charging_characteristics"] == characteristics


@pytest.mark.conformance("C19")
def test_a_call_is_described():
    found = attributes(builders.kamailio())
    assert found == {
        "user_name": "sip:491700000001@ims.example.com",
        "sip_method": "INVITE",
        "role_of_node": "0",
        "node_functionality": "0",
        "user_session_id": "f81d4fae@192.0.2.1",
        "calling_party": "sip:491700000001@ims.example.com",
        "incoming_trunk_group": "trunk-in",
        "outgoing_trunk_group": "trunk-out",
        "access_network": "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101",
        "sip_request_at": "2026-11-18T11:06:40Z",
        "originating_ioi": "a",
        "terminating_ioi": "b",
        "ims_charging_identifier": "f81d4fae@192.0.2.1",
        "mac": "00:11:22:33:44:55",
    }


@pytest.mark.conformance("C19")
@pytest.mark.parametrize(("role", "terminating"), [(0, False), (1, True), (2, False), (3, False)])
def test_only_the_terminating_role_is_terminating(role, terminating):
    assert read(builders.kamailio(role=role)).terminating is terminating


@pytest.mark.conformance("C20")
@pytest.mark.parametrize("called", ["tel:+61412345678", "sip:000@ims.example.com;user=phone", "+61412345678", "112"])
def test_the_called_party_is_passed_on_as_sent(called):
    request = read(builders.kamailio(called=called))
    assert request.called == called
    assert "called_party" not in dict(request.attributes)


def test_the_called_party_is_rated_by_before_the_one_asked_for():
    request = read(voice(text("Requested-Party-Address", "tel:1"), text("Called-Party-Address", "tel:2")))
    assert request.called == "tel:2"
    assert dict(request.attributes) == {"requested_party": "tel:1"}


@pytest.mark.parametrize(
    "inside",
    [
        (text("Requested-Party-Address", "tel:1"),),
        (text("Called-Asserted-Identity", "tel:1"),),
        (text("Called-Party-Address", ""), text("Requested-Party-Address", "tel:1")),
    ],
)
def test_without_a_called_party_another_name_of_it_is_taken(inside):
    assert read(voice(*inside)).called == "tel:1"


def test_there_may_be_no_called_party():
    assert read(voice()).called == ""


def test_several_calling_parties_stand_together():
    calling = (text("Calling-Party-Address", "sip:a@example.com"), text("Calling-Party-Address", "tel:+49"))
    assert attributes(voice(*calling)) == {"calling_party": "sip:a@example.com,tel:+49"}


def test_a_short_message_is_described():
    request = read(builders.smsc())
    assert request.called == "61412345678"
    assert dict(request.attributes) == {
        "originator": builders.MSISDN,
        "sms_node": "3",
        "smsc_address": "192.0.2.40",
        "sm_message_type": "0",
    }


def test_several_recipients_are_kept():
    request = read(builders.smsc(recipients=("61412345678", "4917")))
    assert request.called == "61412345678"
    assert dict(request.attributes)["recipient"] == "61412345678,4917"


# Values that cannot be read


@pytest.mark.parametrize(
    ("avp", "name", "value"),
    [
        (raw("Called-Station-Id", b"\xff\xfe"), "apn", "internet,fffe"),
        (raw("PDP-Address", b"\0\1\x0a"), "pdp_address", "00010a"),
        (raw("PDP-Address", b"\0\7abc"), "pdp_address", "0007616263"),
        (raw("3GPP-PDP-Type", b"\1"), "pdp_type", "01"),
        (raw("3GPP-Charging-Id", b""), "charging_id", ""),
        (raw("3GPP-RAT-Type", b"\1\2"), "rat_type", "0102"),
        (raw("3GPP-SGSN-MCC-MNC", b"262\00001"), "sgsn_mcc_mnc", "323632003031"),
    ],
)
def test_a_value_that_is_none_of_its_type_is_kept_in_hexadecimal(avp, name, value):
    assert attributes(builders.gateway(described=avp))[name] == value


def test_a_group_that_cannot_be_opened_holds_nothing():
    broken = raw("QoS-Information", b"\0\0\4\4\x40\0\0\xff")
    assert attributes(builders.gateway(described=broken)) == {"apn": "internet"}


@pytest.mark.parametrize(
    ("kind", "value", "name", "expected"),
    [
        (0, b"3534900698733190", "imei", "3534900698733190"),
        (0, bytes.fromhex("53430960893713f9"), "imei", "353490069873319"),
        (1, b"\0\1\2\3\4\5", "mac", "000102030405"),
        (2, b"\1" * 8, "eui64", "01" * 8),
        (3, b"\2" * 8, "modified_eui64", "02" * 8),
        (9, b"x", "user_equipment", "x"),
    ],
)
@pytest.mark.conformance("B37")
def test_user_equipment(kind, value, name, expected):
    equipment = group(
        "User-Equipment-Info", u32("User-Equipment-Info-Type", kind), raw("User-Equipment-Info-Value", value)
    )
    assert attributes(builders.gateway(others=equipment))[name] == expected


@pytest.mark.conformance("B37")
def test_user_equipment_in_its_extension():
    equipment = group("User-Equipment-Info-Extension", raw("User-Equipment-Info-IMEI", b"353490069873319"))
    assert attributes(builders.gateway(others=equipment))["imei"] == "353490069873319"


def test_user_equipment_that_cannot_be_opened_is_kept_in_hexadecimal():
    equipment = raw("User-Equipment-Info", b"\0\1", mandatory=False)
    assert attributes(builders.gateway(others=equipment))["user_equipment"] == "0001"


@pytest.mark.conformance("B38")
def test_service_parameters_are_passed_on():
    parameter = group(
        "Service-Parameter-Info", u32("Service-Parameter-Type", 3), raw("Service-Parameter-Value", b"gold")
    )
    assert attributes(builders.gateway(others=parameter))["service_parameter_3"] == "gold"


@pytest.mark.conformance("B35")
def test_the_correlation_id_and_the_cause_are_kept():
    data = builders.gateway(TERMINATION, 2, others=raw("CC-Correlation-Id", b"\1\2") + u32("Termination-Cause", 4))
    found = attributes(data)
    assert (found["correlation_id"], found["termination_cause"]) == ("0102", "4")


def test_times_are_readable():
    found = attributes(voice(group("Time-Stamps", time("SIP-Response-Timestamp", 0))))
    assert found == {"sip_response_at": "1970-01-01T00:00:00Z"}


# What is passed over


def update(*inside: bytes, more: bytes = b"") -> bytes:
    """An UPDATE of a data session whose Service-Information holds just that; `more`: AVPs of the command."""
    return ccr(
        session("pgw.example.net", "1"),
        text("Origin-Host", "pgw.example.net"),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("User-Name", "early"),
        text("Service-Context-Id", "8.32251@3gpp.org"),
        u32("CC-Request-Type", UPDATE),
        u32("CC-Request-Number", 1),
        group("Service-Information", *inside),
        u32("Termination-Cause", 4),
        more,
    )


def test_an_update_of_a_bearer_is_described_as_its_first_request_when_somebody_asks():
    bearer = group("PS-Information", text("Called-Station-Id", "internet"), raw("3GPP-RAT-Type", b"\6"))
    request = read(update(subscription(0, builders.MSISDN), bearer))
    assert request.attributes == (
        ("user_name", "early"),
        ("apn", "internet"),
        ("rat_type", "6"),
        ("termination_cause", "4"),
    )
    assert request.attributes[1] == ("apn", "internet")
    assert len(request.attributes) == 4
    assert request.subscriber == (f"msisdn:{builders.MSISDN}",)


def test_an_update_is_read_at_once_where_its_description_chooses_the_service():
    roaming = msgspec.structs.replace(SERVICES["data"], name="ims", only=(("apn", ("ims",)),))
    services = {**SERVICES, "ims": roaming}
    bearer = [group("PS-Information", text("Called-Station-Id", name)) for name in ("ims", "internet")]
    assert [read(update(each), services=services).service for each in bearer] == ["ims", "data"]


def test_an_update_is_read_at_once_where_its_description_leads_to_a_rating_group():
    policy = msgspec.structs.replace(SERVICES["data"], rating_group_from=(("apn", "ims", 7),))
    data = update(
        group("PS-Information", text("Called-Station-Id", "ims")), more=group("Multiple-Services-Credit-Control")
    )
    assert [asked.rated_as for asked in read(data, services={"data": policy}).groups] == [7]


def test_how_it_ended_is_told_without_the_rest_of_the_description():
    assert read(update(group("PS-Information"))).ending == (("termination_cause", "4"),)
    called = group("IMS-Information", raw("Cause-Code", b"\xff\xff\xfe\x19"), text("Called-Party-Address", "tel:+4917"))
    assert read(voice()).ending == ()
    assert read(update(called)).ending == (("cause_code", "-487"), ("termination_cause", "4"))
    last = builders.gateway(TERMINATION, 2, others=u32("Termination-Cause", 1))
    assert read(last).ending == (("termination_cause", "1"),)
    assert ("termination_cause", "1") in read(last).attributes


def test_times_of_a_call_are_read_in_an_update_of_a_bearer_too():
    times = group("IMS-Information", group("Time-Stamps", time("SIP-Response-Timestamp", 7)))
    request = read(update(group("PS-Information"), times))
    assert request.answered_at_ns == 7_000_000_000


def test_an_update_whose_description_cannot_be_cut_is_refused():
    with pytest.raises(PeerError) as caught:
        read(update(b"\0\0\0\1\0\0\0"))
    assert caught.value.result_code == 5014


def ignored(data: bytes) -> int:
    return read_request(decode_message(data), compile_rules(settings()), PEER).ignored_avps


def test_unknown_avps_with_the_m_bit_are_counted():
    assert ignored(builders.gateway()) == 2


def test_known_ones_and_those_without_the_m_bit_are_not():
    known = u32("Priority-Level", 1) + encode_avp(9999, b"", 9, mandatory=False)
    assert ignored(builders.gateway(described=known)) == 2
    assert ignored(builders.open5gs(UPDATE, 1)) == 0


def test_an_avp_of_another_vendor_is_another_avp():
    assert attributes(builders.gateway(described=encode_avp(1227, b"\0\1\1\2\3\4", 9))) == {"apn": "internet"}


def test_the_table_holds_every_information_by_the_codes_of_the_dictionary():
    names = ("PS-Information", "IMS-Information", "SMS-Information", "MMTel-Information", "VCS-Information")
    assert set(_SERVICE_TABLE) == {(BY_NAME[name].code, 10415) for name in names}


def test_addresses_of_both_families_are_read():
    both = address("SGSN-Address", "192.0.2.1") + address("GGSN-Address", "2001:db8::2")
    found = attributes(builders.gateway(described=both))
    assert (found["sgsn_address"], found["ggsn_address"]) == ("192.0.2.1", "2001:db8::2")
