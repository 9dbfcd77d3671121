"""From timings as written to timings on the clock of a place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo

from ocs.config.schema import Entry
from ocs.config.timing_file import RawTiming
from ocs.rating.timings import Timing

_ALL = {
    "months": frozenset(range(1, 13)),
    "month_days": frozenset(range(1, 32)),
    "week_days": frozenset(range(1, 8)),
}


class Clocks:
    """The timings of one version, made for each time zone that they are used in, once."""

    def __init__(self, raw: Mapping[str, Entry[RawTiming]]) -> None:
        self.raw = raw
        self.used: set[str] = set()
        self._made: dict[tuple[str, tzinfo], Timing] = {}

    def for_rate(self, timing_id: str, zone: tzinfo) -> Timing | None:
        """The timing of a rate, which is remembered as used."""
        self.used.add(timing_id)
        return self.timing(timing_id, zone)

    def any_zone(self, timing_id: str) -> Timing | None:
        """The timing, for questions that are the same in every zone."""
        return self.timing(timing_id, UTC)

    def timing(self, timing_id: str, zone: tzinfo) -> Timing | None:
        """The timing on the clock of `zone`, None where there is none of that id that could be read."""
        entry = self.raw.get(timing_id)
        if entry is None or entry.value is None:
            return None
        if (timing_id, zone) not in self._made:
            self._made[timing_id, zone] = compile_timing(timing_id, entry.value, zone)
        return self._made[timing_id, zone]


def compile_timing(timing_id: str, raw: RawTiming, zone: tzinfo) -> Timing:
    """The timing; lists that name everything, as if they were not there."""
    begin_s, end_s = raw.time
    return Timing(
        timing_id,
        zone,
        frozenset().union(*raw.years),
        _days(raw, "months"),
        _days(raw, "month_days"),
        _days(raw, "week_days"),
        begin_s,
        end_s,
    )


def _days(raw: RawTiming, name: str) -> frozenset[int]:
    days = frozenset[int]().union(*getattr(raw, name))
    return frozenset() if days >= _ALL[name] else days
