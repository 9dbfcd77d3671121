"""Sets of times as sets of days: which times windows leave out, and which windows never count.

The days of 28 years, after which week days and dates repeat, are the bits of an integer. So a timing is a few such
integers, and "all of these but those" one operation, however many days it is about. All times are those of one clock:
that of the plan. The hours that a change of the clock skips or shows twice make no difference to what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from ocs.config.timing_file import LAST, MONTHS, WEEK_DAYS
from ocs.rating.timings import DAY_S, Timing

YEARS: Final = 28
STRETCHES_SAID_MAX: Final = 6

_WORDS: Final[Mapping[str, Mapping[int, str]]] = {
    "week_days": {number: name for name, number in WEEK_DAYS.items()},
    "months": {number: name for name, number in MONTHS.items()},
    "month_days": {},
}

Shape = tuple[Timing | None, int]
"""What of a window decides when it counts: its timing and its weight."""


class Stretch(NamedTuple):
    """A time of day, in seconds, on a set of days."""

    begin_s: int
    end_s: int
    days: int


class _Part(NamedTuple):
    """One stretch of a window, and how it stands against those of others: weight, window or none, when it began."""

    rank: tuple[int, bool, int, int]
    stretch: Stretch
    window: int


class Calendar:
    """The days of 28 years from the first of January on; bit 0 is the day before them."""

    def __init__(self, first_year: int) -> None:
        self.first_year = first_year
        self._timings: dict[Timing, int] = {}

    @cached_property
    def days(self) -> list[date]:
        """The days, by bit."""
        begin = date(self.first_year, 1, 1)
        count = (date(self.first_year + YEARS, 1, 1) - begin).days
        return [begin + timedelta(days=offset) for offset in range(-1, count)]

    @cached_property
    def all(self) -> int:
        """All days but the one before them."""
        return (1 << len(self.days)) - 2

    @cached_property
    def by(self) -> Mapping[str, dict[int, int]]:
        """The days of each year, month, day of the month and day of the week, by its number."""
        found: Mapping[str, dict[int, int]] = {"years": {}, "months": {}, "month_days": {}, "week_days": {}}
        for bit, day in enumerate(self.days):
            numbers = [day.year, day.month, day.day, day.isoweekday()]
            for table, number in zip(found.values(), numbers, strict=True):
                table[number] = table.get(number, 0) | 1 << bit
            if (day + timedelta(days=1)).month != day.month:
                found["month_days"][LAST] = found["month_days"].get(LAST, 0) | 1 << bit
        return found

    def days_of(self, timing: Timing | None) -> int:
        """The days on which a timing begins to hold."""
        if timing is None:
            return self.all | 1
        found = self._timings.get(timing)
        if found is None:
            found = self.all | 1
            for name, table in self.by.items():
                numbers: frozenset[int] = getattr(timing, name)
                if numbers:
                    found &= _joined(table.get(number, 0) for number in numbers)
            self._timings[timing] = found
        return found

    def stretches(self, timing: Timing | None) -> list[tuple[int, Stretch]]:
        """(0, or -1 for what began the day before; the stretch) of a timing."""
        days = self.days_of(timing)
        begin_s, end_s = (0, DAY_S) if timing is None else (timing.start_s, timing.end_s)
        if begin_s < end_s:
            return [(0, Stretch(begin_s, end_s, days & self.all))]
        return [
            (0, Stretch(begin_s, DAY_S, days & self.all)),
            (-1, Stretch(0, end_s, days << 1 & self.all)),
        ]

    def gaps(self, timings: Iterable[Timing | None]) -> list[Stretch]:
        """The times at which none of them holds."""
        held = [stretch for timing in timings for _, stretch in self.stretches(timing)]
        found: list[Stretch] = []
        for begin_s, end_s in _slots(held):
            days = self.all & ~_joined(each.days for each in held if each.begin_s <= begin_s < each.end_s)
            if not days:
                continue
            if found and found[-1].end_s == begin_s and found[-1].days == days:
                found[-1] = Stretch(found[-1].begin_s, end_s, days)
            else:
                found.append(Stretch(begin_s, end_s, days))
        return found

    def contest(self, shapes: Sequence[Shape]) -> tuple[set[int], set[tuple[int, int]]]:
        """(indices of the windows that count at some time; pairs of which the first counts only by its place)."""
        parts = [
            _Part(
                (weight, timing is not None, began, stretch.begin_s if began == 0 else _began(timing)), stretch, index
            )
            for index, (timing, weight) in enumerate(shapes)
            for began, stretch in self.stretches(timing)
        ]
        parts.sort(key=lambda part: (part.rank, -part.window), reverse=True)
        counts: set[int] = set()
        ties: set[tuple[int, int]] = set()
        for begin_s, _ in _slots(part.stretch for part in parts):
            taken = 0
            won: list[tuple[_Part, int]] = []
            for part in parts:
                if not part.stretch.begin_s <= begin_s < part.stretch.end_s:
                    continue
                ties |= {
                    (other.window, part.window)
                    for other, days in won
                    if other.rank == part.rank and days & part.stretch.days
                }
                days = part.stretch.days & ~taken
                if days:
                    counts.add(part.window)
                    won.append((part, days))
                    taken |= days
        return counts, ties

    # --- words -----------------------------------------------------------------------------------------------------

    def words(self, stretches: Sequence[Stretch]) -> str:
        """The times as people say them: "sat-sun 00:00-24:00; the 31 of jan, mar 19:00-24:00"."""
        said = [f"{self._days(each.days)} {clock(each.begin_s)}-{clock(each.end_s)}" for each in stretches]
        more = len(said) - STRETCHES_SAID_MAX
        return "; ".join(said[:STRETCHES_SAID_MAX]) + (f"; and {more} more" if more > 0 else "")

    def _days(self, days: int) -> str:
        """A set of days by week days, months, days of the month and years, or else by its first one."""
        having = {name: {n for n, each in table.items() if each & days} for name, table in self.by.items()}
        of = self._of(having)
        if days == self._product({"years": having["years"], "months": having["months"]}):
            return f"all days{of}" if of else "mon-sun"
        for name, form in (("week_days", "{}"), ("month_days", "the {}")):
            numbers = having[name] - {LAST}
            if days == self._product({"years": having["years"], "months": having["months"], name: numbers}):
                return form.format(ranges(sorted(numbers), _WORDS[name])) + of
        if days == self._product({"years": having["years"], "months": having["months"], "month_days": {LAST}}):
            return f"the last{of or ' of the month'}"
        first = self.days[(days & -days).bit_length() - 1]
        return f"{days.bit_count()} days such as {first}"

    def _of(self, having: Mapping[str, set[int]]) -> str:
        """The months and years, as in "all days of jan-mar 2026"; nothing where none are left out."""
        months, years = sorted(having["months"]), sorted(having["years"])
        parts = [] if len(months) == len(MONTHS) else [ranges(months, _WORDS["months"])]
        if len(years) < YEARS:
            last = years[-1] == self.days[-1].year and years == list(range(years[0], years[-1] + 1))
            parts.append(f"{years[0]} and later" if last else ranges(years, {}))
        return f" of {' '.join(parts)}" if parts else ""

    def _product(self, numbers: Mapping[str, set[int]]) -> int:
        found = self.all
        for name, each in numbers.items():
            found &= _joined(self.by[name][number] for number in each)
        return found


@lru_cache(maxsize=4)
def calendar_from(first_year: int) -> Calendar:
    """The calendar that begins with a year."""
    return Calendar(first_year)


def clock(second: int) -> str:
    """A time of day: "08:00", "24:00", "08:00:30"."""
    text = f"{second // 3_600:02}:{second // 60 % 60:02}"
    return f"{text}:{second % 60:02}" if second % 60 else text


def ranges(numbers: Sequence[int], names: Mapping[int, str]) -> str:
    """Rising numbers as ranges: "mon-fri", "1, 3-5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    named = [[names.get(number, str(number)) for number in (run[0], run[-1])] for run in runs]
    return ", ".join(first if first == last else f"{first}-{last}" for first, last in named)


def _joined(sets: Iterable[int]) -> int:
    found = 0
    for each in sets:
        found |= each
    return found


def _slots(stretches: Iterable[Stretch]) -> list[tuple[int, int]]:
    """The day, cut wherever a stretch begins or ends."""
    cuts = sorted({0, DAY_S, *(second for each in stretches for second in (each.begin_s, each.end_s))})
    return list(pairwise(cuts))


def _began(timing: Timing | None) -> int:
    return 0 if timing is None else timing.start_s
