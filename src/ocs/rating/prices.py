"""The price of usage: exact, from the whole length, rounded once.

A rate is `price_nanos` per `unit_size` base units (nanoseconds, octets, events), in tiers where it changes with the
length of use. What a length of usage costs is computed from the length as a whole: usage is rounded up to the
increment, multiplied and divided as integers, and rounded once. So one second and a hundred days cost the same time to
price, and it makes no difference in how many reports the usage arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import lcm

import msgspec

from ocs.rating.units import Measure


class Tier(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another price from `start` base units on, counted over all usage of the rating group in the session.

    The other fields are as those of a Rate.
    """

    start: int
    price_nanos: int
    unit_size: int
    increment: int


class Rate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price.

    measure: what the usage is counted in.
    price_nanos: what `unit_size` base units cost; 0 with a `connect_fee_nanos` is a flat price.
    unit_size: base units per price, e.g. 60e9 ns for "/min", 1048576 octets for "/MiB".
    increment: usage is rounded up to a multiple of this, once per segment; base units.
    connect_fee_nanos: charged with the first usage above 0, once per session, or once per rating group if
        `fee_per_group`; also when units pay for the usage.
    rounding_nanos: the price is rounded to a multiple of this (1 = one nano).
    rounding: "middle" (half away from zero), "up" or "down".
    free: costs nothing and takes nothing from any balance (a price of 0 alone still uses up unit balances).
    tiers: prices from other lengths on, by rising start.
    max_cost_nanos: the most that the usage of a rating group costs, connect fee apart; None: no limit. What comes after
        is free, or, if `disconnect`, is not granted.
    """

    id: str
    measure: Measure
    price_nanos: int = 0
    unit_size: int = 1
    increment: int = 1
    connect_fee_nanos: int = 0
    fee_per_group: bool = False
    rounding_nanos: int = 1
    rounding: str = "middle"
    free: bool = False
    tiers: tuple[Tier, ...] = ()
    max_cost_nanos: int | None = None
    disconnect: bool = False


def round_up(usage: int, increment: int) -> int:
    """The next multiple of `increment` at or above `usage`."""
    return -(-usage // increment) * increment


def price(rate: Rate, usage: int, start: int = 0) -> int:
    """Nanos that `usage` >= 0 base units of one segment cost, without the connect fee.

    start: how much the rating group had used before the segment; it places the usage in the tiers.
    """
    exact, divisor = unrounded(rate, usage, start)
    return round_nanos(exact, divisor, rate.rounding_nanos, rate.rounding)


def unrounded(rate: Rate, usage: int, start: int = 0) -> tuple[int, int]:
    """(numerator, denominator) of the exact price in nanos."""
    if rate.tiers:
        return tiered(rate, usage, start)
    return round_up(usage, rate.increment) * rate.price_nanos, rate.unit_size


def round_nanos(exact: int, divisor: int, rounding_nanos: int, rounding: str) -> int:
    """`exact / divisor` nanos as a multiple of `rounding_nanos`: the one rounding of a price. Symmetric around zero."""
    if exact < 0:
        return -round_nanos(-exact, divisor, rounding_nanos, rounding)
    step = divisor * rounding_nanos
    if rounding == "middle":
        return (2 * exact + step) // (2 * step) * rounding_nanos
    if rounding == "up":
        return -(-exact // step) * rounding_nanos
    return exact // step * rounding_nanos


def tiered(rate: Rate, usage: int, start: int) -> tuple[int, int]:
    """(numerator, denominator) of the unrounded price in nanos, tier by tier."""
    divisor = lcm(rate.unit_size, *[tier.unit_size for tier in rate.tiers])
    exact = 0
    for tier, charged in in_tiers(rate, usage, start):
        exact += charged * tier.price_nanos * (divisor // tier.unit_size)
    return exact, divisor


def in_tiers(rate: Rate, usage: int, start: int) -> Iterator[tuple[Tier, int]]:
    """(tier, base units charged at its price) of the tiers that the usage lies in; the rate itself is the first tier.

    Usage in a tier is rounded up to its increment; what that adds is taken off the tiers after it.
    """
    tiers = (Tier(0, rate.price_nanos, rate.unit_size, rate.increment), *rate.tiers)
    position, end = start, start + usage
    for index, tier in enumerate(tiers):
        if position >= end:
            break
        upper = end if index + 1 == len(tiers) else min(end, tiers[index + 1].start)
        if position >= upper:
            continue
        charged = round_up(upper - position, tier.increment)
        yield tier, charged
        position += charged


def affordable(rate: Rate, priced: int, wanted: int, nanos: int, start: int = 0) -> int:
    """How much of `wanted` more usage, after `priced` base units, costs at most `nanos` for the whole segment.

    Returns base units, 0..wanted. Usage that only fills up an increment already paid for is affordable at no cost.
    """
    return most(wanted, lambda more: price(rate, priced + more, start) <= nanos)


def most(wanted: int, fits: Callable[[int], bool]) -> int:
    """The largest of 0..wanted that fits, where whatever is smaller than one that fits does too; 0 if none does.

    Found by halving: about 60 tries at the most. The common case, all of it, takes one.
    """
    if fits(wanted):
        return wanted
    if wanted <= 0 or not fits(0):
        return 0
    low, high = 0, wanted  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
