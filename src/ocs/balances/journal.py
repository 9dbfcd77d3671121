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


def fold(entries: Iterable[Entry]) -> dict[str, tuple[int, int]]:
    """(value, held) of each balance that a complete journal of one account leads to."""
    sums: dict[str, tuple[int, int]] = {}
    for entry in entries:
        for balance in entry.opened:
            sums[balance.id] = (0, 0)
        for posting in entry.postings:
            value, held = sums[posting.balance_id]
            sums[posting.balance_id] = (value + posting.value, held + posting.held)
        for balance_id in entry.closed:
            del sums[balance_id]
    return sums


def differences(account: Account, entries: Iterable[Entry]) -> list[str]:
    """What the journal and the account disagree in, readable; empty when the ledger is right."""
    entries = list(entries)
    wrong = [
        f"account {account.id}: journal entry {place} has version {entry.version}"
        for place, entry in enumerate(entries, start=1)
        if entry.version != place
    ]
    if wrong or len(entries) != account.version:
        return wrong or [f"account {account.id}: version {account.version}, but {len(entries)} journal entries"]
    try:
        folded = fold(entries)
    except KeyError as error:
        return [f"account {account.id}: the journal posts to balance {error}, which it never opened"]
    stated = {balance.id: (balance.value, balance.held) for balance in account.balances}
    return [
        f"account {account.id} balance {balance_id}: (value, held) is {stated.get(balance_id)}, "
        f"the journal says {folded.get(balance_id)}"
        for balance_id in sorted(stated.keys() | folded.keys())
        if stated.get(balance_id) != folded.get(balance_id)
    ]
