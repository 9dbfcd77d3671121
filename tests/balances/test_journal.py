"""The journal: folding it gives the account, and any disagreement is named."""

from __future__ import annotations

from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Posting, differences, fold
from ocs.rating.units import Kind

MONEY = Balance("money", Kind.MONETARY, 0)
DATA = Balance("data", Kind.DATA, 0)

ENTRIES = [
    Entry("a", 1, "open", 0, postings=(Posting("money", 100, 0),), opened=(MONEY, DATA)),
    Entry("a", 2, "charge", 0, postings=(Posting("money", 0, 30), Posting("data", 0, 0))),
    Entry("a", 3, "charge", 0, postings=(Posting("money", -20, -30),)),
    Entry("a", 4, "topup", 0, postings=(Posting("data", 7, 0),)),
]


def account(money: Balance, *others: Balance) -> Account:
    """An account after the entries."""
    return Account("a", 4, "AUD", "plan", balances=(money, *others))


def test_the_fold_of_all_entries_is_value_and_held_of_each_balance() -> None:
    assert fold(ENTRIES[:2]) == {"money": (100, 30), "data": (0, 0)}
    assert fold(ENTRIES) == {"money": (80, 0), "data": (7, 0)}
    assert fold([]) == {}


def test_a_closed_balance_is_gone_and_may_be_opened_again() -> None:
    closed = [*ENTRIES, Entry("a", 5, "adjust", 0, closed=("data",))]
    assert fold(closed) == {"money": (80, 0)}
    assert fold([*closed, Entry("a", 6, "topup", 0, postings=(Posting("data", 3, 0),), opened=(DATA,))]) == {
        "money": (80, 0),
        "data": (3, 0),
    }


def test_a_right_ledger_has_no_differences() -> None:
    assert differences(account(Balance("money", Kind.MONETARY, 80), Balance("data", Kind.DATA, 7)), ENTRIES) == []


def test_each_balance_that_disagrees_is_named_with_both_sides() -> None:
    wrong = account(Balance("money", Kind.MONETARY, 80, 1), Balance("more", Kind.DATA, 7))
    assert differences(wrong, ENTRIES) == [
        "account a balance data: (value, held) is None, the journal says (7, 0)",
        "account a balance money: (value, held) is (80, 1), the journal says (80, 0)",
        "account a balance more: (value, held) is (7, 0), the journal says None",
    ]
    value = account(Balance("money", Kind.MONETARY, 79), Balance("data", Kind.DATA, 7))
    assert len(differences(value, ENTRIES)) == 1
