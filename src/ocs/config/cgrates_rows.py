"""What the tables of CGRateS say, cell by cell: typed rows by id, and everything that is wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ocs.config import cgrates_values as values
from ocs.config.cgrates_csv import Row, Tables
from ocs.config.cgrates_values import ANY
from ocs.config.diagnostics import Place, Problems, did_you_mean
from ocs.rating.units import NS_PER_S
from ocs.units import MalformedError

T = TypeVar("T")

ASAP: Final = "*asap"
ROUNDING: Final = {"*up": "up", "*down": "down", "*middle": "middle"}
STRATEGIES: Final = {
    "*mine_random": "mine_first",
    "*random": "mine_first",
    "": "mine_first",
    "*mine_lowest": "mine_lowest",
    "*mine_highest": "mine_highest",
    "*lowest": "lowest",
    "*highest": "highest",
}
"""Strategies of shared groups; the random ones are ordered here: own balances first, then by weight."""


class PrefixRow(NamedTuple):
    """A prefix of a destination."""

    prefix: str
    place: Place


class TimingRow(NamedTuple):
    """A set of times; empty sets mean all. `asap`: an action plan with it runs once, at once."""

    years: frozenset[int]
    months: frozenset[int]
    month_days: frozenset[int]
    week_days: frozenset[int]
    start_s: int
    end_s: int
    asap: bool
    place: Place


class Slot(NamedTuple):
    """One price of a rate, from `start` base units of usage on; `price` is in nanos per `unit_size` base units."""

    start: int
    price: Fraction
    unit_size: int
    increment: int
    fee_nanos: int
    place: Place


class DestinationRate(NamedTuple):
    """What calls to a destination cost; `rounding` is "" where the price is not rounded."""

    destination_id: str
    rate_id: str
    rounding: str
    decimals: int
    max_cost_nanos: int | None
    disconnect: bool
    place: Place


class PlanRow(NamedTuple):
    """When a set of destination rates holds in a plan; `timing_id` is "" for always."""

    destination_rates_id: str
    timing_id: str
    weight: int
    place: Place


class Profile(NamedTuple):
    """From `from_ns` on a subject of a tenant has a plan for a category."""

    tenant: str
    category: str
    subject: str
    from_ns: int
    plan_id: str
    fallbacks: tuple[str, ...]
    place: Place


class Group(NamedTuple):
    """A shared group."""

    strategy: str
    place: Place


class Rows(msgspec.Struct, frozen=True):
    """All of the tables that prices are made of, by id. Ids that are referred to exist."""

    destinations: Mapping[str, Sequence[PrefixRow]]
    timings: Mapping[str, TimingRow]
    rates: Mapping[str, Sequence[Slot]]
    destination_rates: Mapping[str, Sequence[DestinationRate]]
    plans: Mapping[str, Sequence[PlanRow]]
    profiles: Sequence[Profile]
    shared_groups: Mapping[str, Group]


class Cells:
    """Reads the cells of one row; `sound` says whether all of them could be read."""

    def __init__(self, row: Row, problems: Problems) -> None:
        self.row = row
        self.problems = problems
        self.sound = True

    def read(self, column: str, parse: Callable[[str], T], instead: T) -> T:
        """A cell as a value, `instead` where it cannot be read."""
        try:
            return parse(self.row[column])
        except MalformedError as problem:
            self.error(column, problem.message, problem.expected, problem.hint)
            return instead

    def word(self, column: str, words: Mapping[str, T], instead: T) -> T:
        """A cell that is one of a few words."""
        text = self.row[column]
        if text in words:
            return words[text]
        expected = ", ".join(word for word in words if word)
        self.error(column, f'"{text}" is not known', f"one of {expected}", did_you_mean(text, words))
        return instead

    def id(self, column: str = "id") -> str:
        """A cell that must not be empty."""
        if not self.row[column]:
            self.error(column, "is empty", "an id")
        return self.row[column]

    def known(self, column: str, ids: Mapping[str, Any], noun: str) -> str:
        """A cell that is the id of something."""
        found = self.row[column]
        if found not in ids:
            self.error(column, f'there is no {noun} "{found}"', hint=did_you_mean(found, ids))
        return found

    def error(self, column: str, message: str, expected: str = "", hint: str = "") -> None:
        self.sound = False
        self.problems.error(self.row.at(column), message, expected, hint)

    def warn(self, column: str, message: str, expected: str = "", hint: str = "") -> None:
        self.problems.warn(self.row.at(column), message, expected, hint)


def parse(tables: Tables, problems: Problems) -> Rows:
    """The typed rows of all tables; what cannot be read is left out and said."""

    def listed(table: str, read: Callable[[Cells], T]) -> dict[str, list[T]]:
        found: dict[str, list[T]] = {}
        for row in tables.get(table, ()):
            cells = Cells(row, problems)
            name = cells.id()
            value = read(cells)
            if cells.sound:
                found.setdefault(name, []).append(value)
        return found

    destinations = listed(
        "destinations", lambda cells: PrefixRow(cells.read("prefix", values.prefix, ""), cells.row.place)
    )
    timings = _once(listed("timings", _timing), "timing", problems)
    rates = {name: _slots(slots, problems) for name, slots in listed("rates", _slot).items()}
    destination_rates = listed("destination_rates", lambda cells: _destination_rate(cells, destinations, rates))
    plans = listed("rating_plans", lambda cells: _plan_row(cells, destination_rates, timings))
    profiles = []
    for row in tables.get("rating_profiles", ()):
        cells = Cells(row, problems)
        profile = _profile(cells, plans)
        if cells.sound:
            profiles.append(profile)
    groups = _groups(tables.get("shared_groups", ()), problems)
    return Rows(destinations, timings, rates, destination_rates, plans, _distinct(profiles, problems), groups)


def _once(listed: Mapping[str, Sequence[TimingRow]], noun: str, problems: Problems) -> dict[str, TimingRow]:
    for name, found in listed.items():
        for again in found[1:]:
            problems.error(again.place, f'the {noun} "{name}" is given twice, first in {found[0].place}')
    return {name: found[0] for name, found in listed.items()}


def _timing(cells: Cells) -> TimingRow:
    return TimingRow(
        cells.read("years", values.numbers(1970, 2261), frozenset()),
        cells.read("months", values.numbers(1, 12), frozenset()),
        cells.read("month_days", values.numbers(1, 31), frozenset()),
        # 0 is Sunday as well as 7.
        frozenset(day or 7 for day in cells.read("week_days", values.numbers(0, 7), frozenset[int]())),
        *cells.read("time", values.time_of_day, (0, 0)),
        cells.row["time"] == ASAP,
        cells.row.place,
    )


def _slot(cells: Cells) -> Slot:
    price = cells.read("rate", values.price, Fraction(0))
    fee_nanos = cells.read("connect_fee", values.nanos, 0)
    for column, value in (("rate", price), ("connect_fee", fee_nanos)):
        if value < 0:
            cells.error(column, "is negative", "an amount from 0 on")
    return Slot(
        cells.read("group_interval_start", values.amount, 0),
        price,
        cells.read("rate_unit", values.amount, 1) or NS_PER_S,
        cells.read("rate_increment", values.amount, 1) or NS_PER_S,
        fee_nanos,
        cells.row.place,
    )


def _slots(slots: list[Slot], problems: Problems) -> list[Slot]:
    """By rising start; the first one has to begin at 0."""
    slots.sort(key=lambda slot: slot.start)
    if slots[0].start:
        problems.error(slots[0].place, f"there is no price before {slots[0].start}", "a line whose group interval is 0")
    for before, slot in pairwise(slots):
        if before.start == slot.start:
            problems.error(slot.place, f"is the second price from {slot.start} on, the first is {before.place}")
        if slot.fee_nanos:
            problems.warn(slot.place, "the connect fee is not charged: only that of the first interval is")
    return slots


def _destination_rate(cells: Cells, destinations: Mapping[str, Any], rates: Mapping[str, Any]) -> DestinationRate:
    row = cells.row
    destination_id = row["destination_id"] or ANY
    if destination_id != ANY:
        cells.known("destination_id", destinations, "destination")
    rounding = row["rounding_method"]
    if rounding not in ROUNDING and rounding:
        cells.warn("rounding_method", f'"{rounding}" does not round', f"one of {', '.join(ROUNDING)}")
    max_cost_nanos = cells.read("max_cost", values.nanos, 0)
    strategy = row["max_cost_strategy"]
    if max_cost_nanos and strategy not in ("*free", "*disconnect"):
        cells.warn("max_cost_strategy", "the maximum cost has no effect", "*free or *disconnect")
        max_cost_nanos = 0
    return DestinationRate(
        destination_id,
        cells.known("rates_id", rates, "rate"),
        ROUNDING.get(rounding, ""),
        cells.read("rounding_decimals", values.whole, 0),
        max_cost_nanos or None,
        strategy == "*disconnect",
        row.place,
    )


def _plan_row(cells: Cells, destination_rates: Mapping[str, Any], timings: Mapping[str, Any]) -> PlanRow:
    timing_id = cells.row["timing_id"]
    timing_id = "" if timing_id in ("", ANY) else cells.known("timing_id", timings, "timing")
    return PlanRow(
        cells.known("destination_rates_id", destination_rates, "destination rate"),
        timing_id,
        cells.read("weight", values.whole, 0),
        cells.row.place,
    )


def _profile(cells: Cells, plans: Mapping[str, Any]) -> Profile:
    row = cells.row
    return Profile(
        row["tenant"],
        cells.id("category"),
        row["subject"] or ANY,
        cells.read("activation_time", values.point_in_time, None) or 0,
        cells.known("rating_plan_id", plans, "rating plan"),
        tuple(name.strip() for name in row["fallback_subjects"].split(values.LIST_SEPARATOR) if name.strip()),
        row.place,
    )


def _distinct(profiles: list[Profile], problems: Problems) -> list[Profile]:
    """The profiles by rising activation; two that begin at once contradict each other."""
    first: dict[tuple[str, str, str, int], Profile] = {}
    for profile in profiles:
        before = first.setdefault(profile[:4], profile)
        if before is not profile and before.plan_id != profile.plan_id:
            problems.error(profile.place, f"another plan has the same activation time in {before.place}")
    return sorted(first.values(), key=lambda profile: profile.from_ns)


def _groups(rows: Sequence[Row], problems: Problems) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for row in rows:
        cells = Cells(row, problems)
        name = cells.id()
        strategy = cells.word("strategy", STRATEGIES, "mine_first")
        if "random" in row["strategy"]:
            cells.warn("strategy", "is not random here: own balances come first, then the others by weight")
        if row["account"] not in ("", ANY):
            cells.warn("account", "a strategy for one account alone is not imported", ANY)
            continue
        if row["rating_subject"]:
            cells.warn("rating_subject", "has no effect")
        if name in groups:
            cells.error("id", f'the shared group "{name}" is given twice, first in {groups[name].place}')
        groups.setdefault(name, Group(strategy, row.place))
    return groups
