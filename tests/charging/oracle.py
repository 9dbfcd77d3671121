"""What a session has to cost: written apart from the engine, in plain fractions, for clearness and not for speed.

A bill is a list of what was used, in order. It is folded from the start whenever somebody asks for its sum, so it
keeps no running totals that could go wrong in the same way as those of the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from ocs.balances.account import Balance
from ocs.rating.prices import Rate
from ocs.rating.units import Kind

HALF = Fraction(1, 2)

PREFIXES = {"mobile": "614", "fixed": "612"}


def segment_cost(rate: Rate, usage: int) -> int:
    """Nanos for `usage` base units of one segment: whole increments, exact, rounded once."""
    if rate.free or not usage:
        return 0
    increments = ceil(Fraction(usage, rate.increment))
    exact = Fraction(increments * rate.increment * rate.price_nanos, rate.unit_size)
    steps = exact / rate.rounding_nanos
    rounded = {"middle": floor(steps + HALF), "up": ceil(steps), "down": floor(steps)}[rate.rounding]
    return rounded * rate.rounding_nanos


class Use(NamedTuple):
    """One report: `by_units` of the usage were paid by unit balances, the rest is for money."""

    group: object
    segment: int
    rate: Rate
    usage: int
    by_units: int


class Bill:
    """All that one session used."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self._segments: dict[object, tuple[int, str, Rate]] = {}

    def segment(self, group: object, version: str, rate: Rate) -> None:
        """From here on the group has this price; the same price of the same tariff goes on."""
        number, *now = self._segments.get(group, (0, "", None))
        if now != [version, rate]:
            self._segments[group] = (number + 1, version, rate)

    def is_rated(self, group: object) -> bool:
        """Whether the group had a price before."""
        return group in self._segments

    def rate(self, group: object) -> Rate:
        """The price of the group now."""
        return self._segments[group][2]

    def use(self, group: object, usage: int, by_units: int) -> None:
        """A report under the group's price."""
        number, _, rate = self._segments[group]
        self.uses.append(Use(group, number, rate, usage, by_units))

    def cost(self) -> int:
        """Nanos for all of it, connect fees included."""
        segments: dict[tuple[object, int], tuple[Rate, int]] = {}
        for use in self.uses:
            _, priced = segments.get((use.group, use.segment), (use.rate, 0))
            segments[use.group, use.segment] = (use.rate, priced + use.usage - use.by_units)
        return sum(segment_cost(rate, priced) for rate, priced in segments.values()) + self.fees()

    def fees(self) -> int:
        """Once for the session, with the first usage that has one; once for each group whose rate says so."""
        session_fee: int | None = None
        of_groups: dict[object, int] = {}
        for use in self.uses:
            fee = use.rate.connect_fee_nanos
            if not use.usage or not fee:
                continue
            if use.rate.fee_per_group:
                of_groups.setdefault(use.group, fee)
            elif session_fee is None:
                session_fee = fee
        return (session_fee or 0) + sum(of_groups.values())


def bill_of(rate: Rate, usage: int, units: int) -> tuple[int, int]:
    """(base units paid by unit balances, nanos) of one group that used `usage` and had `units` in unit balances."""
    by_units = min(usage, units)
    fee = rate.connect_fee_nanos if usage else 0
    return by_units, segment_cost(rate, usage - by_units) + fee


def may_pay(balance: Balance, kind: Kind, number: str, at_ns: int) -> bool:
    """Whether a balance is for this kind of service, this number and this time."""
    if balance.kind not in (kind, Kind.GENERIC, Kind.MONETARY):
        return False
    if balance.expires_at_ns is not None and at_ns >= balance.expires_at_ns:
        return False
    excluded = [name[1:] for name in balance.destinations if name[0] == "!"]
    included = [name for name in balance.destinations if name[0] != "!"]
    if _in(number, excluded):
        return False
    return _in(number, included) or not included


def _in(number: str, names: Iterable[str]) -> bool:
    return any(name in PREFIXES and number.startswith(PREFIXES[name]) for name in names)
