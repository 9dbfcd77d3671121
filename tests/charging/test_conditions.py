"""Rates that ask for circumstances: before a change usage has the price of before, after it the new one."""

from __future__ import annotations

from itertools import groupby

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.charging.circumstances import facts_of
from ocs.charging.requests import ChargingRequest, RequestedAction, RequestType, Units
from ocs.rating.conditions import FACTS, Condition, holds, merge
from ocs.rating.destinations import PrefixTable
from ocs.rating.prices import Rate, price
from ocs.rating.tariff import Plan, ServicePlan, Tariff, Window
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.world import (
    AUD,
    EVENT,
    INITIAL,
    MIB,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    tariff,
)

CENT = AUD // 100
PLAIN = Rate("plain", Measure.OCTETS, CENT, MIB, MIB)
FAST = Rate("fast", Measure.OCTETS, 2 * CENT, MIB, MIB)
ABROAD = Rate("abroad", Measure.OCTETS, 50 * CENT, MIB, MIB)
HOME, AWAY = "26201", "20801"
EUTRA, NR = "6", "51"


def condition(**terms: str) -> Condition:
    return Condition(tuple((name, (value,)) for name, value in sorted(terms.items())))


def conditional(*more: Window, default: bool = True) -> Tariff:
    windows = (Window("*any", FAST, condition=condition(rat="nr")),)
    windows += (Window("*any", ABROAD, weight=1, condition=condition(roaming="true")), *more)
    windows += (Window("*any", PLAIN),) if default else ()
    service = ServicePlan({}, PrefixTable({}, windows))
    return msgspec.structs.replace(
        tariff(),
        plans={"standard": Plan("standard", {"data": service, "sms": service})},
        home_networks=frozenset({HOME}),
        asks=frozenset({"rat", "roaming"}),
    )


def world(**options: bool) -> World:
    made = World(money(1_000 * AUD))
    made.tariff = conditional(**options)
    return made


def told(rat: str = "", plmn: str = "", **more: str) -> tuple[tuple[str, str], ...]:
    attributes = {"rat_type": rat, "sgsn_mcc_mnc": plmn, **more}
    return tuple((name, value) for name, value in attributes.items() if value)


def ask(kind: RequestType, number: int, *used: int, attributes: tuple[tuple[str, str], ...] = ()) -> ChargingRequest:
    wish = None if kind is TERMINATION else Units()
    return request(kind, number, group(100, wish, [octets(amount) for amount in used]), attributes=attributes)


@pytest.mark.conformance("C10")
def test_usage_before_a_change_has_the_old_price_and_the_grant_after_it_the_new_one() -> None:
    made = world()
    made.send(ask(INITIAL, 0, attributes=told(EUTRA, HOME)))
    assert made.balance().held == 10 * CENT
    made.send(ask(UPDATE, 1, 3 * MIB, attributes=told(NR, HOME)))
    assert (made.spent()["money"], made.balance().held) == (3 * CENT, 20 * CENT)
    made.send(ask(UPDATE, 2, 5 * MIB, attributes=told(plmn=AWAY)))
    assert (made.spent()["money"], made.balance().held) == (13 * CENT, 500 * CENT)
    made.send(ask(TERMINATION, 3, 2 * MIB))
    assert made.spent() == {"money": 113 * CENT}


@pytest.mark.conformance("C10", "C18")
def test_a_cdr_is_cut_at_the_change_and_tells_the_circumstances() -> None:
    made = world()
    made.send(ask(INITIAL, 0, attributes=told(EUTRA, HOME, apn="internet")))
    made.send(ask(UPDATE, 1, MIB, attributes=told(NR)))
    made.send(ask(TERMINATION, 2, MIB))
    told_of = [(cdr.cause, cdr.cost_nanos, dict(cdr.attributes)) for cdr in made.cdrs]
    first = {"rat_type": EUTRA, "sgsn_mcc_mnc": HOME, "apn": "internet"}
    assert told_of == [
        ("rating_condition", CENT, {**first, "rat": "eutra", "roaming": "false"}),
        ("normal", 2 * CENT, {**first, "rat": "nr", "roaming": "false"}),
    ]


@pytest.mark.conformance("C10")
def test_a_change_that_no_rate_asks_for_changes_nothing() -> None:
    made = world()
    made.send(ask(INITIAL, 0, attributes=told(EUTRA, HOME, apn="internet")))
    made.send(ask(UPDATE, 1, MIB // 2, attributes=told(EUTRA, HOME, apn="other", qci="5")))
    made.send(ask(TERMINATION, 2, MIB // 2))
    assert (made.spent(), len(made.cdrs)) == ({"money": CENT}, 1)


@pytest.mark.conformance("C10")
def test_another_circumstance_begins_a_segment_also_at_the_same_price() -> None:
    made = world()
    made.send(ask(INITIAL, 0, attributes=told(EUTRA)))
    made.send(ask(UPDATE, 1, MIB // 2, attributes=told("2")))
    made.send(ask(TERMINATION, 2, MIB // 2))
    assert (made.spent(), [cdr.cost_nanos for cdr in made.cdrs]) == ({"money": 2 * CENT}, [CENT, CENT])


@pytest.mark.conformance("C10", "B33")
def test_a_change_of_tariff_before_the_change_of_circumstances_is_priced_under_the_old_ones() -> None:
    made = world()
    dear = Rate("fast-later", Measure.OCTETS, 7 * CENT, MIB, MIB)
    windows = (Window("*any", dear, condition=condition(rat="nr")), Window("*any", ABROAD))
    later_plan = Plan("standard", {"data": ServicePlan({}, PrefixTable({}, windows))})
    change_ns = START_NS + 600 * NS_PER_S
    later = msgspec.structs.replace(made.tariff, version="v2", plans={"standard": later_plan}, valid_from_ns=change_ns)
    made.tariff = msgspec.structs.replace(made.tariff, successor=later)
    made.send(ask(INITIAL, 0, attributes=told(NR)))
    made.now_ns = change_ns + 400 * NS_PER_S
    used = (Units(octets=MIB, tariff_change=0), Units(octets=MIB, tariff_change=1))
    made.send(request(UPDATE, 1, group(100, Units(), used), attributes=told(EUTRA)))
    assert made.spent() == {"money": 9 * CENT}


@pytest.mark.conformance("C10")
def test_a_balance_with_a_price_of_its_own_pays_the_one_of_before_the_change_too() -> None:
    made = world()
    special = tuple(
        Window("*any", msgspec.structs.replace(rate, price_nanos=3 * rate.price_nanos), condition=asked)
        for rate, asked in ((FAST, condition(rat="nr")), (PLAIN, None))
    )
    plans = {**made.tariff.plans, "special": Plan("special", {"data": ServicePlan({}, PrefixTable({}, special))})}
    made.tariff = msgspec.structs.replace(made.tariff, plans=plans)
    assert made.account is not None
    balance = msgspec.structs.replace(made.balance(), rating_subject="special")
    made.account = msgspec.structs.replace(made.account, balances=(balance,))
    made.send(ask(INITIAL, 0, attributes=told(EUTRA)))
    made.send(ask(UPDATE, 1, MIB, attributes=told(NR)))
    assert made.spent() == {"money": 3 * CENT}
    made.send(ask(TERMINATION, 2, MIB))
    assert made.spent() == {"money": 9 * CENT}


@pytest.mark.conformance("C10")
def test_a_group_that_is_not_reported_with_the_change_keeps_its_price_until_it_is() -> None:
    made = world()
    two = (group(100, Units()), group(101, Units()))
    made.send(request(INITIAL, 0, *two, attributes=told(EUTRA)))
    made.send(request(UPDATE, 1, group(100, Units(), [octets(MIB)]), attributes=told(NR)))
    made.send(request(UPDATE, 2, group(101, Units(), [octets(MIB)]), attributes=told(NR)))
    assert made.spent() == {"money": 2 * CENT}
    made.send(request(TERMINATION, 3, group(101, None, [octets(MIB)])))
    assert made.spent() == {"money": 4 * CENT}


@pytest.mark.conformance("C16")
def test_what_is_not_known_fits_no_condition() -> None:
    made = world()
    made.send(ask(INITIAL, 0))
    assert made.balance().held == 10 * CENT
    made = world(default=False)
    answer = made.send(ask(INITIAL, 0))
    assert (answer.result, answer.why) == (4010, "no_time")


def test_an_event_is_priced_by_its_own_circumstances() -> None:
    made = world()
    windows = tuple(
        Window("*any", Rate(rate.id, Measure.EVENTS, rate.price_nanos), condition=asked)
        for rate, asked in ((PLAIN, None), (ABROAD, condition(roaming="true")))
    )
    sms = ServicePlan({}, PrefixTable({}, windows))
    made.tariff = msgspec.structs.replace(made.tariff, plans={"standard": Plan("standard", {"sms": sms})})
    action = RequestedAction.DIRECT_DEBITING
    made.send(request(EVENT, 0, attributes=told(plmn=AWAY), service="sms", action=action))
    assert made.spent() == {"money": 50 * CENT}


@pytest.mark.conformance("C10")
@settings(derandomize=True, max_examples=80)
@given(st.lists(st.tuples(st.sampled_from([EUTRA, NR]), st.integers(0, 3 * MIB)), min_size=1, max_size=8))
def test_each_stretch_of_equal_circumstances_is_priced_from_its_whole_length(reports: list[tuple[str, int]]) -> None:
    """`reports`: the access technology of a stretch, and what was used in it."""
    made = world()
    made.send(ask(INITIAL, 0, attributes=told(reports[0][0])))
    for number, (_, used) in enumerate(reports, 1):
        following = reports[number][0] if number < len(reports) else reports[-1][0]
        made.send(ask(UPDATE, number, used, attributes=told(following)))
    made.send(ask(TERMINATION, len(reports) + 1))
    owed = 0
    for rat, stretch in groupby(reports, key=lambda report: report[0]):
        owed += price({EUTRA: PLAIN, NR: FAST}[rat], sum(used for _, used in stretch))
    assert made.spent().get("money", 0) == owed
    assert sum(cdr.cost_nanos for cdr in made.cdrs) == owed


@pytest.mark.parametrize(
    ("attributes", "facts"),
    [
        ({"rat_type": "10"}, {"rat": "nr"}),
        ({"rat_type": "104"}, {"rat": "104"}),
        ({"apn": "Internet.mnc001.mcc262.gprs"}, {"apn": "internet"}),
        ({"apn": "corp.mnc"}, {"apn": "corp.mnc"}),
        ({"sgsn_mcc_mnc": HOME}, {"plmn": HOME, "roaming": "false"}),
        ({"sgsn_mcc_mnc": "310260"}, {"plmn": "310260", "roaming": "true"}),
        ({"user_location": "8262f210123462f21000000101"}, {"location": HOME, "plmn": HOME, "roaming": "false"}),
        ({"user_location": "82130062ffff"}, {"location": "310260", "plmn": "310260", "roaming": "true"}),
        ({"user_location": "ff62f210"}, {}),
        ({"user_location": "8262"}, {}),
        ({"user_location": "zz"}, {}),
        ({"user_location": "82aaaaaa"}, {}),
        ({"qci": "9"}, {"qci": "9"}),
        ({}, {}),
    ],
)
@pytest.mark.conformance("C10", "C16")
def test_facts_are_made_of_attributes(attributes: dict[str, str], facts: dict[str, str]) -> None:
    assert dict(facts_of(attributes, FACTS, {HOME}, "")) == facts
    assert facts_of(attributes, (), {HOME}, "originating") == ()


def test_without_home_networks_nothing_is_known_of_roaming() -> None:
    assert facts_of({"sgsn_mcc_mnc": HOME}, FACTS, (), "terminating") == (("direction", "terminating"), ("plmn", HOME))


@pytest.mark.parametrize(
    ("values", "value", "fits"),
    [
        (("262*",), "26201", True),
        (("262*",), "20801", False),
        (("a", "b"), "b", True),
        (("*",), "", True),
        (("*",), None, False),
    ],
)
def test_a_condition_holds_with_one_of_its_values(values: tuple[str, ...], value: str | None, fits: object) -> None:
    facts = () if value is None else (("plmn", value),)
    assert holds(Condition((("plmn", values),)), facts) is fits


def test_what_is_not_said_again_still_holds() -> None:
    assert merge((("apn", "a"), ("rat", "nr")), (("rat", "eutra"),)) == (("apn", "a"), ("rat", "eutra"))
