"""Changes of accounts by people, through the dispatcher: in one order with the charging of the same account."""

from __future__ import annotations

from ocs.api.ports import Decision
from ocs.charging.outcome import Outcome
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown


class DispatchedCommands:
    """`ocs.api.ports.Commands`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def change(self, account_id: str, session_key: str | None, decide: Decision) -> Outcome:
        """What the store refuses by name (a Duplicate) is raised as it is, everything else as StoreDown."""
        try:
            return await self._dispatcher.run(account_id, session_key, decide)
        except Failed as error:
            cause = error.__cause__
            if isinstance(cause, Exception):
                raise cause from None
            raise StoreDown(error.why) from None
