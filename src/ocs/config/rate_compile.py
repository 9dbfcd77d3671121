"""From one rate as written to a Rate, and the checks on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ocs.config.diagnostics import Place, Problems
from ocs.config.rate_file import RawConditions, RawRate, RawTier
from ocs.config.setting import Setting
from ocs.rating.conditions import FACTS, Condition
from ocs.rating.prices import Rate, Tier, round_nanos, round_up
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
    if not _priced(raw, problems):
        return None
    if raw.free and "tiers" not in raw.given:
        return Rate(rate_id, measure or Measure.EVENTS, free=True)
    prices = [each for each in (raw.price, *(tier.price for tier in raw.tiers)) if each is not None]
    counted = prices[0].measure if prices else (measure or Measure.EVENTS)
    checker = _Checker(raw, measure, counted, currency, problems)
    checker.fee()
    checker.max_cost()
    checker.price(raw)
    tiers = checker.tiers()
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
        tiers=tiers,
        max_cost_nanos=raw.max_cost.nanos if raw.max_cost else None,
        disconnect=bool(raw.disconnect),
    )
    return rate if _survives_rounding(raw, rate, problems) else None


def compile_condition(raw: RawConditions | None, setting: Setting, problems: Problems) -> Condition | None:
    """The condition of a rate, None where it asks for nothing."""
    if raw is None:
        return None
    terms = []
    for name in FACTS:
        value = getattr(raw, name)
        if isinstance(value, bool):
            value = (str(value).lower(),)
        if value:
            terms.append((name, tuple(sorted(set(value)))))
    if not raw.given:
        problems.error(raw.place, "the conditions ask for nothing", "at least one, or no conditions")
    if raw.roaming is not None and not setting.home_networks and setting.services is not None:
        problems.error(raw.at("roaming"), "nobody is roaming: server.yaml has no home_networks", "some there")
    return Condition(tuple(terms)) if terms else None


def _priced(raw: RawRate, problems: Problems) -> bool:
    """Whether the rate says what usage costs, and says it once."""
    if raw.free:
        excluded = (
            {"price", "increment"}
            if "tiers" in raw.given
            else raw.given.keys() - {"free", "when", "weight", "conditions"}
        )
        for other in sorted(excluded & raw.given.keys()):
            problems.error(raw.at(other), f"free: true and {other} exclude each other", "one of them")
        return True
    if raw.given.keys() & {"price", "connect_fee"}:
        return True
    if raw.free is False or "free" not in raw.given:
        if "tiers" in raw.given:
            expected = "price, connect_fee or free: true for what comes before the first tier"
            problems.error(raw.place, "the rate has no price", expected)
        else:
            problems.error(raw.place, "the rate has no price", "price, connect_fee or free: true")
    return False


def _survives_rounding(raw: RawRate, rate: Rate, problems: Problems) -> bool:
    """Whether a unit, or an increment where that is more, costs something after rounding, in every tier."""
    survives = True
    for tier in (Tier(0, rate.price_nanos, rate.unit_size, rate.increment), *rate.tiers):
        amount = max(tier.unit_size, tier.increment)
        exact = round_up(amount, tier.increment) * tier.price_nanos
        if exact and round_nanos(exact, tier.unit_size, rate.rounding_nanos, rate.rounding) == 0:
            unit = format_measured(amount, rate.measure)
            problems.error(raw.at("rounding"), f"rounding makes {unit} cost nothing", "more decimals, or the method up")
            survives = False
    return survives


class _Checker:
    """Checks the parts of one rate; `sound` says whether all of them may be used.

    measure: what the service counts, None = not known; counted: what the rate does.
    """

    def __init__(
        self, raw: RawRate, measure: Measure | None, counted: Measure, currency: str | None, problems: Problems
    ) -> None:
        self.raw = raw
        self.measure = measure
        self.counted = counted
        self.currency = currency
        self.problems = problems
        self._sound = True

    def sound(self) -> bool:
        """No error so far, and nothing given that could not be read."""
        return self._sound and _readable(self.raw) and all(_readable(tier) for tier in self.raw.tiers)

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

    def price(self, raw: RawRate | RawTier, increment_before: int | None = None) -> None:
        """The price of a rate or tier, and its increment where that may be compared with it."""
        if raw.price is None:
            if "price" not in raw.given:
                self._increment(raw, increment_before)
            return
        place = raw.at("price")
        self._amount(raw.price, place, "price", "free: true where it costs nothing")
        measure = self.measure or self.counted
        if raw.price.measure is not measure:
            words, per = _WORDS[measure], _WORDS[raw.price.measure].per
            hint = "a price per session is a connect_fee" if raw.price.measure is Measure.EVENTS else ""
            whose = "the service counts" if self.measure else "the rate counts"
            self._error(place, f"is a price per {per}, but {whose} {words.counted}", words.price, hint)
        else:
            self._increment(raw, increment_before)

    def fee(self) -> None:
        """The connect fee, and how often it is taken."""
        if self.raw.connect_fee is not None:
            self._amount(self.raw.connect_fee, self.raw.at("connect_fee"), "connect fee", "no connect_fee at all")
        elif "fee_per" in self.raw.given and "connect_fee" not in self.raw.given:
            self._error(self.raw.at("fee_per"), "there is no connect_fee that fee_per could speak of")

    def max_cost(self) -> None:
        """The maximum cost: of something that costs, and with a word on what comes after it."""
        raw = self.raw
        if raw.max_cost is not None:
            self._amount(raw.max_cost, raw.at("max_cost"), "maximum cost", "no max_cost at all")
        if "max_cost" in raw.given and "max_cost_strategy" not in raw.given:
            self._error(raw.at("max_cost"), '"max_cost_strategy" is missing', "free or disconnect")
        elif "max_cost_strategy" in raw.given and "max_cost" not in raw.given:
            self._error(raw.at("max_cost_strategy"), "there is no max_cost that max_cost_strategy could speak of")
        elif "max_cost" in raw.given and not raw.given.keys() & {"price", "tiers"}:
            message = "a max_cost without a price has no meaning: it does not limit the connect fee"
            self._error(raw.at("max_cost"), message, "a price, or no max_cost")

    def tiers(self) -> tuple[Tier, ...]:
        """The tiers without errors, by rising start."""
        found: list[Tier] = []
        before = self.raw.increment.amount if self.raw.increment and self.raw.price else None
        start = 0
        for raw in self.raw.tiers:
            if raw.start is not None:
                self._start(raw, raw.start, start, before)
                start = max(start, raw.start.amount)
            self._cost(raw, before)
            if raw.free:
                before = None
                found.append(Tier(start, 0, 1, 1))
            elif raw.price is not None:
                before = raw.increment.amount if raw.increment else before
                found.append(Tier(start, raw.price.nanos, raw.price.unit_size, before or 1))
        return tuple(found)

    def _start(self, raw: RawTier, start: Quantity, start_before: int, increment: int | None) -> None:
        place = raw.at("from")
        if start.measure is not self.counted:
            message = f"the tier begins at {_WORDS[start.measure].amount}, but the rate counts "
            self._error(place, message + _WORDS[self.counted].counted, _WORDS[self.counted].amount)
        elif start.amount == 0:
            self._error(place, "the tier begins at 0", "more than 0: before it stands the price of the rate itself")
        elif start.amount <= start_before:
            few = format_measured(start_before, self.counted)
            self._error(place, "the tier does not begin after the one before it", f"more than {few}")
        elif increment and (start.amount - start_before) % increment:
            size = format_measured(increment, self.counted)
            message = f"the tier begins within an increment of {size}: what that fills up is taken off the tier"
            self.problems.warn(place, message)

    def _cost(self, raw: RawTier, increment_before: int | None) -> None:
        if raw.free:
            for other in sorted({"price", "increment"} & raw.given.keys()):
                self._error(raw.at(other), f"free: true and {other} exclude each other", "one of them")
        elif "price" in raw.given:
            self.price(raw, increment_before)
        elif raw.free is False or "free" not in raw.given:
            self._error(raw.place, "the tier has no price", "price, or free: true")

    def _increment(self, raw: RawRate | RawTier, before: int | None) -> None:
        """The increment: needed with a price per time or volume, of the same measure, no larger than the unit."""
        found, priced = raw.increment, raw.price
        expected = _WORDS[self.counted].increment
        if "increment" not in raw.given:
            if priced is not None and self.counted is not Measure.EVENTS and before is None:
                self._error(raw.place, '"increment" is missing', expected)
            return
        place = raw.at("increment")
        if "price" not in raw.given:
            self._error(place, "an increment without a price has no meaning", "a price, or no increment")
        elif found is not None and found.amount == 0:
            self._error(place, "the increment is 0", expected)
        elif found is not None and priced is not None and found.measure is not self.counted:
            message = (
                f"the increment is {_WORDS[found.measure].amount}, but the price is per {_WORDS[self.counted].per}"
            )
            self._error(place, message, expected)
        elif found is not None and priced is not None and found.amount > priced.unit_size:
            larger, unit = (format_measured(amount, self.counted) for amount in (found.amount, priced.unit_size))
            self.problems.warn(place, f"the increment {larger} is larger than the unit {unit} of the price")


_VALUES: Final = {
    "price": "price",
    "increment": "increment",
    "connect_fee": "connect_fee",
    "max_cost": "max_cost",
    "max_cost_strategy": "disconnect",
    "from": "start",
}
"""Keys whose values make a rate, and the fields that hold them."""


def _readable(raw: RawRate | RawTier) -> bool:
    """Whether every value that is given could be read."""
    return all(getattr(raw, field) is not None for key, field in _VALUES.items() if key in raw.given)
