"""Changes of accounts by people: opening, topping up, enabling and disabling. Pure; each leaves a journal entry."""

from __future__ import annotations

import msgspec

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance, Status
from ocs.balances.book import Book
from ocs.balances.journal import Entry
from ocs.limits import BALANCE_MAX, BALANCES_PER_ACCOUNT_MAX
from ocs.rating.units import Kind


class AdjustError(Exception):
    """A change that cannot be made; the message says why, and what to do."""


def open_account(new: Account, now_ns: int, *, by: str, reason: str) -> tuple[Account, Entry]:
    """(the account with version 1, its first entry): each balance is opened empty and filled by a posting."""
    if len(new.balances) > BALANCES_PER_ACCOUNT_MAX:
        raise AdjustError(f"an account has at most {BALANCES_PER_ACCOUNT_MAX} balances, not {len(new.balances)}")
    book = Book(msgspec.structs.replace(new, balances=()))
    if len({balance.id for balance in new.balances}) < len(new.balances):
        raise AdjustError(f"account {new.id}: two balances have the same id")
    for balance in new.balances:
        _check_terms(balance)
        check_value(new.id, balance.id, balance.value)
        if balance.held:
            raise AdjustError(f"balance {balance.id}: a new balance holds nothing")
        book.open(msgspec.structs.replace(balance, value=0))
        if balance.value >= 0:
            book.credit(balance.id, balance.value)
        else:
            book.debit(balance.id, -balance.value)
    return _close(msgspec.structs.replace(new, version=0), book, "open", now_ns, by, reason)


def top_up(
    account: Account, target: Balance, amount: int, now_ns: int, *, by: str, reason: str
) -> tuple[Account, Entry]:
    """Add `amount` > 0 base units to the balance with the id of `target`; it is made with target's terms if missing."""
    if amount <= 0:
        raise AdjustError(f"a top-up adds something: {amount} is not above 0")
    book = Book(account)
    present = next((balance for balance in account.balances if balance.id == target.id), None)
    if present is None:
        if len(account.balances) >= BALANCES_PER_ACCOUNT_MAX:
            raise AdjustError(f"account {account.id} has {BALANCES_PER_ACCOUNT_MAX} balances, which is the limit")
        _check_terms(target)
        book.open(msgspec.structs.replace(target, value=0, held=0))
    elif present.kind is not target.kind:
        raise AdjustError(
            f"balance {target.id} of account {account.id} is {present.kind.value}, not {target.kind.value}"
        )
    check_value(account.id, target.id, book.value(target.id) + amount)
    book.credit(target.id, amount)
    return _close(account, book, "topup", now_ns, by, reason)


def check_value(account_id: str, balance_id: str, value: int) -> None:
    """AdjustError where a balance would have more than any may (in its base unit), or owe more."""
    if abs(value) > BALANCE_MAX:
        raise AdjustError(f"balance {balance_id} of account {account_id} cannot hold as much")


def _check_terms(balance: Balance) -> None:
    """What was delivered beyond all credit is owed in money, whatever it was."""
    if balance.id == DEFAULT_BALANCE and balance.kind is not Kind.MONETARY:
        raise AdjustError(f"balance {balance.id} takes debts: it is {Kind.MONETARY.value}, not {balance.kind.value}")


def set_status(account: Account, status: Status, now_ns: int, *, by: str, reason: str) -> tuple[Account, Entry]:
    """Enable or disable an account; what it holds and owes stays."""
    return _close(msgspec.structs.replace(account, status=status), Book(account), "status", now_ns, by, reason)


def set_value(
    account: Account, balance_id: str, value: int, now_ns: int, *, by: str, reason: str
) -> tuple[Account, Entry]:
    """Set a balance to `value` base units (0 = reset it); what is held of it stays held."""
    book = Book(account)
    _require(account, balance_id)
    check_value(account.id, balance_id, value)
    change = value - book.value(balance_id)
    if change >= 0:
        book.credit(balance_id, change)
    else:
        book.debit(balance_id, -change)
    return _close(account, book, "reset" if not value else "set", now_ns, by, reason)


def remove_balance(account: Account, balance_id: str, now_ns: int, *, by: str, reason: str) -> tuple[Account, Entry]:
    """Take a balance off the account, with what it has; one that sessions hold on cannot go."""
    if _require(account, balance_id).held:
        raise AdjustError(f"balance {balance_id} of account {account.id} is held by open sessions: disable it instead")
    book = Book(account)
    book.remove(balance_id)
    return _close(account, book, "remove", now_ns, by, reason)


def remove_expired(account: Account, now_ns: int, *, by: str, reason: str) -> tuple[Account, Entry] | None:
    """Take expired balances off the account; None if there is none to take.

    One that open sessions hold stays until they are over. A debt outlives its balance: one below zero stays.
    """
    book = Book(account)
    for balance in account.balances:
        over = balance.expires_at_ns is not None and balance.expires_at_ns <= now_ns
        if over and not balance.held and balance.value >= 0:
            book.remove(balance.id)
    if not book.removed:
        return None
    return _close(account, book, "expiry", now_ns, by, reason)


def _require(account: Account, balance_id: str) -> Balance:
    for balance in account.balances:
        if balance.id == balance_id:
            return balance
    raise AdjustError(f"account {account.id} has no balance {balance_id}")


def _close(account: Account, book: Book, kind: str, now_ns: int, by: str, reason: str) -> tuple[Account, Entry]:
    own = book.close()[0]
    after = msgspec.structs.replace(account, version=account.version + 1, balances=own.account.balances)
    entry = Entry(
        account.id,
        after.version,
        kind,
        now_ns,
        postings=own.postings,
        opened=own.opened,
        closed=own.closed,
        by=by,
        reason=reason,
    )
    return after, entry
