"""The lane of one account: its state, ahead of the store by what is on its way there, and the commands in order."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from ocs.balances.account import Account
from ocs.charging.outcome import Outcome
from ocs.charging.session import Session
from ocs.limits import CACHED_SESSIONS_PER_ACCOUNT_MAX
from ocs.store.commands import Command
from ocs.store.interface import Loaded


class Known(NamedTuple):
    """A session of a lane that was looked up; None where it is known that there is none."""

    session: Session | None


class Lane:
    """Commands of one account are decided one after another, each on the state that the one before it left.

    queue: not yet decided. inflight: decided, but an earlier write of the lane, or their own, is not yet durable.
    loaded: whether account and sessions may be decided on; at tick `loaded_tick` the account was read.
    generation: raised when the state is dropped, so that a read begun before that is not taken for the new state.

    A session with writes on their way is never given up; of those that are durable the last used are kept.
    """

    __slots__ = (
        *("account", "account_id", "generation", "inflight", "loaded", "loaded_tick", "loading", "queue"),
        *("_durable", "_limit", "_unwritten"),
    )

    def __init__(self, account_id: str, sessions_max: int = CACHED_SESSIONS_PER_ACCOUNT_MAX) -> None:
        self.account_id = account_id
        self.account: Account | None = None
        self.loaded = False
        self.loading = False
        self.loaded_tick = 0
        self.generation = 0
        self.queue: deque[Command] = deque()
        self.inflight: deque[Command] = deque()
        self._limit = sessions_max
        self._durable: OrderedDict[str, Known] = OrderedDict()
        self._unwritten: dict[str, tuple[Session, int]] = {}  # with the number of writes on their way

    @property
    def resting(self) -> bool:
        """Nothing to do, nothing on its way."""
        return not (self.queue or self.inflight or self.loading)

    @property
    def waiting(self) -> int:
        """Commands in the lane."""
        return len(self.queue) + len(self.inflight)

    def known(self, session_key: str) -> Known | None:
        """The session as the last decision left it; None where it has to be read."""
        unwritten = self._unwritten.get(session_key)
        if unwritten is not None:
            return Known(unwritten[0])
        durable = self._durable.get(session_key)
        if durable is not None:
            self._durable.move_to_end(session_key)
        return durable

    def take(self, loaded: Loaded, session_key: str | None, tick: int) -> None:
        """What was read: all of the state, or one more session of it."""
        if not self.loaded:
            assert not self.inflight, "a lane is read when nothing of its own is on its way"
            self.drop()
            self.account = loaded.account
            self.loaded = True
            self.loaded_tick = tick
        if session_key is not None and session_key not in self._unwritten:
            self._keep(session_key, loaded.session)

    def check(self, outcome: Outcome, session_key: str | None) -> None:
        """A decision that breaks the rules of the ledger goes no further: AssertionError."""
        version = 0 if self.account is None else self.account.version
        written = {write.account.id: write.account.version for write in outcome.writes}
        assert written.get(self.account_id) == version + 1, "a decision raises its account by one version"
        session = outcome.session
        if session is not None:
            assert (session.account_id, session.key) == (self.account_id, session_key), "a session stays where it is"

    def advance(self, outcome: Outcome) -> None:
        """Take over a decision that goes to the store."""
        for write in outcome.writes:
            if write.account.id == self.account_id:
                self.account = write.account
        session = outcome.session
        if session is not None:
            self._durable.pop(session.key, None)
            _, writes = self._unwritten.get(session.key, (session, 0))
            self._unwritten[session.key] = (session, writes + 1)

    def settle(self, outcome: Outcome) -> None:
        """The oldest decision on its way is durable."""
        if outcome.session is None:
            return
        key = outcome.session.key
        session, writes = self._unwritten[key]
        if writes > 1:
            self._unwritten[key] = (session, writes - 1)
            return
        del self._unwritten[key]
        if session.is_open:
            self._keep(key, session)

    def drop(self) -> None:
        """Forget the state: it has to be read again before the next decision."""
        self.loaded = False
        self.account = None
        self._durable.clear()
        self._unwritten.clear()
        self.generation += 1

    def doubt(self) -> None:
        """Read the state again before the next decision, once all that is on its way has settled."""
        self.loaded = False
        self.generation += 1

    def release(self, session_key: str) -> None:
        """A session that is over, or that does not exist, need not be kept once its command has left."""
        durable = self._durable.get(session_key)
        if durable is not None and (durable.session is None or not durable.session.is_open):
            del self._durable[session_key]

    def _keep(self, session_key: str, session: Session | None) -> None:
        self._durable[session_key] = Known(session)
        self._durable.move_to_end(session_key)
        while len(self._durable) > self._limit:
            self._durable.popitem(last=False)
