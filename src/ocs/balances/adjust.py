"""Changes of accounts by people: opening, topping up, enabling and disabling. Pure; each leaves a journal entry."""

from __future__ import annotations

import msgspec

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance, Status
from ocs.balances.book import Book
from ocs.balances.journal import Entry
from ocs.limits import BALANCES_PER_ACCOUNT_MAX
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
        if balance.held:
            raise AdjustError(f"balance {balance.id}: a new balance holds nothing")
        book.open(msgspec.structs.replace(balance, value=0))
        if balance.value >= 0:
            book.credit(balance.id, balance.value)
        else:
            book.debit(balance.id, -balance.value)
    balances, postings = book.close()
    entry = Entry(new.id, 1, "open", now_ns, postings=postings, opened=tuple(book.opened), by=by, reason=reason)
    return msgspec.structs.replace(new, version=1, balances=balances), entry


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
    book.credit(target.id, amount)
    return _close(account, book, "topup", now_ns, by, reason)


def _check_terms(balance: Balance) -> None:
    """What was delivered beyond all credit is owed in money, whatever it was."""
    if balance.id == DEFAULT_BALANCE and balance.kind is not Kind.MONETARY:
        raise AdjustError(f"balance {balance.id} takes debts: it is {Kind.MONETARY.value}, not {balance.kind.value}")


def set_status(account: Account, status: Status, now_ns: int, *, by: str, reason: str) -> tuple[Account, Entry]:
    """Enable or disable an account; what it holds and owes stays."""
    return _close(msgspec.structs.replace(account, status=status), Book(account), "status", now_ns, by, reason)


def _close(account: Account, book: Book, kind: str, now_ns: int, by: str, reason: str) -> tuple[Account, Entry]:
    balances, postings = book.close()
    after = msgspec.structs.replace(account, version=account.version + 1, balances=balances)
    opened = tuple(book.opened)
    return after, Entry(account.id, after.version, kind, now_ns, postings=postings, opened=opened, by=by, reason=reason)
