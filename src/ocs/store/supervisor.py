"""The clock of the store: ends what its time has come for, forgets what is old, charges what was spooled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from ocs.balances.account import Account
from ocs.charging.outcome import Outcome
from ocs.charging.requests import Result
from ocs.charging.session import Session
from ocs.limits import FORGOTTEN_PER_ROUND_MAX, SUPERVISED_PER_ROUND_MAX
from ocs.nms.metrics import Metrics
from ocs.store.background import Background
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import DueSession, Store, StoreDown
from ocs.store.leading import Leading
from ocs.store.spool import Spool, Spooled

_log = structlog.get_logger()

PERIOD_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0


class Expire(Protocol):
    """What becomes of a session at a time (Unix nanoseconds); an Outcome without writes: nothing yet. Pure.

    others: accounts that an earlier outcome said it needs.
    """

    def __call__(
        self, account: Account, session: Session, now_ns: int, others: Sequence[Account] | None = None, /
    ) -> Outcome: ...


class Supervisor:
    """Looks every `period_s` at what is due, more often while there is much, less often while the store is down.

    leading: where it is another node's turn, only what is this node's own is done; None: there is no other.
    spool, charge_spooled: what was answered without the store, and how it is charged now (`Failed` TOO_BUSY: later).
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        expire: Expire,
        now_ns: Callable[[], int],
        metrics: Metrics,
        *,
        leading: Leading | None = None,
        spool: Spool | None = None,
        charge_spooled: Callable[[Spooled], Awaitable[object]] | None = None,
        period_s: float = PERIOD_S,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._expire = expire
        self._now_ns = now_ns
        self._metrics = metrics
        self._leading = leading
        self._spool = spool
        self._charge_spooled = charge_spooled
        self._period_s = period_s
        self._background = Background()
        self._broken: set[DueSession] = set()

    def start(self) -> None:
        """Look from now on."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Look no more; what was begun is finished by the dispatcher."""
        await self._background.end()
        if self._leading is not None:
            with contextlib.suppress(StoreDown):  # then the lease runs out
                await self._leading.resign()

    async def _run(self) -> None:
        pause_s = 0.0
        while True:
            await asyncio.sleep(pause_s)
            try:
                full = await self.round()
            except (StoreDown, Failed) as error:
                self._metrics.store.down()
                pause_s = min(max(pause_s, self._period_s) * 2, BACKOFF_MAX_S)
                _log.warning("supervision_waits", why=str(error), pause_s=pause_s)
            except Exception:  # noqa: BLE001 - the clock goes on
                _log.exception("supervision_failed")
                pause_s = self._period_s
            else:
                pause_s = 0 if full else self._period_s

    async def round(self) -> bool:
        """Do what is due now; returns whether there may be more. StoreDown, or Failed TOO_BUSY, if it cannot be done.

        What was spooled comes first: those calls are older than everything that waits for a timer.
        """
        if self._spool is not None and self._charge_spooled is not None and len(self._spool):
            replayed = await self._spool.replay(self._charge_spooled)
            if replayed:
                _log.info("spool_replayed", requests=replayed, left=len(self._spool))
        if self._leading is not None and not await self._leading.leads():
            return False
        now_ns = self._now_ns()
        expired = await self._expire_due(now_ns)
        forgotten = await self._store.forget(now_ns, FORGOTTEN_PER_ROUND_MAX)
        return expired >= SUPERVISED_PER_ROUND_MAX or forgotten >= FORGOTTEN_PER_ROUND_MAX

    async def _expire_due(self, now_ns: int) -> int:
        """Returns how many sessions were changed."""
        due = await self._store.due(now_ns, SUPERVISED_PER_ROUND_MAX + len(self._broken))
        wanted = [session for session in due if session not in self._broken]

        def decide(
            account: Account | None, session: Session | None, others: Sequence[Account] | None = None
        ) -> Outcome:
            if account is None or session is None:  # gone since it was listed
                return Outcome()
            if others is None:
                return self._expire(account, session, now_ns)
            return self._expire(account, session, now_ns, others)

        runs = (self._dispatcher.run(one.account_id, one.session_key, decide) for one in wanted)
        results = await asyncio.gather(*runs, return_exceptions=True)
        changed = 0
        busy: Failed | None = None
        for session, result in zip(wanted, results, strict=True):
            if isinstance(result, Outcome):
                changed += bool(result.writes)
                if "expired" in result.notes:
                    self._metrics.charging.session_expired("idle")
                elif result.writes:
                    self._metrics.charging.session_expired("validity")
            elif isinstance(result, Failed) and result.result is Result.TOO_BUSY:
                busy = result
            elif isinstance(result, Failed):
                # A bug, or damaged state: it must not keep the others from their end, but it is tried again some day.
                if len(self._broken) >= SUPERVISED_PER_ROUND_MAX:
                    self._broken.clear()
                self._broken.add(session)
            else:
                raise result
        if busy is not None:
            raise busy
        return changed
