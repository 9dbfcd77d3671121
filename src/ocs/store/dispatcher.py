"""What stands between requests and the store: it finds the account, keeps the order, and answers what is durable.

Each account has a lane. Its commands are decided in the order of their arrival, each on the state that the one before
it left, without waiting for the commit of that one; all go to the committer in the same order. What is told to a client
waits for the commit of its command, and so does every answer that was computed from something not yet committed.

When a write meets a conflict (another node was faster), it and all later commands of the lane are decided again, on
what is stored now. When the store is down, they all fail, and the lane is forgotten. So no decision that reaches the
store was ever built on one that did not.

Whatever is raised by what runs here (a decision, a renderer, the store) ends as the failure of the commands that it
struck: so every exception is caught where it is known which those are.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, ChargingRequest, Result
from ocs.charging.session import Session
from ocs.limits import (
    ANSWER_DEADLINE_S,
    CACHED_ACCOUNTS_MAX,
    CONFLICTS_PER_COMMAND_MAX,
    INFLIGHT_MAX,
    PENDING_PER_ACCOUNT_MAX,
)
from ocs.nms.metrics import Metrics
from ocs.store.commands import Charge, Command, Decide, Failed, Render, Run
from ocs.store.committer import Committer, Fate
from ocs.store.deadlines import Deadlines
from ocs.store.directory import Directory
from ocs.store.interface import Applied, Loaded, Store, StoreDown
from ocs.store.lane import Lane
from ocs.store.spool import Spool, SpoolFull

_log = structlog.get_logger()

_T = TypeVar("_T")

_STORE_DOWN: Final = "store_down"


class Dispatcher:
    """Carries out commands on accounts over `store`, which is open. Everything runs on one event loop.

    spool: takes emergency requests while the store is down; without one they fail like all others.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        spool: Spool | None = None,
        *,
        answer_deadline_s: float = ANSWER_DEADLINE_S,
        accounts_max: int = CACHED_ACCOUNTS_MAX,
        commands_max: int = INFLIGHT_MAX,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._spool = spool
        self._committer = Committer(store, metrics.store)
        self._deadlines = Deadlines(answer_deadline_s, self._expire)
        self._accounts_max = accounts_max
        self._commands_max = commands_max
        self._in_lanes = 0
        self._in_look_up = 0
        self._lanes: dict[str, Lane] = {}
        self._resting: OrderedDict[str, Lane] = OrderedDict()  # the least recently used first
        self._directory = Directory(store)
        self._looked_up: dict[str, deque[Charge]] = {}  # requests of sessions whose account is being asked for
        self._tasks: set[asyncio.Task[None]] = set()

    # What is asked from outside.

    def charge(
        self,
        request: ChargingRequest,
        decide: Decide,
        render: Render,
        done: Callable[[bytes], None],
        failed: Callable[[Result, str], None],
        *,
        account_id: str | None = None,
        emergency: ChargingAnswer | None = None,
    ) -> None:
        """Charge a request of a client; exactly one of `done` (the content of the answer) and `failed` is called, once.

        decide, render: pure, called at once or later, and again after a conflict.
        account_id: the account of a session that is not known yet (emergency and free calls have one of their own);
            None: the subscriber's. Where there is none either, `decide(None, None)` says what is answered.
        emergency: the answer to give when the store cannot be had.
        """
        command = Charge(request, decide, render, done, failed, account_id, emergency)
        if self.commands >= self._commands_max:
            self._refuse(command, "inflight")
            return
        if self._spool is not None and self._spool.holds(request.session_key):
            self._fail(command, Result.TOO_BUSY, "behind_spooled")  # in order: after what is still to be replayed
            return
        self._deadlines.add(command)
        self._route(command)

    async def answer(
        self,
        request: ChargingRequest,
        decide: Decide,
        render: Render,
        *,
        account_id: str | None = None,
    ) -> bytes:
        """`charge`, waited for; `Failed` where there is no answer."""
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def failed(result: Result, why: str) -> None:
            _reject(answered, Failed(result, why))

        command = Charge(request, decide, render, partial(_resolve, answered), failed, account_id, None)
        self._deadlines.add(command)
        self._route(command)
        return await answered

    async def run(self, account_id: str, session_key: str | None, decide: Decide) -> Outcome:
        """Decide for people or timers, on an account and one of its sessions; returns what is durable then.

        `Failed` where it cannot be done now (TOO_BUSY) or at all; its cause is the exception that stood in the way.
        """
        decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        command = Run(session_key, decide, partial(_resolve, decided), partial(_reject, decided))
        self._enter(account_id, command)
        return await decided

    async def drain(self) -> None:
        """Wait until every command has been carried out or has failed."""
        while self.commands or self._tasks:
            await self._committer.drain()
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                await asyncio.sleep(0)

    @property
    def commands(self) -> int:
        """Commands not yet carried out."""
        return self._in_lanes + self._in_look_up

    # Which account.

    def _route(self, command: Charge) -> None:
        key = command.request.session_key
        behind = self._looked_up.get(key)
        if behind is not None:  # requests of one session stay in order
            behind.append(command)
            self._in_look_up += 1
            return
        account_id = self._directory.known(key)
        if account_id is not None:
            self._enter(account_id, command)
            return
        self._looked_up[key] = deque((command,))
        self._in_look_up += 1
        self._spawn(self._look_up(key, command))

    async def _look_up(self, key: str, command: Charge) -> None:
        account_id: str | None = None
        fault: Exception | None = None
        try:
            account_id = await self._directory.find(command)
        except Exception as error:  # noqa: BLE001
            fault = error
            if not isinstance(error, StoreDown):
                _log.exception("look_up_failed", session_id=key)
        waiting = self._looked_up.pop(key)
        self._in_look_up -= len(waiting)
        if isinstance(fault, StoreDown):
            self._metrics.store.down()
            for refused in waiting:
                self._fail(refused, Result.TOO_BUSY, _STORE_DOWN, fault)
            return
        first = waiting.popleft()
        if fault is not None:
            self._fail(first, Result.UNABLE_TO_COMPLY, "look_up_failed", fault)
        elif account_id is None:
            self._answer_unknown(first)
        else:
            self._enter(account_id, first)
        for later in waiting:
            self._route(later)

    def _answer_unknown(self, command: Charge) -> None:
        """There is no account: nothing can be moved, and nothing has to be waited for."""
        try:
            outcome = command.complete(command.decide(None, None))
            assert _moves_nothing(outcome), "without an account nothing can be written"
        except Exception as error:  # noqa: BLE001
            _log.exception("decide_failed", session_id=command.session_key, account_id=None)
            self._fail(command, Result.UNABLE_TO_COMPLY, "decide_failed", error)
            return
        command.outcome = outcome
        self._conclude(command)

    # The lane of an account.

    def _enter(self, account_id: str, command: Command) -> None:
        lane = self._lanes.get(account_id)
        if lane is None:
            lane = self._lanes[account_id] = Lane(account_id)
        elif lane.waiting >= PENDING_PER_ACCOUNT_MAX:
            self._refuse(command, "pending_per_account")
            return
        self._resting.pop(account_id, None)
        self._in_lanes += 1
        if command.session_key is not None:
            self._directory.enter(command.session_key, account_id)
        lane.queue.append(command)
        self._advance(lane)

    def _leave(self, lane: Lane, command: Command) -> None:
        """The command has no more business in its lane."""
        self._in_lanes -= 1
        if command.session_key is not None:
            self._directory.leave(command.session_key)
            lane.release(command.session_key)

    def _advance(self, lane: Lane) -> None:
        """Decide what can be decided, or read what is missing for it."""
        while lane.queue and not lane.loading:
            command = lane.queue[0]
            key = command.session_key
            if not lane.loaded:
                if not lane.inflight:  # else: once that has settled
                    self._read(lane, key)
                break
            known = None if key is None else lane.known(key)
            if key is not None and known is None and command.absent_tick <= lane.loaded_tick:
                # Only absence that was seen after the account was read is covered by the account's version.
                self._read(lane, key)
                break
            lane.queue.popleft()
            self._decide(lane, command, None if known is None else known.session)
        if lane.resting:
            self._rest(lane)

    def _read(self, lane: Lane, key: str | None) -> None:
        lane.loading = True
        self._spawn(self._load(lane, key, lane.generation))

    async def _load(self, lane: Lane, key: str | None, generation: int) -> None:
        loaded: Loaded | Exception
        try:
            loaded = await self._store.load(lane.account_id, key)
        except Exception as error:  # noqa: BLE001
            loaded = error
            if not isinstance(error, StoreDown):
                _log.exception("load_failed", account_id=lane.account_id, session_id=key)
        lane.loading = False
        try:
            if generation == lane.generation:
                self._take(lane, key, loaded)
        except Exception as error:  # noqa: BLE001
            _log.exception("lane_failed", account_id=lane.account_id)
            self._give_up(lane, Result.UNABLE_TO_COMPLY, "lane_failed", error)
        self._advance(lane)

    def _take(self, lane: Lane, key: str | None, loaded: Loaded | Exception) -> None:
        if isinstance(loaded, StoreDown):
            self._metrics.store.down()
            self._fail_all(lane, _drained(lane.queue), Result.TOO_BUSY, _STORE_DOWN, loaded)
        elif isinstance(loaded, Exception):
            self._fail_all(lane, [lane.queue.popleft()], Result.UNABLE_TO_COMPLY, "load_failed", loaded)
        else:
            lane.take(loaded, key, self._directory.tick())

    def _read_others(self, lane: Lane, command: Command, account_ids: Sequence[str]) -> None:
        lane.loading = True
        self._spawn(self._load_others(lane, command, account_ids))

    async def _load_others(self, lane: Lane, command: Command, account_ids: Sequence[str]) -> None:
        """Other accounts are taken as they are stored: where one moves on meanwhile, its version tells at commit."""
        try:
            command.others = await self._store.load_accounts(account_ids)
        except Exception as error:  # noqa: BLE001
            result, why = Result.UNABLE_TO_COMPLY, "load_failed"
            if isinstance(error, StoreDown):
                self._metrics.store.down()
                result, why = Result.TOO_BUSY, _STORE_DOWN
            else:
                _log.exception("load_failed", account_id=lane.account_id, session_id=command.session_key)
            lane.queue.remove(command)
            self._fail_all(lane, [command], result, why, error)
        lane.loading = False
        self._advance(lane)

    def _rest(self, lane: Lane) -> None:
        if self._lanes.get(lane.account_id) is not lane:
            return
        if not lane.loaded:
            del self._lanes[lane.account_id]
            return
        self._resting[lane.account_id] = lane
        if len(self._lanes) > self._accounts_max:
            account_id, _ = self._resting.popitem(last=False)
            del self._lanes[account_id]

    def _decide(self, lane: Lane, command: Command, session: Session | None) -> None:
        try:
            outcome = command.decided(lane.account, session)
            if outcome.needs:
                assert command.others is None, "a decision asks once for other accounts"
                lane.queue.appendleft(command)
                self._read_others(lane, command, outcome.needs)
                return
            command.others = None  # read again if it has to be decided again
            outcome = command.complete(outcome)
            if outcome.writes:
                lane.check(outcome, command.session_key)
            else:
                assert _moves_nothing(outcome), "what is not guarded by a version is not written"
        except Exception as error:  # noqa: BLE001
            _log.exception("decide_failed", account_id=lane.account_id, session_id=command.session_key)
            lane.doubt()
            self._fail_all(lane, [command], Result.UNABLE_TO_COMPLY, "decide_failed", error)
            return
        command.outcome = outcome
        if outcome.writes:
            lane.advance(outcome)
            lane.inflight.append(command)
            command.ticket = self._committer.submit(outcome, partial(self._settled, lane, command))
        elif lane.inflight:
            command.ticket = None
            lane.inflight.append(command)
        else:
            self._finish(lane, command)

    # What became of a decision.

    def _settled(self, lane: Lane, command: Command, fate: Fate) -> None:
        """The fate of the oldest write of the lane that is on its way."""
        command.ticket = None
        try:
            assert lane.inflight[0] is command, "writes of a lane settle in their order"
            if fate is Applied.DONE:
                self._durable(lane, command)
            elif fate is Applied.CONFLICT:
                self._again(lane, command)
            elif isinstance(fate, StoreDown):
                self._give_up(lane, Result.TOO_BUSY, _STORE_DOWN, fate)
            else:
                assert isinstance(fate, Exception)
                lane.inflight.popleft()
                self._restart(lane)
                self._fail_all(lane, [command], Result.UNABLE_TO_COMPLY, "commit_refused", fate)
        except Exception as error:  # noqa: BLE001
            _log.exception("lane_failed", account_id=lane.account_id)
            self._give_up(lane, Result.UNABLE_TO_COMPLY, "lane_failed", error)
        self._advance(lane)

    def _durable(self, lane: Lane, command: Command) -> None:
        lane.inflight.popleft()
        lane.settle(command.outcome)
        self._pass_on(lane, command.outcome)
        self._directory.learn(command.outcome)
        self._finish(lane, command)
        while lane.inflight and lane.inflight[0].ticket is None:  # it moved nothing, but was computed from what did
            self._finish(lane, lane.inflight.popleft())

    def _pass_on(self, lane: Lane, outcome: Outcome) -> None:
        """Lanes of other accounts that were written read them again (what is on its way there meets a conflict)."""
        for write in outcome.writes:
            other = self._lanes.get(write.account.id)
            if other is not None and other is not lane and not other.inflight:
                other.drop()

    def _again(self, lane: Lane, command: Command) -> None:
        """Another node was faster: read the account again and decide on it and all later commands, in order."""
        command.conflicts += 1
        if command.conflicts > CONFLICTS_PER_COMMAND_MAX:
            lane.inflight.popleft()
            self._restart(lane)
            self._fail_all(lane, [command], Result.TOO_BUSY, "conflicts", None)
            self._metrics.diameter.limit("conflicts_per_command")
        else:
            self._restart(lane)

    @staticmethod
    def _restart(lane: Lane) -> None:
        """All that is on its way is withdrawn and waits for a decision again, before what has none yet."""
        for command in lane.inflight:
            if command.ticket is not None:
                command.ticket.withdraw()
                command.ticket = None
        lane.queue.extendleft(reversed(lane.inflight))
        lane.inflight.clear()
        lane.drop()

    def _give_up(self, lane: Lane, result: Result, why: str, cause: Exception) -> None:
        """Nothing of the lane survives."""
        self._restart(lane)
        self._fail_all(lane, _drained(lane.queue), result, why, cause)

    # The end of a command.

    def _finish(self, lane: Lane, command: Command) -> None:
        if isinstance(command, Charge) and command.outcome.repeat == b"":
            self._spawn(self._repeat_late(lane, command))
            return
        self._leave(lane, command)
        self._conclude(command)

    async def _repeat_late(self, lane: Lane, command: Charge) -> None:
        """The answer to repeat has left the session row: it is in the session's pages."""
        request = command.request
        try:
            answers = await self._store.load_answers(lane.account_id, request.session_key)
        except Exception as error:  # noqa: BLE001
            self._leave(lane, command)
            if isinstance(error, StoreDown):
                self._metrics.store.down()
                self._fail(command, Result.TOO_BUSY, _STORE_DOWN, error)
            else:
                _log.exception("load_answers_failed", account_id=lane.account_id, session_id=request.session_key)
                self._fail(command, Result.UNABLE_TO_COMPLY, "load_answers_failed", error)
            return
        self._leave(lane, command)
        for answered in answers:
            if (answered.type, answered.number) == (request.type, request.number):
                command.content = answered.content
                self._conclude(command)
                return
        _log.error("answer_missing", session_id=request.session_key, request=request.name)
        self._fail(command, Result.UNABLE_TO_COMPLY, "answer_missing")

    def _conclude(self, command: Command) -> None:
        """Who waits is told, unless that waited too long."""
        try:
            if not command.over:
                command.over = True
                command.succeed()
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", session_id=command.session_key)

    def _fail_all(
        self, lane: Lane, commands: Iterable[Command], result: Result, why: str, cause: Exception | None
    ) -> None:
        for command in commands:
            self._leave(lane, command)
            self._fail(command, result, why, cause)

    def _refuse(self, command: Command, limit: str) -> None:
        self._metrics.diameter.limit(limit)
        self._fail(command, Result.TOO_BUSY, limit)

    def _expire(self, command: Command) -> None:
        """The client is told; the command goes on, and a repeat of the request gets its answer."""
        self._metrics.diameter.limit("answer_deadline_s")
        self._fail(command, Result.TOO_BUSY, "deadline")

    def _fail(self, command: Command, result: Result, why: str, cause: Exception | None = None) -> None:
        if command.over:
            return
        command.over = True
        if (
            result is Result.TOO_BUSY
            and self._spool is not None
            and isinstance(command, Charge)
            and command.emergency is not None
        ):
            self._spawn(self._spool_it(self._spool, command, command.emergency, why))
            return
        try:
            command.fail(result, why, cause)
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", session_id=command.session_key)

    async def _spool_it(self, spool: Spool, command: Charge, answer: ChargingAnswer, why: str) -> None:
        """An emergency call is not refused for want of a store: noted on the disk here, charged later."""
        try:
            try:
                content = command.render(answer)
                await spool.append(command.request, content)
            except SpoolFull:
                self._metrics.diameter.limit("spool_octets")
                command.failed(Result.TOO_BUSY, "spool_octets")
            except OSError as error:
                _log.error("spool_failed", session_id=command.session_key, why=str(error))
                command.failed(Result.TOO_BUSY, why)
            else:
                self._metrics.charging.emergency_spooled()
                command.done(content)
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", session_id=command.session_key)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _moves_nothing(outcome: Outcome) -> bool:
    return not outcome.writes and outcome.session is None and outcome.page is None and not outcome.cdrs


def _drained(queue: deque[Command]) -> list[Command]:
    commands = list(queue)
    queue.clear()
    return commands


def _resolve(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)


def _reject(future: asyncio.Future[_T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
