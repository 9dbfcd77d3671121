"""Corners where money is easily lost: shared Session-Ids, odd measures, several containers, several fees."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance
from ocs.charging.requests import FinalAction, FinalUnit, RequestedAction, Result, Units
from ocs.charging.session import SessionState
from ocs.limits import GROUPS_PER_SESSION_MAX, NUMBER_GAPS_PER_SESSION_MAX
from ocs.rating.prices import Rate
from ocs.rating.tariff import ServicePlan, Tariff
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.world import (
    AUD,
    DATA,
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
    seconds,
    table,
    tariff,
)

ANY = Units()
END_NS = START_NS + 60 * NS_PER_S
SMS = {"service": "sms", "action": RequestedAction.DIRECT_DEBITING, "called": "+61491570156"}


def data_tariff(**rates: Rate) -> Tariff:
    """The small tariff with other data rates: g100=..., g101=..."""
    plain = tariff()
    plan = plain.plans["standard"]
    data = plan.services["data"]
    by_group = {**data.by_group, **{int(name[1:]): table({}, rate) for name, rate in rates.items()}}
    services = {**plan.services, "data": msgspec.structs.replace(data, by_group=by_group)}
    return msgspec.structs.replace(plain, plans={"standard": msgspec.structs.replace(plan, services=services)})


# --- events and sessions of one Session-Id -------------------------------------------------------------------------


@pytest.mark.parametrize("credit", [AUD, 10 * AUD])
def test_an_event_inside_an_open_session_is_refused_and_leaves_the_session_and_its_holds_alone(credit: int) -> None:
    world = World(money(credit))
    world.send(request(INITIAL, 0, group(100, ANY)))
    before = (world.account, world.sessions["s"])
    answer = world.send(request(EVENT, 1, group(100, octets(MIB)), action=RequestedAction.DIRECT_DEBITING))
    assert (answer.result, answer.why) == (5012, "session_id_in_use")
    assert (world.account, world.sessions["s"]) == before
    check = world.send(request(EVENT, 1, group(100, octets(MIB)), action=RequestedAction.CHECK_BALANCE))
    assert check.enough_credit is True
    assert (world.account, world.sessions["s"]) == before


def test_a_second_event_is_priced_for_its_own_destination() -> None:
    world = World(money(AUD))
    call = {"service": "voice", "action": RequestedAction.DIRECT_DEBITING}
    world.send(request(EVENT, 0, group(None, seconds(60)), called="+61491570156", **call))
    assert AUD - world.balance().value == 22 * AUD // 100
    world.send(request(EVENT, 1, group(None, seconds(60)), called="+4930123456", **call))
    assert AUD - world.balance().value == 32 * AUD // 100
    assert [cdr.destination_id for cdr in world.cdrs] == ["614", "49"]


def test_a_refused_event_after_another_does_not_start_the_numbers_of_records_again() -> None:
    world = World(money(12 * AUD // 100))
    for number, events in enumerate([1, 2, 1]):
        world.send(request(EVENT, number, group(None, Units(events=events)), **SMS))
    assert [(cdr.partial, cdr.usage) for cdr in world.cdrs] == [(0, 1), (1, 1)]
    assert world.sessions["s"].state is SessionState.CLOSED
    assert world.balance().value == 2 * AUD // 100


def test_a_refused_initial_that_reported_usage_does_not_start_the_numbers_of_records_again() -> None:
    world = World()
    for number in range(2):
        assert world.send(request(INITIAL, number, group(100, ANY, [octets(MIB)]))).result == 4012
    assert [(cdr.partial, cdr.usage, cdr.cause) for cdr in world.cdrs] == [(0, MIB, "refused"), (1, MIB, "refused")]
    assert all(cdr.started_at_ns == world.now_ns for cdr in world.cdrs)
    assert world.balance("*default").value == -2 * AUD // 100


@pytest.mark.conformance("B16")
def test_all_used_containers_of_an_event_are_charged() -> None:
    world = World(money(AUD))
    used = [Units(events=1), Units(), Units(events=2)]
    world.send(request(EVENT, 0, group(None, used=used), **SMS))
    assert AUD - world.balance().value == 15 * AUD // 100


def test_a_group_named_twice_in_an_event_is_charged_twice_and_recorded_as_charged() -> None:
    world = World(money(AUD))
    world.send(request(EVENT, 0, group(None, Units(events=1)), group(None, Units(events=2)), **SMS))
    assert AUD - world.balance().value == 15 * AUD // 100
    assert [(cdr.usage, cdr.cost_nanos) for cdr in world.cdrs] == [(3, 15 * AUD // 100)]


def test_an_event_in_another_measure_than_it_is_sold_in_is_refused() -> None:
    world = World(money(AUD))
    answer = world.send(request(EVENT, 0, group(None, octets(5)), **SMS))
    assert (answer.result, answer.why) == (Result.RATING_FAILED, "no_rate")
    assert world.balance().value == AUD


# --- measures ------------------------------------------------------------------------------------------------------


def test_minutes_do_not_pay_for_a_call_that_is_counted_in_units() -> None:
    world = World(Balance("minutes", Kind.VOICE, 100), Balance("points", Kind.GENERIC, 2), money(AUD))
    call = {"service": "voice", "called": "+61291234567"}
    world.send(request(INITIAL, 0, group(None, Units(events=1)), **call))
    world.send(request(TERMINATION, 1, group(None, used=[Units(events=1)]), **call))
    assert (world.balance("minutes").value, world.balance("points").value) == (100, 1)
    assert AUD - world.balance().value == AUD // 5


def test_a_tariff_that_sells_by_another_measure_prices_nothing_that_was_counted_in_the_old_one() -> None:
    flat = Rate("flat", Measure.OCTETS, connect_fee_nanos=AUD // 10)
    world = World(money(AUD))
    world.tariff = data_tariff(g100=flat)
    world.send(request(INITIAL, 0, group(100, seconds(60))))
    world.tariff = msgspec.structs.replace(data_tariff(g100=DATA), version="v2")
    answer = world.send(request(UPDATE, 1, group(100, seconds(60), [seconds(60)]), group(101, ANY)))
    assert (answer.groups[0].result, answer.groups[0].why) == (Result.RATING_FAILED, "no_rate")
    world.send(request(TERMINATION, 2, group(100, used=[seconds(60)])))
    assert AUD - world.balance().value == AUD // 10


def test_a_wish_in_a_measure_without_policy_has_a_limit_that_fits_a_validity_time() -> None:
    world = World(money(AUD))
    world.tariff = data_tariff(g100=Rate("flat", Measure.OCTETS, connect_fee_nanos=1))
    granted = world.send(request(INITIAL, 0, group(100, seconds(2**32 - 1)))).groups[0]
    assert granted.granted == 86_400 * NS_PER_S
    assert (granted.validity_time_s or 0) < 2**32
    assert world.send(request(INITIAL, 0, group(100, seconds(0)), session_id="t")).groups[0].granted == 600 * NS_PER_S


# --- fees ----------------------------------------------------------------------------------------------------------


def test_a_fee_per_group_is_no_fee_of_the_session_and_each_is_charged_once() -> None:
    each = Rate("each", Measure.OCTETS, connect_fee_nanos=3, fee_per_group=True)
    once = Rate("once", Measure.OCTETS, connect_fee_nanos=1_000)
    world = World(money(AUD))
    world.tariff = data_tariff(g100=each, g101=each, g102=once, g103=once)
    world.send(request(INITIAL, 0, *[group(number, ANY) for number in (100, 101, 102, 103)]))
    costs = []
    for number, rating_group in enumerate((100, 100, 101, 102, 103, 102), start=1):
        world.send(request(UPDATE, number, group(rating_group, ANY, [octets(1)])))
        costs.append(world.journal[-1].cost_nanos)
    assert costs == [3, 0, 3, 1_000, 0, 0]


def test_a_fee_is_held_until_it_is_charged_and_comes_with_the_first_usage_above_none() -> None:
    world = World(money(AUD))
    world.tariff = data_tariff(g100=Rate("fee", Measure.OCTETS, AUD // 100, MIB, 1, connect_fee_nanos=AUD // 10))
    world.send(request(INITIAL, 0, group(100, octets(MIB))))
    assert world.balance().held == 11 * AUD // 100
    world.send(request(UPDATE, 1, group(100, octets(MIB), [octets(0)])))
    assert (world.balance().value, world.balance().held) == (AUD, 11 * AUD // 100)
    world.send(request(UPDATE, 2, group(100, octets(MIB), [octets(1)])))
    assert AUD - world.balance().value == AUD // 10 + 10
    assert world.balance().held == AUD // 100


def test_who_cannot_pay_the_fee_gets_nothing_though_units_would_cover_the_usage() -> None:
    world = World(Balance("bundle", Kind.DATA, 100 * MIB), money(AUD // 10 - 1))
    world.tariff = data_tariff(g100=Rate("fee", Measure.OCTETS, connect_fee_nanos=AUD // 10))
    answer = world.send(request(INITIAL, 0, group(100, ANY)))
    assert (answer.result, answer.why) == (4012, "no_credit")
    assert world.balance("bundle").held == 0


# --- whose end of credit it is -------------------------------------------------------------------------------------


def test_a_group_of_the_same_session_that_holds_the_rest_keeps_the_final_unit_away() -> None:
    world = World(money(11 * AUD // 100))
    answer = world.send(request(INITIAL, 0, group(100, ANY), group(101, ANY)))
    assert [(g.granted, g.final_unit) for g in answer.groups] == [(10 * MIB, None), (MIB, None)]
    last = world.send(request(UPDATE, 1, group(100, final=True, used=[octets(10 * MIB)]))).groups[0]
    assert last.final_unit is None
    last = world.send(request(UPDATE, 2, group(101, ANY))).groups[0]
    assert (last.granted, last.final_unit) == (MIB, FinalUnit(FinalAction.TERMINATE))


def test_credit_held_by_others_alone_is_refused_not_redirected() -> None:
    world = World(money(10 * AUD // 100))
    redirect = FinalUnit(FinalAction.REDIRECT, "http://top-up.example.com")
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], final_unit=redirect)
    world.send(request(INITIAL, 0, group(100, ANY)))
    answer = world.send(request(INITIAL, 0, group(100, ANY), session_id="t"))
    assert (answer.result, answer.groups[0].final_unit) == (4012, None)


def test_usage_before_the_expiry_of_a_balance_is_paid_by_it_though_it_is_reported_later() -> None:
    world = World(money(AUD, "old", expires_at_ns=END_NS, weight=1), money(AUD))
    world.send(request(INITIAL, 0, group(100, octets(2 * MIB))))
    assert world.balance("old").held == 2 * AUD // 100
    world.now_ns = END_NS
    world.send(request(UPDATE, 1, group(100, octets(MIB), [octets(5 * MIB)])))
    assert (AUD - world.balance("old").value, AUD - world.balance().value) == (5 * AUD // 100, 0)
    assert (world.balance("old").held, world.balance().held) == (0, AUD // 100)


def test_a_refused_update_keeps_the_debit_that_came_with_it_and_the_holds_of_other_groups() -> None:
    world = World(money(11 * AUD // 100))
    world.send(request(INITIAL, 0, group(100, octets(10 * MIB)), group(101, octets(MIB))))
    answer = world.send(request(UPDATE, 1, group(101, ANY, [octets(MIB)])))
    assert (answer.result, answer.groups[0].result) == (2001, 4012)
    assert (world.balance().value, world.balance().held) == (10 * AUD // 100, 10 * AUD // 100)


# --- bounds --------------------------------------------------------------------------------------------------------


def test_a_session_with_all_the_groups_it_may_have_refuses_one_more_and_serves_the_others() -> None:
    world = World(money(100 * AUD))
    world.tariff = tariff_for_all_groups()
    for number in range(GROUPS_PER_SESSION_MAX):
        assert world.send(request(INITIAL if not number else UPDATE, number, group(number, ANY))).result == 2001
    answer = world.send(request(UPDATE, 1_000, group(5, ANY, [octets(MIB)]), group(9_999, ANY)))
    assert [(g.result, g.why) for g in answer.groups] == [(2001, ""), (5012, "too_many_groups")]
    assert len(world.sessions["s"].groups) == GROUPS_PER_SESSION_MAX
    assert world.balance().value == 100 * AUD - AUD // 100


def test_numbers_with_too_many_gaps_are_refused_and_move_nothing() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, ANY)))
    for number in range(NUMBER_GAPS_PER_SESSION_MAX):
        world.send(request(UPDATE, 2 * number + 1))
    account = world.account
    answer = world.send(request(UPDATE, 5_000, group(100, ANY, [octets(MIB)])))
    assert (answer.result, answer.why) == (5012, "number_gaps")
    assert world.account is account
    assert world.send(request(TERMINATION, 5_001, group(100, used=[octets(MIB)]))).result == 2001
    assert AUD - world.balance().value == AUD // 100


def test_a_price_enquiry_names_the_fee_too() -> None:
    world = World()
    enquiry = {"service": "voice", "action": RequestedAction.PRICE_ENQUIRY, "called": "+61291234567"}
    assert world.send(request(EVENT, 0, group(None, seconds(60)), **enquiry)).cost_nanos == AUD // 5


def tariff_for_all_groups() -> Tariff:
    """Data at one price, whatever the rating group."""
    plain = tariff()
    plan = plain.plans["standard"]
    services = {**plan.services, "data": ServicePlan({}, table({}, DATA))}
    return msgspec.structs.replace(plain, plans={"standard": msgspec.structs.replace(plan, services=services)})


# --- what only a second look found ---------------------------------------------------------------------------------


def test_generic_units_pay_for_octets_one_for_one() -> None:
    world = World(Balance("points", Kind.GENERIC, 3 * MIB), money(AUD))
    world.send(request(INITIAL, 0, group(100, ANY)))
    world.send(request(TERMINATION, 1, group(100, used=[octets(4 * MIB)])))
    assert (world.balance("points").value, AUD - world.balance().value) == (0, AUD // 100)


def test_an_event_records_only_what_it_charged_itself() -> None:
    world = World(money(AUD))
    world.send(request(EVENT, 0, group(1, Units(events=1)), **SMS))
    world.send(request(EVENT, 1, group(2, Units(events=1)), **SMS))
    assert [(cdr.rating_group, cdr.partial, cdr.usage) for cdr in world.cdrs] == [(1, 0, 1), (2, 0, 1)]


def test_units_that_others_hold_keep_the_final_unit_away_too() -> None:
    world = World(Balance("bundle", Kind.DATA, 15 * MIB))
    world.send(request(INITIAL, 0, group(100, ANY)))
    other = world.send(request(INITIAL, 0, group(100, ANY), session_id="t")).groups[0]
    assert (other.granted, other.final_unit) == (MIB, None)


def test_what_was_talked_already_counts_against_what_the_clock_allows() -> None:
    world = World(money(1_000 * AUD))
    call = {"service": "voice", "called": "+61491570156"}
    world.send(request(INITIAL, 0, group(None, seconds(60)), **call))
    world.send(request(UPDATE, 1, group(None, used=[seconds(50_000)]), **call))
    world.send(request(UPDATE, 2, group(None, used=[seconds(50_000)]), **call))
    assert "implausible_usage" in world.outcome.notes
    assert sum(g.usage for g in world.sessions["s"].groups) == 50_000 * NS_PER_S
