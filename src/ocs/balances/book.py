"""The working copy of an account during one decision: every change of a balance goes through it and is posted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ocs.balances.account import DEFAULT_BALANCE, Account, Balance
from ocs.balances.journal import Posting
from ocs.rating.units import Kind


class Book:
    """Collects holds, releases, debits and credits on the balances of one account.

    It lives inside one pure call. `close()` gives the new balances and the postings that lead to them.
    """

    __slots__ = ("_account", "_changes", "_stated", "opened")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._stated = {balance.id: balance for balance in account.balances}
        self._changes: dict[str, list[int]] = {}
        self.opened: list[Balance] = []

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
        """Kind of a balance of the account."""
        return self._stated[balance_id].kind

    def hold(self, balance_id: str, amount: int) -> None:
        """Hold `amount` >= 0 of what is available; holding more than that is a bug of the caller."""
        assert 0 <= amount <= self.available(balance_id), (balance_id, amount)
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

    def debtor(self, money: Sequence[Balance]) -> str:
        """The balance that takes an overdraft: the last money balance that may pay, else any, else a new `*default`."""
        if money:
            return money[-1].id
        for balance in self._stated.values():
            if balance.kind is Kind.MONETARY and not balance.destinations:
                return balance.id
        if DEFAULT_BALANCE not in self._stated:
            self.open(Balance(DEFAULT_BALANCE, Kind.MONETARY, 0))
        return DEFAULT_BALANCE

    def close(self) -> tuple[tuple[Balance, ...], tuple[Posting, ...]]:
        """(all balances after the changes, one posting per balance that changed)."""
        balances = [self._balance_after(balance) for balance in self._stated.values()]
        postings = [
            Posting(balance_id, value, held) for balance_id, (value, held) in self._changes.items() if value or held
        ]
        return tuple(balances), tuple(postings)

    def _balance_after(self, balance: Balance) -> Balance:
        change = self._changes.get(balance.id)
        if change is None:
            return balance
        return msgspec.structs.replace(balance, value=balance.value + change[0], held=balance.held + change[1])

    def _post(self, balance_id: str, value: int, held: int) -> None:
        change = self._changes.get(balance_id)
        if change is None:
            if balance_id not in self._stated:
                raise KeyError(balance_id)
            self._changes[balance_id] = [value, held]
        else:
            change[0] += value
            change[1] += held
