"""Pools of quotas: groups draw from what all of them were granted; money is held and debited as without one."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Balance
from ocs.charging.policy import QuotaTerms
from ocs.charging.pools import ABSTRACT_PER_NANO, multiplier
from ocs.charging.requests import Units
from ocs.rating.prices import Rate, Tier, price
from ocs.rating.tariff import Plan, ServicePlan
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.world import (
    AUD,
    DATA,
    INITIAL,
    MIB,
    MIN,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    table,
)

CENT = AUD // 100
DEAR = Rate("dear", Measure.OCTETS, 5 * CENT, MIB, 1_024)
TIERED = Rate("tiered", Measure.OCTETS, CENT, MIB, 1_024, tiers=(Tier(MIB, 2 * CENT, MIB, 1_024),))


def world(*balances: Balance, credit: int = 100 * AUD) -> World:
    """Group 100 at 1 cent a MiB and 200 at 5 in pool 7; 300 in tiers; 900 outside."""
    made = World(*balances, money(credit))
    plan = ServicePlan({100: table({}, DATA), 200: table({}, DEAR), 300: table({}, TIERED), 900: table({}, DATA)}, None)
    made.tariff = msgspec.structs.replace(made.tariff, plans={"standard": Plan("standard", {"data": plan})})
    made.policies["data"] = msgspec.structs.replace(
        made.policies["data"], quota=QuotaTerms(pool=7), quota_of={900: QuotaTerms()}, pooled=True
    )
    return made


def opened(made: World, *groups: int) -> None:
    made.send(request(INITIAL, 0, *(group(number, Units()) for number in groups)))


def held(made: World) -> dict[int | None, tuple[int, int]]:
    """(granted MiB, cents held) by group."""
    return {
        found.rating_group: (found.granted // MIB, sum(hold.amount for hold in found.holds) // CENT)
        for found in made.sessions["s"].groups
    }


@pytest.mark.conformance("B23")
def test_a_grant_names_its_pool_and_what_a_unit_of_it_is_worth() -> None:
    made = world()
    answer = made.send(request(INITIAL, 0, group(100, Units()), group(200, Units()), group(900, Units())))
    one, five, none = (found.pool for found in answer.groups)
    assert one is not None
    assert five is not None
    assert (one[0], five[0], none) == (7, 7, None)
    assert Fraction(five[1]) * Fraction(10) ** five[2] == 5 * Fraction(one[1]) * Fraction(10) ** one[2]


@pytest.mark.conformance("B23")
def test_what_a_group_uses_beyond_its_grant_comes_from_the_pool() -> None:
    made = world()
    opened(made, 100, 200, 900)
    assert held(made) == {100: (10, 10), 200: (10, 50), 900: (10, 10)}
    made.send(request(UPDATE, 1, group(100, None, [octets(40 * MIB)])))
    assert held(made) == {100: (0, 0), 200: (4, 20), 900: (10, 10)}
    assert (made.spent()["money"], made.outcome.notes) == (40 * CENT, ())
    made.send(request(UPDATE, 2, group(200, None, [octets(4 * MIB)])))
    assert (made.spent()["money"], made.outcome.notes) == (60 * CENT, ())


@pytest.mark.conformance("B23")
def test_what_is_used_beyond_the_pool_is_an_overrun() -> None:
    made = world()
    opened(made, 100, 200, 900)
    made.send(request(UPDATE, 1, group(100, None, [octets(61 * MIB)])))
    assert held(made) == {100: (0, 0), 200: (0, 0), 900: (10, 10)}
    assert (made.spent()["money"], made.outcome.notes) == (61 * CENT, ("overrun",))
    made.send(request(TERMINATION, 2))
    assert {cdr.rating_group: cdr.overrun for cdr in made.cdrs} == {100: MIB, 200: 0, 900: 0}


@pytest.mark.conformance("B23")
def test_the_pool_pays_where_nothing_else_is_left() -> None:
    made = world(credit=60 * CENT)
    opened(made, 100, 200)
    assert made.balance().available == 0
    made.send(request(UPDATE, 1, group(100, None, [octets(60 * MIB)])))
    assert (made.balance().value, made.balance().held, made.outcome.notes) == (0, 0, ())


@pytest.mark.conformance("B23")
def test_a_group_draws_from_its_own_pool_alone() -> None:
    made = world()
    policy = made.policies["data"]
    made.policies["data"] = msgspec.structs.replace(policy, quota_of={900: QuotaTerms(pool=8)})
    opened(made, 100, 900, 200)
    made.send(request(UPDATE, 1, group(100, None, [octets(15 * MIB)])))
    assert held(made) == {100: (0, 0), 900: (10, 10), 200: (9, 45)}


FINE = Rate("fine", Measure.OCTETS, 7, 3)
FINER = Rate("finer", Measure.OCTETS, 11, 5)


@pytest.mark.conformance("B23", "B41")
@settings(derandomize=True, max_examples=60)
@given(st.integers(0, 20 * MIB), st.integers(0, 20 * MIB))
def test_the_whole_pool_can_be_used_by_whoever_uses_it(one: int, other: int) -> None:
    made = world()
    plan = ServicePlan({100: table({}, FINE), 200: table({}, FINER)}, None)
    made.tariff = msgspec.structs.replace(made.tariff, plans={"standard": Plan("standard", {"data": plan})})
    opened(made, 100, 200)
    pooled = made.balance().held
    if price(FINE, one) + price(FINER, other) > pooled:
        return
    made.account = msgspec.structs.replace(  # nothing is there but what is held
        made.account, balances=(msgspec.structs.replace(made.balance(), value=pooled),)
    )
    made.check = lambda: None  # type: ignore[method-assign]
    for number, (rating_group, used) in enumerate(((100, one), (200, other)), 1):
        made.send(request(UPDATE, number, group(rating_group, None, [octets(used)])))
        assert "overdraft" not in made.outcome.notes
    assert pooled - made.balance().value == price(FINE, one) + price(FINER, other)


@pytest.mark.conformance("B23")
def test_without_a_plain_price_there_is_no_pool() -> None:
    made = world()
    answer = made.send(request(INITIAL, 0, group(300, Units())))
    assert answer.groups[0].pool is None
    made = world(Balance("volume", Kind.DATA, MIB))
    answer = made.send(request(INITIAL, 0, group(100, Units())))
    assert answer.groups[0].pool is None


@pytest.mark.conformance("B23", "B41", "B42")
@settings(derandomize=True, max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from([100, 200]), st.integers(0, 12 * MIB), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_a_pool_changes_neither_prices_nor_sums(reports: list[tuple[int, int, bool]], credit: int) -> None:
    """Reports of (group, octets, ask for more); what holds are for is checked after each by the world."""
    made = world(credit=credit * CENT)
    made.send(request(INITIAL, 0, group(100, Units()), group(200, Units()), refuse_in_group=True))
    if "s" not in made.sessions or not made.sessions["s"].is_open:
        return
    for number, (rating_group, used, more) in enumerate(reports, 1):
        wish = Units() if more else None
        asked = group(rating_group, wish, [octets(used)])
        made.send(request(UPDATE, number, asked, refuse_in_group=True))
    made.send(request(TERMINATION, 99))
    owed = sum(
        price(rate, sum(used for reported, used, _ in reports if reported == rating_group))
        for rating_group, rate in ((100, DATA), (200, DEAR))
    )
    assert credit * CENT - sum(balance.value for balance in made.account.balances) == owed  # type: ignore[union-attr]
    assert all(balance.held == 0 for balance in made.account.balances)  # type: ignore[union-attr]


@pytest.mark.conformance("B23")
@pytest.mark.parametrize(
    ("rate", "nanos"),
    [
        (Rate("minute", Measure.TIME, 22 * CENT, MIN), Fraction(22 * CENT, 60)),
        (Rate("hour", Measure.TIME, AUD, 3_600 * NS_PER_S), Fraction(AUD, 3_600)),
        (Rate("mib", Measure.OCTETS, CENT, MIB), Fraction(CENT, MIB)),
        (Rate("gib", Measure.OCTETS, 5 * AUD, 2**30), Fraction(5 * AUD, 2**30)),
        (Rate("mb", Measure.OCTETS, CENT, 10**6), Fraction(CENT, 10**6)),
        (Rate("event", Measure.EVENTS, 5 * CENT, 1), Fraction(5 * CENT)),
    ],
)
def test_usual_prices_have_exact_multipliers(rate: Rate, nanos: Fraction) -> None:
    found = multiplier(rate)
    assert found.value == nanos * ABSTRACT_PER_NANO
    assert 0 < found.digits < 2**63


@pytest.mark.conformance("B23")
def test_a_multiplier_that_is_no_decimal_is_rounded_up() -> None:
    exact = Fraction(ABSTRACT_PER_NANO * CENT, 7)
    found = multiplier(Rate("odd", Measure.OCTETS, CENT, 7)).value
    assert exact < found < exact * (1 + Fraction(1, 10**13))
