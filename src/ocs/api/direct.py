"""Commands straight on a store, for where no server runs: load, decide, commit, and again where another was faster."""

from __future__ import annotations

from ocs.api.ports import Decision
from ocs.charging.outcome import Outcome
from ocs.store.interface import Applied, Store, StoreDown

ATTEMPTS = 8


class DirectCommands:
    """`Commands` without a dispatcher."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def change(self, account_id: str, session_key: str | None, decide: Decision) -> Outcome:
        """Raises StoreDown also where the account keeps moving."""
        for _ in range(ATTEMPTS):
            loaded = await self._store.load(account_id, session_key)
            outcome = decide(loaded.account, loaded.session)
            if not outcome.writes or await self._store.commit([outcome]) == [Applied.DONE]:
                return outcome
        raise StoreDown(f'account "{account_id}" keeps changing')
