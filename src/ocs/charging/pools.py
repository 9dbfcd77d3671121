"""Pools of quotas (RFC 8506 5.1.2): groups of a session draw from what all of them were granted together.

The pool counts in abstract units: a unit of a group is worth its multiplier. Ours is the price of the unit, so that the
pool is worth what is held for it, whoever uses it. Only quotas with one plain price are pooled: in tiers, from units of
a bundle or across a change of price a unit has no worth of its own.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from ocs.balances.choice import Choice
from ocs.balances.cover import is_priced
from ocs.charging.policy import ServicePolicy
from ocs.charging.session import Group, GroupKey, Hold, PoolShare
from ocs.rating.prices import Rate
from ocs.rating.units import NS_PER_S, Measure

ABSTRACT_PER_NANO: Final = 3_600 * 2**20
"""Abstract units in a nano: prices per hour, minute, MiB and GiB are whole, or decimals, in them."""

DIGITS_MAX: Final = 15
"""Of a multiplier that is no decimal of so many digits: it is rounded up, to the dearer side."""

_WIRE_UNITS: Final = {Measure.TIME: NS_PER_S, Measure.OCTETS: 1, Measure.EVENTS: 1}


class Multiplier(NamedTuple):
    """Unit-Value of a pool reference: digits x 10^exponent abstract units for a unit as clients count."""

    digits: int
    exponent: int

    @property
    def value(self) -> Fraction:
        """The same, exact."""
        return self.digits * Fraction(10) ** self.exponent


def multiplier(rate: Rate) -> Multiplier:
    """What a second, an octet or an event at that price is worth."""
    exact = Fraction(rate.price_nanos * _WIRE_UNITS[rate.measure] * ABSTRACT_PER_NANO, rate.unit_size)
    exponent = 0
    while exact.denominator > 1 and exact * 10 < 10**DIGITS_MAX:
        exact, exponent = exact * 10, exponent - 1
    while exact >= 10**DIGITS_MAX:
        exact, exponent = exact / 10, exponent + 1
    digits = -(-exact.numerator // exact.denominator)
    while digits % 10 == 0:
        digits, exponent = digits // 10, exponent + 1
    return Multiplier(digits, exponent)


def share_of(group: Group, choice: Choice, policy: ServicePolicy, *, changes: bool) -> PoolShare | None:
    """How a grant to the group takes part in its pool, None where it cannot. changes: its price may change."""
    terms = policy.quota_of.get(group.rating_group or 0, policy.quota)
    segment = group.segment
    if terms.pool is None or segment is None or changes:
        return None
    rate = segment.rate
    plain = rate.price_nanos and not (rate.free or rate.tiers or rate.max_cost_nanos is not None)
    if not plain or choice.units or any(is_priced(balance) for balance in choice.money):
        return None
    return PoolShare(terms.pool, *multiplier(rate))


def draw(groups: MutableMapping[GroupKey, Group], key: GroupKey, group: Group, usage: int) -> Group:
    """The group, about to report `usage`, with what it drew from its pool beyond its own grant, and the holds for that.

    The others are left with the rest, both of what they were granted and of what is held for it.
    """
    share = group.pool
    if share is None or usage <= group.granted:
        return group
    worth = _worth(share, group.measure)
    needed = (usage - group.granted) * worth
    holds = {hold.balance_id: hold.amount for hold in group.holds}
    drawn = Fraction(0)
    for other_key, other in list(groups.items()):
        if drawn >= needed or other_key == key or other.pool is None or other.pool.pool != share.pool:
            continue
        if not other.granted:
            continue
        other_worth = _worth(other.pool, other.measure)
        taken = min(other.granted, -((drawn - needed) // other_worth))
        drawn += taken * other_worth
        kept = []
        for hold in other.holds:
            part = -(-hold.amount * taken // other.granted)
            if part:
                holds[hold.balance_id] = holds.get(hold.balance_id, 0) + part
            if hold.amount > part:
                kept.append(Hold(hold.balance_id, hold.amount - part))
        groups[other_key] = msgspec.structs.replace(other, granted=other.granted - taken, holds=tuple(kept))
    return msgspec.structs.replace(
        group,
        granted=group.granted + min(usage - group.granted, drawn // worth),
        holds=tuple([Hold(balance_id, amount) for balance_id, amount in holds.items()]),
    )


def _worth(share: PoolShare, measure: Measure) -> Fraction:
    """Abstract units in a base unit."""
    return Multiplier(share.digits, share.exponent).value / _WIRE_UNITS[measure]
