"""The price of usage: exact, from the whole length, rounded once.

A rate is `price_nanos` per `unit_size` base units (nanoseconds, octets, events). What a length of usage costs is
computed from the length as a whole: usage is rounded up to the increment, multiplied and divided as integers, and
rounded once. So one second and a hundred days cost the same time to price, and it makes no difference in how many
reports the usage arrived.
"""

from __future__ import annotations

import msgspec

from ocs.rating.units import Measure


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


def round_up(usage: int, increment: int) -> int:
    """The next multiple of `increment` at or above `usage`."""
    return -(-usage // increment) * increment


def price(rate: Rate, usage: int) -> int:
    """Nanos that `usage` >= 0 base units of one segment cost, without the connect fee."""
    exact = round_up(usage, rate.increment) * rate.price_nanos  # divided by unit_size: the exact rational
    step = rate.unit_size * rate.rounding_nanos
    if rate.rounding == "middle":
        return (2 * exact + step) // (2 * step) * rate.rounding_nanos
    if rate.rounding == "up":
        return -(-exact // step) * rate.rounding_nanos
    return exact // step * rate.rounding_nanos


def affordable(rate: Rate, priced: int, wanted: int, nanos: int) -> int:
    """How much of `wanted` more usage, after `priced` base units, costs at most `nanos` for the whole segment.

    Returns base units, 0..wanted. Usage that only fills up an increment already paid for is affordable at no cost.
    The price never falls as usage grows, so the answer is found by halving: about 60 prices at the most, whatever
    the rounding (the common case, all of it, takes one).
    """
    if price(rate, priced + wanted) <= nanos:
        return wanted
    if price(rate, priced) > nanos:
        return 0
    low, high = 0, wanted  # price(low) fits, price(high) does not
    while high - low > 1:
        middle = (low + high) // 2
        if price(rate, priced + middle) <= nanos:
            low = middle
        else:
            high = middle
    return low
