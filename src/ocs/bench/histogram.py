"""Latencies in whole microseconds: exact below 256, then 128 steps for each power of two, so within 0.8 %.

Log-linear buckets as in HdrHistogram: the size is fixed, and histograms add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

_EXACT: Final = 256
_STEPS: Final = 128
_STEP_BITS: Final = 7


def index_of(value: int) -> int:
    """The bucket of a value."""
    if value < _EXACT:
        return value
    shift = value.bit_length() - 1 - _STEP_BITS
    return _STEPS * shift + (value >> shift)


def highest_of(index: int) -> int:
    """The highest value of a bucket."""
    if index < _EXACT:
        return index
    shift = index // _STEPS - 1
    return ((index - _STEPS * shift + 1) << shift) - 1


class Histogram:
    """Counts by bucket, and the exact maximum and sum."""

    def __init__(self, counts: Iterable[tuple[int, int]] = (), max_us: int = 0, sum_us: int = 0) -> None:
        self._counts: Counter[int] = Counter(dict(counts))
        self.max_us = max_us
        self.sum_us = sum_us

    def record(self, value_us: int) -> None:
        """Count one."""
        self._counts[index_of(value_us)] += 1
        self.max_us = max(self.max_us, value_us)
        self.sum_us += value_us

    @property
    def count(self) -> int:
        """How many values."""
        return self._counts.total()

    def counts(self) -> list[tuple[int, int]]:
        """(bucket, count), in order."""
        return sorted(self._counts.items())

    def percentile_us(self, percent: Fraction | int) -> int:
        """The value that so many percent do not exceed, as the highest of its bucket; 0 where there are none."""
        rank = -(-self.count * Fraction(percent) // 100)
        seen = 0
        for index, count in self.counts():
            seen += count
            if seen >= max(rank, 1):
                return min(highest_of(index), self.max_us)
        return 0
