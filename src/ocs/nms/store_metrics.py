"""What the store did, counted: batches, account writes, CDRs, failures."""

from __future__ import annotations

from typing import Final

from ocs.nms import labels
from ocs.nms.labels import OTHER
from ocs.nms.making import Maker

_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class StoreMetrics:
    """One store, one committer."""

    def __init__(self, make: Maker) -> None:
        commands = make.counter("balance_commands", "Account writes, by journal kind.", "kind", "outcome")
        self._commands = {
            (kind, outcome): commands.labels(kind, outcome)
            for kind in labels.COMMAND_KINDS
            for outcome in labels.COMMAND_OUTCOMES
        }
        self._batch_size = make.histogram(
            "balance_batch_size", "Outcomes committed in one transaction.", buckets=_BATCH_BUCKETS
        )
        self._commit_duration = make.histogram("balance_commit_duration_seconds", "Time of one transaction.")
        self._cdrs = make.counter("cdr_written", "CDRs written.", "sink").labels("store")
        self._multi = make.counter("multi_account_outcomes", "Outcomes that wrote more than one account.")
        effects = make.counter("effects", "What was to be done after a commit.", "outcome")
        self._effects = {outcome: effects.labels(outcome) for outcome in labels.EFFECT_OUTCOMES}
        self._pinned = make.gauge("accounts_pinned", "Hot accounts that nodes write in turns.")
        self._up = make.gauge("store_up", "Whether the last use of the store succeeded.")
        self._failures = make.counter("store_failures", "What was asked of the store and could not be done.")

    def batch_committed(self, size: int, seconds: float) -> None:
        """One transaction with `size` outcomes took `seconds`."""
        self._batch_size.observe(size)
        self._commit_duration.observe(seconds)
        self._up.set(1)

    def command(self, kind: str, outcome: str, number: int = 1) -> None:
        """So many account writes of that journal kind were "done", met a "conflict", or "failed"."""
        self._commands[kind if kind in labels.COMMAND_KINDS else OTHER, outcome].inc(number)

    def cdrs_written(self, number: int) -> None:
        """So many CDRs are durable in the store."""
        self._cdrs.inc(number)

    def multi_account(self) -> None:
        """An outcome wrote more than one account."""
        self._multi.inc()

    def effect(self, outcome: str) -> None:
        """An effect was "done", is left for "later", or is "given_up"."""
        self._effects[outcome].inc()

    def pinned(self, number: int) -> None:
        """So many accounts are written in turns with other nodes."""
        self._pinned.set(number)

    def up(self) -> None:
        """The store answered."""
        self._up.set(1)

    def down(self) -> None:
        """The store could not do what was asked."""
        self._up.set(0)
        self._failures.inc()
