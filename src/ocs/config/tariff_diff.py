"""What differs between two tariffs, price by price: which prefixes of which plan cost what else, and from when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from ocs.config.calendar import clock, ranges
from ocs.config.rate_text import rate_text
from ocs.config.timing_file import LAST, MONTHS, WEEK_DAYS
from ocs.rating.destinations import ANY
from ocs.rating.tariff import Activation, Plan, RateTable, Tariff, Window
from ocs.rating.timings import Timing
from ocs.units import format_rfc3339

FROM_THE_START: Final = 0
_NO_WINDOWS: Final[tuple[Window, ...]] = ()


class Change(msgspec.Struct, frozen=True, order=True):
    """One difference.

    from_ns: since when (0: from the start). what: "price", "profile", "free", "emergency".
    plan, service: of a price; subject and service of a profile. rating_group: "" where the plan names none.
    when, weight: of the window. prefixes: all that differ alike; "*any" for the rest of the world.
    before, after: in words, "" where there is nothing.
    """

    from_ns: int
    what: str
    plan: str = ""
    service: str = ""
    rating_group: str = ""
    destination: str = ""
    when: str = ""
    weight: int = 0
    before: str = ""
    after: str = ""
    prefixes: tuple[str, ...] = ()


class _Row(NamedTuple):
    """A difference of one prefix; the fields of a Change but its time."""

    what: str
    plan: str
    service: str
    rating_group: str
    destination: str
    when: str
    weight: int
    before: str
    after: str
    prefix: str


def compare(before: Tariff, after: Tariff, at_ns: int | None = None) -> list[Change]:
    """All differences, each from the first time on at which it holds; with `at_ns`, those of that time alone."""
    times = {FROM_THE_START, *_times(before), *_times(after)} if at_ns is None else {at_ns}
    found: list[Change] = []
    known: set[_Row] = set()
    for from_ns in sorted(times):
        rows = set(_rows(before.at(from_ns), after.at(from_ns)))
        new = sorted(rows - known)
        known = rows
        for alike, group in groupby(new, key=lambda row: row._replace(prefix="")):
            fields = alike._asdict()
            del fields["prefix"]
            prefixes = tuple(row.prefix for row in group if row.prefix)
            found.append(Change(from_ns=from_ns if at_ns is None else 0, prefixes=prefixes, **fields))
    return found


def _times(tariff: Tariff) -> Iterator[int]:
    version = tariff.successor
    while version is not None:
        yield version.valid_from_ns
        version = version.successor


def _rows(before: Tariff, after: Tariff) -> Iterator[_Row]:
    """The differences between two versions."""
    for plan in sorted({*before.plans, *after.plans}):
        yield from _plan(plan, before, after)
    yield from _profiles(before, after)
    for number in sorted(before.emergency_numbers ^ after.emergency_numbers):
        yield _said("emergency", number in before.emergency_numbers, "free, matched exactly", number)
    free = [_free(tariff) for tariff in (before, after)]
    for prefix, destination in sorted(free[0] ^ free[1]):
        yield _said("free", (prefix, destination) in free[0], "free for everybody", prefix, destination)


def _said(what: str, was: bool, words: str, prefix: str, destination: str = "") -> _Row:
    return _Row(what, "", "", "", destination, "", 0, words if was else "", "" if was else words, prefix)


def _free(tariff: Tariff) -> set[tuple[str, str]]:
    return {(prefix, each.id) for each in tariff.destinations.values() if each.free for prefix in each.prefixes}


# --- prices ----------------------------------------------------------------------------------------------------------

_Windows = Mapping[tuple[str, int], Window]


def _plan(plan: str, before: Tariff, after: Tariff) -> Iterator[_Row]:
    tables = [_tables(tariff.plans.get(plan)) for tariff in (before, after)]
    for service, group in sorted({*tables[0], *tables[1]}):
        old, new = (dict(_windows(each.get((service, group)))) for each in tables)
        for prefix in sorted({*old, *new}):
            one, other = old.get(prefix, _NO_WINDOWS), new.get(prefix, _NO_WINDOWS)
            if one != other:
                for row in _window_rows(_by_window(one), _by_window(other), before.currency, after.currency):
                    yield row._replace(plan=plan, service=service, rating_group=group, prefix=prefix or ANY)


def _tables(plan: Plan | None) -> dict[tuple[str, str], RateTable]:
    """The tables of a plan by service and rating group."""
    found = {}
    for service, service_plan in plan.services.items() if plan else ():
        if service_plan.any_group is not None:
            found[service, ""] = service_plan.any_group
        found |= {(service, str(group)): table for group, table in service_plan.by_group.items()}
    return found


def _windows(table: RateTable | None) -> Iterable[tuple[str, tuple[Window, ...]]]:
    return () if table is None else table.items()


def _by_window(windows: Iterable[Window]) -> _Windows:
    return {(_when(window), window.weight): window for window in windows}


def _when(window: Window) -> str:
    """At which times, and under which circumstances, a window holds."""
    words = (window.timing.id if window.timing else "", str(window.condition) if window.condition else "")
    return " ".join(filter(None, words))


def _window_rows(before: _Windows, after: _Windows, currency: str, other_currency: str) -> Iterator[_Row]:
    """Windows of the same timing and weight are the same; of those that differ, what they cost and when."""
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        either = new or old
        assert either is not None
        one, other = _words(old, currency), _words(new, other_currency)
        if old and new and old.timing != new.timing:
            one, other = f"{one}, {timing_text(old.timing)}", f"{other}, {timing_text(new.timing)}"
        if old and new and old.destination_id != new.destination_id:
            one, other = f"{one} ({old.destination_id})", f"{other} ({new.destination_id})"
        if one != other:
            yield _Row("price", "", "", "", either.destination_id, *key, one, other, "")


def _words(window: Window | None, currency: str) -> str:
    return rate_text(window.rate, currency) if window else ""


def timing_text(timing: Timing | None) -> str:
    """A timing in words: "mon-fri 08:00-19:00 (Australia/Sydney)"."""
    if timing is None:
        return "always"
    words = {number: name for name, number in WEEK_DAYS.items()}
    months = {number: name for name, number in MONTHS.items()}
    days = ranges(sorted(timing.month_days - {LAST}), {})
    last = "last" if LAST in timing.month_days else ""
    parts = [
        ranges(sorted(timing.week_days), words),
        "days " + ", ".join(filter(None, (days, last))) if timing.month_days else "",
        ranges(sorted(timing.months), months),
        ranges(sorted(timing.years), {}),
        f"{clock(timing.start_s)}-{clock(timing.end_s)}",
    ]
    return f"{' '.join(filter(None, parts))} ({timing.zone})"


# --- profiles --------------------------------------------------------------------------------------------------------


def _profiles(before: Tariff, after: Tariff) -> Iterator[_Row]:
    for subject in sorted({*before.subjects, *after.subjects}):
        old, new = before.subjects.get(subject, {}), after.subjects.get(subject, {})
        for service in sorted({*old, *new}):
            one, other = _activations(old.get(service, ())), _activations(new.get(service, ()))
            if one != other:
                yield _Row("profile", subject, service, "", "", "", 0, one, other, "")


def _activations(activations: Iterable[Activation]) -> str:
    return "; ".join(
        each.plan_id
        + (f", else {', '.join(each.fallbacks)}" if each.fallbacks else "")
        + (f", from {format_rfc3339(each.from_ns)}" if each.from_ns else "")
        for each in activations
    )
