"""Changes of accounts by people: each leaves an entry, and what cannot be is refused in words."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance, Status
from ocs.balances.adjust import (
    AdjustError,
    open_account,
    remove_balance,
    remove_expired,
    set_status,
    set_value,
    top_up,
)
from ocs.balances.journal import Entry, Posting, differences, fold
from ocs.limits import BALANCE_MAX, BALANCES_PER_ACCOUNT_MAX
from ocs.rating.units import Kind

MONEY = Balance("money", Kind.MONETARY, 100, weight=3, expires_at_ns=9)
DATA = Balance("data", Kind.DATA, 50)


def new(*balances: Balance) -> Account:
    """An account to be opened."""
    return Account("a", 0, "AUD", "plan", balances=balances)


def opened(*balances: Balance) -> tuple[Account, Entry]:
    """It, opened."""
    return open_account(new(*balances), 7, by="me", reason="new")


def test_an_account_is_opened_with_its_balances_filled_by_postings() -> None:
    account, entry = opened(MONEY, DATA, Balance("debt", Kind.MONETARY, -5), Balance("empty", Kind.SMS, 0))
    assert (account.version, entry.version, entry.kind, entry.at_ns) == (1, 1, "open", 7)
    assert (entry.by, entry.reason, entry.account_id) == ("me", "new", "a")
    assert account.balances[:2] == (MONEY, DATA)
    assert [balance.value for balance in account.balances] == [100, 50, -5, 0]
    assert entry.postings == (Posting("money", 100, 0), Posting("data", 50, 0), Posting("debt", -5, 0))
    assert [(b.id, b.value, b.weight) for b in entry.opened[:2]] == [("money", 0, 3), ("data", 0, 0)]
    assert differences(account, fold([entry])) == []


@pytest.mark.parametrize(
    "balances",
    [
        [Balance("m", Kind.MONETARY, 5, held=1)],
        [MONEY, DATA, MONEY],
        [Balance(DEFAULT_BALANCE, Kind.DATA, 5)],
        [Balance(str(number), Kind.SMS, 0) for number in range(BALANCES_PER_ACCOUNT_MAX + 1)],
    ],
)
def test_accounts_that_cannot_be_opened(balances: list[Balance]) -> None:
    with pytest.raises(AdjustError):
        opened(*balances)


def test_as_many_balances_as_the_limit_says_can_be_opened() -> None:
    assert opened(*[Balance(str(number), Kind.SMS, 0) for number in range(BALANCES_PER_ACCOUNT_MAX)])


def test_a_top_up_adds_to_the_balance_and_keeps_its_terms() -> None:
    account, first = opened(MONEY)
    other_terms = Balance("money", Kind.MONETARY, 999, weight=8)
    after, entry = top_up(account, other_terms, 11, 8, by="me", reason="paid")
    assert after.balances == (Balance("money", Kind.MONETARY, 111, weight=3, expires_at_ns=9),)
    assert (after.version, entry.version, entry.kind, entry.by, entry.reason) == (2, 2, "topup", "me", "paid")
    assert (entry.postings, entry.opened, entry.cost_nanos) == ((Posting("money", 11, 0),), (), 0)
    assert differences(after, fold([first, entry])) == []


def test_a_top_up_makes_the_balance_with_its_terms_where_there_is_none() -> None:
    account, first = opened(MONEY)
    after, entry = top_up(account, Balance("b", Kind.DATA, 999, held=9, weight=4), 11, 8, by="me", reason="gift")
    assert after.balances == (MONEY, Balance("b", Kind.DATA, 11, weight=4))
    assert entry.opened == (Balance("b", Kind.DATA, 0, weight=4),)
    assert differences(after, fold([first, entry])) == []


@pytest.mark.parametrize(
    ("target", "amount"),
    [
        (MONEY, 0),
        (MONEY, -1),
        (Balance("money", Kind.DATA, 0), 1),
        (Balance(DEFAULT_BALANCE, Kind.SMS, 0), 1),
    ],
)
def test_top_ups_that_cannot_be(target: Balance, amount: int) -> None:
    account, _ = opened(MONEY)
    with pytest.raises(AdjustError):
        top_up(account, target, amount, 8, by="me", reason="paid")


def test_a_top_up_makes_no_balance_beyond_the_limit_but_fills_those_that_are_there() -> None:
    account, _ = opened(*[Balance(str(number), Kind.SMS, 0) for number in range(BALANCES_PER_ACCOUNT_MAX)])
    with pytest.raises(AdjustError, match="the limit"):
        top_up(account, Balance("more", Kind.SMS, 0), 1, 8, by="me", reason="gift")
    assert top_up(account, Balance("7", Kind.SMS, 0), 1, 8, by="me", reason="gift")[0].balances[7].value == 1


def test_disabling_moves_nothing() -> None:
    account, first = opened(MONEY)
    after, entry = set_status(account, Status.DISABLED, 8, by="me", reason="fraud")
    assert (after.status, after.balances, after.version) == (Status.DISABLED, (MONEY,), 2)
    assert (entry.kind, entry.postings, entry.version) == ("status", (), 2)
    assert not after.usable(8)
    assert differences(after, fold([first, entry])) == []
    assert set_status(after, Status.ACTIVE, 9, by="me", reason="cleared")[0].usable(9)


@pytest.mark.parametrize(("at_ns", "usable"), [(8, True), (9, False), (10, False)])
def test_an_account_is_usable_before_its_expiry_and_not_at_it(at_ns: int, usable: object) -> None:
    assert Account("a", 1, "AUD", "plan", expires_at_ns=9).usable(at_ns) is usable


def standing(*balances: Balance) -> tuple[Account, list[Entry]]:
    """An account as it is after its opening, and after some of it was held."""
    bare = [msgspec.structs.replace(balance, held=0) for balance in balances]
    account, entry = open_account(Account("a", 0, "AUD", "p", balances=tuple(bare)), 1, by="me", reason="new")
    held = tuple(Posting(balance.id, 0, balance.held) for balance in balances if balance.held)
    account = msgspec.structs.replace(account, version=2, balances=balances)
    return account, [entry, Entry("a", 2, "charge", 1, postings=held)]


@pytest.mark.parametrize(
    ("before", "value", "kind"), [(70, 100, "set"), (70, 0, "reset"), (-5, 0, "reset"), (7, -3, "set")]
)
def test_a_balance_is_set_to_a_value_by_a_posting_and_what_is_held_stays(before: int, value: int, kind: str) -> None:
    account, journal = standing(Balance("money", Kind.MONETARY, before, held=4), Balance("other", Kind.DATA, 9))
    after, entry = set_value(account, "money", value, 5, by="me", reason="goodwill")
    assert [(balance.value, balance.held) for balance in after.balances] == [(value, 4), (9, 0)]
    assert (entry.kind, entry.version, entry.at_ns, entry.by, entry.reason) == (kind, 3, 5, "me", "goodwill")
    assert entry.postings == (Posting("money", value - before, 0),)
    assert differences(after, fold([*journal, entry])) == []


def test_a_balance_is_removed_with_what_it_has() -> None:
    account, journal = standing(Balance("gift", Kind.DATA, 70), Balance("money", Kind.MONETARY, 5))
    after, entry = remove_balance(account, "gift", 5, by="me", reason="over")
    assert [balance.id for balance in after.balances] == ["money"]
    assert (entry.kind, entry.postings, entry.closed) == ("remove", (Posting("gift", -70, 0),), ("gift",))
    assert differences(after, fold([*journal, entry])) == []


def test_what_sessions_hold_is_not_removed_and_what_is_not_there_neither() -> None:
    account, _ = standing(Balance("gift", Kind.DATA, 70, held=1))
    with pytest.raises(AdjustError, match="held by open sessions"):
        remove_balance(account, "gift", 5, by="me", reason="over")
    for change in (
        lambda: remove_balance(account, "gone", 5, by="me", reason="over"),
        lambda: set_value(account, "gone", 5, 5, by="me", reason="over"),
    ):
        with pytest.raises(AdjustError, match="no balance gone"):
            change()


def test_expired_balances_are_removed_but_for_those_that_are_held_or_owe() -> None:
    account, journal = standing(
        Balance("now", Kind.DATA, 70, expires_at_ns=10),
        Balance("later", Kind.DATA, 70, expires_at_ns=11),
        Balance("held", Kind.DATA, 70, held=1, expires_at_ns=10),
        Balance("debt", Kind.MONETARY, -1, expires_at_ns=10),
        Balance("empty", Kind.MONETARY, 0, expires_at_ns=10),
        Balance("never", Kind.DATA, 70),
    )
    done = remove_expired(account, 10, by="clock", reason="expiry")
    assert done is not None
    after, entry = done
    assert [balance.id for balance in after.balances] == ["later", "held", "debt", "never"]
    assert (entry.kind, entry.closed) == ("expiry", ("now", "empty"))
    assert differences(after, fold([*journal, entry])) == []
    assert remove_expired(after, 10, by="clock", reason="expiry") is None


def test_a_balance_is_filled_up_to_the_limit_and_not_beyond_it() -> None:
    account, _ = standing(Balance("money", Kind.MONETARY, 5))
    after, _ = top_up(account, MONEY, BALANCE_MAX - 5, 1, by="me", reason="much")
    assert after.balances[0].value == BALANCE_MAX
    with pytest.raises(AdjustError, match="cannot hold as much"):
        top_up(account, MONEY, BALANCE_MAX - 4, 1, by="me", reason="too much")


@pytest.mark.parametrize("value", [BALANCE_MAX + 1, -BALANCE_MAX - 1])
def test_no_balance_is_opened_or_set_beyond_what_any_may_have(value: int) -> None:
    account, _ = opened(MONEY)
    with pytest.raises(AdjustError, match="cannot hold as much"):
        set_value(account, "money", value, 1, by="me", reason="much")
    with pytest.raises(AdjustError, match="cannot hold as much"):
        opened(Balance("m", Kind.MONETARY, value))
