"""What a tariff leaves out, and what in it never counts: found before a customer does.

Warnings, for all of it can be meant: times without a rate, rates that heavier ones always hide, timings that never
hold or that nothing uses. Prefixes that cost what a shorter one costs are only noted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from ocs.config.calendar import Calendar
from ocs.config.diagnostics import Place, Problems
from ocs.config.rate_table import Source, TableBuilder
from ocs.config.schema import Entry
from ocs.config.timing_compile import Clocks
from ocs.rating.prices import Rate
from ocs.rating.tariff import Window
from ocs.rating.timings import Timing

T = TypeVar("T")

PER_TABLE_MAX: Final = 20
"""Warnings of one kind about one table; more of them are one mistake repeated."""

_PREFIXES_SAID_MAX: Final = 3

Windows = tuple[Window, ...]


def check_table(table: TableBuilder, calendar: Calendar, problems: Problems, *, falls_back: bool) -> None:
    """All checks of one table. falls_back: another plan is asked where this one has no rate."""
    checks = _TableChecks(table, calendar, problems)
    if not falls_back:
        checks.gaps()
    checks.contest()
    checks.redundant()


def check_timings(clocks: Clocks, calendar: Calendar, problems: Problems) -> None:
    """Timings that never hold: a day that no month has, or years that are over."""
    for name, entry in clocks.raw.items():
        timing = clocks.any_zone(name)
        if timing is not None and not calendar.days_of(timing) & calendar.all:
            years = f"{calendar.days[1].year} to {calendar.days[-1].year}"
            problems.warn(entry.place, f'the timing "{name}" never holds from {years}')


def check_used(entries: Mapping[str, Entry[T]], used: Collection[str], noun: str, problems: Problems) -> None:
    """Ids that nothing speaks of."""
    for name, entry in entries.items():
        if name not in used:
            problems.warn(entry.place, f'the {noun} "{name}" is used by no plan and by no balance of subscribers.yaml')


class _TableChecks:
    """The checks of one table; what many prefixes have in common is looked at once."""

    def __init__(self, table: TableBuilder, calendar: Calendar, problems: Problems) -> None:
        self.table = table
        self.calendar = calendar
        self.problems = problems
        self.windows = table.windows
        lengths = sorted({len(prefix) for prefix in self.windows}, reverse=True)
        self._shorter = {length: [each for each in lengths if each < length] for length in lengths}

    # --- times without a rate ----------------------------------------------------------------------------------------

    def gaps(self) -> None:
        """Times at which a number has no rate, not even that of a shorter prefix."""
        said: dict[tuple[int, str], list[str]] = {}
        texts: dict[frozenset[Timing], str] = {}
        for prefix, windows in self.windows.items():
            timings = self._timings(prefix)
            if timings is None:
                continue
            if timings not in texts:
                texts[timings] = self.calendar.words(self.calendar.gaps(timings))
            if texts[timings]:
                said.setdefault((id(windows[0]), texts[timings]), []).append(prefix)
        self._say(
            list(said.items()),
            lambda found: (self._source(found[1][0]).rate, f"no rate on {found[0][1]}{_listed(found[1])}"),
        )

    def _timings(self, prefix: str) -> frozenset[Timing] | None:
        """The timings of all windows that may rate numbers of a prefix; None where one of them holds always."""
        found: set[Timing] = set()
        for each in (prefix, *self._prefixes_of(prefix)):
            for window in self.windows[each]:
                if window.condition is not None:
                    continue
                if window.timing is None:
                    return None
                found.add(window.timing)
        return frozenset(found)

    def _prefixes_of(self, prefix: str) -> Iterable[str]:
        """The shorter prefixes that are in the table, the longest first."""
        for length in self._shorter[len(prefix)]:
            if prefix[:length] in self.windows:
                yield prefix[:length]

    # --- rates that never count --------------------------------------------------------------------------------------

    def contest(self) -> None:
        """Rates that are hidden at all their times, and those that count only by their place."""
        results: dict[tuple[tuple[Timing | None, int], ...], tuple[set[int], set[tuple[int, int]]]] = {}
        counts: set[int] = set()
        places: dict[int, Place] = {}
        ties: dict[tuple[Place, Place], None] = {}
        for prefix, windows in self.windows.items():
            counts |= {id(window) for window in windows if window.condition is not None}
            order = [index for index in range(len(windows)) if windows[index].condition is None]
            if len(order) == 1:
                counts.add(id(windows[order[0]]))
            if len(order) < 2:
                continue
            order.sort(key=lambda index: windows[index].destination_id)
            shapes = tuple((windows[index].timing, windows[index].weight) for index in order)
            if shapes not in results:
                results[shapes] = self.calendar.contest(shapes)
            sources = [self.table.sources[prefix][index] for index in order]
            counting, tied = results[shapes]
            counts |= {id(windows[order[index]]) for index in counting}
            places |= {id(windows[order[index]]): source.rate for index, source in enumerate(sources)}
            ties |= {(sources[first].rate, sources[second].rate): None for first, second in tied}
        hidden = "this rate never counts: others of more weight hold at all its times"
        self._say([place for window, place in places.items() if window not in counts], lambda place: (place, hidden))
        tie = "at some times nothing but its place puts the rate in {} before this one: weights would"
        self._say(list(ties), lambda tied: (tied[1], tie.format(tied[0])))

    # --- prefixes that could be left out -----------------------------------------------------------------------------

    def redundant(self) -> None:
        """Prefixes that cost what the next shorter one costs."""
        costs: dict[int, int] = {}
        meanings: dict[int, int] = {}
        known: dict[object, int] = {}

        def meaning(windows: Windows) -> Sequence[int]:
            for window in windows:
                if id(window) not in meanings:
                    cost = costs.get(id(window.rate))
                    if cost is None:
                        cost = costs[id(window.rate)] = known.setdefault(_costs(window.rate), len(known))
                    meanings[id(window)] = known.setdefault(
                        (cost, window.timing, window.weight, window.condition), len(known)
                    )
            return [meanings[id(window)] for window in windows]

        found = []
        for prefix, windows in self.windows.items():
            shorter = next(iter(self._prefixes_of(prefix)), None)
            if shorter and meaning(windows) == meaning(self.windows[shorter]):
                found.append((prefix, shorter))
        if found:
            prefix, shorter = found[0]
            more = f", and {len(found) - 1} more cost what a shorter one costs" if len(found) > 1 else ""
            names = [self.windows[each][0].destination_id for each in (prefix, shorter)]
            message = f'the prefix {prefix} ("{names[0]}") costs what {shorter} ("{names[1]}") costs{more}'
            self.problems.note(self._source(prefix).rate, message)

    # --- words -------------------------------------------------------------------------------------------------------

    def _source(self, prefix: str) -> Source:
        return self.table.sources[prefix][0]

    def _say(self, found: Sequence[T], words: Callable[[T], tuple[Place, str]]) -> None:
        for one in found[:PER_TABLE_MAX]:
            self.problems.warn(*words(one))
        more = len(found) - PER_TABLE_MAX
        if more > 0:
            place, _ = words(found[PER_TABLE_MAX])
            self.problems.warn(place, f"the same from here on, {more} times more in {self.table.where}")


def _costs(rate: Rate) -> tuple[object, ...]:
    """All of a rate but its name."""
    return tuple(getattr(rate, name) for name in rate.__struct_fields__ if name != "id")


def _listed(prefixes: Sequence[str]) -> str:
    if prefixes == [""]:
        return ""
    more = len(prefixes) - _PREFIXES_SAID_MAX
    return f" for {', '.join(prefixes[:_PREFIXES_SAID_MAX])}" + (f" and {more} more prefixes" if more > 0 else "")
