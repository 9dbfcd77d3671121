"""The working copy of an account: what is held, released, debited and posted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance
from ocs.balances.book import Book
from ocs.balances.journal import Posting
from ocs.rating.units import Kind


def book_of(*balances: Balance) -> Book:
    """A book on an account with these balances."""
    return Book(Account("a", 1, "AUD", "plan", balances=balances))


def money(balance_id: str, value: int, held: int = 0, destinations: tuple[str, ...] = ()) -> Balance:
    """A monetary balance."""
    return Balance(balance_id, Kind.MONETARY, value, held, destinations=destinations)


def closed(book: Book) -> tuple[tuple[Balance, ...], tuple[Posting, ...]]:
    """(balances, postings) of the account of a book."""
    (own,) = book.close()
    return own.account.balances, own.postings


def test_changes_are_seen_at_once_and_posted_once_per_balance() -> None:
    book = book_of(money("m", 100, 30), Balance("b", Kind.DATA, 50), money("other", 5))
    book.hold("m", 20)
    book.debit("m", 10)
    book.release("m", 50)
    book.credit("m", 1)
    book.hold("b", 50)
    assert (book.available("m"), book.held("m"), book.available("b"), book.kind("b")) == (91, 0, 0, Kind.DATA)
    balances, postings = closed(book)
    assert [(b.id, b.value, b.held) for b in balances] == [("m", 91, 0), ("b", 50, 50), ("other", 5, 0)]
    assert postings == (Posting("m", -9, -30), Posting("b", 0, 50))


def test_what_comes_to_nothing_is_not_posted() -> None:
    book = book_of(money("m", 100))
    book.hold("m", 20)
    book.release("m", 20)
    assert closed(book)[1] == ()


@pytest.mark.parametrize("amount", [-1, 71])
def test_no_more_can_be_held_than_is_available(amount: int) -> None:
    with pytest.raises(AssertionError):
        book_of(money("m", 100, 30)).hold("m", amount)


@pytest.mark.parametrize("amount", [-1, 31])
def test_no_more_can_be_released_than_is_held(amount: int) -> None:
    with pytest.raises(AssertionError):
        book_of(money("m", 100, 30)).release("m", amount)


def test_debits_and_credits_are_not_negative_and_a_debit_may_go_below_zero() -> None:
    book = book_of(money("m", 100))
    with pytest.raises(AssertionError):
        book.debit("m", -1)
    with pytest.raises(AssertionError):
        book.credit("m", -1)
    book.debit("m", 150)
    assert book.available("m") == -50


def test_an_unknown_balance_is_a_fault_of_the_caller() -> None:
    with pytest.raises(KeyError):
        book_of().debit("gone", 1)


def test_a_balance_is_opened_empty_and_once() -> None:
    book = book_of(money("m", 1))
    for wrong in (money("m", 0), money("n", 1), money("n", 0, 1)):
        with pytest.raises(AssertionError):
            book.open(wrong)
    book.open(money("n", 0))
    book.credit("n", 7)
    balances, postings = closed(book)
    assert [(b.id, b.value) for b in balances] == [("m", 1), ("n", 7)]
    assert (postings, book.opened) == ((Posting("n", 7, 0),), [money("n", 0)])


def test_debts_go_to_the_last_balance_that_may_pay() -> None:
    payers = (money("first", 1), money("last", 1))
    assert book_of(money("other", 1), *payers).debtor(payers) == "last"


def test_debts_go_to_money_for_everything_before_a_default_balance_is_made() -> None:
    book = book_of(Balance("b", Kind.DATA, 1), money("calls", 1, destinations=("mobile",)), money("all", 1))
    assert book.debtor(()) == "all"
    book = book_of(Balance("b", Kind.DATA, 1), money("calls", 1, destinations=("mobile",)))
    assert book.debtor(()) == DEFAULT_BALANCE
    assert book.debtor(()) == DEFAULT_BALANCE
    assert book.opened == [money(DEFAULT_BALANCE, 0)]


@given(st.lists(st.tuples(st.sampled_from(["hold", "release", "debit", "credit"]), st.integers(0, 50)), max_size=30))
def test_postings_are_the_difference_between_before_and_after(changes: list[tuple[str, int]]) -> None:
    book = book_of(money("m", 100, 10))
    value, held = 100, 10
    for name, amount in changes:
        if name == "hold" and amount <= value - held:
            book.hold("m", amount)
            held += amount
        elif name == "release" and amount <= held:
            book.release("m", amount)
            held -= amount
        elif name == "debit":
            book.debit("m", amount)
            value -= amount
        elif name == "credit":
            book.credit("m", amount)
            value += amount
    (after,), postings = closed(book)
    assert (after.value, after.held, book.available("m"), book.held("m")) == (value, held, value - held, held)
    assert sum(p.value for p in postings) == value - 100
    assert sum(p.held for p in postings) == held - 10
