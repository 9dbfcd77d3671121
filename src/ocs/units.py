"""Values with units, as people write and read them: money, prices, durations, volumes, counts, points in time.

Exact in both directions: digits become integers (nanos of the currency unit, nanoseconds, octets, units), no float
on the way. Whatever cannot be read raises `MalformedError`, which says what was expected and, where it is plain, what
was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from math import gcd
from typing import Final, NamedTuple

from ocs.rating.units import NANOS_PER_UNIT, NS_PER_S, Measure

VALUE_MAX: Final = 2**63 - 1
"""The largest amount of anything, in base units: what a store keeps in one column."""

NS_BY_UNIT: Final[Mapping[str, int]] = {
    "ms": NS_PER_S // 1_000,
    "s": NS_PER_S,
    "min": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}
OCTETS_BY_UNIT: Final[Mapping[str, int]] = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
MINOR_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
"""Digits of the minor unit by ISO 4217, where they are not 2."""

DECIMALS_MAX: Final = 9

MONEY_EXPECTED: Final = "an amount with currency such as 50.00 AUD"
PRICE_EXPECTED: Final = "an amount with currency and unit such as 0.22 AUD/min, 0.01 AUD/MiB or 0.05 AUD"
DURATION_EXPECTED: Final = "a duration with unit such as 1s, 5 min, 1h or 100 ms"
VOLUME_EXPECTED: Final = "a volume with unit such as 1 KiB, 100 MiB or 1 GB"
COUNT_EXPECTED: Final = "a whole number such as 20"
QUANTITY_EXPECTED: Final = "a duration such as 60s, a volume such as 10 MiB, or a whole number"
RATIO_EXPECTED: Final = "a fraction such as 1/60 or a decimal such as 0.5"
TIME_EXPECTED: Final = "a point in time with zone such as 2026-11-21T20:05:00Z"

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_MONEY = re.compile(rf"(?P<sign>-?)(?P<number>{_NUMBER}) ?(?P<currency>[A-Z]{{3}})")
_PART = re.compile(rf"(?P<number>{_NUMBER}) ?(?P<unit>[A-Za-z]+)")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


class MalformedError(ValueError):
    """A text that is not the value it should be.

    message: what is wrong; expected: what would be right; hint: what was probably meant. The last two may be "".
    """

    def __init__(self, message: str, expected: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.hint = hint

    def __str__(self) -> str:
        parts = (self.message, f"expected {self.expected}" if self.expected else "", self.hint)
        return ", ".join(part for part in parts if part)


class Money(NamedTuple):
    """An amount of money: nanos (10^-9 of the currency unit, may be negative) and an ISO 4217 code."""

    nanos: int
    currency: str


class Price(NamedTuple):
    """An amount of money per `unit_size` base units of `measure`."""

    nanos: int
    currency: str
    unit_size: int
    measure: Measure


class Quantity(NamedTuple):
    """An amount of usage in base units of `measure` (nanoseconds, octets, units)."""

    amount: int
    measure: Measure


# --- reading -------------------------------------------------------------------------------------------------------


def parse_decimal(text: str, expected: str = "a decimal number such as 0.22") -> int:
    """Nanos of a plain decimal number ("0.22" -> 220_000_000), with a sign or not, at most nine decimals."""
    found = re.fullmatch(rf"(-?)({_NUMBER})", text)
    if found is None:
        raise MalformedError(f'"{text}" is not a number', expected, _number_hint(text))
    return -_scaled(found[2], NANOS_PER_UNIT, expected) if found[1] else _scaled(found[2], NANOS_PER_UNIT, expected)


def parse_money(text: str) -> Money:
    """An amount with currency: "0.22 AUD"; negative ones are read too."""
    found = _MONEY.fullmatch(text)
    if found is None:
        raise MalformedError(f'"{text}" is not an amount of money', MONEY_EXPECTED, _money_hint(text))
    nanos = _scaled(found["number"], NANOS_PER_UNIT, MONEY_EXPECTED)
    return Money(-nanos if found["sign"] else nanos, found["currency"])


def parse_price(text: str) -> Price:
    """A price: "0.22 AUD/min", "0.01 AUD/MiB", "0.10 AUD/30 s"; per event "0.05 AUD/1" or "0.05 AUD"."""
    amount, slash, unit = (part.strip() for part in text.partition("/"))
    found = _MONEY.fullmatch(amount)
    if found is None or (slash and not unit):
        raise MalformedError(
            f'"{text}" is not a price', PRICE_EXPECTED, _money_hint(amount, f"/{unit}" if unit else "")
        )
    nanos = _scaled(found["number"], NANOS_PER_UNIT, PRICE_EXPECTED)
    per = _per(unit, text) if slash else Quantity(1, Measure.EVENTS)
    if per.amount == 0:
        raise MalformedError(f'"{text}" is a price per nothing', PRICE_EXPECTED)
    return Price(-nanos if found["sign"] else nanos, found["currency"], per.amount, per.measure)


def _per(unit: str, text: str) -> Quantity:
    try:
        return parse_quantity(f"1 {unit}" if unit[0].isalpha() else unit)
    except MalformedError as problem:
        raise MalformedError(f'"{text}" has no known unit after the slash', PRICE_EXPECTED, problem.hint) from None


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration: "1s", "60 s", "5 min", "1 h 30 min", "100 ms"."""
    return _parts(text, NS_BY_UNIT, "duration", DURATION_EXPECTED)


def parse_octets(text: str) -> int:
    """Octets of a volume: binary "100 MiB" or decimal "1 GB"."""
    return _parts(text, OCTETS_BY_UNIT, "volume", VOLUME_EXPECTED)


def parse_count(text: str) -> int:
    """A whole number, not negative, written in digits alone."""
    if re.fullmatch(r"0|[1-9][0-9]*", text) is None:
        raise MalformedError(f'"{text}" is not a whole number', COUNT_EXPECTED, _number_hint(text))
    return _bounded(int(text) if len(text) < 20 else VALUE_MAX + 1, text, COUNT_EXPECTED)


def parse_quantity(text: str) -> Quantity:
    """A duration, a volume or a count, told apart by the unit."""
    found = re.search(r"[A-Za-z]+$", text)
    if found is None and re.search(r"[A-Za-z]", text) is None:
        try:
            return Quantity(parse_count(text), Measure.EVENTS)
        except MalformedError as problem:
            raise MalformedError(problem.message, QUANTITY_EXPECTED, problem.hint) from None
    unit = found[0] if found else ""
    if unit in NS_BY_UNIT:
        return Quantity(parse_duration(text), Measure.TIME)
    if unit in OCTETS_BY_UNIT:
        return Quantity(parse_octets(text), Measure.OCTETS)
    raise MalformedError(
        f'"{text}" has no known unit', QUANTITY_EXPECTED, _unit_hint(unit, {**NS_BY_UNIT, **OCTETS_BY_UNIT})
    )


def parse_measured(text: str, measure: Measure) -> int:
    """Base units of a quantity that has to be of `measure`."""
    return _PARSE_BY_MEASURE[measure](text)


_PARSE_BY_MEASURE = {Measure.TIME: parse_duration, Measure.OCTETS: parse_octets, Measure.EVENTS: parse_count}


def parse_ratio(text: str) -> tuple[int, int]:
    """(numerator, denominator) of a fraction "1/60" or a decimal "0.5", above 0 and reduced."""
    found = re.fullmatch(r"([1-9][0-9]{0,11})(?: ?/ ?([1-9][0-9]{0,11}))?", text)
    if found is not None:
        numerator, denominator = int(found[1]), int(found[2] or 1)
    elif re.fullmatch(_NUMBER, text):
        numerator, denominator = _scaled(text, NANOS_PER_UNIT, RATIO_EXPECTED), NANOS_PER_UNIT
    else:
        raise MalformedError(f'"{text}" is not a factor', RATIO_EXPECTED, _number_hint(text))
    if numerator == 0:
        raise MalformedError("the factor is 0", RATIO_EXPECTED)
    common = gcd(numerator, denominator)
    return numerator // common, denominator // common


def parse_rfc3339(text: str) -> int:
    """Unix nanoseconds of a point in time by RFC 3339; the zone is required, leap seconds are not read."""
    found = _TIME.fullmatch(text)
    if found is None:
        hint = "add the zone, Z for UTC" if re.fullmatch(r"[0-9-]{10}[Tt ][0-9:.]{8,}", text) else ""
        raise MalformedError(f'"{text}" is not a point in time', TIME_EXPECTED, hint)
    year, month, day, hour, minute, second = (int(group) for group in found.groups()[:6])
    offset_h, offset_min = int(found[9] or 0), int(found[10] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset_h > 23 or offset_min > 59:
        raise MalformedError(f'"{text}" is not a point in time: no such hour, minute or second', TIME_EXPECTED)
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise MalformedError(f'"{text}" is not a point in time: no such day', TIME_EXPECTED) from None
    offset_s = (offset_h * 60 + offset_min) * (-60 if found[8] == "-" else 60)
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s
    if not 0 <= seconds < VALUE_MAX // NS_PER_S:
        raise MalformedError(f'"{text}" is not between 1970 and 2262', TIME_EXPECTED)
    return seconds * NS_PER_S + int((found[7] or "0").ljust(9, "0"))


def _scaled(number: str, per_unit: int, expected: str) -> int:
    """`number` (digits, perhaps with decimals) x per_unit as an int; what is finer than the base unit is refused."""
    whole, _, decimals = number.partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > DECIMALS_MAX:
        raise MalformedError(f"{number} has more than {DECIMALS_MAX} decimals", expected)
    if len(whole) > 20:
        return _bounded(VALUE_MAX + 1, number, expected)
    amount, rest = divmod(int(whole + decimals) * per_unit, 10 ** len(decimals))
    if rest:
        raise MalformedError(f"{number} is not a whole number of base units", expected)
    return _bounded(amount, number, expected)


def _bounded(amount: int, text: str, expected: str) -> int:
    if amount > VALUE_MAX:
        raise MalformedError(f"{text} is too large", expected)
    return amount


def _parts(text: str, sizes: Mapping[str, int], noun: str, expected: str) -> int:
    """The sum of "number unit" parts, each unit smaller than the one before it."""
    amount, position, last_size = 0, 0, VALUE_MAX
    while found := _PART.match(text, position):
        size = sizes.get(found["unit"])
        if size is None:
            hint = _unit_hint(found["unit"], sizes)
            raise MalformedError(f'"{text}" is not a {noun}: there is no unit "{found["unit"]}"', expected, hint)
        if size >= last_size:
            raise MalformedError(f'"{text}" is not a {noun}: larger units come first', expected)
        amount += _scaled(found["number"], size, expected)
        last_size, position = size, found.end()
        if position == len(text):
            return _bounded(amount, text, expected)
        position += text[position] == " "
    raise MalformedError(f'"{text}" is not a {noun}', expected, _number_hint(text))


# --- hints ---------------------------------------------------------------------------------------------------------


def _number_hint(text: str) -> str:
    if re.search(r"\d,\d{1,2}(\D|$)", text) and "." not in text:
        return f"use a dot for decimals: {text.replace(',', '.')}"
    if re.search(r"\d[,_']\d", text):
        return "write the digits without separators"
    if re.match(r"-?\.\d", text):
        return f"write the zero before the dot: {text.replace('.', '0.', 1)}"
    if re.match(r"-?0\d", text):
        return "drop the leading zeros"
    return "negative amounts make no sense here" if re.match(r"-\d", text) else ""


def _money_hint(text: str, per: str = "") -> str:
    """`per` is what followed the amount, for the hint to repeat."""
    number = _number_hint(text)
    if number:
        return f"{number}{per}" if ":" in number else number
    if re.fullmatch(rf"-?{_NUMBER}", text):
        return "the currency is missing"
    found = re.fullmatch(rf"(-?{_NUMBER}) ?([A-Za-z]{{3}})", text)
    if found and found[2] != found[2].upper():
        return f"did you mean {found[1]} {found[2].upper()}{per}?"
    if re.search(r"[$€£¥]", text):
        return "write the currency as its ISO 4217 code, after the amount"
    return "the currency goes after the amount" if re.match(r"[A-Z]{3} ?-?\d", text) else ""


def _count_hint(text: str) -> str:
    return _number_hint(text)


def _unit_hint(unit: str, sizes: Mapping[str, int]) -> str:
    meant = {"sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "min", "mins": "min", "minute": "min"}
    meant |= {"minutes": "min", "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "bytes": "B"}
    meant |= {"octets": "B", "byte": "B", "K": "KiB", "M": "MiB", "G": "GiB"}
    by_lower = {known.lower(): known for known in sizes if known != "KB"}
    guess = meant.get(unit) or by_lower.get(unit.lower(), "")
    return f"did you mean {guess}?" if guess in sizes else ""


# --- writing -------------------------------------------------------------------------------------------------------


def format_money(nanos: int, currency: str) -> str:
    """The decimal string of an amount, without the currency.

    At least the minor digits of the currency, no trailing zeros beyond: 10_000_000_000 -> "10.00" AUD, "10" JPY;
    9_997_050_781 -> "9.997050781".
    """
    whole, fraction = divmod(abs(nanos), NANOS_PER_UNIT)
    decimals = f"{fraction:09}".rstrip("0").ljust(MINOR_DIGITS.get(currency, 2), "0")
    sign = "-" if nanos < 0 else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def format_price(price: Price) -> str:
    """A price as `parse_price` reads it: "0.22 AUD/min"."""
    amount = f"{format_money(price.nanos, price.currency)} {price.currency}"
    if price.measure is Measure.EVENTS:
        return amount if price.unit_size == 1 else f"{amount}/{price.unit_size}"
    return f"{amount}/{format_measured(price.unit_size, price.measure).removeprefix('1 ')}"


def format_duration_ns(duration_ns: int) -> str:
    """A duration for people, exact, and as `parse_duration` reads it: "1 h 30 min", "0.1 s", "0 s"."""
    parts = []
    rest = abs(duration_ns)
    for unit in ("d", "h", "min"):
        count, rest = divmod(rest, NS_BY_UNIT[unit])
        if count:
            parts.append(f"{count} {unit}")
    seconds, fraction = divmod(rest, NS_PER_S)
    if rest or not parts:
        decimals = f"{fraction:09}".rstrip("0")
        parts.append(f"{seconds}.{decimals} s" if decimals else f"{seconds} s")
    return ("-" if duration_ns < 0 else "") + " ".join(parts)


def format_octets(octets: int) -> str:
    """A volume for people: in the largest binary unit that fits, with at most two decimals: "10 MiB", "301.17 KiB"."""
    sign, octets = ("-" if octets < 0 else ""), abs(octets)
    unit = next((unit for unit in ("TiB", "GiB", "MiB", "KiB") if octets >= OCTETS_BY_UNIT[unit]), "B")
    size = OCTETS_BY_UNIT[unit]
    hundredths = (200 * octets + size) // (2 * size)
    whole, decimals = divmod(hundredths, 100)
    return f"{sign}{whole} {unit}" if decimals == 0 else f"{sign}{whole}.{f'{decimals:02}'.rstrip('0')} {unit}"


def format_measured(amount: int, measure: Measure) -> str:
    """An amount of usage for people; volumes that are no round number of a unit stay exact, in octets."""
    if measure is Measure.TIME:
        return format_duration_ns(amount)
    if measure is Measure.EVENTS:
        return str(amount)
    exact = next((unit for unit in ("TiB", "GiB", "MiB", "KiB") if amount and amount % OCTETS_BY_UNIT[unit] == 0), "B")
    return f"{amount // OCTETS_BY_UNIT[exact]} {exact}"


def format_rfc3339(at_ns: int) -> str:
    """Unix nanoseconds as a point in time in UTC, with decimals only where there are any."""
    seconds, fraction = divmod(at_ns, NS_PER_S)
    days, second_of_day = divmod(seconds, 86_400)
    day = date.fromordinal(date(1970, 1, 1).toordinal() + days)
    decimals = f".{fraction:09}".rstrip("0") if fraction else ""
    clock = f"{second_of_day // 3_600:02}:{second_of_day // 60 % 60:02}:{second_of_day % 60:02}"
    return f"{day.isoformat()}T{clock}{decimals}Z"
