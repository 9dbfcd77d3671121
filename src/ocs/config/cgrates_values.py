"""The cells of CGRateS tables as exact values: durations, amounts, sets of numbers, points in time."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from ocs.rating.numbers import Numbering, dialled, international
from ocs.rating.timings import DAY_S
from ocs.rating.units import NANOS_PER_UNIT, NS_PER_S
from ocs.units import MalformedError, parse_rfc3339

ANY: Final = "*any"
LIST_SEPARATOR: Final = ";"

_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": NS_PER_S // 1_000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
}
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9]))?")
_WITHOUT_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_CLOCK_MEANS_ALL_DAY: Final = ("", ANY, "*asap")


def amount(text: str) -> int:
    """Base units of a length: "60s" or "1h30m" as nanoseconds, a number alone as it is; "" is 0."""
    if not text:
        return 0
    if text.isdecimal():
        return int(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise MalformedError(f'"{text}" is not a length', "a duration such as 60s or 1h30m, or a whole number")
    length = sum((Fraction(number) * _NS[unit] for number, unit in parts), Fraction(0))
    if length.denominator != 1:
        raise MalformedError(f'"{text}" is finer than a nanosecond')
    return int(length)


def decimal(text: str) -> Fraction:
    """An exact number; "" is 0."""
    if text and _NUMBER.fullmatch(text) is None:
        raise MalformedError(f'"{text}" is not a number', "a number such as 0.05")
    return Fraction(text or "0")


def nanos(text: str) -> int:
    """Nanos of an amount of money; "" is 0."""
    exact = decimal(text) * NANOS_PER_UNIT
    if exact.denominator != 1:
        raise MalformedError(f"{text} has more than 9 decimals")
    return int(exact)


def price(text: str) -> Fraction:
    """Nanos of a price, of any number of decimals."""
    return decimal(text) * NANOS_PER_UNIT


def whole(text: str) -> int:
    """A whole number; "" is 0."""
    exact = decimal(text)
    if exact.denominator != 1:
        raise MalformedError(f'"{text}" is not a whole number')
    return int(exact)


def switch(text: str) -> bool:
    """A truth value; nothing at all is false."""
    known = {"": False, "false": False, "true": True, "0": False, "1": True}
    if text.lower() not in known:
        raise MalformedError(f'"{text}" is no truth value', "true or false")
    return known[text.lower()]


def names(text: str) -> tuple[str, ...]:
    """The members of a list; none where it is empty or `*any`."""
    listed = tuple(part.strip() for part in text.split(LIST_SEPARATOR) if part.strip())
    return () if listed == (ANY,) else listed


def numbers(low: int, high: int) -> Callable[[str], frozenset[int]]:
    """A parser of sets of numbers within limits: "1;2;3"; empty for "" and `*any`."""

    def parse(text: str) -> frozenset[int]:
        found = set()
        for part in names(text):
            if not part.lstrip("-").isdecimal() or not low <= int(part) <= high:
                raise MalformedError(f'"{part}" is not a number from {low} to {high}')
            found.add(int(part))
        return frozenset(found)

    return parse


def time_of_day(text: str) -> tuple[int, int]:
    """(start, end) in seconds of the day of "18:00:00" or "08:00:00;17:59:59".

    Without an end it lasts until midnight. An end at the last second of a minute means all of that second: what
    follows begins with the next minute.
    """
    start, _, end = text.partition(LIST_SEPARATOR)
    start_s = 0 if start in _CLOCK_MEANS_ALL_DAY else _second(start)
    end_s = DAY_S if end in _CLOCK_MEANS_ALL_DAY else _second(end)
    end_s += end_s % 60 == 59
    if start_s in (end_s, DAY_S):
        raise MalformedError(f'"{text}" ends where it begins')
    return start_s, end_s


def _second(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise MalformedError(f'"{text}" is not a time of day', "a time such as 18:00:00")
    second = int(found[1]) * 3_600 + int(found[2]) * 60 + int(found[3] or 0)
    if second > DAY_S:
        raise MalformedError(f'"{text}" is not a time of day')
    return second


def point_in_time(text: str) -> int | None:
    """Unix nanoseconds, None for never: RFC 3339, without zone as UTC, or Unix seconds; before 1970 it is 0."""
    if text in ("", "*unlimited", ANY):
        return None
    if text.isdecimal() and len(text) <= 10:
        return int(text) * NS_PER_S
    if text.startswith("0001-"):
        return 0
    return parse_rfc3339(text.replace(" ", "T") + "Z" if _WITHOUT_ZONE.fullmatch(text) else text)


def prefix(text: str) -> str:
    """The digits of a prefix, without the sign of international numbers."""
    digits = international(dialled(text), Numbering(international_prefix=""))
    if not digits.isdecimal():
        raise MalformedError(f'"{text}" is not a prefix', "digits")
    return digits
