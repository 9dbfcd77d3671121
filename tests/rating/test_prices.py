"""Prices: exact, from the whole length, rounded once; and what a sum of money buys."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.rating.prices import Rate, Tier, affordable, price, round_nanos, round_up
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.oracle import segment_cost

AUD = 1_000_000_000
MIB = 1_048_576
MIN = 60 * NS_PER_S

RATES = st.builds(
    Rate,
    id=st.just("any"),
    measure=st.just(Measure.OCTETS),
    price_nanos=st.integers(0, 10 * AUD),
    unit_size=st.integers(1, 10 * MIB),
    increment=st.integers(1, 100_000),
    rounding_nanos=st.sampled_from([1, 10, 1_000, 10_000_000]),
    rounding=st.sampled_from(["middle", "up", "down"]),
)


@pytest.mark.parametrize(
    ("usage", "increment", "rounded"),
    [(0, 60, 0), (1, 60, 60), (59, 60, 60), (60, 60, 60), (61, 60, 120), (7, 1, 7), (2**63 - 1, 2**20, 2**63)],
)
def test_usage_is_rounded_up_to_whole_increments(usage: int, increment: int, rounded: int) -> None:
    assert round_up(usage, increment) == rounded


@pytest.mark.parametrize(
    ("rate", "usage", "nanos"),
    [
        (Rate("data", Measure.OCTETS, AUD // 100, MIB, 1_024), 308_400, 2_949_219),
        (Rate("data", Measure.OCTETS, AUD // 100, MIB, 1_024), 0, 0),
        (Rate("data", Measure.OCTETS, AUD // 100, MIB, 1_024), 1, 9_766),  # 9765.625
        (Rate("minute", Measure.TIME, AUD // 100, MIN, NS_PER_S), 600 * NS_PER_S, AUD // 10),
        (Rate("minute", Measure.TIME, AUD // 10, MIN, MIN), 60 * NS_PER_S + 1, AUD // 5),
        (Rate("sms", Measure.EVENTS, 5 * AUD // 100), 3, 15 * AUD // 100),
        (Rate("half", Measure.EVENTS, 1, 2), 1, 1),
        (Rate("half", Measure.EVENTS, 1, 2), 3, 2),
        (Rate("below", Measure.EVENTS, 49, 100), 1, 0),
        (Rate("up", Measure.EVENTS, 1, 100, rounding="up"), 1, 1),
        (Rate("down", Measure.EVENTS, 99, 100, rounding="down"), 1, 0),
        (Rate("cents", Measure.EVENTS, 15 * AUD // 1_000, rounding_nanos=AUD // 100), 1, 2 * AUD // 100),
        (Rate("cents", Measure.EVENTS, 14 * AUD // 1_000, rounding_nanos=AUD // 100), 1, AUD // 100),
        (Rate("free", Measure.EVENTS, free=True), 1_000, 0),
        (Rate("huge", Measure.OCTETS, AUD, 1, 1), 2**63, 2**63 * AUD),
    ],
)
def test_prices_by_example(rate: Rate, usage: int, nanos: int) -> None:
    assert price(rate, usage) == nanos


@given(rate=RATES, usage=st.integers(0, 2**40))
def test_a_price_is_the_exact_fraction_rounded_once(rate: Rate, usage: int) -> None:
    assert price(rate, usage) == segment_cost(rate, usage)


@given(rate=RATES, usage=st.integers(0, 2**40), more=st.integers(0, 2**30))
def test_a_price_never_falls_as_usage_grows(rate: Rate, usage: int, more: int) -> None:
    assert price(rate, usage) <= price(rate, usage + more)


@given(rate=RATES, priced=st.integers(0, 2**30), wanted=st.integers(0, 2**30), nanos=st.integers(-5, 100 * AUD))
def test_what_is_affordable_costs_no_more_than_there_is_and_one_more_would(
    rate: Rate, priced: int, wanted: int, nanos: int
) -> None:
    found = affordable(rate, priced, wanted, nanos)
    assert 0 <= found <= wanted
    assert price(rate, priced + found) <= nanos or found == 0
    assert found == wanted or price(rate, priced + found + 1) > nanos


def test_the_rest_of_an_increment_that_was_paid_is_affordable_without_money() -> None:
    rate = Rate("minute", Measure.TIME, AUD // 10, MIN, MIN)
    assert affordable(rate, 20 * NS_PER_S, 100 * NS_PER_S, price(rate, 20 * NS_PER_S)) == 40 * NS_PER_S


def test_nothing_is_affordable_where_less_is_there_than_was_charged_already() -> None:
    rate = Rate("minute", Measure.TIME, AUD // 10, MIN, MIN)
    assert affordable(rate, 20 * NS_PER_S, 10 * NS_PER_S, AUD // 10 - 1) == 0


@pytest.mark.parametrize(
    ("exact", "divisor", "rounding", "nanos"),
    [
        (5, 10, "middle", 1),
        (-5, 10, "middle", -1),
        (-4, 10, "middle", 0),
        (1, 10, "up", 1),
        (-1, 10, "up", -1),
        (-19, 10, "down", -1),
    ],
)
def test_rounding_is_symmetric_around_zero(exact: int, divisor: int, rounding: str, nanos: int) -> None:
    assert round_nanos(exact, divisor, 1, rounding) == nanos


TIERED = st.builds(
    lambda rate, tiers: msgspec.structs.replace(rate, tiers=tuple(sorted(tiers, key=lambda tier: tier.start))),
    RATES,
    st.lists(
        st.builds(Tier, st.integers(1, 10**6), st.integers(0, AUD), st.integers(1, MIB), st.integers(1, 10**5)),
        max_size=3,
        unique_by=lambda tier: tier.start,
    ),
)


@given(rate=TIERED, usage=st.integers(0, 3 * 10**6), start=st.integers(0, 10**6))
def test_tiers_cost_what_the_oracle_says(rate: Rate, usage: int, start: int) -> None:
    assert price(rate, usage, start) == segment_cost(rate, usage, start)


@given(rate=TIERED, usage=st.integers(0, 3 * 10**6), start=st.integers(0, 10**6), more=st.integers(0, 10**6))
def test_in_tiers_too_a_price_never_falls_as_usage_grows(rate: Rate, usage: int, start: int, more: int) -> None:
    assert price(rate, usage, start) <= price(rate, usage + more, start)
