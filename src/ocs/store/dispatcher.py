"""What stands between requests and the store: it finds the account of each, and answers what is durable.

What is told to a client waits for the commit of its command, and so does every answer that was computed from something
not yet committed: `lanes` sees to that. A client that has waited too long is told so; its command goes on, and a repeat
of the request gets the answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, ChargingRequest, Result
from ocs.limits import ANSWER_DEADLINE_S, CACHED_ACCOUNTS_MAX, CACHED_SESSIONS_MAX, INFLIGHT_MAX
from ocs.nms.metrics import Metrics
from ocs.store.commands import Charge, Command, Decide, Failed, Render, Run
from ocs.store.deadlines import Deadlines
from ocs.store.directory import Directory
from ocs.store.interface import Store, StoreDown
from ocs.store.lanes import STORE_DOWN, Lanes
from ocs.store.spool import Spool, SpoolFull

_log = structlog.get_logger()

_T = TypeVar("_T")

_DRAIN_PAUSE_S: Final = 0.005


class Dispatcher:
    """Carries out commands on accounts over `store`, which is open. Everything runs on one event loop.

    spool: takes emergency requests while the store is down; without one they fail like all others.
    holder: the name of this process among those that share the store; "" = host and process id.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        spool: Spool | None = None,
        *,
        answer_deadline_s: float = ANSWER_DEADLINE_S,
        accounts_max: int = CACHED_ACCOUNTS_MAX,
        sessions_max: int = CACHED_SESSIONS_MAX,
        commands_max: int = INFLIGHT_MAX,
        holder: str = "",
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._spool = spool
        self._deadlines = Deadlines(answer_deadline_s, self._expire)
        self._commands_max = commands_max
        self._in_look_up = 0
        self._directory = Directory(store)
        self._lanes = Lanes(
            store,
            metrics,
            self._directory,
            self,
            self._spawn,
            holder=holder or _own_name(),
            accounts_max=accounts_max,
            sessions_max=sessions_max,
        )
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
            self.failed(command, Result.TOO_BUSY, "behind_spooled")  # in order: after what is still to be replayed
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
            await self._lanes.committer.drain()
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                await asyncio.sleep(_DRAIN_PAUSE_S)  # another node has its turn on an account

    async def stop(self) -> None:
        """Wait until every command has been carried out or has failed, and give back what other nodes wait for."""
        await self.drain()
        await self._lanes.pins.stop()

    @property
    def commands(self) -> int:
        """Commands not yet carried out."""
        return self._lanes.commands + self._in_look_up

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
                self.failed(refused, Result.TOO_BUSY, STORE_DOWN, fault)
            return
        first = waiting.popleft()
        if fault is not None:
            self.failed(first, Result.UNABLE_TO_COMPLY, "look_up_failed", fault)
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
            assert not outcome.writes, "without an account nothing can be written"
            assert outcome.session is None, "without an account there are no sessions"
        except Exception as error:  # noqa: BLE001
            _log.exception("decide_failed", session_id=command.session_key, account_id=None)
            self.failed(command, Result.UNABLE_TO_COMPLY, "decide_failed", error)
            return
        command.outcome = outcome
        self._conclude(command)

    # The end of a command.

    def finished(self, account_id: str, command: Command) -> None:
        """`ocs.store.lanes.Ends`."""
        if isinstance(command, Charge) and command.outcome.repeat == b"":
            self._spawn(self._repeat_late(account_id, command))
            return
        self._lanes.leave(account_id, command)
        self._conclude(command)

    def failed(self, command: Command, result: Result, why: str, cause: Exception | None = None) -> None:
        """`ocs.store.lanes.Ends`; emergency calls are not refused for want of a store."""
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

    async def _repeat_late(self, account_id: str, command: Charge) -> None:
        """The answer to repeat has left the session row: it is in the session's pages."""
        request = command.request
        try:
            answers = await self._store.load_answers(account_id, request.session_key)
        except Exception as error:  # noqa: BLE001
            self._lanes.leave(account_id, command)
            if isinstance(error, StoreDown):
                self._metrics.store.down()
                self.failed(command, Result.TOO_BUSY, STORE_DOWN, error)
            else:
                _log.exception("load_answers_failed", account_id=account_id, session_id=request.session_key)
                self.failed(command, Result.UNABLE_TO_COMPLY, "load_answers_failed", error)
            return
        self._lanes.leave(account_id, command)
        for answered in answers:
            if (answered.type, answered.number) == request.memory_key:
                command.content = answered.content
                self._conclude(command)
                return
        _log.error("answer_missing", session_id=request.session_key, request=request.name)
        self.failed(command, Result.UNABLE_TO_COMPLY, "answer_missing")

    def _conclude(self, command: Command) -> None:
        """Who waits is told, unless that waited too long."""
        try:
            if not command.over:
                command.over = True
                command.succeed()
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", session_id=command.session_key)

    def _enter(self, account_id: str, command: Command) -> None:
        if not self._lanes.enter(account_id, command):
            self._refuse(command, "pending_per_account")

    def _refuse(self, command: Command, limit: str) -> None:
        self._metrics.diameter.limit(limit)
        self.failed(command, Result.TOO_BUSY, limit)

    def _expire(self, command: Command) -> None:
        """The client is told; the command goes on, and a repeat of the request gets its answer."""
        self._metrics.diameter.limit("answer_deadline_s")
        self.failed(command, Result.TOO_BUSY, "deadline")

    async def _spool_it(self, spool: Spool, command: Charge, answer: ChargingAnswer, why: str) -> None:
        """Note it on the disk here; it is charged later."""
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


def _own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _resolve(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)


def _reject(future: asyncio.Future[_T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
