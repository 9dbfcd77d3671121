"""Pages of the journal of an account: what changed, by whom or by which request, and what was there after it."""

from __future__ import annotations

from collections.abc import Sequence

from ocs.api.problems import Problem
from ocs.api.reading import number_cursor, page_limit
from ocs.api.views import Json, entry_view
from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.limits import PAGE_ROWS_MAX
from ocs.store.interface import Store

Standing = dict[str, tuple[int, int]]
"""Balances by id: value and held."""


async def page_of(store: Store, account: Account, parameters: dict[str, str]) -> Json:
    """`{items, next}`: entries after the version `after` (0 where not given), or the last ones before `before`.

    Both are in the order of versions; `next` is the `after`, or the `before`, of the page that follows or precedes,
    null where there is none. 400 for both parameters at once.
    """
    limit = page_limit(parameters)
    if "before" in parameters and "after" in parameters:
        raise Problem(400, 'either "after" or "before", not both')
    if "before" in parameters:
        last = min(account.version, number_cursor(parameters, "before") - 1)
        first = max(0, last - limit)
        entries = await store.journal(account.id, first, last - first) if last > first else []
        following = str(first + 1) if first else None
    else:
        entries = await store.journal(account.id, number_cursor(parameters), limit)
        following = str(entries[-1].version) if len(entries) == limit else None
    # What was written since the account was read belongs to a later page.
    standings = await _standings(store, account, [entry for entry in entries if entry.version <= account.version])
    kinds = {balance.id: balance.kind for entry in entries for balance in entry.opened}
    kinds |= {balance.id: balance.kind for balance in account.balances}
    items = [entry_view(entry, account.currency, kinds, standings.get(entry.version, {})) for entry in entries]
    return {"items": items, "next": following}


async def _standings(store: Store, account: Account, entries: Sequence[Entry]) -> dict[int, Standing]:
    """What the balances that an entry changed were after it, by version; empty where that is too far back to tell."""
    if not entries:
        return {}
    last = entries[-1].version
    newer = account.version - last
    if newer > PAGE_ROWS_MAX:
        return {}
    rest = await store.journal(account.id, last, newer) if newer else []
    known = [*entries, *rest]
    if len(known) != account.version - entries[0].version + 1:
        return {}
    return standings_of(account, known)


def standings_of(account: Account, entries: Sequence[Entry]) -> dict[int, Standing]:
    """The standing after each of the last entries of an account, reckoned back from what it is now."""
    now = {balance.id: (balance.value, balance.held) for balance in account.balances}
    found = {}
    for entry in reversed(entries):
        found[entry.version] = {one.balance_id: now.get(one.balance_id, (0, 0)) for one in entry.postings}
        for one in entry.postings:
            value, held = now.get(one.balance_id, (0, 0))
            now[one.balance_id] = (value - one.value, held - one.held)
    return found
