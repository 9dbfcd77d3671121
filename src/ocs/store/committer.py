"""The one writer of a process: gathers outcomes and commits them in batches.

One batch is in flight; what arrives meanwhile makes the next. There is no waiting for more: a batch grows by itself
when commits are slow. All outcomes of a batch are told their fate in one go, so that answers for one connection can
leave in one write.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

import structlog

from ocs.charging.outcome import Outcome
from ocs.limits import BATCH_OUTCOMES_MAX
from ocs.nms.store_metrics import StoreMetrics
from ocs.store.interface import Applied, Store, StoreDown

_log = structlog.get_logger()

Fate = Applied | Exception
"""DONE: durable. CONFLICT: nothing was written. StoreDown: nothing is known to be written. Another exception: the
outcome cannot be written at all, and was not."""


class Ticket:
    """An outcome on its way. `settled` is called once with its fate, unless it is withdrawn before."""

    __slots__ = ("outcome", "settled", "withdrawn")

    def __init__(self, outcome: Outcome, settled: Callable[[Fate], None]) -> None:
        self.outcome = outcome
        self.settled = settled
        self.withdrawn = False

    def withdraw(self) -> None:
        """It was computed from a state that never came to be: if it has not been handed to the store, it never is.

        Whoever learns of a CONFLICT must do this with all later outcomes of the account before it returns from
        `settled`: the next batch is made after that, and another node may by now have raised the account to just the
        version that a later outcome was computed from.
        """
        self.withdrawn = True


class Committer:
    """Commits to `store` what is submitted, in that order.

    The queue is bounded by those who submit: each command of the dispatcher has at most one ticket in it.
    """

    def __init__(self, store: Store, metrics: StoreMetrics, batch_max: int = BATCH_OUTCOMES_MAX) -> None:
        self._store = store
        self._metrics = metrics
        self._batch_max = batch_max
        self._queue: deque[Ticket] = deque()
        self._pump: asyncio.Task[None] | None = None

    def submit(self, outcome: Outcome, settled: Callable[[Fate], None]) -> Ticket:
        """Commit `outcome` after all that was submitted before."""
        ticket = Ticket(outcome, settled)
        self._queue.append(ticket)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._commit_all())
        return ticket

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        while self._pump is not None:
            await asyncio.shield(self._pump)

    async def _commit_all(self) -> None:
        try:
            while batch := self._next_batch():
                fates = await self._fates(batch)
                for ticket, fate in zip(batch, fates, strict=True):
                    self._tell(ticket, fate)
                self._count(batch, fates)
        finally:
            self._pump = None

    def _next_batch(self) -> list[Ticket]:
        batch: list[Ticket] = []
        while self._queue and len(batch) < self._batch_max:
            ticket = self._queue.popleft()
            if not ticket.withdrawn:
                batch.append(ticket)
        return batch

    async def _fates(self, batch: Sequence[Ticket]) -> Sequence[Fate]:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        outcomes = [ticket.outcome for ticket in batch]
        try:
            fates: Sequence[Fate] = await self._store.commit(outcomes)
            assert len(fates) == len(outcomes), "each outcome has its fate"
        except StoreDown as error:
            self._metrics.down()
            _log.warning("store_down", why=str(error), outcomes=len(batch))
            fates = [error] * len(batch)
        except Exception as error:  # noqa: BLE001
            _log.exception("batch_refused", outcomes=len(batch))
            fates = [error] if len(batch) == 1 else await self._one_by_one(outcomes)
        else:
            self._metrics.batch_committed(len(batch), loop.time() - started_s)
        return fates

    async def _one_by_one(self, outcomes: Sequence[Outcome]) -> Sequence[Fate]:
        """Something in the batch cannot be written: find it, and let only it and what was built on it stay out."""
        fates: list[Fate] = []
        left_out: set[str] = set()
        for outcome in outcomes:
            account_ids = {write.account.id for write in outcome.writes}
            fate: Fate = Applied.CONFLICT
            if left_out.isdisjoint(account_ids):
                try:
                    (fate,) = await self._store.commit([outcome])
                except Exception as error:  # noqa: BLE001
                    fate = error
            if fate is not Applied.DONE:
                left_out |= account_ids
            fates.append(fate)
        return fates

    def _tell(self, ticket: Ticket, fate: Fate) -> None:
        try:
            if not ticket.withdrawn:
                ticket.settled(fate)
        except Exception:  # noqa: BLE001
            _log.exception("settled_failed", fate=str(fate))

    def _count(self, batch: Sequence[Ticket], fates: Sequence[Fate]) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        cdrs = 0
        for ticket, fate in zip(batch, fates, strict=True):
            outcome = ticket.outcome
            word = "failed"
            if fate is Applied.DONE:
                word = "done"
                cdrs += len(outcome.cdrs)
                if len(outcome.writes) > 1:
                    self._metrics.multi_account()
            elif fate is Applied.CONFLICT:
                word = "conflict"
            for write in outcome.writes:
                counts[write.entry.kind, word] += 1
        if cdrs:
            self._metrics.cdrs_written(cdrs)
        for (kind, word), number in counts.items():
            self._metrics.command(kind, word, number)
