"""Holds and debits over several balances, to the nano: what a grant holds, and what a report takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.balances.cover import Meter, State
from ocs.balances.reserve import Debited, Reserved, debit, release, reserve
from ocs.rating.prices import Rate, price
from ocs.rating.units import Kind, Measure

PENNY = Rate("penny", Measure.OCTETS, 10)
"""10 nanos per octet."""
TENS = Rate("tens", Measure.OCTETS, 100, 10, 10)
"""The same, by tens."""


def units(value: int, balance_id: str = "units", *, held: int = 0, blocker: bool = False) -> Balance:
    """A balance of octets."""
    return Balance(balance_id, Kind.DATA, value, held, blocker=blocker)


def money(value: int, balance_id: str = "money", *, held: int = 0, blocker: bool = False) -> Balance:
    """A balance of nanos."""
    return Balance(balance_id, Kind.MONETARY, value, held, blocker=blocker)


def purse(*balances: Balance) -> tuple[Book, Choice]:
    """A book on these balances, and all of them as the choice, in this order."""
    book = Book(Account("a", 1, "AUD", "plan", balances=balances))
    of_units = tuple(balance for balance in balances if balance.kind is not Kind.MONETARY)
    return book, Choice(of_units, tuple(balance for balance in balances if balance.kind is Kind.MONETARY))


def fresh(rate: Rate, fee: int = 0) -> State:
    """A segment that has not begun."""
    return begun(rate, 0, 0, fee)


def begun(rate: Rate, priced: int, charged_nanos: int, fee: int = 0) -> State:
    """A segment in which so much was priced and charged; the fee is still due."""
    return State((Meter(rate, "", 0, priced, charged_nanos),), position=priced, fee_nanos=fee)


def report(book: Book, choice: Choice, state: State, usage: int, holds: Sequence[tuple[str, int]]) -> Debited:
    """Debit usage for which these holds were made."""
    release(book, holds)
    return debit(book, choice, state, usage, dict(holds))


def figures(done: Debited) -> tuple[int, int, int, int, int]:
    """(by units, priced and charged in the segment, fee, overdraft)."""
    meter = done.state.meters[0]
    return done.by_units, meter.priced, meter.charged_nanos, done.fee_nanos, done.overdraft_nanos


@pytest.mark.parametrize(
    ("balances", "rate", "fee", "expected"),
    [
        # all by units, all by money, both
        ([units(100), money(9)], PENNY, 0, Reserved(100, (("units", 100),), "")),
        ([money(1_000)], PENNY, 0, Reserved(100, (("money", 1_000),), "")),
        ([units(60), money(400)], PENNY, 0, Reserved(100, (("units", 60), ("money", 400)), "")),
        # over several balances, in the order given, what others hold left alone
        (
            [units(50, "u1", held=20), units(20, "u2"), money(300, "m1", held=100), money(900, "m2")],
            PENNY,
            0,
            Reserved(100, (("u1", 30), ("u2", 20), ("m1", 200), ("m2", 300)), ""),
        ),
        # short of credit
        ([units(60), money(399)], PENNY, 0, Reserved(99, (("units", 60), ("money", 390)), "no_credit")),
        ([units(60)], PENNY, 0, Reserved(60, (("units", 60),), "no_credit")),
        ([money(9)], PENNY, 0, Reserved(0, (), "no_credit")),
        ([], PENNY, 0, Reserved(0, (), "no_credit")),
        # increments: the tens are held whole, the granted octets are those of the tens
        ([money(99)], TENS, 0, Reserved(0, (), "no_credit")),
        ([money(950)], TENS, 0, Reserved(90, (("money", 900),), "no_credit")),
        ([units(5), money(950)], TENS, 0, Reserved(95, (("units", 5), ("money", 900)), "no_credit")),
        # the fee is held before anything, in money, also where units pay
        ([units(100), money(7)], PENNY, 7, Reserved(100, (("money", 7), ("units", 100)), "")),
        ([units(100), money(6)], PENNY, 7, Reserved(0, (), "no_credit")),
        ([money(107)], PENNY, 7, Reserved(10, (("money", 107),), "no_credit")),
        ([money(106)], PENNY, 7, Reserved(9, (("money", 97),), "no_credit")),
        ([money(4, "m1"), money(4, "m2")], PENNY, 7, Reserved(0, (), "no_credit")),
        # a debt counts against the rest
        ([money(-50, "m1"), money(150, "m2")], PENNY, 0, Reserved(10, (("m2", 100),), "no_credit")),
        ([money(100, "m1", held=150), money(150, "m2")], PENNY, 0, Reserved(10, (("m2", 100),), "no_credit")),
        ([money(-1)], PENNY, 0, Reserved(0, (), "no_credit")),
        # blockers: nothing after them pays
        ([units(60, blocker=True), money(9_000)], PENNY, 0, Reserved(60, (("units", 60),), "blocked")),
        ([units(100, blocker=True), money(9_000)], PENNY, 0, Reserved(100, (("units", 100),), "")),
        ([units(60, "u1", blocker=True), units(90, "u2")], PENNY, 0, Reserved(60, (("u1", 60),), "blocked")),
        ([units(0, blocker=True), money(9_000)], PENNY, 0, Reserved(0, (), "blocked")),
        ([units(60, blocker=True), money(9_000)], PENNY, 7, Reserved(60, (("money", 7), ("units", 60)), "blocked")),
        (
            [money(300, "m1", blocker=True), money(9_000, "m2")],
            PENNY,
            0,
            Reserved(30, (("m1", 300),), "blocked"),
        ),
        ([money(300, blocker=True)], PENNY, 0, Reserved(30, (("money", 300),), "no_credit")),
        # what costs nothing needs nothing
        ([], Rate("zero", Measure.OCTETS), 0, Reserved(100, (), "")),
    ],
)
def test_what_is_reserved_for_a_hundred_octets(
    balances: list[Balance], rate: Rate, fee: int, expected: Reserved
) -> None:
    book, choice = purse(*balances)
    before = {balance.id: balance.held for balance in balances}
    assert reserve(book, choice, fresh(rate, fee), 100) == expected
    assert {b.id: b.held - before[b.id] for b in book.close()[0].account.balances if b.held != before[b.id]} == dict(
        expected.holds
    )


@pytest.mark.parametrize(("wanted", "amount"), [(100, 100), (95, 95), (105, 100), (200, 100)])
def test_less_than_wanted_is_cut_to_what_clients_can_count(wanted: int, amount: int) -> None:
    book, choice = purse(units(47), money(560))
    held = reserve(book, choice, fresh(PENNY), wanted, granularity=25)
    assert held.amount == amount
    assert held.holds == (("units", 47), ("money", (amount - 47) * 10))
    book, choice = purse(units(24))
    assert reserve(book, choice, fresh(PENNY), 100, granularity=25) == Reserved(0, (), "no_credit")
    assert book.held("units") == 0


def test_a_segment_goes_on_where_it_stands() -> None:
    book, choice = purse(money(1_000))
    assert reserve(book, choice, begun(TENS, 15, 200), 10) == Reserved(10, (("money", 100),), "")
    book, choice = purse(money(0))
    assert reserve(book, choice, begun(TENS, 15, 200), 10) == Reserved(5, (), "no_credit")


@pytest.mark.parametrize(
    ("balances", "holds", "usage", "expected", "values"),
    [
        # own holds first, units exactly, money by what the segment costs; the rest is given back
        ([units(60, held=60), money(400, held=400)], [60, 400], 100, (60, 40, 400, 0, 0), [0, 0]),
        ([units(60, held=60), money(400, held=400)], [60, 400], 61, (60, 1, 10, 0, 0), [0, 390]),
        ([units(60, held=60), money(400, held=400)], [60, 400], 59, (59, 0, 0, 0, 0), [1, 400]),
        ([units(60, held=60), money(400, held=400)], [60, 400], 0, (0, 0, 0, 0, 0), [60, 400]),
        # beyond the grant: units that are there, then money that is there, then a debt
        ([units(70, held=60), money(900, held=400)], [60, 400], 120, (70, 50, 500, 0, 0), [0, 400]),
        ([units(60, held=60), money(400, held=400)], [60, 400], 130, (60, 70, 700, 0, 300), [0, -300]),
        # what others hold is not touched
        ([units(80, held=70), money(900, held=700)], [60, 400], 150, (70, 80, 800, 0, 200), [10, 100]),
        # without a grant: units, then money
        ([units(60), money(400)], [0, 0], 90, (60, 30, 300, 0, 0), [0, 100]),
        # units that came after the grant do not pay for what money was held for
        ([units(90), money(400, held=400)], [0, 400], 40, (0, 40, 400, 0, 0), [90, 0]),
    ],
)
def test_what_a_report_takes(
    balances: list[Balance],
    holds: Sequence[int],
    usage: int,
    expected: tuple[int, ...],
    values: list[int],
) -> None:
    book, choice = purse(*balances)
    own = [(balance.id, amount) for balance, amount in zip(balances, holds, strict=True) if amount]
    others = [balance.held - amount for balance, amount in zip(balances, holds, strict=True)]
    assert figures(report(book, choice, fresh(PENNY), usage, own)) == expected
    after = book.close()[0].account.balances
    assert [balance.value for balance in after] == values
    assert [balance.held for balance in after] == others


@pytest.mark.parametrize(("usage", "fee"), [(0, 0), (1, 7), (100, 7)])
def test_the_fee_comes_with_the_first_usage_above_none_and_also_where_units_pay(usage: int, fee: int) -> None:
    book, choice = purse(units(100, held=100), money(7, held=7))
    done = report(book, choice, fresh(PENNY, 7), usage, [("units", 100), ("money", 7)])
    assert figures(done) == (usage, 0, 0, fee, 0)
    assert book.available("money") == 7 - fee


def test_a_segment_that_was_charged_more_is_never_lowered() -> None:
    book, choice = purse(money(100))
    assert figures(debit(book, choice, begun(TENS, 1, 500), 1)) == (0, 2, 500, 0, 0)
    assert book.available("money") == 100


def test_an_own_hold_pays_though_the_value_fell_below_what_is_held() -> None:
    book, choice = purse(money(50, "m1", held=100), money(1_000, "m2"))
    done = report(book, choice, fresh(PENNY), 10, [("m1", 100)])
    assert done.overdraft_nanos == 0
    assert [balance.value for balance in book.close()[0].account.balances] == [-50, 1_000]


def test_a_debt_is_owed_on_the_last_money_balance_or_a_new_default_one() -> None:
    book, choice = purse(money(5, "m1"), money(6, "m2"))
    assert debit(book, choice, fresh(PENNY), 2).overdraft_nanos == 9
    assert [balance.value for balance in book.close()[0].account.balances] == [0, -9]
    book, choice = purse(units(1))
    assert figures(debit(book, choice, fresh(PENNY), 3)) == (1, 2, 20, 0, 20)
    assert [(balance.id, balance.value) for balance in book.close()[0].account.balances] == [
        ("units", 0),
        (DEFAULT_BALANCE, -20),
    ]


def test_a_release_gives_everything_back() -> None:
    book, choice = purse(units(60), money(400))
    release(book, reserve(book, choice, fresh(PENNY), 100).holds)
    assert book.close()[0].postings == ()


@st.composite
def purses(draw: st.DrawFn, blockers: st.SearchStrategy[bool] = st.booleans()) -> list[Balance]:  # noqa: B008
    """Unit and money balances in any state that can be: units are never below what is held, money may be."""
    found = [
        units(held + draw(st.integers(0, 300)), f"u{number}", held=held, blocker=draw(blockers))
        for number, held in enumerate(draw(st.lists(st.integers(0, 50), max_size=3)))
    ]
    return found + [
        money(held + draw(st.integers(-500, 3_000)), f"m{number}", held=held, blocker=draw(blockers))
        for number, held in enumerate(draw(st.lists(st.integers(0, 500), max_size=3)))
    ]


STANDINGS = st.builds(
    lambda rate, priced, fee: begun(rate, priced, price(rate, priced), fee),
    st.builds(Rate, st.just("r"), st.just(Measure.OCTETS), st.integers(0, 30), st.integers(1, 20), st.integers(1, 30)),
    st.integers(0, 100),
    st.sampled_from([0, 0, 1, 250]),
)


@pytest.mark.conformance("B41")
@given(purses(), STANDINGS, st.integers(1, 600), st.sampled_from([1, 10]), st.integers(0, 600))
def test_a_grant_can_always_be_used_up_without_a_debt(
    balances: list[Balance], standing: State, wanted: int, granularity: int, usage: int
) -> None:
    book, choice = purse(*balances)
    held = reserve(book, choice, standing, wanted, granularity)
    of_units = sum(amount for balance_id, amount in held.holds if balance_id[0] == "u")
    of_money = sum(amount for balance_id, amount in held.holds if balance_id[0] == "m")
    assert 0 <= held.amount <= wanted
    assert held.amount == wanted or held.amount % granularity == 0
    assert (held.short == "") == (held.amount == wanted)
    for balance_id, amount in held.holds:
        assert amount > 0
        assert book.available(balance_id) >= 0
    if not held.amount:
        assert held.holds == ()
        return
    meter = standing.meters[0]
    priced = meter.priced + held.amount - of_units
    assert of_money == price(meter.rate, priced) - meter.charged_nanos + standing.fee_nanos
    done = report(book, choice, standing, min(usage, held.amount), held.holds)
    assert done.overdraft_nanos == 0
    assert done.by_units == min(usage, of_units)
    after = {balance.id: balance for balance in book.close()[0].account.balances}
    assert all(after[balance.id].held == balance.held for balance in balances)
    spent = sum(balance.value - after[balance.id].value for balance in balances if balance.kind is Kind.MONETARY)
    assert spent == done.cost_nanos


@given(purses(st.just(False)), STANDINGS, st.integers(0, 2_000))
def test_what_was_delivered_is_always_debited_whole(balances: list[Balance], standing: State, usage: int) -> None:
    book, choice = purse(*balances)
    done = debit(book, choice, standing, usage)
    available = sum(max(0, balance.available) for balance in balances if balance.kind is not Kind.MONETARY)
    assert done.by_units == min(usage, available)
    meter, after_meter = standing.meters[0], done.state.meters[0]
    assert after_meter.priced == meter.priced + usage - done.by_units
    assert after_meter.charged_nanos == price(meter.rate, after_meter.priced)
    due = done.cost_nanos
    assert due == after_meter.charged_nanos - meter.charged_nanos + done.fee_nanos
    credit = sum(max(0, balance.available) for balance in balances if balance.kind is Kind.MONETARY)
    assert done.overdraft_nanos == max(0, due - credit)
    closed = book.close()[0]
    postings = closed.postings
    kinds = {balance.id: balance.kind for balance in closed.account.balances}
    assert -sum(p.value for p in postings if kinds[p.balance_id] is Kind.MONETARY) == due
    assert -sum(p.value for p in postings if kinds[p.balance_id] is not Kind.MONETARY) == done.by_units
    assert all(p.held == 0 for p in postings)
