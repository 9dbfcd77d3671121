"""The journal: folding it gives the account, and any disagreement is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Folded, Imbalance, Posting, SharedHold, Sum, differences, disagreements, fold
from ocs.rating.units import Kind

MONEY = Balance("money", Kind.MONETARY, 0)
DATA = Balance("data", Kind.DATA, 0)

ENTRIES = [
    Entry("a", 1, "open", 0, postings=(Posting("money", 100, 0),), opened=(MONEY, DATA)),
    Entry("a", 2, "charge", 0, postings=(Posting("money", 0, 30), Posting("data", 0, 0))),
    Entry("a", 3, "charge", 0, postings=(Posting("money", -20, -30),), cost_nanos=20),
    Entry("a", 4, "topup", 0, postings=(Posting("data", 7, 0),)),
]
RIGHT = (Balance("money", Kind.MONETARY, 80), Balance("data", Kind.DATA, 7))


def account(*balances: Balance, version: int = 4) -> Account:
    """An account after the entries."""
    return Account("a", version, "AUD", "plan", balances=balances)


def test_the_fold_of_entries_is_what_they_did_to_each_balance() -> None:
    assert fold(ENTRIES[:2]) == Folded(2, 2, 0, (Sum("data", 0, 0, 1), Sum("money", 100, 30, 1)))
    assert fold(ENTRIES) == Folded(4, 4, 20, (Sum("data", 7, 0, 1), Sum("money", 80, 0, 1)))
    assert fold([]) == Folded()


def test_a_removed_balance_stays_with_zeros_and_may_be_opened_again() -> None:
    removed = [*ENTRIES, Entry("a", 5, "remove", 0, postings=(Posting("data", -7, 0),), closed=("data",))]
    assert fold(removed).sums == (Sum("data", 0, 0, 0), Sum("money", 80, 0, 1))
    assert differences(account(RIGHT[0], version=5), fold(removed)) == []
    reopened = [*removed, Entry("a", 6, "topup", 0, postings=(Posting("data", 3, 0),), opened=(DATA,))]
    assert fold(reopened).sums == (Sum("data", 3, 0, 1), Sum("money", 80, 0, 1))
    after = account(RIGHT[0], Balance("data", Kind.DATA, 3), version=6)
    assert differences(after, fold(reopened)) == []


entries = st.builds(
    Entry,
    st.just("a"),
    st.integers(1, 9),
    st.sampled_from(["charge", "shared", "refund"]),
    st.just(0),
    postings=st.lists(
        st.builds(Posting, st.sampled_from("xyz"), st.integers(-9, 9), st.integers(-9, 9)),
        max_size=3,
        unique_by=lambda posting: posting.balance_id,
    ).map(tuple),
    opened=st.sampled_from([(), (MONEY,), (MONEY, DATA)]),
    closed=st.sampled_from([(), ("money",), ("x", "data")]),
    cost_nanos=st.integers(0, 9),
    by=st.sampled_from("bc"),
)


@given(st.lists(entries, max_size=8), st.data())
def test_parts_add_up_in_any_order(listed: list[Entry], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(listed))
    cut = data.draw(st.integers(0, len(listed)))
    again = data.draw(st.integers(cut, len(listed)))
    parts = [fold(part) for part in (shuffled[:cut], shuffled[cut:again], shuffled[again:])]
    assert parts[0].plus(parts[1]).plus(parts[2]) == fold(listed)
    assert parts[2].plus(parts[0].plus(parts[1])) == fold(listed)
    assert fold(listed).plus(Folded()) == fold(listed) == Folded().plus(fold(listed))


def test_a_right_ledger_has_no_differences() -> None:
    assert differences(account(*RIGHT), fold(ENTRIES)) == []


def test_each_side_that_disagrees_is_named() -> None:
    wrong = account(Balance("money", Kind.MONETARY, 80, 1), Balance("more", Kind.DATA, 7))
    assert disagreements(wrong, fold(ENTRIES)) == [
        Imbalance("a", "openings", 0, 1, "data"),
        Imbalance("a", "value", 0, 7, "data"),
        Imbalance("a", "held", 1, 0, "money"),
        Imbalance("a", "openings", 1, 0, "more"),
        Imbalance("a", "value", 7, 0, "more"),
    ]
    value = account(Balance("money", Kind.MONETARY, 79), RIGHT[1])
    assert differences(value, fold(ENTRIES)) == ["account a balance money: the value is 79, by the journal it is 80"]


@pytest.mark.parametrize("missing", range(4))
def test_an_entry_that_is_missing_is_noticed(missing: int) -> None:
    (said,) = differences(account(*RIGHT), fold(ENTRIES[:missing] + ENTRIES[missing + 1 :]))
    assert said.startswith("account a: the version is 4, ")


@pytest.mark.parametrize("doubled", range(4))
def test_an_entry_that_is_there_twice_is_noticed(doubled: int) -> None:
    (said,) = differences(account(*RIGHT), fold([*ENTRIES, ENTRIES[doubled]]))
    assert said == "account a: the version is 4, the number of journal entries is 5"


def test_an_entry_of_another_version_in_the_place_of_one_is_noticed() -> None:
    late = msgspec.structs.replace(ENTRIES[3], version=5)
    (said,) = differences(account(*RIGHT), fold([*ENTRIES[:3], late]))
    assert said == "account a: the version is 4, that of the last journal entry is 5"


def test_an_entry_of_another_account_is_not_counted_and_so_noticed() -> None:
    foreign = msgspec.structs.replace(ENTRIES[2], account_id="b")
    (said,) = differences(account(*RIGHT), fold([*ENTRIES[:2], foreign, ENTRIES[3]]))
    assert said == "account a: the version is 4, the number of journal entries is 3"


def test_a_balance_that_was_never_opened_or_twice_is_noticed() -> None:
    never = [msgspec.structs.replace(ENTRIES[0], opened=(MONEY,)), *ENTRIES[1:]]
    assert disagreements(account(*RIGHT), fold(never)) == [Imbalance("a", "openings", 1, 0, "data")]
    twice = [*ENTRIES[:3], msgspec.structs.replace(ENTRIES[3], opened=(DATA,))]
    assert disagreements(account(*RIGHT), fold(twice)) == [Imbalance("a", "openings", 1, 2, "data")]


def test_a_balance_that_was_removed_before_it_was_empty_is_noticed() -> None:
    removed = [*ENTRIES, Entry("a", 5, "remove", 0, closed=("data",))]
    assert disagreements(account(RIGHT[0], version=5), fold(removed)) == [Imbalance("a", "value", 0, 7, "data")]


def test_what_is_held_for_other_accounts_is_told_apart() -> None:
    def shared(version: int, holder: str, held: int) -> Entry:
        return Entry("a", version, "shared", 0, postings=(Posting("money", -1, held),), by=holder)

    said = fold([shared(1, "b", 5), shared(2, "c", 7), shared(3, "b", -2), shared(4, "d", 3), shared(5, "d", -3)])
    assert said.shared == (SharedHold("b", "money", 3), SharedHold("c", "money", 7))
    assert said.sums == (Sum("money", -5, 10, 0),)
