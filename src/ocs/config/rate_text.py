"""A rate in words, exact: what distinguishes two rates distinguishes their words."""

from __future__ import annotations

from collections.abc import Iterator

from ocs.rating.prices import Rate, Tier
from ocs.rating.units import NANOS_PER_UNIT, Measure
from ocs.units import Price, format_measured, format_money, format_price

_METHODS = {"up": "up", "down": "down", "middle": "half up"}


def rate_text(rate: Rate, currency: str) -> str:
    """Such as "0.22 AUD/min by 1 s, connect fee 0.10 AUD"; "free"; "flat 0.20 AUD"."""
    if rate.free:
        return "free"
    return ", ".join(_parts(rate, currency))


def _parts(rate: Rate, currency: str) -> Iterator[str]:
    fee = f"{format_money(rate.connect_fee_nanos, currency)} {currency}" if rate.connect_fee_nanos else ""
    each = " per rating group" if rate.fee_per_group else ""
    base = Tier(0, rate.price_nanos, rate.unit_size, rate.increment)
    if rate.price_nanos or rate.tiers:
        yield _price(base, rate.measure, currency)
        if fee:
            yield f"connect fee {fee}{each}"
    else:
        yield f"flat {fee}{each}" if fee else "nothing"
    for tier in rate.tiers:
        yield f"from {format_measured(tier.start, rate.measure)} {_price(tier, rate.measure, currency)}"
    if rate.max_cost_nanos is not None:
        then = "ended" if rate.disconnect else "free"
        yield f"at most {format_money(rate.max_cost_nanos, currency)} {currency}, then {then}"
    if (rate.rounding_nanos, rate.rounding) != (1, "middle"):
        decimals = len(str(NANOS_PER_UNIT)) - len(str(rate.rounding_nanos))
        yield f"rounded {_METHODS[rate.rounding]} to {decimals} decimals"


def _price(tier: Tier, measure: Measure, currency: str) -> str:
    if not tier.price_nanos:
        return "nothing"
    text = format_price(Price(tier.price_nanos, currency, tier.unit_size, measure))
    whole = measure is Measure.EVENTS and tier.increment == 1
    return text if whole else f"{text} by {format_measured(tier.increment, measure)}"
