"""Whether the ledger of an account is right. Pure.

What has to hold of every account, in one snapshot of it:

1. its journal has one entry per version, and added up they give the value and the held sum of each balance;
2. what a balance holds = what the open sessions of the account hold on it + what those of other accounts hold, by the
   "shared" entries of its journal;
3. what the "shared" entries hold for another account = what the open sessions of that account hold here;
4. the costs of its journal entries = the costs of the account's CDRs + the costs since the last CDR in the groups of
   its open sessions.

In 4 are connect fees, events, late usage, overdrafts and what other accounts of a shared group paid: all of that is in
the cost of an entry of the account whose session it was, and in its CDR. A refund that a client asked for has a cost
below zero, in its entry and in its CDR. What people put in or take out (opening, top-up, set, reset, remove, expiry,
refund) has no cost, as no CDR tells of it. Usage of unknown sessions that was not rated, emergency calls and free
calls cost nothing on either side.
That a charge's cost is what its entries took off money balances is asserted where an outcome is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from ocs.balances.account import Account
from ocs.balances.choice import OWNER_SEPARATOR
from ocs.balances.journal import Folded, Imbalance, disagreements
from ocs.charging.session import Session


class Audited(Protocol):
    """What is known of one account, all of it as of one moment: `ocs.store.interface.Audit`."""

    @property
    def account(self) -> Account: ...

    @property
    def folded(self) -> Folded: ...

    @property
    def sessions(self) -> Iterable[Session]: ...

    @property
    def cdr_cost_nanos(self) -> int: ...


def imbalances(audit: Audited) -> list[Imbalance]:
    """What is wrong by rules 1, 2 and 4."""
    account = audit.account
    found = disagreements(account, audit.folded)
    shared: dict[str, int] = {}
    for one in audit.folded.shared:
        shared[one.balance_id] = shared.get(one.balance_id, 0) + one.held
    held = {balance.id: balance.held - shared.get(balance.id, 0) for balance in account.balances}
    holds = {balance_id: amount for (owner, balance_id), amount in held_by(audit.sessions).items() if not owner}
    found += [
        Imbalance(account.id, "holds", held.get(name, 0), holds.get(name, 0), name)
        for name in sorted(held.keys() | holds.keys())
        if held.get(name, 0) != holds.get(name, 0)
    ]
    recorded = audit.cdr_cost_nanos + sum(group.cost_nanos for session in audit.sessions for group in session.groups)
    if audit.folded.cost_nanos != recorded:
        found.append(Imbalance(account.id, "cost", audit.folded.cost_nanos, recorded))
    return found


def held_by(sessions: Iterable[Session]) -> dict[tuple[str, str], int]:
    """What sessions hold, by (owner of the balance, "" = their own account; id of the balance)."""
    held: dict[tuple[str, str], int] = {}
    for session in sessions:
        for group in session.groups:
            for hold in group.holds:
                owner, _, balance_id = hold.balance_id.rpartition(OWNER_SEPARATOR)
                held[owner, balance_id] = held.get((owner, balance_id), 0) + hold.amount
    return held


def partners(audit: Audited) -> set[str]:
    """Accounts whose sessions hold something here, and those on whose balances the sessions of this one do."""
    owners = {owner for owner, _ in held_by(audit.sessions)}
    return {*(one.holder for one in audit.folded.shared), *owners} - {""}


def shared_imbalances(audit: Audited, others: Mapping[str, Audited], asked: Collection[str]) -> list[Imbalance]:
    """What is wrong by rule 3 between the account and its partners in `asked`.

    others: their audits of the same moment; one that is not there has no account. What sessions of the account hold
    elsewhere is looked at only where the other's journal knows nothing of it: the rest is found from the other side.
    """
    me = audit.account.id
    found = []
    for one in audit.folded.shared:
        if one.holder in asked:
            there = held_by(others[one.holder].sessions).get((me, one.balance_id), 0) if one.holder in others else 0
            if there != one.held:
                found.append(Imbalance(me, "shared", one.held, there, one.balance_id, one.holder))
    for (owner, balance_id), amount in sorted(held_by(audit.sessions).items()):
        if owner in asked and not _knows(others.get(owner), me, balance_id):
            found.append(Imbalance(me, "no_owner", amount, 0, balance_id, owner))
    return found


def _knows(owner: Audited | None, holder: str, balance_id: str) -> bool:
    shared = () if owner is None else owner.folded.shared
    return any((one.holder, one.balance_id) == (holder, balance_id) for one in shared)
