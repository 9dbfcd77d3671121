"""How balances pay: free slices, factors, prices of their own, blockers, maximum costs; worked out by hand.

Usage is in octets at 10 nanos each, if nothing else is said.
"""

from __future__ import annotations

import pytest

from ocs.balances.account import Account, Balance, Factor
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.balances.cover import Meter, State, cover, owed, subjects_of, zero_slice
from ocs.balances.dearest import dearest
from ocs.balances.reserve import budget_of, debit, reserve, reserve_across
from ocs.rating.prices import Rate, Tier
from ocs.rating.units import NS_PER_S, Kind, Measure

PENNY = Rate("penny", Measure.OCTETS, 10)
TENS = Rate("tens", Measure.OCTETS, 100, 10, 10)
HALF = Rate("half", Measure.OCTETS, 5)


def units(value: int, name: str = "units", **terms: object) -> Balance:
    return Balance(name, Kind.DATA, value, **terms)  # type: ignore[arg-type]


def money(value: int, name: str = "money", **terms: object) -> Balance:
    return Balance(name, Kind.MONETARY, value, **terms)  # type: ignore[arg-type]


def state(rate: Rate = PENNY, **more: object) -> State:
    return State((Meter(rate),), subject_rates=(("half", HALF), ("nowhere", None)), **more)  # type: ignore[arg-type]


def book(*balances: Balance, allow_negative: bool = False) -> tuple[Book, Choice]:
    one = Book(Account("a", 1, "AUD", "p", balances=balances, allow_negative=allow_negative))
    of_units = tuple(balance for balance in balances if balance.kind is not Kind.MONETARY)
    return one, Choice(of_units, tuple(balance for balance in balances if balance.kind is Kind.MONETARY))


def covered(usage: int, *balances: Balance, at: State | None = None) -> tuple[int, int, dict[str, int], int, str]:
    """(usage covered, by units, taken, nanos, why not all) of a walk."""
    one, choice = book(*balances)
    done = cover(at or state(), choice, budget_of(one), usage)
    assert done.usage == usage or done.short
    return done.usage, done.by_units, dict(done.taken), done.nanos, done.short


@pytest.mark.parametrize(
    ("balances", "expected"),
    [
        # free slices of 30: units round up, and a slice that is not there whole pays nothing
        ([units(200, rating_subject="*zero30")], (100, 100, {"units": 120}, 0, "")),
        ([units(119, rating_subject="*zero30"), money(100)], (100, 90, {"units": 90, "money": 100}, 100, "")),
        ([units(29, rating_subject="*zero30")], (0, 0, {}, 0, "no_credit")),
        # factors: two units for an octet, a third of a unit for an octet
        ([units(300, factors=(Factor("*any", 2),))], (100, 100, {"units": 200}, 0, "")),
        ([units(30, factors=(Factor("*any", 1, 3),)), money(99)],
         (99, 90, {"units": 30, "money": 90}, 90, "no_credit")),
        ([units(40, factors=(Factor("*any", 1, 3),))], (100, 100, {"units": 34}, 0, "")),
        # the first factor that fits, and none that does not
        ([units(300, factors=(Factor("voice", 5), Factor("data", 2)))], (100, 100, {"units": 200}, 0, "")),
        ([units(300, factors=(Factor("voice", 5),))], (100, 100, {"units": 100}, 0, "")),
        # small ones: slices of two, the last unit for three octets
        ([units(200, rating_subject="*zero2"), money(0)], (100, 100, {"units": 100}, 0, "")),
        ([units(99, rating_subject="*zero2"), money(20)], (100, 98, {"units": 98, "money": 20}, 20, "")),
        ([units(1, factors=(Factor("*any", 1, 3),))], (3, 3, {"units": 1}, 0, "no_credit")),
        # a price of its own with a factor: 33 units for 99 octets, and money for them
        (
            [units(33, rating_subject="half", factors=(Factor("*any", 1, 3),)), money(505)],
            (100, 99, {"money": 505, "units": 33}, 505, ""),
        ),
        # slices and a factor: 4 slices of 30, a half for each octet
        ([units(300, rating_subject="*zero30", factors=(Factor("*any", 1, 2),))], (100, 100, {"units": 60}, 0, "")),
        # a unit balance with a price of its own takes units and money
        ([units(60, rating_subject="half"), money(1_000)], (100, 60, {"units": 60, "money": 700}, 700, "")),
        ([units(60, rating_subject="half"), money(103)], (20, 20, {"units": 20, "money": 100}, 100, "no_credit")),
        # money with a price of its own pays at that, its neighbours at the event's
        ([money(100, "m1", rating_subject="half"), money(9_000)], (100, 0, {"m1": 100, "money": 800}, 900, "")),
        ([money(250, "m1"), money(9_000, rating_subject="half")], (100, 0, {"m1": 250, "money": 375}, 625, "")),
        # "*any" is the event's price; neighbours of one price pay for one octet together
        ([money(5, "m1", rating_subject="*any"), money(5, "m2")], (1, 0, {"m1": 5, "m2": 5}, 10, "no_credit")),
        ([money(5, "m1", rating_subject="half"), money(5, "m2")], (1, 0, {"m1": 5}, 5, "no_credit")),
        # a price that is not there pays nothing
        ([units(60, rating_subject="nowhere"), money(9, rating_subject="nowhere")], (0, 0, {}, 0, "no_credit")),
        # blockers
        ([units(30, blocker=True, rating_subject="*zero30"), money(900)], (30, 30, {"units": 30}, 0, "blocked")),
        ([units(0, blocker=True), money(9_000)], (0, 0, {}, 0, "blocked")),
        ([units(100, blocker=True), money(9_000)], (100, 100, {"units": 100}, 0, "")),
        ([money(50, "m1", blocker=True), money(9_000)], (5, 0, {"m1": 50}, 50, "blocked")),
        ([money(50, "m1"), money(50, "m2", blocker=True)], (10, 0, {"m1": 50, "m2": 50}, 100, "no_credit")),
        # debts of one money balance count against the others, but not of units
        ([units(-50), money(-50, "m1"), money(150)], (10, 0, {"money": 100}, 100, "no_credit")),
    ],
)  # fmt: skip
def test_what_covers_a_hundred_octets(balances: list[Balance], expected: tuple[object, ...]) -> None:
    assert covered(100, *balances, at=state(factor="data")) == expected


def test_the_fee_comes_first_and_whoever_cannot_pay_it_gets_nothing() -> None:
    assert covered(100, units(100), money(7), at=state(fee_nanos=7)) == (100, 100, {"money": 7, "units": 100}, 7, "")
    assert covered(100, units(100), money(6), at=state(fee_nanos=7)) == (0, 0, {}, 0, "no_credit")
    assert covered(100, units(9), money(6, blocker=True), money(9, "m"), at=state(fee_nanos=7)) == (
        0,
        0,
        {},
        0,
        "blocked",
    )
    assert covered(0, units(100), money(7), at=state(fee_nanos=7)) == (0, 0, {}, 0, "")


def test_what_is_owed_for_usage_and_where_it_leaves_the_segment() -> None:
    assert owed(state(TENS, fee_nanos=7), 0)[0] == 0
    nanos, after = owed(state(TENS, fee_nanos=7, position=5), 11)
    assert (nanos, after.position, after.fee_nanos, after.spent_nanos) == (207, 16, 0, 200)
    assert (after.meters[0].priced, after.meters[0].charged_nanos) == (11, 200)
    assert owed(after, 9)[0] == 0
    one, choice = book(money(1_000))
    walked = cover(state(TENS, fee_nanos=7, position=5), choice, budget_of(one), 11).state
    assert walked == after


def test_a_maximum_cost_makes_the_rest_free_or_ends_it() -> None:
    free = Rate("r", Measure.OCTETS, 10, max_cost_nanos=55)
    assert covered(100, money(9_000), at=state(free)) == (100, 0, {"money": 55}, 55, "")
    assert covered(100, money(54), at=state(free)) == (5, 0, {"money": 50}, 50, "no_credit")
    assert covered(100, money(9_000), at=state(free, spent_nanos=50)) == (100, 0, {"money": 5}, 5, "")
    assert covered(100, money(0), at=state(free, spent_nanos=55)) == (100, 0, {}, 0, "")
    assert covered(100, money(9_000), at=state(free, spent_nanos=60)) == (100, 0, {}, 0, "")
    ends = Rate("r", Measure.OCTETS, 10, max_cost_nanos=55, disconnect=True)
    assert covered(100, money(9_000), at=state(ends)) == (5, 0, {"money": 50}, 50, "no_credit")
    assert covered(100, money(9_000), at=state(ends, spent_nanos=60))[0] == 0
    # units are no cost
    assert covered(100, units(90), money(9_000), at=state(ends)) == (
        95,
        90,
        {"units": 90, "money": 50},
        50,
        "no_credit",
    )
    # what was delivered is charged also beyond it
    one, choice = book(money(9_000))
    assert cover(state(ends), choice, budget_of(one), 100, delivered=True).nanos == 1_000


def test_usage_paid_by_units_counts_in_the_tiers() -> None:
    tiered = Rate("r", Measure.OCTETS, 10, tiers=(Tier(50, 1, 1, 1),))
    assert covered(100, units(30), money(9_000), at=state(tiered)) == (100, 30, {"units": 30, "money": 250}, 250, "")
    assert covered(100, units(60), money(9_000), at=state(tiered)) == (100, 60, {"units": 60, "money": 40}, 40, "")


def test_stretches_that_units_part_are_rounded_together() -> None:
    """Three octets at a third of a nano are one nano, also where units pay between them."""
    third = Rate("r", Measure.OCTETS, 1, 3, tiers=(Tier(1_000, 0, 1, 1),))
    one, choice = book(money(10))
    at, nanos = state(third), 0
    for _ in range(3):
        done = cover(at, choice, budget_of(one), 1)
        nanos += done.nanos
        _, with_units = book(units(5), money(10))
        at = cover(done.state, with_units, lambda balance: 5, 5).state
    assert nanos == 1
    assert at.position == 18


def test_a_slice_or_an_increment_that_is_begun_goes_on_though_its_balance_is_empty() -> None:
    balances = [units(30, rating_subject="*zero30"), money(100)]
    one, choice = book(*balances)
    first = debit(one, choice, state(), 10)
    assert first.taken == {"units": 30}
    second = debit(one, choice, first.state, 20)
    assert (second.taken, second.by_units) == ({}, 20)
    third = debit(one, choice, second.state, 1)
    assert third.taken == {"money": 10}
    one, choice = book(money(100))
    first = debit(one, choice, state(TENS), 1)
    assert first.taken == {"money": 100}
    assert reserve(one, choice, first.state, 20).amount == 9
    assert debit(one, choice, first.state, 9).cost_nanos == 0


def test_what_is_held_for_a_begun_slice_is_nothing_and_it_is_used_first_all_the_same() -> None:
    """30 are granted: 20 of the slice, for which nothing is held, and 10 for money."""
    one, choice = book(units(30, rating_subject="*zero30"), money(100))
    begun = debit(one, choice, state(), 10).state
    held = reserve(one, choice, begun, 30)
    assert (held.amount, held.holds) == (30, (("money", 100),))
    one.release("money", 100)
    done = debit(one, choice, begun, 20, dict(held.holds), held.amount)
    assert (done.taken, done.by_units, done.cost_nanos) == ({}, 20, 0)


def test_money_between_other_money_keeps_its_place_though_nothing_of_it_is_held() -> None:
    """m1 cannot pay for ten octets alone, and m3 stands behind another price."""
    one, choice = book(money(50, "m1"), money(0, "m2", rating_subject="half"), money(900, "m3"))
    held = reserve(one, choice, state(TENS), 10)
    assert held.holds == (("m3", 100),)
    one.release("m3", 100)
    assert debit(one, choice, state(TENS), 10, dict(held.holds), 10).taken == {"m3": 100}


def test_usage_beyond_the_grant_is_paid_as_if_nothing_was_held() -> None:
    one, choice = book(units(100), money(1_000))
    for balance_id, amount in (("units", 10), ("money", 500)):
        one.hold(balance_id, amount)
        one.release(balance_id, amount)
    done = debit(one, choice, state(), 40, {"units": 10, "money": 500}, 10)
    assert done.taken == {"units": 40}


def test_credit_short_of_an_increment_pays_a_part_of_it_and_the_rest_is_owed() -> None:
    one, choice = book(money(130, "m1"), money(50, "m2"))
    done = debit(one, choice, state(TENS), 20)
    assert (done.taken, done.cost_nanos, done.overdraft_nanos) == ({"m1": 130, "m2": 70}, 200, 20)


def test_who_may_be_negative_is_charged_without_end_and_owes_nothing() -> None:
    one, choice = book(money(0), allow_negative=True)
    assert reserve(one, choice, state(), 10**12).amount == 10**12
    one.release("money", 10**13)
    done = debit(one, choice, state(), 100)
    assert (done.taken, done.overdraft_nanos) == ({"money": 1_000}, 0)
    assert one.value("money") == -1_000


@pytest.mark.parametrize(
    ("subject", "size"),
    [
        ("*zero1s", NS_PER_S),
        ("*zero1m", 60 * NS_PER_S),
        ("*zero10ms", 10_000_000),
        ("*zero5ns", 5),
        ("*zero2h", 7_200 * NS_PER_S),
        ("*zero1024", 1_024),
    ],
)
def test_how_long_a_free_slice_is(subject: str, size: int) -> None:
    assert zero_slice(subject) == size


def test_the_subjects_whose_prices_are_needed_are_those_of_prices() -> None:
    choice = Choice((units(1, rating_subject="*zero1s"), units(1, rating_subject="half")),
                    (money(1), money(1, rating_subject="*any"), money(1, rating_subject="other")))  # fmt: skip
    assert subjects_of(choice) == {"half", "other"}


# --- a change of price ahead ----------------------------------------------------------------------------------------

SWAPPED = (
    Rate("one", Measure.OCTETS, 1, tiers=(Tier(50, 10, 1, 1),)),
    Rate("other", Measure.OCTETS, 10, tiers=(Tier(50, 1, 1, 1),)),
)
"""Whichever of them costs more depends on the position: all of 100 octets can cost 1,000."""


def plain(rate: Rate, **more: int) -> State:
    """Where a segment of that rate stands, without other prices."""
    return State((Meter(rate),), **more)


def test_each_octet_is_held_at_the_dearer_price_of_its_position() -> None:
    now, after = (plain(rate) for rate in SWAPPED)
    for one, other in ((now, after), (after, now)):
        worst, extra = dearest(one, other, 100)
        assert extra == 2  # a nano of rounding on each side
        assert cover(worst, Choice((), (money(10**6),)), lambda balance: 10**6, 100).nanos == 1_000


@pytest.mark.parametrize(("credit", "held"), [(1_002, {"money": 1_002}), (1_001, None)])
def test_all_of_it_is_held_or_nothing(credit: int, held: dict[str, int] | None) -> None:
    one, choice = book(money(credit))
    got = reserve_across(one, choice, plain(SWAPPED[0]), plain(SWAPPED[1]), 100)
    assert (None if got is None else dict(got.holds)) == held
    assert one.held("money") == sum((held or {}).values())


def test_what_increments_on_both_sides_add_is_held_in_the_order_of_the_balances_up_to_a_blocker() -> None:
    five = Rate("five", Measure.OCTETS, 5, 5, 5)
    four = Rate("four", Measure.OCTETS, 4, 4, 4)
    # at a nano each: 20, and at most 4 + 3 more, and a nano on each side
    one, choice = book(money(22, "m1"), money(50, "m2"))
    got = reserve_across(one, choice, plain(five), plain(four), 20)
    assert got is not None
    assert dict(got.holds) == {"m1": 22, "m2": 7}
    one, choice = book(money(28, "m1", blocker=True), money(50, "m2"))
    assert reserve_across(one, choice, plain(five), plain(four), 20) is None
    # 11 octets are 15 by fives, and 9 are 12 by fours
    one, choice = book(money(29))
    done = debit(one, choice, plain(five), 11)
    assert debit(one, choice, plain(four, position=11), 9).overdraft_nanos == done.overdraft_nanos == 0


def test_debts_count_against_what_is_held_for_roundings() -> None:
    five = Rate("five", Measure.OCTETS, 5, 5, 5)
    one, choice = book(money(-5, "m1"), money(34, "m2"))
    assert reserve_across(one, choice, plain(five), plain(five), 20) is None
    one, choice = book(money(-5, "m1"), money(35, "m2"))
    assert reserve_across(one, choice, plain(five), plain(five), 20) is not None


@pytest.mark.parametrize(
    ("one", "other", "nanos"),
    [
        ({"max_cost_nanos": 300}, {"max_cost_nanos": 500}, 500),
        ({"max_cost_nanos": 300}, {}, 1_000),
        ({}, {}, 1_000),
    ],
)
def test_a_maximum_cost_counts_where_both_sides_have_one(
    one: dict[str, int], other: dict[str, int], nanos: int
) -> None:
    now, after = (plain(Rate("r", Measure.OCTETS, 10, **terms)) for terms in (one, other))  # type: ignore[arg-type]
    worst, _ = dearest(now, after, 100)
    assert cover(worst, Choice((), (money(10**6),)), lambda balance: 10**6, 100).nanos == nanos


def test_a_maximum_that_disconnects_on_one_side_ends_the_grant() -> None:
    ends = Rate("r", Measure.OCTETS, 10, max_cost_nanos=300, disconnect=True)
    for now, after in ((ends, PENNY), (PENNY, ends)):
        one, choice = book(money(10**6))
        assert reserve_across(one, choice, plain(now), plain(after), 31) is None
        assert reserve_across(one, choice, plain(now), plain(after), 30) is not None


def test_the_dearer_fee_is_held_and_the_dearer_price_of_each_subject() -> None:
    choice = Choice((units(100, rating_subject="half"),), (money(10**6),))
    now = State((Meter(PENNY),), fee_nanos=7, subject_rates=(("half", HALF),))
    after = State((Meter(PENNY),), fee_nanos=9, subject_rates=(("half", TENS),))
    worst, extra = dearest(now, after, 100)
    assert worst.fee_nanos == 9
    assert extra == 2 + 1 + (90 + 1)
    walked = cover(worst, choice, lambda balance: 10**6, 100)
    assert (walked.nanos, dict(walked.taken)) == (1_009, {"units": 100, "money": 1_009})
    gone, _ = dearest(now, State((Meter(PENNY),)), 100)
    assert gone.subject_rates == (("half", None),)


def test_a_maximum_that_disconnects_on_both_sides_ends_the_grant_at_the_lower_one() -> None:
    three, five = (Rate("r", Measure.OCTETS, 10, max_cost_nanos=nanos, disconnect=True) for nanos in (300, 500))
    for now, after in ((three, five), (five, three)):
        one, choice = book(money(10**6))
        assert reserve_across(one, choice, plain(now), plain(after), 31) is None
        assert reserve_across(one, choice, plain(now), plain(after), 30) is not None


def test_a_part_of_a_nano_is_held_whole_and_tiers_that_are_not_reached_add_nothing() -> None:
    third = Rate("r", Measure.OCTETS, 1, 3, tiers=(Tier(100, 1_000, 1, 50),))
    worst, extra = dearest(plain(third), plain(third), 100)
    assert extra == 2
    assert cover(worst, Choice((), (money(9),)), lambda balance: 9, 1).nanos == 1
    assert dearest(plain(third), plain(third), 101)[1] == 2 + 2 * 49_000
    # from octet 100 on the first tier is behind
    behind = plain(third, position=100)
    assert dearest(behind, behind, 1)[1] == 2 + 2 * 49_000
    tens_first = Rate("r", Measure.OCTETS, 10, 1, 10, tiers=(Tier(100, 1, 1, 1),))
    assert dearest(plain(tens_first), plain(tens_first), 100)[1] == 2 + 2 * 90
    assert dearest(plain(tens_first, position=100), plain(tens_first, position=100), 100)[1] == 2


@pytest.mark.parametrize("kind", ["units", "money"])
def test_a_hold_on_a_balance_that_may_no_longer_pay_is_used_first(kind: str) -> None:
    gone = units(100, "gone") if kind == "units" else money(1_000, "gone")
    one, choice = book(gone, units(100), money(1_000))
    choice = Choice(
        tuple(balance for balance in choice.units if balance.id != "gone"),
        tuple(balance for balance in choice.money if balance.id != "gone"),
    )
    own = {"gone": 30 if kind == "units" else 300, "units": 0, "money": 0}
    done = debit(one, choice, state(), 40, own, 30)
    assert done.taken == ({"gone": 30, "units": 10} if kind == "units" else {"gone": 300, "units": 10})
    assert done.overdraft_nanos == 0


def test_where_both_prices_fall_what_is_held_falls_too_and_by_single_octets() -> None:
    """51 octets at 10, and 49 at 2 or at 1."""
    one, other = (Rate("r", Measure.OCTETS, 10, tiers=(Tier(51, nanos, 1, 1),)) for nanos in (1, 2))
    for now, after in ((one, other), (other, one)):
        worst, _ = dearest(plain(now), plain(after), 100)
        assert cover(worst, Choice((), (money(10**6),)), lambda balance: 10**6, 100).nanos == 510 + 98


def test_a_subject_without_a_price_on_one_side_takes_none_from_the_others() -> None:
    now = State((Meter(PENNY),), subject_rates=(("gone", None), ("half", HALF)))
    after = State((Meter(PENNY),), subject_rates=(("gone", PENNY), ("half", TENS)))
    worst, _ = dearest(now, after, 100)
    prices = dict(worst.subject_rates)
    assert prices["gone"] is None
    assert prices["half"] is not None
    assert (prices["half"].price_nanos, prices["half"].unit_size) == (100, 10)
