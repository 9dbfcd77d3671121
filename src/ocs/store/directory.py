"""Which account a request belongs to: what is known in memory, and what the store is asked."""

from __future__ import annotations

from ocs.charging.outcome import Outcome
from ocs.limits import CACHED_NAMES_MAX
from ocs.store.commands import Charge
from ocs.store.interface import Store
from ocs.store.names import Names


class Directory:
    """Sessions and subscribers, and where they lead.

    A session belongs to the account that has commands of it now; else where it was open when last seen; else where
    the store says; else to the account that the caller names; else to its subscriber's.

    Ticks order what is read: absence of a session that was seen at a later tick than its account was read is covered
    by the version of the account, since whoever makes the session raises that.
    """

    def __init__(self, store: Store, names_max: int = CACHED_NAMES_MAX) -> None:
        self._store = store
        self._active: dict[str, tuple[str, int]] = {}  # with the number of commands
        self._sessions: Names[str] = Names(names_max)
        self._subscribers: Names[tuple[str, ...]] = Names(names_max)
        self._ticks = 0

    def tick(self) -> int:
        """A later one than all before."""
        self._ticks += 1
        return self._ticks

    def known(self, session_key: str) -> str | None:
        """The account of a session, None where the store has to be asked."""
        active = self._active.get(session_key)
        return self._sessions.get(session_key) if active is None else active[0]

    async def find(self, command: Charge) -> str | None:
        """The account of a request whose session is not known here, None where there is none. Raises StoreDown."""
        request = command.request
        tick = self.tick()
        account_id = await self._store.find_session(request.session_key)
        if account_id is not None:
            return account_id
        command.absent_tick = tick
        if command.account_id is not None:
            return command.account_id
        if not request.subscriber:
            return None
        account_id = self._subscribers.get(request.subscriber)
        if account_id is None:
            account_id = await self._store.find_account(request.subscriber)
            if account_id is not None:
                self._subscribers.put(request.subscriber, account_id)
        return account_id

    def enter(self, session_key: str, account_id: str) -> None:
        """A command of the session enters the lane of the account."""
        active = self._active.get(session_key)
        self._active[session_key] = (account_id, 1) if active is None else (active[0], active[1] + 1)

    def leave(self, session_key: str) -> None:
        """A command of the session leaves its lane."""
        belongs, commands = self._active[session_key]
        if commands > 1:
            self._active[session_key] = (belongs, commands - 1)
        else:
            del self._active[session_key]

    def learn(self, outcome: Outcome) -> None:
        """An outcome is durable: where its session is from now on, and that there are new names."""
        session = outcome.session
        if session is not None:
            if session.is_open:
                self._sessions.put(session.key, session.account_id)
            else:
                self._sessions.forget(session.key)
        for write in outcome.writes:
            if write.identities:
                self._subscribers.clear()
