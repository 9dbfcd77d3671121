"""Counters and histograms for the way of every request: an addition each, instead of a lock and checks.

All is counted on the event loop's thread and shown on it, so a lock protects nothing here. Names, labels and what is
shown are those of `prometheus_client`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from prometheus_client import Counter, Histogram


class _Value:
    """A number where `prometheus_client` has one behind a lock."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0.0

    def get(self) -> float:
        """The number."""
        return self.number

    def get_exemplar(self) -> None:
        """None: there are no examples."""
        return


class Tally(Counter):
    """A Counter."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._value = _Value()

    def inc(self, amount: float = 1, exemplar: Any = None) -> None:  # noqa: ARG002 - as its base class
        """Count; `amount` is not negative."""
        self._value.number += amount


class Spread(Histogram):
    """A Histogram."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._sum = _Value()
        self._buckets = [_Value() for _ in self._upper_bounds]

    def observe(self, amount: float, exemplar: Any = None) -> None:  # noqa: ARG002 - as its base class
        """Count under the first bucket that is not smaller."""
        self._sum.number += amount
        self._buckets[bisect_left(self._upper_bounds, amount)].number += 1
