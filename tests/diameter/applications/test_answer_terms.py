"""What answers tell besides the decision: terms of quotas, cost, balance, filters."""

import msgspec
import pytest

from ocs.charging.policy import TRIGGERS, Answers, QuotaTerms, ServicePolicy, TimeMechanism
from ocs.charging.requests import ChargingAnswer, FinalAction, FinalUnit, GroupAnswer, Result
from ocs.diameter.applications.credit_control_answer import frame, make_style, render
from ocs.diameter.applications.credit_control_request import read_request
from ocs.diameter.dictionary_values import ENUMERATIONS
from ocs.diameter.wire import Avp, Message, decode_message
from ocs.rating.units import NS_PER_S, Measure
from tests.diameter.applications.world import ORIGIN, PEER, RULES, SERVICES
from tests.diameter.clients import builders
from tests.diameter.clients.avps import EVENT, UPDATE, received

DATA = SERVICES["data"]


def answered(policy: ServicePolicy, answer: ChargingAnswer, data: bytes | None = None) -> Message:
    data = builders.open5gs(UPDATE, 1) if data is None else data
    message = received(data)
    request = read_request(message, RULES, PEER).request
    return decode_message(frame(render(message, request, answer, make_style(policy), ORIGIN), message))


def quota(terms: QuotaTerms, group: GroupAnswer, **more: object) -> dict[int, Avp]:
    """What stands in the container of a group, by code: of vendor 3GPP."""
    policy = msgspec.structs.replace(DATA, quota=terms, **more)
    (mscc,) = answered(policy, ChargingAnswer(Result.SUCCESS, (group,))).find_all(456)
    assert not any(avp.flags & 0x40 for avp in mscc.children() if avp.vendor_id)
    return {avp.code: avp for avp in mscc.children() if avp.vendor_id == 10415}


def granted(amount: int = 100, measure: Measure = Measure.OCTETS, **more: object) -> GroupAnswer:
    return GroupAnswer(100, None, Result.SUCCESS, measure, amount, 3_600, **more)  # type: ignore[arg-type]


def number(avp: Avp) -> int:
    return int.from_bytes(avp.data)


@pytest.mark.conformance("C4")
@pytest.mark.parametrize(
    ("measure", "code", "scale", "name"),
    [(Measure.OCTETS, 869, 1, "data"), (Measure.TIME, 868, NS_PER_S, "voice"), (Measure.EVENTS, 1226, 1, "sms")],
)
def test_a_threshold_comes_with_what_is_larger_than_it(measure: Measure, code: int, scale: int, name: str) -> None:
    terms = QuotaTerms(threshold=20 * scale)

    def of(group: GroupAnswer) -> dict[int, Avp]:
        policy = msgspec.structs.replace(SERVICES[name], quota=terms)
        (mscc,) = answered(policy, ChargingAnswer(Result.SUCCESS, (group,))).find_all(456)
        return {avp.code: avp for avp in mscc.children() if avp.vendor_id == 10415}

    assert number(of(granted(21 * scale, measure))[code]) == 20
    assert of(granted(20 * scale, measure)) == {}
    assert of(granted(100 * scale, measure, final_unit=FinalUnit())) == {}


@pytest.mark.conformance("C4")
def test_a_rating_group_has_its_own_terms_or_those_of_the_service() -> None:
    policy = msgspec.structs.replace(
        DATA, quota=QuotaTerms(threshold=20), quota_of={200: QuotaTerms(threshold=30), 300: QuotaTerms()}
    )
    groups = tuple(msgspec.structs.replace(granted(), rating_group=name) for name in (100, 200, 300, None))
    msccs = answered(policy, ChargingAnswer(Result.SUCCESS, groups)).find_all(456)
    found = [[number(avp) for avp in mscc.children() if avp.code == 869] for mscc in msccs]
    assert found == [[20], [30], [], [20]]


@pytest.mark.conformance("C4", "C5", "C7")
@pytest.mark.parametrize("amount", [None, 0])
def test_without_a_quota_there_are_no_terms_of_one(amount: int | None) -> None:
    terms = QuotaTerms(threshold=1, holding_time_s=1, triggers=(1,), furnish=b"x")
    assert quota(terms, msgspec.structs.replace(granted(), granted=amount)) == {}


@pytest.mark.conformance("C5", "C14")
def test_holding_time_and_unused_timer() -> None:
    found = quota(QuotaTerms(holding_time_s=0, unused_timer_s=300), granted())
    assert {code: number(avp) for code, avp in found.items()} == {871: 0, 4407: 300}


@pytest.mark.conformance("C6")
def test_how_time_counts_is_told_with_quotas_of_time_alone() -> None:
    terms = QuotaTerms(consumption_time_s=30, time_mechanism=TimeMechanism.CONTINUOUS, time_interval_s=60)
    found = quota(terms, granted(10 * NS_PER_S, Measure.TIME))
    assert number(found[881]) == 30
    assert {avp.code: number(avp) for avp in found[1270].children(2)} == {1271: 1, 1265: 60}
    assert quota(terms, granted()) == {}


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("triggers", [(), (4, 2)])
def test_triggers_are_set_or_taken_away(triggers: tuple[int, ...]) -> None:
    found = quota(QuotaTerms(triggers=triggers), granted())
    assert [number(avp) for avp in found[1264].children(2)] == list(triggers)


@pytest.mark.conformance("C7")
def test_triggers_that_are_not_configured_are_kept_by_the_client() -> None:
    assert 1264 not in quota(QuotaTerms(holding_time_s=1), granted())


def test_the_words_for_triggers_are_those_of_the_standard() -> None:
    assert set(TRIGGERS.values()) <= set(ENUMERATIONS["Trigger-Type"])


@pytest.mark.conformance("C11")
@pytest.mark.parametrize(("append", "value"), [(True, 0), (False, 1)])
def test_what_is_furnished_names_the_bearer_of_the_request(append: bool, value: int) -> None:
    found = quota(QuotaTerms(furnish=b"gold", furnish_append=append), granted())
    inside = {avp.code: avp.data for avp in found[865].children(2)}
    assert inside == {2: (77).to_bytes(4), 866: b"gold", 867: value.to_bytes(4)}


@pytest.mark.conformance("C11")
def test_without_a_bearer_nothing_is_furnished() -> None:
    policy = msgspec.structs.replace(SERVICES["voice"], quota=QuotaTerms(furnish=b"gold"))
    answer = answered(policy, ChargingAnswer(Result.SUCCESS, (granted(),)), builders.kamailio())
    assert not any(avp.code == 865 for mscc in answer.find_all(456) for avp in mscc.children())


@pytest.mark.conformance("C14")
def test_an_announcement_comes_with_the_final_unit() -> None:
    found = quota(QuotaTerms(), granted(final_unit=FinalUnit(announcement=17)))
    assert [number(avp) for avp in found[3904].children(2)] == [17]
    refused = msgspec.structs.replace(granted(0), final_unit=FinalUnit(FinalAction.REDIRECT, "x", announcement=1))
    assert 3904 in quota(QuotaTerms(), refused)


TOLD = Answers(cost=True, advice_of_charge=True, balance=True, low_balance_nanos=1, account_expiry=True)


def told(answers: Answers, **fields: object) -> dict[tuple[int, int], Avp]:
    answer = ChargingAnswer(Result.SUCCESS, currency="AUD", **fields)  # type: ignore[arg-type]
    message = answered(msgspec.structs.replace(DATA, answers=answers), answer)
    return {(avp.code, avp.vendor_id): avp for avp in message.avps}


def decimal(avps: list[Avp]) -> tuple[int, int]:
    values = {avp.code: int.from_bytes(avp.data, signed=True) for avp in avps}
    return values[447], values[429]


@pytest.mark.conformance("B34")
def test_the_cost_so_far_is_an_exact_decimal() -> None:
    cost = told(Answers(cost=True), accumulated_nanos=2_949_219)[423, 0].children()
    assert decimal(cost[0].children(2)) == (2_949_219, -9)
    assert number(cost[1]) == 36
    assert (423, 0) not in told(Answers(), accumulated_nanos=1)


@pytest.mark.conformance("C13")
def test_advice_of_charge_is_given_where_it_is_asked_for() -> None:
    (cost,) = told(Answers(advice_of_charge=True), accumulated_nanos=10**9)[2054, 10415].children()
    accumulated, currency = cost.children(2)
    assert (accumulated.code, decimal(accumulated.children(3)), number(currency)) == (2052, (1, 0), 36)
    assert (2054, 10415) not in told(Answers(cost=True), accumulated_nanos=1)
    policy = msgspec.structs.replace(SERVICES["sms"], answers=Answers(advice_of_charge=True))
    answer = ChargingAnswer(Result.SUCCESS, accumulated_nanos=1, currency="AUD")
    not_asked = answered(policy, answer, builders.smsc(EVENT))
    assert not_asked.find_all(2054, 10415) == []


@pytest.mark.conformance("C12", "C14")
def test_balance_and_its_lowness_and_expiry() -> None:
    found = told(Answers(), balance_nanos=-1_500_000_000, low_balance=True, account_expires_at_ns=0)
    value, currency = found[2021, 10415].children()
    assert (decimal(value.children(2)), number(currency)) == ((-15, -1), 36)
    assert number(found[2020, 10415]) == 1
    assert number(found[2309, 10415]) == 2_208_988_800
    assert number(told(Answers(), low_balance=False)[2020, 10415]) == 0


@pytest.mark.conformance("B26")
def test_restriction_by_rules() -> None:
    rules = ("permit out ip from 192.0.2.1 to any", "deny in ip from any to any")
    unit = FinalUnit(FinalAction.RESTRICT_ACCESS, filter_rules=rules, filter_ids=("portal",))
    (mscc,) = answered(DATA, ChargingAnswer(Result.SUCCESS, (granted(final_unit=unit),))).find_all(456)
    (indication,) = [avp for avp in mscc.children() if avp.code == 430]
    assert [(avp.code, avp.data) for avp in indication.children(2)] == [
        (449, (2).to_bytes(4)),
        *((438, rule.encode()) for rule in rules),
        (11, b"portal"),
    ]


@pytest.mark.conformance("B26", "B28")
@pytest.mark.parametrize(
    ("address", "code", "octets"),
    [
        ("192.0.2.7", 666, b"\0\1\xc0\0\2\7"),
        ("https://portal.example.com", 667, b"https://portal.example.com"),
        ("sip:portal@example.com", 668, b"sip:portal@example.com"),
    ],
)
def test_the_extended_indication_stands_alone_and_has_no_m_bit(address: str, code: int, octets: bytes) -> None:
    unit = FinalUnit(FinalAction.REDIRECT, address, extended=True)
    (mscc,) = answered(DATA, ChargingAnswer(Result.SUCCESS, (granted(final_unit=unit),))).find_all(456)
    (indication,) = [avp for avp in mscc.children() if avp.code in (430, 669)]
    assert (indication.code, indication.flags & 0x40) == (669, 0)
    action, server = indication.children(2)
    assert (number(action), server.code) == (1, 665)
    assert [(avp.code, avp.data) for avp in server.children(3)] == [(code, octets)]


@pytest.mark.conformance("B23")
@pytest.mark.parametrize(("measure", "kind"), [(Measure.TIME, 0), (Measure.OCTETS, 2), (Measure.EVENTS, 5)])
@pytest.mark.parametrize("exponent", [0, -3])
def test_a_pool_reference_tells_what_a_unit_is_worth(measure: Measure, kind: int, exponent: int) -> None:
    group = granted(NS_PER_S, measure, pool=(7, 15, exponent))
    (mscc,) = answered(DATA, ChargingAnswer(Result.SUCCESS, (group,))).find_all(456)
    (reference,) = [avp for avp in mscc.children() if avp.code == 457]
    pool, unit_type, value = reference.children(2)
    assert (number(pool), number(unit_type), value.code) == (7, kind, 445)
    values = {avp.code: int.from_bytes(avp.data, signed=True) for avp in value.children(3)}
    assert values == ({447: 15} if not exponent else {447: 15, 429: exponent})
