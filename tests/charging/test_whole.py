"""Calls rated as a whole: what they cost, how much of them can be paid, what they do to an account."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Posting
from ocs.balances.refund import refund_charge
from ocs.charging.whole import Call, Charged, charge, cost_of, max_usage
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import NotFound, Tariff, Window
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Prices, pieces, segment_cost, settle
from tests.charging.sheets import payers, sheets, tariff_of
from tests.charging.test_properties import SPECIAL, ordered
from tests.charging.world import AUD, FLAT, MIB, MIN, POLICIES, START_NS, money, tariff

VOICE = POLICIES["voice"]
DAY_AND_NIGHT = [
    Window("*any", Rate("day", Measure.TIME, AUD, MIN)),
    Window("*any", Rate("night", Measure.TIME, AUD // 2, MIN, NS_PER_S)),
]
SECONDS = st.integers(1, 3 * 3_600).map(lambda second: second * NS_PER_S)


def account(*balances: Balance, **more: Any) -> Account:
    return Account("a", 1, "AUD", "standard", balances=balances, **more)


def charged(one: Account, sold: Tariff, usage: int, **more: Any) -> Charged:
    call = Call(more.pop("number", "4930"), START_NS, usage, measure=Measure.TIME, **more)
    done = charge(one, sold, VOICE, call)
    assert isinstance(done, Charged)
    return done


@settings(max_examples=250)
@given(
    versions=sheets(Measure.TIME, START_NS, ends=True),
    balances=payers(Kind.VOICE, rich=False, subjects=False),
    usage=SECONDS,
)
def test_a_call_that_is_over_costs_what_the_oracle_says_its_debts_included(
    versions: list[Prices], balances: list[Balance], usage: int
) -> None:
    _costs_what_the_oracle_says(versions, balances, usage)


@settings(max_examples=250)
@given(
    versions=sheets(Measure.TIME, START_NS, tiers=False, ends=True),
    balances=payers(Kind.VOICE, rich=False),
    usage=SECONDS,
)
def test_a_call_that_is_over_costs_what_the_oracle_says_whatever_its_balances_are_like(
    versions: list[Prices], balances: list[Balance], usage: int
) -> None:
    _costs_what_the_oracle_says(versions, balances, usage)


def _costs_what_the_oracle_says(versions: list[Prices], balances: list[Balance], usage: int) -> None:
    done = charged(account(*balances), tariff_of(versions, "voice", SPECIAL), usage)
    found = pieces(versions, "4930", [(usage, START_NS, START_NS + usage)])
    said = settle(found, ordered(balances, subjects=SPECIAL, service="voice"))
    assert {name: amount for name, amount in done.taken.items() if amount} == said.taken
    assert (done.cost_nanos, done.overdraft_nanos, done.unit_usage) == (said.nanos, said.overdraft, said.by_units)
    before = {balance.id: balance.value for balance in balances}
    after = {balance.id: balance.value for balance in done.accounts[0].balances}
    assert {name: before[name] - after[name] for name in before if before[name] != after[name]} == said.taken


@settings(max_examples=250)
@given(versions=sheets(Measure.TIME, START_NS, ends=True), usage=SECONDS)
def test_the_price_of_a_call_is_what_money_alone_pays_for_it(versions: list[Prices], usage: int) -> None:
    rich = account(money(10**18))
    sold = tariff_of(versions, "voice")
    cost = cost_of(rich, sold, VOICE, Call("4930", START_NS, usage, measure=Measure.TIME))
    assert not isinstance(cost, NotFound)
    found = pieces(versions, "4930", [(usage, START_NS, START_NS + usage)])
    assert cost.nanos == settle(found, ordered(rich.balances)).nanos
    assert cost.nanos == sum(part.cost_nanos for part in cost.parts) + cost.fee_nanos
    assert sum(part.usage for part in cost.parts) == usage


@settings(max_examples=250)
@given(
    versions=sheets(Measure.TIME, START_NS, ends=True),
    balances=payers(Kind.VOICE, rich=False, subjects=False),
    usage=SECONDS,
)
def test_what_can_be_paid_is_paid_without_a_debt_and_one_nanosecond_more_is_not(
    versions: list[Prices], balances: list[Balance], usage: int
) -> None:
    versions = [_without_ends(one) for one in versions]
    sold = tariff_of(versions, "voice")
    most = max_usage(account(*balances), sold, VOICE, Call("4930", START_NS, usage, measure=Measure.TIME))
    assert isinstance(most, int)
    if most:
        assert charged(account(*balances), sold, most).overdraft_nanos == 0
    if most < usage:
        assert charged(account(*balances), sold, most + 1).overdraft_nanos > 0


def _without_ends(prices: Prices) -> Prices:
    """The same without maximum costs that disconnect: beyond them is no debt."""
    windows = {
        prefix: tuple(
            msgspec.structs.replace(one, rate=msgspec.structs.replace(one.rate, disconnect=False)) for one in some
        )
        for prefix, some in prices.windows.items()
    }
    return prices._replace(windows=windows)


@settings(max_examples=200)
@given(versions=sheets(Measure.TIME, START_NS, ends=True), balances=payers(Kind.VOICE, rich=False), usage=SECONDS)
def test_a_refund_of_all_of_it_restores_every_balance(
    versions: list[Prices], balances: list[Balance], usage: int
) -> None:
    before = account(*balances)
    done = charged(before, tariff_of(versions, "voice", SPECIAL), usage)
    postings = tuple(Posting(name, -amount, 0) for name, amount in done.taken.items() if amount)
    entry = Entry("a", 2, "charge", START_NS, postings=postings, cost_nanos=done.cost_nanos)
    after = msgspec.structs.replace(done.accounts[0], version=2)
    restored, refunded = refund_charge(after, entry, {}, START_NS, by="test", reason="complaint")
    assert restored.balances == before.balances
    assert sum(posting.value for posting in refunded.postings) == sum(done.taken.values())
    assert refunded.cost_nanos == 0


def test_a_slice_that_is_begun_goes_on_over_a_change_of_price() -> None:
    """50 s before the change and 10 s after it are one free minute, not two."""
    change_ns = START_NS + 50 * NS_PER_S
    versions = [Prices(f"v{place}", place * change_ns, {"": (one,)}) for place, one in enumerate(DAY_AND_NIGHT)]
    sold = tariff_of(versions, "voice")
    minutes = Balance("minutes", Kind.VOICE, MIN, rating_subject="*zero1m")
    assert max_usage(account(minutes), sold, VOICE, Call("4930", START_NS, MIN)) == MIN
    assert max_usage(account(minutes), sold, VOICE, Call("4930", START_NS, MIN + NS_PER_S)) == MIN
    assert charged(account(minutes), sold, MIN).taken == {"minutes": MIN}


def of(rate: Rate, service: str = "voice") -> Tariff:
    """A tariff that sells at one rate."""
    return tariff_of([Prices("v1", 0, {"": (Window("*any", rate),)})], service)


@pytest.mark.parametrize(
    ("rate", "usage_s", "nanos"),
    [
        # 0.01 a minute by the second, rounded to 5 decimals: 600 s are 0.10 exactly
        (Rate("r", Measure.TIME, AUD // 100, MIN, NS_PER_S, rounding_nanos=10_000), 600, AUD // 10),
        # the first minute whole at 0.20, then 0.05 a minute by 10 s: 60 s, then 13 s are 20 s
        (
            Rate("r", Measure.TIME, AUD // 5, MIN, MIN, tiers=(Tier(MIN, AUD // 20, MIN, 10 * NS_PER_S),)),
            73,
            AUD // 5 + 16_666_667,
        ),
        # the first minute whole, also where less is used
        (Rate("r", Measure.TIME, AUD // 5, MIN, MIN, tiers=(Tier(MIN, AUD // 20, MIN, NS_PER_S),)), 1, AUD // 5),
        # 90 s of the first tier are two minutes by its increment, and eat into the second tier
        (Rate("r", Measure.TIME, 60, MIN, MIN, tiers=(Tier(90 * NS_PER_S, 120, MIN, NS_PER_S),)), 150, 120 + 60),
        # at most 0.50, the fee apart
        (Rate("r", Measure.TIME, AUD // 10, MIN, MIN, AUD // 20, max_cost_nanos=AUD // 2), 3_600, 55 * AUD // 100),
        # a limit that disconnects is no limit of what is charged
        (
            Rate("r", Measure.TIME, AUD // 10, MIN, MIN, max_cost_nanos=AUD // 2, disconnect=True),
            3_600,
            6 * AUD,
        ),
        # half a nano is rounded up
        (Rate("r", Measure.TIME, 1, 2 * NS_PER_S, NS_PER_S), 1, 1),
        (Rate("r", Measure.TIME, 1, 2 * NS_PER_S, NS_PER_S, rounding="down"), 1, 0),
        (Rate("r", Measure.TIME, 1, 3 * NS_PER_S, NS_PER_S), 1, 0),
        (Rate("r", Measure.TIME, 1, 3 * NS_PER_S, NS_PER_S, rounding="up"), 1, 1),
    ],
)
def test_costs_worked_out_by_hand(rate: Rate, usage_s: int, nanos: int) -> None:
    cost = cost_of(account(), of(rate), VOICE, Call("4930", START_NS, usage_s * NS_PER_S))
    assert not isinstance(cost, NotFound)
    assert cost.nanos == nanos
    assert charged(account(money(100 * AUD)), of(rate), usage_s * NS_PER_S).cost_nanos == nanos
    fee = rate.connect_fee_nanos
    if rate.max_cost_nanos is None:
        assert segment_cost(rate, usage_s * NS_PER_S) + fee == nanos


def test_what_was_rated_before_counts_in_the_tiers_and_has_paid_the_fee() -> None:
    rate = Rate("r", Measure.TIME, AUD // 5, MIN, MIN, AUD, tiers=(Tier(MIN, AUD // 20, MIN, MIN),))
    call = Call("4930", START_NS, 2 * MIN, position=MIN)
    cost = cost_of(account(), of(rate), VOICE, call)
    assert not isinstance(cost, NotFound)
    assert (cost.nanos, cost.fee_nanos) == (AUD // 10, 0)
    done = charged(account(money(AUD)), of(rate), 2 * MIN, position=MIN)
    assert done.cost_nanos == AUD // 10
    assert max_usage(account(money(AUD // 10)), of(rate), VOICE, call) == 2 * MIN
    assert max_usage(account(money(AUD // 10 - 1)), of(rate), VOICE, call) == MIN


def test_a_call_of_no_length_costs_nothing_not_even_the_fee() -> None:
    cost = cost_of(account(), tariff(), VOICE, Call("61291234567", START_NS, 0))
    assert not isinstance(cost, NotFound)
    assert (cost.nanos, cost.fee_nanos) == (0, 0)
    assert charged(account(money(AUD)), tariff(), 0, number="61291234567").cost_nanos == 0
    assert charged(account(money(AUD)), tariff(), 1, number="61291234567").cost_nanos == FLAT.connect_fee_nanos


def test_what_has_no_rate_has_no_price_and_the_reason_is_told() -> None:
    nowhere = Call("7", START_NS, MIN)
    for answer in (
        cost_of(account(), tariff(), VOICE, nowhere),
        max_usage(account(), tariff(), VOICE, nowhere),
        charge(account(), tariff(), VOICE, nowhere),
    ):
        assert isinstance(answer, NotFound)
        assert answer.reason == "no_destination"


def test_a_maximum_that_disconnects_ends_what_can_be_paid() -> None:
    rate = Rate("r", Measure.TIME, AUD // 10, MIN, MIN, AUD // 20, max_cost_nanos=AUD // 2, disconnect=True)
    call = Call("4930", START_NS, 60 * MIN)
    assert max_usage(account(money(100 * AUD)), of(rate), VOICE, call) == 5 * MIN


def test_who_may_be_negative_can_pay_all_of_it() -> None:
    call = Call("4930", START_NS, 60 * MIN)
    assert max_usage(account(money(0)), tariff(), VOICE, call) == 0
    assert max_usage(account(money(0), allow_negative=True), tariff(), VOICE, call) == 60 * MIN
    done = charge(account(money(0), allow_negative=True), tariff(), VOICE, call)
    assert isinstance(done, Charged)
    assert done.overdraft_nanos == 0
    assert [balance.value for balance in done.accounts[0].balances] == [-6 * AUD]


def test_data_is_used_at_once_and_has_one_price() -> None:
    cost = cost_of(account(), tariff(), POLICIES["data"], Call("", START_NS, 302 * 1_024 - 500, rating_group=100))
    assert not isinstance(cost, NotFound)
    assert (cost.nanos, len(cost.parts)) == (2_949_219, 1)
    done = charge(account(Balance("bundle", Kind.DATA, MIB)), tariff(), POLICIES["data"], Call("", START_NS, MIB))
    assert isinstance(done, Charged)
    assert (done.unit_usage, done.cost_nanos) == (MIB, 0)
