"""From one rate as written to a Rate, and the checks on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ocs.config.diagnostics import Place, Problems
from ocs.config.tariff_file import RawRate
from ocs.rating.prices import Rate, price
from ocs.rating.units import Measure
from ocs.units import DECIMALS_MAX, Money, Price, Quantity, format_measured


class _Words(NamedTuple):
    """How a measure is spoken of: of the service, of a price, of an amount, and examples of the last two."""

    counted: str
    per: str
    amount: str
    price: str
    increment: str


_WORDS: Final[Mapping[Measure, _Words]] = {
    Measure.TIME: _Words(
        "time", "time", "a duration", "a price per time such as 0.22 AUD/min", "a duration such as 1s"
    ),
    Measure.OCTETS: _Words(
        "octets", "volume", "a volume", "a price per volume such as 0.01 AUD/MiB", "a volume such as 1 KiB"
    ),
    Measure.EVENTS: _Words(
        "events", "event", "a count", "a price per event such as 0.05 AUD", "a whole number such as 1"
    ),
}


def compile_rate(
    raw: RawRate, rate_id: str, measure: Measure | None, currency: str | None, problems: Problems
) -> Rate | None:
    """The rate, None where it has errors. `measure` is what the service counts, `currency` that of the tariff."""
    if raw.free:
        for other in raw.given.keys() - {"free"}:
            problems.error(raw.at(other), f"free: true and {other} exclude each other", "one of them")
        return Rate(rate_id, measure or Measure.EVENTS, free=True)
    if not raw.given.keys() & {"price", "connect_fee"}:
        if raw.free is False or "free" not in raw.given:
            problems.error(raw.place, "the rate has no price", "price, connect_fee or free: true")
        return None
    checker = _Checker(raw, currency, problems)
    counted = raw.price.measure if raw.price else (measure or Measure.EVENTS)
    checker.fee()
    if checker.price(measure):
        checker.increment(counted)
    if not checker.sound():
        return None
    rate = Rate(
        rate_id,
        counted,
        price_nanos=raw.price.nanos if raw.price else 0,
        unit_size=raw.price.unit_size if raw.price else 1,
        increment=raw.increment.amount if raw.increment else 1,
        connect_fee_nanos=raw.connect_fee.nanos if raw.connect_fee else 0,
        fee_per_group=raw.fee_per_group,
        rounding_nanos=10 ** (DECIMALS_MAX - raw.rounding.decimals) if raw.rounding else 1,
        rounding=raw.rounding.method if raw.rounding else "middle",
    )
    if raw.price and price(rate, max(rate.unit_size, rate.increment)) == 0:
        unit = format_measured(max(rate.unit_size, rate.increment), counted)
        problems.error(raw.at("rounding"), f"rounding makes {unit} cost nothing", "more decimals, or the method up")
        return None
    return rate


class _Checker:
    """Checks the parts of one rate; `sound` says whether all of them may be used."""

    def __init__(self, raw: RawRate, currency: str | None, problems: Problems) -> None:
        self.raw = raw
        self.currency = currency
        self.problems = problems
        self._sound = True

    def sound(self) -> bool:
        """No error so far, and nothing given that could not be read."""
        raw = self.raw
        values = {"price": raw.price, "increment": raw.increment, "connect_fee": raw.connect_fee}
        return self._sound and all(values[name] is not None for name in values if name in raw.given)

    def _error(self, place: Place, message: str, expected: str = "", hint: str = "") -> None:
        self._sound = False
        self.problems.error(place, message, expected, hint)

    def _amount(self, amount: Money | Price, place: Place, noun: str, instead: str) -> None:
        if self.currency is not None and amount.currency != self.currency:
            self._error(place, f"the {noun} is in {amount.currency}", f"{self.currency}, the currency of the tariff")
        if amount.nanos < 0:
            self._error(place, f"the {noun} is negative", "an amount above 0")
        elif amount.nanos == 0:
            self._error(place, f"the {noun} is 0", f"an amount above 0, or {instead}")

    def price(self, measure: Measure | None) -> bool:
        """Whether an increment may be compared with it. `measure` is what the service counts, None = not known."""
        found = self.raw.price
        if found is None:
            return "price" not in self.raw.given
        place = self.raw.at("price")
        self._amount(found, place, "price", "free: true where it costs nothing")
        if measure is not None and found.measure is not measure:
            words, per = _WORDS[measure], _WORDS[found.measure].per
            hint = "a price per session is a connect_fee" if found.measure is Measure.EVENTS else ""
            self._error(place, f"is a price per {per}, but the service counts {words.counted}", words.price, hint)
            return False
        return True

    def fee(self) -> None:
        """The connect fee, and how often it is taken."""
        if self.raw.connect_fee is not None:
            self._amount(self.raw.connect_fee, self.raw.at("connect_fee"), "connect fee", "no connect_fee at all")
        elif "fee_per" in self.raw.given and "connect_fee" not in self.raw.given:
            self._error(self.raw.at("fee_per"), "there is no connect_fee that fee_per could speak of")

    def increment(self, counted: Measure) -> None:
        """The increment: needed with a price per time or volume, of the same measure, no larger than the unit."""
        found: Quantity | None = self.raw.increment
        priced = self.raw.price
        expected = _WORDS[counted].increment
        if "increment" not in self.raw.given:
            if priced is not None and counted is not Measure.EVENTS:
                self._error(self.raw.place, '"increment" is missing', expected)
            return
        place = self.raw.at("increment")
        if "price" not in self.raw.given:
            self._error(place, "an increment without a price has no meaning", "a price, or no increment")
        elif found is not None and found.amount == 0:
            self._error(place, "the increment is 0", expected)
        elif found is not None and priced is not None and found.measure is not counted:
            message = f"the increment is {_WORDS[found.measure].amount}, but the price is per {_WORDS[counted].per}"
            self._error(place, message, expected)
        elif found is not None and priced is not None and found.amount > priced.unit_size:
            larger, unit = (format_measured(amount, counted) for amount in (found.amount, priced.unit_size))
            self.problems.warn(place, f"the increment {larger} is larger than the unit {unit} of the price")
