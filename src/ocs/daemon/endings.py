"""Sessions that end from here: their clients do not have them any more, or are not to be waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from ocs.balances.account import Account
from ocs.charging.outcome import Outcome
from ocs.charging.session import Session
from ocs.nms.metrics import Metrics
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import Store, StoreDown

_log = structlog.get_logger("ocs")

ABORTED: Final = "aborted"
PEER_UNKNOWN: Final = "peer_unknown"
PEER_RESTARTED: Final = "peer_restarted"
"""Causes in CDRs and metrics: ended by command; its client said that it has no such session; its host lost them all."""

PAGE_SESSIONS: Final = 500
AT_ONCE: Final = 50
PAUSE_S: Final = 2.0


class End(Protocol):
    """The end of a session now; an Outcome without writes: it is over already. Pure."""

    def __call__(
        self, account: Account, session: Session, cause: str, now_ns: int, others: Sequence[Account] | None = None, /
    ) -> Outcome: ...


def _always(_session: Session) -> bool:
    return True


class Endings:
    """Ends single sessions, or all of a host that restarted.

    What is left of a restart when this process ends is left to supervision: the host is not heard to rise again.
    """

    def __init__(
        self, store: Store, dispatcher: Dispatcher, end: End, now_ns: Callable[[], int], metrics: Metrics
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._end = end
        self._now_ns = now_ns
        self._metrics = metrics
        self._restarted: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def end(
        self, account_id: str, session_key: str, cause: str, when: Callable[[Session], bool] = _always
    ) -> bool:
        """End a session if it is open and `when` is true of it as it is then; whether it was. StoreDown, or Failed."""
        now_ns = self._now_ns()

        def decide(
            account: Account | None, session: Session | None, others: Sequence[Account] | None = None
        ) -> Outcome:
            if account is None or session is None or not when(session):
                return Outcome()
            return self._end(account, session, cause, now_ns, others)

        outcome = await self._dispatcher.run(account_id, session_key, decide)
        if outcome.writes:
            self._metrics.charging.session_ended(cause)
        return bool(outcome.writes)

    def peer_restarted(self, host: str) -> None:
        """End, in the background, the sessions of `host` (in lower case) that were last heard of before now."""
        self._restarted[host] = self._now_ns()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._release_all())

    async def stop(self) -> None:
        """Leave the rest to supervision."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def settled(self) -> None:
        """Wait until nothing is left to be ended."""
        if self._task is not None:
            await self._task

    async def _release_all(self) -> None:
        while self._restarted:
            hosts, self._restarted = self._restarted, {}
            ended = await self._release(hosts)
            _log.warning("sessions_released", hosts=sorted(hosts), sessions=ended)

    async def _release(self, before_ns: Mapping[str, int]) -> int:
        """End the sessions of these hosts that were not heard of since; returns how many."""
        ended, after = 0, ""
        while True:
            try:
                page = await self._store.sessions(None, after, PAGE_SESSIONS)
                lost = [session for session in page if _is_lost(session, before_ns)]
                for start in range(0, len(lost), AT_ONCE):
                    ended += await self._end_all(lost[start : start + AT_ONCE], before_ns)
            except (StoreDown, Failed) as error:
                _log.warning("release_waits", why=str(error))
                await asyncio.sleep(PAUSE_S)
                continue
            if len(page) < PAGE_SESSIONS:
                return ended
            after = page[-1].key

    async def _end_all(self, sessions: Sequence[Session], before_ns: Mapping[str, int]) -> int:
        runs = [
            self.end(session.account_id, session.key, PEER_RESTARTED, lambda now: _is_lost(now, before_ns))
            for session in sessions
        ]
        return sum(await asyncio.gather(*runs))


def _is_lost(session: Session, before_ns: Mapping[str, int]) -> bool:
    return session.last_at_ns < before_ns.get(session.origin_host.lower(), 0)
