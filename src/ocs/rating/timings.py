"""When a price holds: years, months, days and times of day on the clock of a place, both clock changes included.

A timing follows the wall clock of its time zone, second by second: it is active whenever that clock shows a time that
it names. An hour that the clock skips in spring is skipped, one that it shows twice in autumn counts twice.
Days are those on which a window starts: "Friday 20:00-06:00" lasts until Saturday morning.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

import msgspec

from ocs.rating.units import NS_PER_S

DAY_S: Final = 86_400
HORIZON_DAYS: Final = 3_700
"""How far ahead a change is looked for: ten years. What changes later than that is as good as never."""

REMEMBERED_DAYS: Final = 16_384
"""Days of timings whose changes are remembered: rates are looked up many times a day."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


class Timing(msgspec.Struct, frozen=True):
    """A set of times.

    years, months (1-12), month_days (1-31, -1 = the last one), week_days (1 = Monday to 7 = Sunday): none = all.
    start_s, end_s: seconds of the day, from `start_s` up to before `end_s`; an end at or before the start is on the
    next day, so 0 and 86400 is the whole day.
    zone: whose clock it is; made where the configuration is read.
    """

    id: str
    zone: tzinfo
    years: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    week_days: frozenset[int] = frozenset()
    start_s: int = 0
    end_s: int = DAY_S

    @property
    def always(self) -> bool:
        """Whether it is active at all times."""
        return not (self.years or self.months or self.month_days or self.week_days) and self.whole_day

    @property
    def whole_day(self) -> bool:
        """Whether its days are whole ones."""
        return self.start_s == 0 and self.end_s == DAY_S


def wall_clock(zone: tzinfo, at_ns: int) -> datetime:
    """What the clock of a place shows, to the second."""
    return (_EPOCH + timedelta(seconds=at_ns // NS_PER_S)).astimezone(zone)


def active(timing: Timing, at_ns: int) -> bool:
    """Whether the timing holds at that instant."""
    return started_at(timing, at_ns) is not None


def started_at(timing: Timing, at_ns: int) -> datetime | None:
    """The wall-clock time, without zone, at which the window that holds at `at_ns` began; None where none does."""
    shown = wall_clock(timing.zone, at_ns)
    second = shown.hour * 3_600 + shown.minute * 60 + shown.second
    today = shown.date()
    if timing.start_s < timing.end_s:
        holds = timing.start_s <= second < timing.end_s and _is_day(timing, today)
        return _at(today, timing.start_s) if holds else None
    if second >= timing.start_s and _is_day(timing, today):
        return _at(today, timing.start_s)
    if second < timing.end_s and _is_day(timing, today - _DAY):
        return _at(today - _DAY, timing.start_s)
    return None


def changes(timing: Timing, after_ns: int) -> Iterator[int]:
    """The instants after `after_ns` at which the timing begins or ends to hold, in order, for HORIZON_DAYS ahead."""
    holds = active(timing, after_ns)
    for instant_ns, began in _steps(timing, after_ns):
        if (began is not None) != holds:
            holds = not holds
            yield instant_ns


def turns(timing: Timing, after_ns: int) -> Iterator[int]:
    """The same with those at which one window ends and the next of the timing begins at once, as at a midnight."""
    before = started_at(timing, after_ns)
    for instant_ns, began in _steps(timing, after_ns):
        if began != before:
            before = began
            yield instant_ns


def _steps(timing: Timing, after_ns: int) -> Iterator[tuple[int, datetime | None]]:
    """(instant, start of the window that holds then) of all instants ahead at which something may change."""
    if timing.always:
        return
    first = wall_clock(timing.zone, after_ns).date() - _DAY
    last = first + timedelta(days=HORIZON_DAYS)
    day = _next_day(timing, first)
    while day is not None and day < last:
        for instant_ns, began in _steps_on(timing, day):
            if instant_ns > after_ns:
                yield instant_ns, began
        day = _next_day(timing, day + _DAY)


@lru_cache(maxsize=REMEMBERED_DAYS)
def _next_day(timing: Timing, day: date) -> date | None:
    """The first day from `day` on at which the timing may change: a window starts or ends, also at its midnights."""
    for _ in range(HORIZON_DAYS):
        if _is_day(timing, day) or _is_day(timing, day - _DAY):
            return day
        day += _DAY
    return None


@lru_cache(maxsize=REMEMBERED_DAYS)
def _steps_on(timing: Timing, day: date) -> tuple[tuple[int, datetime | None], ...]:
    return tuple([(instant_ns, started_at(timing, instant_ns)) for instant_ns in _candidates(timing, day)])


def _is_day(timing: Timing, day: date) -> bool:
    return (
        (not timing.years or day.year in timing.years)
        and (not timing.months or day.month in timing.months)
        and (not timing.week_days or day.isoweekday() in timing.week_days)
        and (
            not timing.month_days
            or day.day in timing.month_days
            or (-1 in timing.month_days and (day + _DAY).month != day.month)
        )
    )


def _candidates(timing: Timing, day: date) -> list[int]:
    """The instants of a day at which something may change: both ends of the window, midnights, a change of the clock.

    A time that the clock shows twice gives two; one that it skips is when the clock jumps over it. The day lasts from
    its first midnight to before that of the next one.
    """
    zone = timing.zone
    first, last = _instant_ns(zone, _at(day, 0), 0), _instant_ns(zone, _at(day, DAY_S), 0)
    instants = {
        _instant_ns(zone, _at(day, second), fold)
        for second in (0, timing.start_s, timing.end_s % DAY_S)
        for fold in (0, 1)
    }
    if last - first != DAY_S * NS_PER_S:
        instants.add(_clock_change_ns(zone, first, last))
    return sorted([instant_ns for instant_ns in instants if first <= instant_ns < last])


def _at(day: date, second: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=second)  # noqa: DTZ001 - a wall clock's time


def _instant_ns(zone: tzinfo, shown: datetime, fold: int) -> int:
    """When the clock of a place shows `shown`, for the first (fold 0) or second time."""
    return (shown.replace(tzinfo=zone, fold=fold) - _EPOCH) // timedelta(seconds=1) * NS_PER_S


def _clock_change_ns(zone: tzinfo, low_ns: int, high_ns: int) -> int:
    """The instant between two others, of different offset, at which the clock was changed."""
    offset = wall_clock(zone, low_ns).utcoffset()
    low_s, high_s = low_ns // NS_PER_S, high_ns // NS_PER_S
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if wall_clock(zone, middle_s * NS_PER_S).utcoffset() == offset:
            low_s = middle_s
        else:
            high_s = middle_s
    return high_s * NS_PER_S
