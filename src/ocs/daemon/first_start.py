"""Opening the accounts of `subscribers.yaml`: once, in a store that has none."""

from __future__ import annotations

from ocs.api.commands import opening
from ocs.config.settings import Settings
from ocs.store.interface import Applied, Duplicate, Store
from ocs.store.url import shown


class CannotOpen(Exception):
    """The accounts cannot be served, or not be opened; the message says why, and what to do."""


async def open_accounts(store: Store, settings: Settings, now_ns: int) -> int:
    """Open them in one transaction where the store has no account at all; returns how many were opened.

    Raises CannotOpen, also where the store has accounts of another currency: their balances cannot be charged.
    """
    currency = settings.tariff.currency
    existing = await store.accounts("", 1)
    if existing:
        found = existing[0].currency
        if found != currency:
            raise CannotOpen(
                f"the accounts in {shown(settings.store_url)} are in {found}, but the tariff is in {currency}: "
                "set another store, or a tariff in that currency"
            )
        return 0
    outcomes = [opening(each, currency, "ocs", "subscribers.yaml", now_ns) for each in settings.subscribers]
    refused = next((outcome.conflict for outcome in outcomes if outcome.conflict), "")
    if refused:
        raise CannotOpen(f"subscribers.yaml: {refused}")
    if not outcomes:
        return 0
    try:
        applied = await store.commit(outcomes)
    except Duplicate as error:
        raise CannotOpen(f"subscribers.yaml: {error}") from error
    if set(applied) == {Applied.DONE}:
        return len(outcomes)
    if store.shared:  # another node that starts at the same time was faster
        return 0
    raise CannotOpen("subscribers.yaml: the store changed while its accounts were opened; start again")
