"""The journal: one immutable entry per version of an account. Folding the entries gives the account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ocs.balances.account import Account, Balance

SHARED: Final = "shared"
"""Kind of an entry that the session of another account made; `by` is that account."""


class Posting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one entry did to one balance: changes of `value` and `held`, in the balance's base unit."""

    balance_id: str
    value: int
    held: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What changed on an account, by which request.

    version: of the account after the entry.
    kind: "open", "charge", "shared" (by the session of another account), "expire", "late", "unknown_session", "refund",
        "topup", "set", "reset", "remove", "expiry", "status"; "end" (of a session, from here); "reauth" and "abort"
        (clients were asked to come again, or to stop: no balance changes).
    at_ns: Unix time in nanoseconds of the decision.
    session_id, request: the session and the request in it, e.g. "U/3" or "2:U/3" in sub-session 2; "" otherwise.
    postings: changes of balances, at most one per balance.
    opened: definitions of balances that the entry made, with value and held 0 (the postings fill them).
    closed: ids of balances removed (their value and held are 0 by then).
    cost_nanos: money charged by the request: what it took off money balances, those of accounts that share included
        (their own entries, of kind "shared", have 0). Below zero in a refund that a client asked for, and that has a
        CDR. What people put in or take out has no cost: its postings tell.
    overdraft_nanos: the part of cost_nanos that no credit covered.
    usage: what was reported, readable ("rg 100: 308400 octets"), for the history.
    by, reason: operator and reason of a change by people; origin host of a request; the account whose session it was,
        in an entry of kind "shared".
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


class SharedHold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What "shared" entries hold on one balance for the sessions of another account, the `holder`."""

    holder: str
    balance_id: str
    held: int


class Folded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Journal entries of one account added up. It does not matter in which order, nor in how many parts.

    entries: how many; last_version: the highest version among them; cost_nanos: what they charged.
    sums: by balance, in the order of ids; a balance that was removed stays, with zeros.
    shared: by holder and balance, in their order; who holds nothing is left out.
    """

    entries: int = 0
    last_version: int = 0
    cost_nanos: int = 0
    sums: tuple[Sum, ...] = ()
    shared: tuple[SharedHold, ...] = ()

    def plus(self, other: Folded) -> Folded:
        """Both together."""
        sums = {one.balance_id: one for one in self.sums}
        for one in other.sums:
            mine = sums.get(one.balance_id)
            if mine is not None:
                one = Sum(one.balance_id, mine.value + one.value, mine.held + one.held, mine.openings + one.openings)
            sums[one.balance_id] = one
        shared: dict[tuple[str, str], int] = {}
        for hold in (*self.shared, *other.shared):
            key = (hold.holder, hold.balance_id)
            shared[key] = shared.get(key, 0) + hold.held
        return Folded(
            self.entries + other.entries,
            max(self.last_version, other.last_version),
            self.cost_nanos + other.cost_nanos,
            tuple(sums[balance_id] for balance_id in sorted(sums)),
            _shared(shared),
        )


def _shared(held: Mapping[tuple[str, str], int]) -> tuple[SharedHold, ...]:
    return tuple(SharedHold(*key, amount) for key, amount in sorted(held.items()) if amount)


def fold(entries: Iterable[Entry]) -> Folded:
    """Entries of one account, added up. One of another account than the first is left out, so that it is missed."""
    number = last_version = cost_nanos = 0
    account_id: str | None = None
    sums: dict[str, list[int]] = {}
    shared: dict[tuple[str, str], int] = {}
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
            if entry.kind == SHARED:
                key = (entry.by, posting.balance_id)
                shared[key] = shared.get(key, 0) + posting.held
        for balance_id in entry.closed:
            sums.setdefault(balance_id, [0, 0, 0])[2] -= 1
    return Folded(
        number, last_version, cost_nanos, tuple(Sum(name, *sums[name]) for name in sorted(sums)), _shared(shared)
    )


_SIDES: Final = {
    "entries": ("the version is", "the number of journal entries is"),
    "last_version": ("the version is", "that of the last journal entry is"),
    "openings": ("it is there so often:", "by the journal it is there so often:"),
    "value": ("the value is", "by the journal it is"),
    "held": ("what is held is", "by the journal it is"),
    "holds": ("held for sessions of its own is", "the open sessions hold"),
    "shared": ("held for sessions of account {other} is", "its open sessions hold"),
    "no_owner": ("its sessions hold on that balance of account {other}", "by the journal of that account it is"),
    "cost": ("by the journal was charged", "by the CDRs and the open sessions it was"),
}


class Imbalance(msgspec.Struct, frozen=True):
    """Something that the ledger disagrees in.

    what: "entries", "last_version": the account's version and its journal; "openings", "value", "held": a balance and
        the journal; "holds", "shared", "no_owner": what is held and what the open sessions of this account, or of the
        `other`, hold; "cost": money that the journal charged, and CDRs with the open sessions, in nanos.
    here, there: the two sides, in base units.
    """

    account_id: str
    what: str
    here: int
    there: int
    balance_id: str = ""
    other: str = ""

    def __str__(self) -> str:
        here, there = _SIDES[self.what]
        where = f" balance {self.balance_id}" if self.balance_id else ""
        return f"account {self.account_id}{where}: {here.format(other=self.other)} {self.here}, {there} {self.there}"


def disagreements(account: Account, folded: Folded) -> list[Imbalance]:
    """Where the journal and the account differ; empty when it gives the account."""
    if folded.entries != account.version:
        return [Imbalance(account.id, "entries", account.version, folded.entries)]
    if folded.last_version != account.version:
        return [Imbalance(account.id, "last_version", account.version, folded.last_version)]
    said = {one.balance_id: {"openings": one.openings, "value": one.value, "held": one.held} for one in folded.sums}
    stated = {one.id: {"openings": 1, "value": one.value, "held": one.held} for one in account.balances}
    return [
        Imbalance(account.id, what, stated.get(name, _ABSENT)[what], said.get(name, _ABSENT)[what], name)
        for name in sorted(stated.keys() | said.keys())
        for what in _ABSENT
        if stated.get(name, _ABSENT)[what] != said.get(name, _ABSENT)[what]
    ]


_ABSENT: Final = {"openings": 0, "value": 0, "held": 0}


def differences(account: Account, folded: Folded) -> list[str]:
    """What the journal and the account disagree in, readable; empty when it gives the account."""
    return [str(one) for one in disagreements(account, folded)]
