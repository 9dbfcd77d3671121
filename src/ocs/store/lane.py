"""The lane of one account: its state, ahead of the store by what is on its way there, and the commands in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
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

    queue: not yet decided. inflight: decided on this account, as their own or as another that theirs shares with, but
        an earlier write that they were built on, or their own, is not yet durable.
    visitors: lanes whose first command needs this account and waits until it is read, and that command. hosts: of how
        many lanes this one is a visitor.
    loaded: whether account and sessions may be decided on; at tick `loaded_tick` the account was read, and at
        `fresh_tick` the state was last known to be what the store has.
    durable_version: of the account, as the store had it last.
    generation: raised when the state is dropped, so that a read begun before that is not taken for the new state.

    A session with writes on their way is never given up; of those that are durable the last used are kept. counted: how
    many of these were last reckoned with.
    """

    __slots__ = (
        *(
            "account",
            "account_id",
            "counted",
            "durable_version",
            "fresh_tick",
            "generation",
            "hosts",
            "inflight",
            "loaded",
        ),
        *("loaded_tick", "loading", "queue", "visitors", "_durable", "_limit", "_unwritten"),
    )

    def __init__(self, account_id: str, sessions_max: int = CACHED_SESSIONS_PER_ACCOUNT_MAX) -> None:
        self.account_id = account_id
        self.account: Account | None = None
        self.loaded = False
        self.loading = False
        self.loaded_tick = 0
        self.fresh_tick = 0
        self.durable_version = 0
        self.generation = 0
        self.queue: list[Command] = []  # lists, since an empty deque has 0.75 KB, and most lanes rest
        self.inflight: list[Command] = []
        self.visitors: dict[Lane, Command] = {}
        self.hosts = 0
        self.counted = 0
        self._limit = sessions_max
        self._durable: OrderedDict[str, Known] = OrderedDict()
        self._unwritten: dict[str, tuple[Session, int]] = {}  # with the number of writes on their way

    @property
    def resting(self) -> bool:
        """Nothing to do, nothing on its way."""
        return not (self.queue or self.inflight or self.loading or self.visitors or self.hosts)

    @property
    def ahead(self) -> bool:
        """Whether a write of the account is on its way."""
        return self.account is not None and self.account.version > self.durable_version

    @property
    def sessions(self) -> int:
        """Durable sessions that are kept."""
        return len(self._durable)

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
            self.loaded_tick = self.fresh_tick = tick
            self.durable_version = 0 if loaded.account is None else loaded.account.version
        if session_key is not None and session_key not in self._unwritten:
            self._keep(session_key, loaded.session)

    def check(self, outcome: Outcome, session_key: str | None) -> None:
        """A session that breaks the rules of the ledger goes no further: AssertionError."""
        session = outcome.session
        if session is not None:
            assert (session.account_id, session.key) == (self.account_id, session_key), "a session stays where it is"

    def advance(self, session: Session | None) -> None:
        """Take over the session of a decision that goes to the store."""
        if session is not None:
            key = session.key
            self._durable.pop(key, None)
            before = self._unwritten.get(key)
            self._unwritten[key] = (session, 1 if before is None else before[1] + 1)

    def settle(self, session: Session | None) -> None:
        """The oldest decision on its way, with that session, is durable."""
        if session is None:
            return
        key = session.key
        last, writes = self._unwritten[key]
        if writes > 1:
            self._unwritten[key] = (last, writes - 1)
            return
        del self._unwritten[key]
        if last.is_open:
            self._keep(key, last)

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
        self._durable.pop(session_key, None)
        self._durable[session_key] = Known(session)
        while len(self._durable) > self._limit:
            self._durable.popitem(last=False)


def built_on(first: Command) -> tuple[list[Command], list[Lane]]:
    """`first` and every decision on its way that was built on it, directly or not, in their order; and their lanes.

    A decision was built on an earlier one when both have a lane in common.
    """
    since = dict.fromkeys(first.lanes, first.place)
    struck = {first.place: first}
    todo = list(first.lanes)
    while todo:
        lane = todo.pop()
        for command in lane.inflight:
            if command.place < since[lane] or command.place in struck:
                continue
            struck[command.place] = command
            for other in command.lanes:
                if since.get(other, command.place + 1) > command.place:
                    since[other] = command.place
                    todo.append(other)
    return [struck[place] for place in sorted(struck)], list(since)


def withdraw(commands: Iterable[Command], lanes: Iterable[Lane]) -> None:
    """Put decisions back to the front of the queues of their accounts; the lanes are read again before the next one.

    commands: with all that were built on them, in their order; lanes: all that they have.
    """
    back = list(commands)
    places = {command.place for command in back}
    for command in back:
        if command.ticket is not None:
            command.ticket.withdraw()
            command.ticket = None
    for lane in lanes:
        lane.inflight = [command for command in lane.inflight if command.place not in places]
        if lane.inflight:
            lane.doubt()  # what stays was decided before, and still settles here
        else:
            lane.drop()
    for command in reversed(back):
        command.lanes[0].queue.insert(0, command)
        command.lanes = ()
