"""The lanes of all accounts that are in use: reading, deciding, and what becomes of decisions.

Each account has a lane. Its commands are decided in the order of their arrival, each on the state that the one before
it left, without waiting for the commit of that one; all go to the committer in the same order. A command whose
decision needs other accounts is decided on their lanes, too: on what was decided there last, durable or not. So a
decision may be built on several earlier ones, and is told only when all of those are durable.

When a write meets a conflict (another node was faster), it and every decision built on it are made again, on what is
stored now. When the store is down, they all fail, and their lanes are forgotten. So no decision that reaches the store
was ever built on one that did not.

A decision that writes is checked by the versions of its accounts. One that writes nothing is not; where other nodes
write to the store, too, it is made on state that was read after the command came.

Whatever is raised by what runs here (a decision, a renderer, the store) ends as the failure of the commands that it
struck: so every exception is caught where it is known which those are.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol

import structlog

from ocs.charging.outcome import Outcome
from ocs.charging.requests import Result
from ocs.charging.session import Session
from ocs.limits import CONFLICTS_PER_COMMAND_MAX, PENDING_PER_ACCOUNT_MAX, SESSIONS_READ_AHEAD_MAX, TORN_READS_MAX
from ocs.nms.metrics import Metrics
from ocs.store.commands import Command
from ocs.store.committer import Committer, Fate
from ocs.store.directory import Directory
from ocs.store.interface import Applied, Loaded, Store, StoreDown
from ocs.store.lane import Lane, built_on, withdraw
from ocs.store.pins import Pins

_log = structlog.get_logger()

STORE_DOWN: Final = "store_down"


class Ends(Protocol):
    """Who is told what became of a command."""

    def finished(self, account_id: str, command: Command) -> None:
        """Its outcome is durable, or moves nothing. It is in its lane until `Lanes.leave`."""

    def failed(self, command: Command, result: Result, why: str, cause: Exception | None) -> None:
        """It was not carried out; it has left its lane."""


class Lanes:
    """All lanes of a dispatcher. holder: the name of this process among those that share the store.

    accounts_max: how many lanes are kept, more than one decision needs; sessions_max: how many sessions in all of them.
    commands: how many are in lanes. spawn: starts what runs beside.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        directory: Directory,
        ends: Ends,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        *,
        holder: str,
        accounts_max: int,
        sessions_max: int,
    ) -> None:
        self.commands = 0
        self.committer = Committer(store, metrics.store)
        self.pins = Pins(store, holder, metrics, self._may_decide_again, self._quiet, self._in_use)
        self._store = store
        self._metrics = metrics
        self._directory = directory
        self._ends = ends
        self._spawn = spawn
        self._accounts_max = accounts_max
        self._sessions_max = sessions_max
        self._sessions = 0
        self._lanes: dict[str, Lane] = {}
        self._resting: OrderedDict[str, Lane] = OrderedDict()  # the least recently used first
        self._places = 0
        self._waiting_for_quiet: dict[str, asyncio.Future[None]] = {}

    # From outside.

    def enter(self, account_id: str, command: Command) -> bool:
        """A command for an account; False: it has too many."""
        lane = self._lane(account_id)
        if lane.waiting >= PENDING_PER_ACCOUNT_MAX:
            return False
        self.commands += 1
        if command.session_key is not None:
            self._directory.enter(command.session_key, account_id)
        command.entered_tick = self._directory.tick()
        lane.queue.append(command)
        self._advance(lane)
        return True

    def leave(self, account_id: str, command: Command) -> None:
        """The command has no more business in its lane."""
        self.commands -= 1
        if command.session_key is not None:
            self._directory.leave(command.session_key)
            lane = self._lanes.get(account_id)
            if lane is not None:
                lane.release(command.session_key)

    def _lane(self, account_id: str) -> Lane:
        self._resting.pop(account_id, None)
        lane = self._lanes.get(account_id)
        if lane is None:
            lane = self._lanes[account_id] = Lane(account_id)
        return lane

    def _rest(self, lane: Lane) -> None:
        if self._waiting_for_quiet:
            self._told_quiet(lane)
        if self._lanes.get(lane.account_id) is not lane:
            return
        sessions = lane.sessions
        if sessions != lane.counted:
            self._sessions += sessions - lane.counted
            lane.counted = sessions
        if not lane.resting:
            return
        if lane.loaded:
            self._resting[lane.account_id] = lane
        else:
            self._resting.pop(lane.account_id, None)
            self._remove(lane)
        while self._resting and (len(self._lanes) > self._accounts_max or self._sessions > self._sessions_max):
            self._remove(self._resting.popitem(last=False)[1])

    def _remove(self, lane: Lane) -> None:
        del self._lanes[lane.account_id]
        self._sessions -= lane.counted

    # Reading.

    def _advance(self, lane: Lane) -> None:
        """Decide what can be decided, or read what is missing for it."""
        while (lane.visitors or (lane.queue and not lane.hosts)) and not lane.loading:
            if not self.pins.may_decide(lane.account_id):
                break
            command = lane.queue[0] if lane.queue and not lane.hosts else None
            key = None if command is None else command.session_key
            if not lane.loaded:
                if not lane.inflight:  # else: once that has settled
                    self._read(lane, key)
                break
            if lane.visitors:
                self._welcome(lane)
                continue
            assert command is not None
            known = None if key is None else lane.known(key)
            if key is not None and known is None and command.absent_tick <= lane.loaded_tick:
                # Only absence that was seen after the account was read is covered by the account's version.
                self._read(lane, *self._unknown(lane))
                break
            if not self._decide(lane, command, None if known is None else known.session):
                break
        self._rest(lane)

    def _welcome(self, lane: Lane) -> None:
        """The lane is read: those that waited for it go on."""
        visitors = list(lane.visitors)
        lane.visitors.clear()
        for visitor in visitors:
            visitor.hosts -= 1
            self._advance(visitor)

    def _unknown(self, lane: Lane) -> list[str]:
        """The sessions to read for the first commands of a lane whose account is read already."""
        keys: dict[str, None] = {}
        for command in islice(lane.queue, SESSIONS_READ_AHEAD_MAX):
            key = command.session_key
            if key is not None and command.absent_tick <= lane.loaded_tick and lane.known(key) is None:
                keys[key] = None
        return list(keys)

    def _read(self, lane: Lane, *keys: str | None) -> None:
        lane.loading = True
        self._spawn(self._load(lane, keys, lane.generation))

    async def _load(self, lane: Lane, keys: Sequence[str | None], generation: int) -> None:
        loaded: Sequence[Loaded] | Exception
        try:
            if len(keys) == 1:
                loaded = (await self._store.load(lane.account_id, keys[0]),)
            else:
                loaded = await asyncio.gather(*(self._store.load(lane.account_id, key) for key in keys))
        except Exception as error:  # noqa: BLE001
            loaded = error
            if not isinstance(error, StoreDown):
                _log.exception("load_failed", account_id=lane.account_id, session_id=keys[0])
        lane.loading = False
        try:
            if generation == lane.generation:
                self._take(lane, keys, loaded)
        except Exception as error:  # noqa: BLE001
            _log.exception("lane_failed", account_id=lane.account_id)
            self._give_up([lane], Result.UNABLE_TO_COMPLY, "lane_failed", error)
        self._advance(lane)

    def _take(self, lane: Lane, keys: Sequence[str | None], loaded: Sequence[Loaded] | Exception) -> None:
        if isinstance(loaded, StoreDown):
            self._metrics.store.down()
            self._turn_away(lane, len(lane.queue), Result.TOO_BUSY, STORE_DOWN, loaded)
        elif isinstance(loaded, Exception):
            self._turn_away(lane, min(1, len(lane.queue)), Result.UNABLE_TO_COMPLY, "load_failed", loaded)
        else:
            for key, one in zip(keys, loaded, strict=True):
                lane.take(one, key, self._directory.tick())
            self.pins.was_read(lane.account_id, lane.durable_version)

    # Deciding.

    def _decide(self, lane: Lane, command: Command, session: Session | None) -> bool:
        """Decide on the first command of the lane; False where something has to be read before that can be done."""
        lanes: tuple[Lane, ...] = (lane,)
        try:
            outcome = command.decide(lane.account, session)
            if outcome.needs:
                others = [self._lane(account_id) for account_id in sorted(outcome.needs)]
                if not self._ready(lane, others):
                    return False
                lanes = (lane, *others)
                accounts = [other.account for other in others if other.account is not None]
                outcome = command.decide_with(lane.account, session, accounts)
                assert not outcome.needs, "a decision asks once for other accounts"
            if len(lanes) > 1 or not outcome.writes:  # what is written is checked by its version
                old = self._old(outcome, command, lanes)
                if old:
                    for each in old:
                        _forget(each)
                    return True
            outcome = command.complete(outcome)
            _check(outcome, lanes, command.session_key)
        except Exception as error:  # noqa: BLE001
            if self._perhaps_torn(command):
                for each in lanes:
                    each.doubt()
                return True
            _log.exception("decide_failed", account_id=lane.account_id, session_id=command.session_key)
            lane.queue.pop(0)
            lane.doubt()
            self._fail_all(lane, [command], Result.UNABLE_TO_COMPLY, "decide_failed", error)
            self._rest_all(lanes)
            return True
        lane.queue.pop(0)
        self._places += 1
        command.place, command.lanes, command.outcome = self._places, lanes, outcome
        self._submit(lane, command)
        return True

    def _perhaps_torn(self, command: Command) -> bool:
        """Whether a decision may have failed because another node wrote between the reading of accounts and session.

        What it then found (a hold that the account does not have) is no fault of anybody: all is read again.
        """
        if not self._store.shared:
            return False
        command.torn += 1
        if command.torn > TORN_READS_MAX:
            self._metrics.diameter.limit("torn_reads")
            return False
        return True

    def _ready(self, lane: Lane, others: Sequence[Lane]) -> bool:
        """Whether the other lanes may be decided on; where one may not, `lane` waits for it."""
        missing = [other for other in others if not (other.loaded and self.pins.may_decide(other.account_id))]
        for other in missing:
            lane.hosts += 1
            other.visitors[lane] = lane.queue[0]
        for other in missing:
            self._advance(other)
        if missing:
            self._rest_all(others)
        return not missing

    def _old(self, outcome: Outcome, command: Command, lanes: Iterable[Lane]) -> list[Lane]:
        """Lanes that the decision read and does not write, whose state may have been old when the command came.

        The stored answer to a repeat never gets old; and of what is on its way the version is checked.
        """
        if not self._store.shared or outcome.repeat is not None:
            return []
        written = {write.account.id for write in outcome.writes}
        return [
            lane
            for lane in lanes
            if lane.account_id not in written and lane.fresh_tick < command.entered_tick and not lane.ahead
        ]

    def _submit(self, lane: Lane, command: Command) -> None:
        outcome = command.outcome
        if outcome.writes:
            lane.advance(outcome.session)
            if len(command.lanes) == 1:
                lane.account = outcome.writes[0].account
                lane.inflight.append(command)
            else:
                versions = {write.account.id: write.account for write in outcome.writes}
                for each in command.lanes:
                    each.account = versions.get(each.account_id, each.account)
                    each.inflight.append(command)
            command.ticket = self.committer.submit(outcome, partial(self._settled, command))
        elif any(each.inflight for each in command.lanes):
            for each in command.lanes:
                each.inflight.append(command)
        else:
            self._ends.finished(lane.account_id, command)
            self._rest_all(command.lanes[1:])

    # What became of a decision.

    def _settled(self, command: Command, fate: Fate) -> None:
        """The fate of a write; those of earlier ones were told before."""
        lanes = command.lanes
        touched: Sequence[Lane] = lanes
        command.ticket = None
        try:
            for lane in lanes:
                assert lane.inflight[0] is command, "writes of a lane settle in their order"
            if fate is Applied.DONE:
                touched = self._durable(command)
            elif fate is Applied.CONFLICT:
                touched = self._again(command)
            elif isinstance(fate, StoreDown):
                touched = self._give_up(lanes, Result.TOO_BUSY, STORE_DOWN, fate)
            else:
                assert isinstance(fate, Exception)
                touched = self._again(command, fate)
        except Exception as error:  # noqa: BLE001
            _log.exception("lane_failed", account_id=lanes[0].account_id)
            touched = self._give_up(lanes, Result.UNABLE_TO_COMPLY, "lane_failed", error)
        for lane in touched:
            self._advance(lane)

    def _durable(self, command: Command) -> list[Lane]:
        """Tell who waits, also for what moved nothing but was computed from it; returns the lanes of all of them."""
        outcome = command.outcome
        own = command.lanes[0]
        tick = self._directory.tick()
        own.settle(outcome.session)
        if len(command.lanes) == 1 and (len(own.inflight) == 1 or own.inflight[1].ticket is not None):
            # The usual case: nobody else was in it, and nobody waits for it who has nothing to write.
            own.fresh_tick = tick
            own.durable_version = outcome.writes[0].account.version
            self._directory.learn(outcome)
            own.inflight.pop(0)
            self._ends.finished(own.account_id, command)
            return [own]
        versions = {write.account.id: write.account.version for write in outcome.writes}
        for lane in command.lanes:
            if lane.account_id in versions:
                lane.fresh_tick = tick
                lane.durable_version = versions[lane.account_id]
        self._directory.learn(outcome)
        touched: dict[Lane, None] = {}
        todo = deque((command,))
        while todo:
            over = todo.popleft()
            for lane in over.lanes:
                lane.inflight.pop(0)
            touched.update(dict.fromkeys(over.lanes))
            self._ends.finished(over.lanes[0].account_id, over)
            for lane in over.lanes:
                first = lane.inflight[0] if lane.inflight else None
                if (
                    first is not None
                    and first.ticket is None
                    and first not in todo
                    and all(each.inflight[0] is first for each in first.lanes)
                ):
                    todo.append(first)
        return list(touched)

    def _again(self, command: Command, refused: Exception | None = None) -> list[Lane]:
        """Another node was faster, or the outcome cannot be written at all: decide again on all that was built on it.

        Returns the lanes that are to be read anew.
        """
        command_lanes = command.lanes
        own = command_lanes[0]
        commands, lanes = built_on(command)
        withdraw(commands, lanes)
        if refused is not None:
            own.queue.remove(command)
            self._fail_all(own, [command], Result.UNABLE_TO_COMPLY, "commit_refused", refused)
            return lanes
        for lane in command_lanes:
            self.pins.suspect(lane.account_id, lane.durable_version)
        command.conflicts += 1
        if command.conflicts > CONFLICTS_PER_COMMAND_MAX:
            own.queue.remove(command)
            self._fail_all(own, [command], Result.TOO_BUSY, "conflicts", None)
            self._metrics.diameter.limit("conflicts_per_command")
        return lanes

    def _give_up(self, lanes: Sequence[Lane], result: Result, why: str, cause: Exception) -> list[Lane]:
        """Nothing of these lanes survives, nor what was built on what they had on its way; returns all lanes struck."""
        struck: dict[Lane, None] = dict.fromkeys(lanes)
        for lane in lanes:
            while lane.inflight:
                commands, more = built_on(lane.inflight[0])
                withdraw(commands, more)
                struck.update(dict.fromkeys(more))
            lane.drop()
        for lane in struck:
            self._turn_away(lane, len(lane.queue), result, why, cause)
        return list(struck)

    def _turn_away(self, lane: Lane, commands: int, result: Result, why: str, cause: Exception) -> None:
        """So many of its first commands fail, and those of other lanes that wait for it."""
        self._fail_all(lane, [lane.queue.pop(0) for _ in range(commands)], result, why, cause)
        visitors = list(lane.visitors.items())
        lane.visitors.clear()
        for visitor, command in visitors:
            visitor.hosts -= 1
            if visitor.queue and visitor.queue[0] is command:
                self._fail_all(visitor, [visitor.queue.pop(0)], result, why, cause)
            self._advance(visitor)

    def _fail_all(
        self, lane: Lane, commands: Iterable[Command], result: Result, why: str, cause: Exception | None
    ) -> None:
        for command in commands:
            self.leave(lane.account_id, command)
            self._ends.failed(command, result, why, cause)

    def _rest_all(self, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            self._rest(lane)

    # Hot accounts.

    def _in_use(self, account_id: str) -> bool:
        lane = self._lanes.get(account_id)
        return lane is not None and not lane.resting

    def _may_decide_again(self, account_id: str) -> None:
        """It is this node's turn: others may have written the account meanwhile."""
        lane = self._lanes.get(account_id)
        if lane is not None:
            _forget(lane)
            self._advance(lane)

    async def _quiet(self, account_id: str) -> None:
        """Returns when nothing of the account is on its way to the store."""
        lane = self._lanes.get(account_id)
        if lane is not None and lane.inflight:
            quiet = self._waiting_for_quiet[account_id] = asyncio.get_running_loop().create_future()
            await quiet

    def _told_quiet(self, lane: Lane) -> None:
        if not lane.inflight:
            quiet = self._waiting_for_quiet.pop(lane.account_id, None)
            if quiet is not None and not quiet.done():
                quiet.set_result(None)


def _forget(lane: Lane) -> None:
    """Read it anew before the next decision."""
    if lane.inflight:
        lane.doubt()
    else:
        lane.drop()


def _check(outcome: Outcome, lanes: Sequence[Lane], session_key: str | None) -> None:
    """A decision that breaks the rules of the ledger goes no further: AssertionError."""
    if not outcome.writes:
        assert outcome.session is None, "what is not guarded by a version is not written"
        assert outcome.page is None, "what is not guarded by a version is not written"
        assert not outcome.cdrs, "what is not guarded by a version is not written"
        assert not outcome.effects, "what is not guarded by a version is not written"
        return
    lanes[0].check(outcome, session_key)
    if len(lanes) == 1 and len(outcome.writes) == 1:
        (lane,), (write,) = lanes, outcome.writes
        assert write.account.id == lane.account_id, "a decision writes its own account"
        assert write.account.version == 1 + (0 if lane.account is None else lane.account.version), (
            "a decision raises each account that it read by one version"
        )
        return
    known = {lane.account_id: 0 if lane.account is None else lane.account.version for lane in lanes}
    written = {write.account.id: write.account.version for write in outcome.writes}
    assert lanes[0].account_id in written, "a decision writes its own account"
    assert all(known.get(account_id) == version - 1 for account_id, version in written.items()), (
        "a decision raises each account that it read by one version"
    )
