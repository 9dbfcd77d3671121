"""Proving the ledger of a store, some accounts at a time, while it is in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ocs.balances.journal import Imbalance
from ocs.charging.ledger import imbalances, partners, shared_imbalances
from ocs.limits import LEDGER_ACCOUNTS_MAX
from ocs.store.interface import Store

LOOKS: Final = 4
"""How often a difference has to be seen."""


class Verified(NamedTuple):
    """How many accounts and journal entries were looked at, and what is wrong, in the order of the accounts."""

    accounts: int
    entries: int
    imbalances: tuple[Imbalance, ...]


async def verify(store: Store, account_ids: Sequence[str]) -> Verified:
    """Prove the ledger of these accounts; those that do not exist are passed over. StoreDown.

    Each call of `Store.audit` is one snapshot, so traffic makes no difference; where a distributed database is read one
    node after another it may. What is found is looked at again, LOOKS times, and told only if it is there each time.
    Accounts of shared groups are compared with each other in snapshots that have both.
    """
    audits = await store.audit(account_ids)
    found = [one for audit in audits for one in imbalances(audit)]
    for _ in range(1, LOOKS):
        if not found:
            break
        suspects = sorted({one.account_id for one in found})
        found = [one for audit in await store.audit(suspects) for one in imbalances(audit)]
    sharing = {audit.account.id: sorted(partners(audit)) for audit in audits}
    for part in _parts(sharing):
        found += await _verify_shared(store, part)
    found.sort(key=lambda one: one.account_id)
    return Verified(len(audits), sum(audit.folded.entries for audit in audits), tuple(found))


def _parts(sharing: Mapping[str, Sequence[str]]) -> Iterator[list[tuple[str, Sequence[str]]]]:
    """(account, partners) in parts that name about LEDGER_ACCOUNTS_MAX accounts; who has too many is there again."""
    part: list[tuple[str, Sequence[str]]] = []
    size = 0
    for account_id, others in sharing.items():
        for first in range(0, len(others), LEDGER_ACCOUNTS_MAX):
            some = others[first : first + LEDGER_ACCOUNTS_MAX]
            part.append((account_id, some))
            size += 1 + len(some)
            if size >= LEDGER_ACCOUNTS_MAX:
                yield part
                part, size = [], 0
    if part:
        yield part


async def _verify_shared(store: Store, part: Sequence[tuple[str, Sequence[str]]]) -> list[Imbalance]:
    found: list[Imbalance] = []
    for _ in range(LOOKS):
        named = sorted({name for account_id, others in part for name in (account_id, *others)})
        audits = {audit.account.id: audit for audit in await store.audit(named)}
        found = [
            one
            for account_id, others in part
            if account_id in audits
            for one in shared_imbalances(audits[account_id], audits, others)
        ]
        wrong = {one.account_id for one in found}
        part = [(account_id, others) for account_id, others in part if account_id in wrong]
        if not part:
            break
    return found
