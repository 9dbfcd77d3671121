"""The journal: one immutable entry per version of an account. Folding the entries gives the account."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ocs.balances.account import Account, Balance


class Posting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one entry did to one balance: changes of `value` and `held`, in the balance's base unit."""

    balance_id: str
    value: int
    held: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What changed on an account, by which request.

    version: of the account after the entry.
    kind: "open", "charge", "shared" (by the session of another account), "expire", "late", "unknown_session", "refund",
        "topup", "set", "reset", "remove", "expiry", "status".
    at_ns: Unix time in nanoseconds of the decision.
    session_id, request: the session and the request in it, e.g. "U/3" or "2:U/3" in sub-session 2; "" otherwise.
    postings: changes of balances, at most one per balance.
    opened: definitions of balances that the entry made, with value and held 0 (the postings fill them).
    closed: ids of balances removed (their value and held are 0 by then).
    cost_nanos: money charged by the request, the sum of the money postings' debits.
    overdraft_nanos: the part of cost_nanos that no credit covered.
    usage: what was reported, readable ("rg 100: 308400 octets"), for the history.
    by, reason: operator and reason of a change by people; origin host of a request.
    """

    account_id: str
    version: int
    kind: str
    at_ns: int
    session_id: str = ""
    request: str = ""
    postings: tuple[Posting, ...] = ()
    opened: tuple[Balance, ...] = ()
    closed: tuple[str, ...] = ()
    cost_nanos: int = 0
    overdraft_nanos: int = 0
    usage: str = ""
    by: str = ""
    reason: str = ""


class Sum(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What entries did to one balance; openings: how often it was opened, less how often it was removed."""

    balance_id: str
    value: int
    held: int
    openings: int


class Folded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Journal entries of one account added up. It does not matter in which order, nor in how many parts.

    entries: how many; last_version: the highest version among them; cost_nanos: what they charged.
    sums: by balance, in the order of ids; a balance that was removed stays, with zeros.
    """

    entries: int = 0
    last_version: int = 0
    cost_nanos: int = 0
    sums: tuple[Sum, ...] = ()

    def plus(self, other: Folded) -> Folded:
        """Both together."""
        sums = {one.balance_id: one for one in self.sums}
        for one in other.sums:
            mine = sums.get(one.balance_id)
            if mine is not None:
                one = Sum(one.balance_id, mine.value + one.value, mine.held + one.held, mine.openings + one.openings)
            sums[one.balance_id] = one
        return Folded(
            self.entries + other.entries,
            max(self.last_version, other.last_version),
            self.cost_nanos + other.cost_nanos,
            tuple(sums[balance_id] for balance_id in sorted(sums)),
        )


def fold(entries: Iterable[Entry]) -> Folded:
    """Entries of one account, added up. One of another account than the first is left out, so that it is missed."""
    number = last_version = cost_nanos = 0
    account_id: str | None = None
    sums: dict[str, list[int]] = {}
    for entry in entries:
        if account_id is None:
            account_id = entry.account_id
        if entry.account_id != account_id:
            continue
        number += 1
        last_version = max(last_version, entry.version)
        cost_nanos += entry.cost_nanos
        for balance in entry.opened:
            sums.setdefault(balance.id, [0, 0, 0])[2] += 1
        for posting in entry.postings:
            one = sums.setdefault(posting.balance_id, [0, 0, 0])
            one[0] += posting.value
            one[1] += posting.held
        for balance_id in entry.closed:
            sums.setdefault(balance_id, [0, 0, 0])[2] -= 1
    return Folded(number, last_version, cost_nanos, tuple(Sum(name, *sums[name]) for name in sorted(sums)))


def differences(account: Account, folded: Folded) -> list[str]:
    """What the journal and the account disagree in, readable; empty when the ledger is right."""
    if (folded.entries, folded.last_version) != (account.version, account.version):
        journal = f"{folded.entries} journal entries up to version {folded.last_version}"
        return [f"account {account.id}: version {account.version}, but {journal}"]
    says = {one.balance_id: one for one in folded.sums}
    wrong = [
        f"account {account.id} balance {name}: the journal opened it {one.openings} times"
        for name, one in says.items()
        if one.openings not in {0, 1} or (one.openings == 0 and (one.value, one.held) != (0, 0))
    ]
    stated = {balance.id: (balance.value, balance.held) for balance in account.balances}
    said = {name: (one.value, one.held) for name, one in says.items() if one.openings}
    return wrong + [
        f"account {account.id} balance {balance_id}: (value, held) is {stated.get(balance_id)}, "
        f"the journal says {said.get(balance_id)}"
        for balance_id in sorted(stated.keys() | said.keys())
        if stated.get(balance_id) != said.get(balance_id)
    ]
