"""What one of several nodes does for all: the one that has the lease."""

from __future__ import annotations

from typing import Final

from ocs.store.interface import Store

TTL_S: Final = 5.0
"""So long after a leader died another one takes over."""


class Leading:
    """Whether this process leads in `name`; holder: its own name among those that share the store."""

    def __init__(self, store: Store, name: str, holder: str) -> None:
        self._store = store
        self._name = name
        self._holder = holder

    async def leads(self) -> bool:
        """Take or renew the lease; to be asked more often than every TTL_S. Raises StoreDown.

        A leader that stands still may find that another has taken over meanwhile: what it does for all must be right
        also when two do it. It is: whatever is due is written under the versions of its accounts.
        """
        return (await self._store.take_lease(self._name, self._holder, TTL_S)).holder == self._holder

    async def resign(self) -> None:
        """Let another lead at once. Raises StoreDown."""
        await self._store.release_lease(self._name, self._holder)
