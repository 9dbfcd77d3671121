"""What real clients do, and what has to come of it: each rule of theirs is one test."""

import pytest

from ocs.charging.requests import ChargingAnswer, GroupAnswer, GroupRequest, RequestType, Result, Units
from ocs.diameter.wire import AVP_FLAG_MANDATORY, decode_avps
from ocs.rating.units import NS_PER_S, Measure
from tests.diameter.applications.world import attributes, cca, content_of, one_group, read
from tests.diameter.clients import builders
from tests.diameter.clients.avps import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    incoming,
    mscc,
    outgoing,
    rsu,
    subscription,
    text,
    total,
    u32,
    usu,
)

CLIENTS = {
    "open5gs": builders.open5gs,
    "ergw": builders.ergw,
    "kamailio": builders.kamailio,
    "magma": builders.magma,
    "gateway": builders.gateway,
}
ALL_CLIENTS = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


@ALL_CLIENTS
@pytest.mark.parametrize("kind", [INITIAL, UPDATE, TERMINATION])
def test_every_client_is_understood(client, kind):
    request = read(client(kind, kind - 1))
    assert (request.type, request.number) == (RequestType(kind), kind - 1)
    assert "msisdn:491700000001" in request.subscriber


def test_a_client_without_rating_group_gets_the_default_group_and_is_answered_without_one():
    data = builders.open5gs()
    asked = read(data).groups[0]
    assert (asked.rating_group, asked.service_id) == (None, None)
    answered = cca(data, one_group(rating_group=None)).find(456).children()
    assert 432 not in {avp.code for avp in answered}


def test_input_and_output_octets_are_added_when_the_total_is_absent():
    request = read(builders.open5gs(UPDATE, 1, uplink=1_000, downlink=2_500, duration_s=10))
    assert request.groups[0].used == (Units(time_ns=10 * NS_PER_S, octets=3_500),)


@pytest.mark.parametrize(("avps", "octets"), [((incoming(5),), 5), ((outgoing(7),), 7)])
def test_one_direction_alone_is_the_total(avps, octets):
    request = read(builders.gateway(UPDATE, 1, mscc(usu(*avps), rating_group=1)))
    assert request.groups[0].used == (Units(octets=octets),)


def test_the_total_counts_when_all_three_come():
    request = read(builders.magma(UPDATE, 1, used=(1, 2, 300)))
    assert request.groups[0].used == (Units(octets=300),)


@pytest.mark.conformance("B14")
def test_an_empty_requested_service_unit_leaves_the_amount_to_the_server():
    assert read(builders.ergw()).groups[0].requested == Units()


@pytest.mark.conformance("B14")
def test_an_absent_requested_service_unit_asks_for_nothing():
    request = read(builders.gateway(UPDATE, 1, mscc(usu(total(1)), rating_group=1)))
    assert request.groups[0].requested is None


@pytest.mark.conformance("B14")
def test_a_requested_service_unit_with_a_value_is_passed_on():
    assert read(builders.open5gs()).groups[0].requested == Units(octets=1_000_000)


def test_zeros_in_a_requested_service_unit_are_passed_on_as_sent():
    assert read(builders.magma()).groups[0].requested == Units(octets=0)


@pytest.mark.conformance("B10")
@pytest.mark.parametrize("kind", [INITIAL, UPDATE, TERMINATION])
def test_requested_action_and_advice_of_charge_mean_nothing_in_a_session(kind):
    request = read(builders.open5gs(kind, kind - 1))
    assert request.action is None
    assert request.type is not RequestType.EVENT


@pytest.mark.conformance("B10")
def test_even_an_unknown_requested_action_means_nothing_in_a_session():
    assert read(builders.gateway(others=u32("Requested-Action", 99))).action is None


@pytest.mark.conformance("B19")
def test_indicator_zero_is_accepted_with_a_group():
    data = builders.open5gs()
    assert len(read(data).groups) == 1
    assert not read(data).command_level


@pytest.mark.conformance("B19")
def test_several_groups_are_read_in_their_order():
    request = read(builders.ergw(groups=(10, 20, 30)))
    assert [asked.rating_group for asked in request.groups] == [10, 20, 30]


def test_a_subscription_id_inside_service_information_is_enough():
    data = builders.gateway(ids=b"", inside=subscription(0, builders.MSISDN))
    assert read(data).subscriber == ("msisdn:491700000001",)


@pytest.mark.parametrize("form", ["491700000001", "+491700000001", "tel:+491700000001", "tel:+49-170-0000001"])
def test_plus_and_tel_forms_of_a_subscriber_are_the_msisdn(form):
    data = builders.kamailio(caller=form if form.startswith("tel:") else f"tel:{form}")
    assert read(data).subscriber == ("msisdn:491700000001",)


def test_a_sip_uri_of_a_served_realm_is_the_msisdn_as_well():
    request = read(builders.kamailio(caller="sip:+491700000001@IMS.example.com;user=phone"))
    assert request.subscriber == ("sip:+491700000001@ims.example.com", "msisdn:491700000001")


def test_a_sip_uri_of_another_realm_is_no_msisdn_here():
    request = read(builders.kamailio(caller="sip:491700000001@elsewhere.example.org"))
    assert request.subscriber == ("sip:491700000001@elsewhere.example.org",)


@pytest.mark.conformance("C1", "B39")
@pytest.mark.parametrize(
    "context", ["32251@3gpp.org", "14.32251@3gpp.org", "8.32251@3GPP.org", "ext.01.001.8.32251@3gpp.org", "32251"]
)
def test_a_service_context_is_known_with_any_prefix(context):
    assert read(builders.gateway(context=context)).service == "data"


@pytest.mark.conformance("C19")
def test_the_voice_context_selects_voice():
    assert read(builders.kamailio()).service == "voice"


@ALL_CLIENTS
@pytest.mark.parametrize("kind", [INITIAL, UPDATE, TERMINATION])
@pytest.mark.conformance("B1")
def test_request_type_and_number_are_echoed(client, kind):
    answer = cca(client(kind, 41), one_group())
    assert answer.find(416).data == kind.to_bytes(4)
    assert answer.find(415).data == (41).to_bytes(4)


@ALL_CLIENTS
@pytest.mark.conformance("B1")
def test_the_answer_begins_with_session_result_host_and_realm(client):
    answer = cca(client(), one_group())
    assert [avp.code for avp in answer.avps[:4]] == [263, 268, 264, 296]


@pytest.mark.conformance("B20")
def test_every_rating_group_asked_for_is_answered():
    data = builders.ergw(groups=(10, 20, 30))
    answers = tuple(GroupAnswer(number, None, Result.SUCCESS, Measure.OCTETS, 1_000, 600) for number in (10, 20, 30))
    answered = [avp.children() for avp in cca(data, ChargingAnswer(Result.SUCCESS, answers)).find_all(456)]
    numbers = [int.from_bytes(avp.data) for inner in answered for avp in inner if avp.code == 432]
    assert numbers == [10, 20, 30]


@pytest.mark.conformance("B13")
@pytest.mark.parametrize("result", [Result.SUCCESS, Result.CREDIT_LIMIT_REACHED, Result.RATING_FAILED])
def test_each_group_has_its_result_code_under_a_successful_command(result):
    answer = cca(builders.ergw(), one_group(3000, result=result, granted=None, validity_time_s=None))
    assert int.from_bytes(answer.find(268).data) == 2001
    inner = {avp.code: avp.data for avp in answer.find(456).children()}
    assert int.from_bytes(inner[268]) == result


@ALL_CLIENTS
def test_answers_hold_no_avp_with_the_m_bit_that_a_client_may_not_know(client):
    known = {258, 263, 264, 268, 296, 415, 416, 418, 427, 431, 420, 421, 432, 439, 448, 456}

    def mandatory(avps):
        for avp in avps:
            if avp.flags & AVP_FLAG_MANDATORY:
                yield avp
            if avp.code in (456, 431):
                yield from mandatory(avp.children())

    for kind in (INITIAL, UPDATE, TERMINATION):
        avps = decode_avps(content_of(client(kind, 1), one_group()))
        assert {avp.code for avp in mandatory(avps)} <= known
        assert all(avp.vendor_id == 0 for avp in mandatory(avps))


# Of commercial gateways


def test_an_initial_without_groups_asks_for_nothing():
    request = read(builders.gateway())
    assert request.groups == ()
    assert request.command_level


def test_an_initial_without_groups_is_answered_at_command_level():
    answer = cca(builders.gateway(), ChargingAnswer(Result.SUCCESS))
    assert [avp.code for avp in answer.avps] == [263, 268, 264, 296, 258, 416, 415, 418, 427]


def test_groups_asked_for_one_by_one_in_updates_are_read():
    for number, rating_group in enumerate((1, 2, 3, 4, 5), start=1):
        request = read(builders.gateway(UPDATE, number, mscc(rsu(), rating_group=rating_group)))
        assert request.groups == (GroupRequest(rating_group, None, Units()),)


def test_vendor_avps_with_the_m_bit_in_service_information_are_passed_over():
    assert attributes(builders.gateway()) == {"apn": "internet"}


def test_the_origin_host_of_the_request_counts_not_the_peer():
    assert read(builders.gateway(origin="0007-diamproxy.pgw1.example.net")).origin_host == (
        "0007-diamproxy.pgw1.example.net"
    )


def test_a_final_report_right_after_a_refusal_is_read():
    block = mscc(usu(total(5)), u32("Reporting-Reason", builders.FINAL), rating_group=7)
    assert read(builders.gateway(UPDATE, 3, block)).groups == (GroupRequest(7, None, None, (Units(octets=5),), True),)


def test_kamailio_needs_no_application_id_at_the_top():
    assert read(builders.kamailio()).called == "sip:+61412345678@ims.example.com"


def test_kamailio_may_say_who_it_is_twice():
    assert read(builders.kamailio()).origin_host == "scscf.ims.example.com"


def test_unknown_vendor_avps_without_the_m_bit_are_passed_over():
    request = read(builders.kamailio(TERMINATION, 2, used_s=12))
    assert request.groups[0].used == (Units(time_ns=12 * NS_PER_S),)


def test_a_termination_without_groups_is_read():
    request = read(builders.gateway(TERMINATION, 2))
    assert (request.type, request.groups) == (RequestType.TERMINATION, ())


def test_an_absurd_time_is_passed_on_for_charging_to_judge():
    request = read(builders.kamailio(TERMINATION, 2, used_s=71_582_788))
    assert request.groups[0].used == (Units(time_ns=71_582_788 * NS_PER_S),)
    assert request.event_at_ns == 1_795_000_000 * NS_PER_S


def test_an_event_always_has_a_group():
    assert read(builders.smsc()).groups == (GroupRequest(),)
    assert read(builders.smsc(EVENT, block=builders.one_unit())).groups == (GroupRequest(requested=Units(events=1)),)


def test_the_user_name_counts_where_there_is_no_other_name():
    data = builders.gateway(ids=b"", others=text("User-Name", "sip:491700000001@ims.example.com"))
    assert read(data).subscriber == ("sip:491700000001@ims.example.com", "msisdn:491700000001")
