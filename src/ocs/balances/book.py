"""The working copy of accounts during one decision: every change of a balance goes through it and is posted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance
from ocs.balances.choice import OWNER_SEPARATOR, ref
from ocs.balances.journal import Posting
from ocs.rating.units import Kind


class Closed(NamedTuple):
    """One account after the changes: its balances, a posting per balance that changed, balances opened and closed."""

    account: Account
    postings: tuple[Posting, ...]
    opened: tuple[Balance, ...]
    closed: tuple[str, ...]


class Book:
    """Collects holds, releases, debits and credits on the balances of an account, and of those that share with it.

    Balances of the others are named `choice.ref(owner, id)`. It lives inside one pure call; `close()` gives what became
    of each account that changed.
    """

    __slots__ = ("_changes", "_others", "_stated", "account", "opened", "removed")

    def __init__(self, account: Account, others: Sequence[Account] = ()) -> None:
        self.account = account
        self._others = others
        self._stated = {balance.id: balance for balance in account.balances}
        for other in others:
            self._stated.update({ref(other.id, balance.id): balance for balance in other.balances})
        self._changes: dict[str, list[int]] = {}
        self.removed: list[str] = []
        self.opened: list[Balance] = []

    def balance(self, balance_id: str) -> Balance:
        """A balance as it was at the start, under the name that it has here."""
        balance = self._stated[balance_id]
        return balance if balance.id == balance_id else msgspec.structs.replace(balance, id=balance_id)

    def has(self, balance_id: str) -> bool:
        """Whether there is such a balance."""
        return balance_id in self._stated

    def value(self, balance_id: str) -> int:
        """The value, after the changes so far."""
        change = self._changes.get(balance_id)
        return self._stated[balance_id].value + (0 if change is None else change[0])

    def available(self, balance_id: str) -> int:
        """Value - held, after the changes so far; may be negative."""
        balance = self._stated[balance_id]
        change = self._changes.get(balance_id)
        return balance.available if change is None else balance.available + change[0] - change[1]

    def held(self, balance_id: str) -> int:
        """What is held, after the changes so far."""
        change = self._changes.get(balance_id)
        return self._stated[balance_id].held + (0 if change is None else change[1])

    def kind(self, balance_id: str) -> Kind:
        """Kind of a balance."""
        return self._stated[balance_id].kind

    def hold(self, balance_id: str, amount: int) -> None:
        """Hold `amount` >= 0 of what is available; holding more is a bug, but where the account may be negative."""
        assert amount >= 0, (balance_id, amount)
        assert amount <= self.available(balance_id) or self.account.allow_negative, (balance_id, amount)
        self._post(balance_id, 0, amount)

    def release(self, balance_id: str, amount: int) -> None:
        """Give back `amount` of what is held."""
        assert 0 <= amount <= self.held(balance_id), (balance_id, amount)
        self._post(balance_id, 0, -amount)

    def debit(self, balance_id: str, amount: int) -> None:
        """Take `amount` >= 0 off the value, which may go below zero."""
        assert amount >= 0, (balance_id, amount)
        self._post(balance_id, -amount, 0)

    def credit(self, balance_id: str, amount: int) -> None:
        """Add `amount` >= 0 to the value."""
        assert amount >= 0, (balance_id, amount)
        self._post(balance_id, amount, 0)

    def open(self, balance: Balance) -> None:
        """Add a balance; its value comes by a posting, so that the journal starts at zero."""
        assert balance.id not in self._stated, balance.id
        assert balance.value == 0, balance.id
        assert balance.held == 0, balance.id
        self._stated[balance.id] = balance
        self.opened.append(balance)

    def remove(self, balance_id: str) -> None:
        """Take a balance off the account: what it still had is debited. One that is held cannot be removed."""
        assert not self.held(balance_id), balance_id
        self._post(balance_id, -self.value(balance_id), 0)
        self.removed.append(balance_id)

    def debtor(self, money: Sequence[Balance]) -> str:
        """The balance that takes an overdraft: the last own one that may pay, else `*default`, made if it is missing.

        Money without conditions takes it, too: what has expired, or is for other calls, pays nobody's debt.
        """
        for balance in reversed(money):
            if OWNER_SEPARATOR not in balance.id:
                return balance.id
        if DEFAULT_BALANCE in self._stated:
            return DEFAULT_BALANCE
        unbound = [balance for balance in (*self.account.balances, *self.opened) if _is_unbound(balance)]
        if unbound:
            return max(unbound, key=lambda balance: (-balance.weight, balance.id)).id
        self.open(Balance(DEFAULT_BALANCE, Kind.MONETARY, 0))
        return DEFAULT_BALANCE

    def money_taken(self) -> int:
        """Nanos that all money balances together have less than at the start."""
        return -sum(change[0] for name, change in self._changes.items() if self._stated[name].kind is Kind.MONETARY)

    def close(self) -> list[Closed]:
        """What became of the accounts, the own one first, then those of the others that changed."""
        closed = [self._close(self.account, "", tuple(self.opened))]
        for other in self._others:
            after = self._close(other, other.id, ())
            if after.postings:
                closed.append(after)
        return closed

    def _close(self, account: Account, owner: str, opened: tuple[Balance, ...]) -> Closed:
        changed = False
        balances = []
        postings = []
        for balance in (*account.balances, *opened):
            name = ref(owner, balance.id) if owner else balance.id
            change = self._changes.get(name)
            if change is not None and (change[0] or change[1]):
                value, held = change
                postings.append(Posting(balance.id, value, held))
                balance = msgspec.structs.replace(balance, value=balance.value + value, held=balance.held + held)
                changed = True
            if name in self.removed:
                changed = True
            else:
                balances.append(balance)
        if changed or opened:
            account = msgspec.structs.replace(account, balances=tuple(balances))
        removed = () if owner else tuple(self.removed)
        return Closed(account, tuple(postings), opened, removed)

    def _post(self, balance_id: str, value: int, held: int) -> None:
        change = self._changes.get(balance_id)
        if change is None:
            if balance_id not in self._stated:
                raise KeyError(balance_id)
            self._changes[balance_id] = [value, held]
        else:
            change[0] += value
            change[1] += held


def _is_unbound(balance: Balance) -> bool:
    """Whether money may be used for everything, at all times and at the price of the event."""
    bound = balance.destinations or balance.categories or balance.timings or balance.rating_subject
    return balance.kind is Kind.MONETARY and not (bound or balance.disabled or balance.expires_at_ns is not None)
