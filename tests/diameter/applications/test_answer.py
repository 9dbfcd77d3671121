"""The answer on the wire, as another implementation of Diameter reads it."""

import pytest
from diameter.message import Message as ForeignMessage
from hypothesis import given
from hypothesis import strategies as st

from ocs.charging.policy import DirectDebitingFailureHandling, FailureHandling, ServicePolicy
from ocs.charging.requests import ChargingAnswer, FinalAction, FinalUnit, GroupAnswer, Result
from ocs.diameter.applications.credit_control_answer import (
    frame,
    make_style,
    redirect_address_type,
    render,
    result_of,
)
from ocs.diameter.applications.credit_control_request import read_request
from ocs.diameter.applications.currencies import NO_CURRENCY, currency_number
from ocs.diameter.grammar import check_answer
from ocs.diameter.wire import decode_avps, decode_message
from ocs.rating.units import NS_PER_S, Measure
from tests.diameter.applications.world import (
    GRANT,
    ORIGIN,
    PEER,
    RULES,
    SERVICES,
    cca,
    cca_bytes,
    content_of,
    foreign,
    one_group,
)
from tests.diameter.clients import builders
from tests.diameter.clients.avps import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    group,
    mscc,
    raw,
    received,
    rsu,
    text,
    u64,
    units,
)

SUCCESS = ChargingAnswer(Result.SUCCESS)


def octets(*codes_and_values: tuple[int, bytes]) -> bytes:
    """AVPs with the M bit, written out by hand."""
    return b"".join(
        code.to_bytes(4) + b"\x40" + (8 + len(value)).to_bytes(3) + value + bytes(-len(value) % 4)
        for code, value in codes_and_values
    )


@pytest.mark.conformance("B1")
def test_the_answer_to_the_octet():
    data = builders.magma(UPDATE, 3, used=(1, 2, 3))
    answer = one_group(100, 1, granted=5_000_000_000, validity_time_s=600)
    content = octets(
        (263, b"feg.magma.example.com;IMSI262010000000001-1"),
        (268, (2001).to_bytes(4)),
        (264, b"ocs.example.com"),
        (296, b"example.com"),
        (258, (4).to_bytes(4)),
        (416, (2).to_bytes(4)),
        (415, (3).to_bytes(4)),
        (418, (1).to_bytes(4)),
        (427, (0).to_bytes(4)),
        (
            456,
            octets(
                (431, octets((421, (5_000_000_000).to_bytes(8)))),
                (439, (1).to_bytes(4)),
                (432, (100).to_bytes(4)),
                (268, (2001).to_bytes(4)),
                (448, (600).to_bytes(4)),
            ),
        ),
    )
    assert content_of(data, answer) == content
    header = b"\1" + (20 + len(content)).to_bytes(3) + b"\x40" + (272).to_bytes(3) + (4).to_bytes(4)
    assert cca_bytes(data, answer) == header + b"\x11" * 4 + b"\x22" * 4 + content


@pytest.mark.conformance("B1", "B20")
def test_another_implementation_reads_the_same():
    answer = foreign(builders.magma(UPDATE, 3), one_group(100, 1, granted=2**40, validity_time_s=600))
    assert type(answer).__name__ == "CreditControlAnswer"
    assert (answer.result_code, answer.cc_request_type, answer.cc_request_number) == (2001, 2, 3)
    assert (answer.origin_host, answer.origin_realm) == (b"ocs.example.com", b"example.com")
    assert (answer.auth_application_id, answer.cc_session_failover) == (4, 1)
    assert answer.credit_control_failure_handling == 0
    (granted,) = answer.multiple_services_credit_control
    assert granted.granted_service_unit.cc_total_octets == 2**40
    assert (granted.rating_group, granted.service_identifier) == (100, [1])
    assert (granted.result_code, granted.validity_time) == (2001, 600)


@pytest.mark.conformance("B15")
@pytest.mark.parametrize(
    ("measure", "amount", "field", "sent"),
    [
        (Measure.OCTETS, 2**63 - 1, "cc_total_octets", 2**63 - 1),
        (Measure.TIME, 90 * NS_PER_S, "cc_time", 90),
        (Measure.TIME, 90 * NS_PER_S + NS_PER_S - 1, "cc_time", 90),
        (Measure.TIME, 1, "cc_time", 1),
        (Measure.TIME, 2**63 - 1, "cc_time", 2**32 - 1),
        (Measure.TIME, 0, "cc_time", 0),
        (Measure.EVENTS, 7, "cc_service_specific_units", 7),
        (Measure.OCTETS, 0, "cc_total_octets", 0),
    ],
)
def test_grants_are_sent_in_their_measure(measure, amount, field, sent):
    answer = foreign(builders.ergw(), one_group(3000, measure=measure, granted=amount))
    granted = answer.multiple_services_credit_control[0].granted_service_unit
    values = {
        name: getattr(granted, name, None)
        for name in ("cc_total_octets", "cc_time", "cc_service_specific_units", "cc_input_octets", "cc_money")
    }
    assert {name: value for name, value in values.items() if value is not None} == {field: sent}


def test_nothing_granted_is_no_container():
    answer = foreign(builders.ergw(), one_group(3000, granted=None, validity_time_s=None))
    (block,) = answer.multiple_services_credit_control
    assert (block.granted_service_unit, block.validity_time, block.result_code) == (None, None, 2001)


@pytest.mark.conformance("B20")
@pytest.mark.parametrize(("rating_group", "service_id"), [(None, None), (5, None), (None, 6), (0, 0)])
def test_the_ids_of_a_group_are_those_that_were_sent(rating_group, service_id):
    answer = foreign(builders.ergw(), one_group(rating_group, service_id))
    (block,) = answer.multiple_services_credit_control
    assert block.rating_group == rating_group
    assert block.service_identifier == ([] if service_id is None else [service_id])


# Final units


def final_unit_of(final_unit: FinalUnit, granted: int = 10):
    answer = foreign(builders.ergw(), one_group(3000, granted=granted, final_unit=final_unit))
    return answer.multiple_services_credit_control[0].final_unit_indication


@pytest.mark.conformance("B26")
def test_terminate():
    indication = final_unit_of(FinalUnit())
    assert (indication.final_unit_action, indication.redirect_server) == (0, None)


@pytest.mark.conformance("B26", "B28")
@pytest.mark.parametrize(
    ("address", "address_type"),
    [
        ("192.0.2.1", 0),
        ("2001:db8::1", 1),
        ("http://portal.example.com/topup", 2),
        ("https://192.0.2.1/", 2),
        ("sip:topup@example.com", 3),
        ("SIPS:topup@example.com", 3),
    ],
)
def test_redirect(address, address_type):
    assert redirect_address_type(address) == address_type
    indication = final_unit_of(FinalUnit(FinalAction.REDIRECT, address))
    assert indication.final_unit_action == 1
    assert indication.redirect_server.redirect_address_type == address_type
    assert indication.redirect_server.redirect_server_address == address


@pytest.mark.conformance("B26")
def test_restrict_access():
    indication = final_unit_of(FinalUnit(FinalAction.RESTRICT_ACCESS, filter_ids=("walled-garden", "dns")))
    assert (indication.final_unit_action, indication.filter_id) == (2, ["walled-garden", "dns"])


@pytest.mark.conformance("B27")
def test_an_empty_account_may_be_redirected_at_once():
    redirect = FinalUnit(FinalAction.REDIRECT, "http://portal.example.com")
    answer = foreign(builders.ergw(), one_group(3000, granted=0, validity_time_s=None, final_unit=redirect))
    (block,) = answer.multiple_services_credit_control
    assert (block.result_code, block.granted_service_unit.cc_total_octets) == (2001, 0)
    assert block.final_unit_indication.final_unit_action == 1


# What a service's clients are told to do on failure


@pytest.mark.conformance("B29")
@pytest.mark.parametrize("handling", list(FailureHandling))
@pytest.mark.parametrize("failover", [True, False])
def test_failover_and_failure_handling_are_those_of_the_service(handling, failover):
    policy = ServicePolicy(
        "data", SERVICES["data"].kind, ("32251",), GRANT, session_failover=failover, failure_handling=handling
    )
    message = received(builders.ergw())
    request = read_request(message, RULES, PEER).request
    content = render(message, request, SUCCESS, make_style(policy), ORIGIN)
    answer = decode_message(frame(content, message))
    assert answer.find(418).data == int(failover).to_bytes(4)
    assert answer.find(427).data == handling.to_bytes(4)


@pytest.mark.conformance("B29")
def test_direct_debiting_has_a_failure_handling_of_its_own():
    policy = ServicePolicy(
        "sms",
        SERVICES["sms"].kind,
        ("32274",),
        GRANT,
        direct_debiting_failure_handling=DirectDebitingFailureHandling.CONTINUE,
    )
    message = received(builders.smsc())
    request = read_request(message, RULES, PEER).request
    answer = decode_message(frame(render(message, request, SUCCESS, make_style(policy), ORIGIN), message))
    assert answer.find(428).data == (1).to_bytes(4)
    assert (answer.find(418), answer.find(427)) == (None, None)


@pytest.mark.parametrize(("kind", "told"), [(INITIAL, True), (UPDATE, True), (TERMINATION, False)])
def test_failover_is_told_while_a_session_goes_on(kind, told):
    answer = cca(builders.gateway(kind, 1), SUCCESS)
    assert (answer.find(418) is not None) is told
    assert (answer.find(427) is not None) is told


# Events


@pytest.mark.conformance("B9")
@pytest.mark.parametrize(("enough", "sent"), [(True, 0), (False, 1)])
def test_the_result_of_a_balance_check(enough, sent):
    answer = foreign(builders.smsc(action=2), ChargingAnswer(Result.SUCCESS, enough_credit=enough))
    assert (answer.result_code, answer.check_balance_result) == (2001, sent)


@pytest.mark.conformance("B9")
@pytest.mark.parametrize(
    ("nanos", "digits", "exponent"),
    [
        (50_000_000, 5, -2),
        (2_949_219, 2_949_219, -9),
        (3_000_000_000, 3, 0),
        (120_000_000_000, 120, 0),
        (0, 0, 0),
        (1_500_000_000, 15, -1),
    ],
)
def test_the_price_of_an_enquiry_is_exact(nanos, digits, exponent):
    answer = foreign(builders.smsc(action=3), ChargingAnswer(Result.SUCCESS, cost_nanos=nanos, currency="AUD"))
    cost = answer.cost_information
    assert (cost.unit_value.value_digits, cost.unit_value.exponent, cost.currency_code) == (digits, exponent, 36)


@pytest.mark.parametrize(
    ("letters", "number"), [("AUD", 36), ("eur", 978), ("USD", 840), ("ALL", 8), ("???", NO_CURRENCY)]
)
def test_numbers_of_currencies(letters, number):
    assert currency_number(letters) == number


# Command level


def test_units_of_the_command_are_answered_at_command_level():
    data = builders.gateway(UPDATE, 1, rsu(u64("CC-Total-Octets", 5)))
    answer = foreign(data, one_group(None, None, granted=5, validity_time_s=60, final_unit=FinalUnit()))
    assert answer.multiple_services_credit_control == []
    assert answer.granted_service_unit.cc_total_octets == 5
    assert (answer.validity_time, answer.final_unit_indication.final_unit_action) == (60, 0)


def test_the_result_of_units_of_the_command_is_that_of_the_command():
    data = builders.gateway(UPDATE, 1, rsu(u64("CC-Total-Octets", 5)))
    refused = one_group(None, None, Result.CREDIT_LIMIT_REACHED, granted=None, validity_time_s=None)
    assert foreign(data, refused).result_code == 4012


@pytest.mark.conformance("B13")
def test_a_refusal_of_everything_stands_at_command_level():
    refused = GroupAnswer(100, None, Result.CREDIT_LIMIT_REACHED, Measure.TIME)
    answer = foreign(builders.kamailio(), ChargingAnswer(Result.CREDIT_LIMIT_REACHED, (refused,)))
    assert answer.result_code == 4012
    assert [block.result_code for block in answer.multiple_services_credit_control] == [4012]


@pytest.mark.parametrize("result", [result for result in Result if result not in (Result.TOO_BUSY, Result.SUCCESS)])
def test_no_refusal_has_the_error_bit(result):
    answer = cca(builders.ergw(), ChargingAnswer(result))
    assert not answer.is_error
    assert answer.find(268).data == result.to_bytes(4)
    assert answer.find(416) is not None


@pytest.mark.conformance("B35")
def test_the_sub_session_is_named():
    answer = cca(builders.gateway(others=u64("CC-Sub-Session-Id", 9)), SUCCESS)
    assert answer.find(419).data == (9).to_bytes(8)


# What could not be rated


def test_no_rate_names_the_rating_group_in_its_group():
    refused = GroupAnswer(3000, None, Result.RATING_FAILED, Measure.OCTETS)
    answer = cca(builders.ergw(), ChargingAnswer(Result.RATING_FAILED, (refused,)))
    assert answer.find(279).data == mscc(rating_group=3000)


@pytest.mark.parametrize(
    "answer",
    [
        ChargingAnswer(Result.RATING_FAILED),
        ChargingAnswer(Result.RATING_FAILED, (GroupAnswer(None, None, Result.RATING_FAILED, Measure.EVENTS),)),
    ],
)
def test_no_rate_without_a_group_names_the_context(answer):
    assert cca(builders.smsc(), answer).find(279).data == text("Service-Context-Id", "32274@3gpp.org")


def test_a_group_without_a_rate_under_success_needs_no_failed_avp():
    assert cca(builders.ergw(), one_group(3000, result=Result.RATING_FAILED, granted=None)).find(279) is None


# Repeats


def test_a_repeat_gets_the_same_content_in_a_frame_of_its_own():
    block = mscc(rsu(units(1)), rating_group=1)
    first = builders.gateway(UPDATE, 1, block)
    content = content_of(first, one_group(1))
    proxies = [
        group("Proxy-Info", text("Proxy-Host", f"relay{number}.example.net"), raw("Proxy-State", bytes([number])))
        for number in (2, 1)
    ]
    again = builders.gateway(
        UPDATE, 1, block, others=b"".join(proxies), flags=0x10, hop_by_hop=0xABCDEF01, end_to_end=0x12345678
    )
    answer = decode_message(frame(content, received(again)))
    assert (answer.hop_by_hop_id, answer.end_to_end_id) == (0xABCDEF01, 0x12345678)
    assert (answer.is_request, answer.is_proxiable, answer.is_retransmission) == (False, False, False)
    assert b"".join(avp.encode() for avp in answer.avps) == content + b"".join(proxies)


@pytest.mark.parametrize("result", [Result.SUCCESS, Result.CREDIT_LIMIT_REACHED])
def test_the_result_of_a_stored_content(result):
    assert result_of(content_of(builders.ergw(), ChargingAnswer(result))) == result


# Everything that charging can say

GROUPS = st.builds(
    GroupAnswer,
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.sampled_from(sorted(set(Result) - {Result.TOO_BUSY})),
    st.sampled_from(Measure),
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**31),
    st.none()
    | st.just(FinalUnit())
    | st.builds(FinalUnit, st.just(FinalAction.REDIRECT), st.sampled_from(["192.0.2.1", "http://ä.example/é"])),
)
DATA = [builders.open5gs(), builders.ergw(), builders.kamailio(UPDATE, 1), builders.gateway(), builders.smsc(EVENT)]


@given(
    data=st.sampled_from(DATA),
    result=st.sampled_from(sorted(set(Result) - {Result.TOO_BUSY})),
    groups=st.lists(GROUPS, max_size=5),
)
def test_every_answer_is_well_formed_for_us_and_for_others(data, result, groups):
    answer = ChargingAnswer(result, tuple(groups))
    encoded = cca_bytes(data, answer)
    check_answer(decode_message(encoded))
    read = foreign(data, answer)
    assert read.cc_request_number == received(data).find(415).data[-1]
    plain = ForeignMessage.from_bytes(encoded, plain_msg=True)
    assert b"".join(avp.as_bytes() for avp in plain.avps) == encoded[20:]


@pytest.mark.conformance("B33")
def test_a_change_of_tariff_within_the_grant_is_told_with_it():
    change_s = 1_798_761_600
    message = decode_message(builders.ergw())
    answer = one_group(3000, measure=Measure.OCTETS, granted=7, tariff_change_at_ns=change_s * NS_PER_S)
    request = read_request(message, RULES, PEER).request
    content = render(message, request, answer, make_style(SERVICES[request.service]), ORIGIN)
    group = next(avp for avp in decode_avps(content) if avp.code == 456)
    granted = next(avp for avp in group.children() if avp.code == 431)
    assert [(avp.code, avp.data) for avp in granted.children()] == [
        (451, (change_s + 2_208_988_800).to_bytes(4, "big")),
        (421, (7).to_bytes(8, "big")),
    ]
