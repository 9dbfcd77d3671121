"""What one timing may say: days by name or number, ranges of them, and a time of day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ocs.config.diagnostics import did_you_mean, one_of
from ocs.config.schema import Field, ListOf, Raw, Record, Text
from ocs.rating.timings import DAY_S
from ocs.units import MalformedError

WEEK_DAYS: Final = {name: day for day, name in enumerate("mon tue wed thu fri sat sun".split(), 1)}
MONTHS: Final = {name: month for month, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
LAST: Final = -1
"""The last day of a month, as a timing keeps it."""

_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d))? ?- ?(\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
_TIME_EXPECTED: Final = "begin and end of a time of day such as 08:00-19:00, or 20:00-06:00 over midnight"


class RawTiming(Raw, frozen=True, kw_only=True):
    """A set of times as written; each list holds sets that are to be joined."""

    years: tuple[frozenset[int], ...] = ()
    months: tuple[frozenset[int], ...] = ()
    month_days: tuple[frozenset[int], ...] = ()
    week_days: tuple[frozenset[int], ...] = ()
    time: tuple[int, int] = (0, DAY_S)


class _Cycle:
    """Reads "mon-fri" or "1, 15-17" to numbers; a range may go over the end of the cycle, "fri-mon"."""

    def __init__(self, noun: str, expected: str, low: int, high: int, names: Mapping[str, int], *, turns: bool) -> None:
        self.noun = noun
        self.expected = expected
        self.low = low
        self.high = high
        self.names = names
        self.turns = turns

    def __call__(self, text: str) -> frozenset[int]:
        found: set[int] = set()
        for part in text.split(","):
            first, dash, last = (each.strip() for each in part.partition("-"))
            found |= self._range(self._one(first), self._one(last), part.strip()) if dash else {self._one(first)}
        return frozenset(found)

    def _one(self, text: str) -> int:
        if text in self.names:
            return self.names[text]
        if re.fullmatch(r"[1-9][0-9]{0,3}", text) and self.low <= int(text) <= self.high:
            return int(text)
        hint = did_you_mean(text.lower()[:3], self.names)
        raise MalformedError(f'"{text}" is not {self.noun}', self.expected, hint)

    def _range(self, first: int, last: int, text: str) -> set[int]:
        last = self.high if last == LAST else last
        if first == LAST or (first > last and not self.turns):
            raise MalformedError(f'"{text}" runs backwards', self.expected)
        if first <= last:
            return set(range(first, last + 1))
        return {*range(first, self.high + 1), *range(self.low, last + 1)}


class _Named(_Cycle):
    """The same for what has names only: a number would leave open where the counting begins."""

    def _one(self, text: str) -> int:
        if text.isdigit():
            meant = next((name for name, number in self.names.items() if str(number) == text), "")
            raise MalformedError(f'"{text}" is not {self.noun}', self.expected, f"did you mean {meant}?" * bool(meant))
        return super()._one(text)


def _list_of(parse: _Cycle) -> ListOf[frozenset[int]]:
    return ListOf(Text(parse, parse.expected, types=("string", "integer")), or_one=True, at_least=1)


def _seconds(hour: str, minute: str, second: str | None, text: str) -> int:
    found = int(hour) * 3_600 + int(minute) * 60 + int(second or 0)
    if int(minute) > 59 or int(second or 0) > 59 or found > DAY_S:
        raise MalformedError(f'"{text}" has a time that no clock shows', _TIME_EXPECTED)
    return found


def time_of_day(text: str) -> tuple[int, int]:
    """(begin, end) in seconds of the day: "08:00-19:00", "20:00-06:00" over midnight, "00:00-24:00"."""
    found = _TIME.fullmatch(text)
    if found is None:
        padded = re.sub(r"(?<!\d)(\d:\d\d)", r"0\1", text)
        hint = f"did you mean {padded}?" if _TIME.fullmatch(padded) else ""
        raise MalformedError(f'"{text}" is not a time of day', _TIME_EXPECTED, hint)
    begin, end = (_seconds(found[n], found[n + 1], found[n + 2], text) for n in (1, 4))
    if begin % DAY_S == end % DAY_S and (begin, end) != (0, DAY_S):
        raise MalformedError(
            f'"{text}" begins and ends at the same time', _TIME_EXPECTED, "00:00-24:00 is the whole day"
        )
    return begin % DAY_S, end or DAY_S


def time_zone(text: str) -> tzinfo:
    """The zone of an IANA name such as "Australia/Sydney"."""
    if text == "UTC":
        return UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        names = available_timezones()
    ending = [name for name in names if name.rpartition("/")[2].lower() == text.rpartition("/")[2].lower()]
    hint = f"did you mean {min(ending)}?" if ending else did_you_mean(text, names)
    raise MalformedError(f'there is no time zone "{text}"', hint=hint)


TIME_ZONE = Text(time_zone, "a name such as Australia/Sydney, or UTC", r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")

_WEEK_DAY = _Named("a day of the week", f"{one_of(WEEK_DAYS)}, or a range such as mon-fri", 1, 7, WEEK_DAYS, turns=True)
_MONTH = _Cycle("a month", "jan to dec, 1 to 12, or a range such as jun-aug", 1, 12, MONTHS, turns=True)
_MONTH_DAY = _Cycle("a day of the month", "1 to 31, last, or a range such as 1-7", 1, 31, {"last": LAST}, turns=False)
_YEAR = _Cycle("a year", "a year such as 2026, or a range such as 2026-2028", 1970, 2261, {}, turns=False)

TIMING = Record(
    RawTiming,
    {
        "week_days": Field(_list_of(_WEEK_DAY), "mon to sun, ranges such as mon-fri"),
        "time": Field(Text(time_of_day, _TIME_EXPECTED), "from when to when on those days, perhaps over midnight"),
        "months": Field(_list_of(_MONTH), "jan to dec or 1 to 12"),
        "month_days": Field(_list_of(_MONTH_DAY), "1 to 31, and last"),
        "years": Field(_list_of(_YEAR), "such as 2026"),
    },
)
