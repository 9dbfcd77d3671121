"""What usage costs at the most where a change of price lies ahead of it: nobody knows how much is used before.

Wherever the change comes, each base unit costs no more than at the dearer price of its position. What increments and
roundings on both sides add is bounded apart from that.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ocs.balances.cover import Meter, State
from ocs.rating.prices import Rate, Tier


def dearest(now: State, after: State, wanted: int) -> tuple[State, int]:
    """(a state that prices each base unit at the dearer of two prices, nanos that roundings add at the most).

    It is `now` in everything else.
    """
    one, other = now.meters[0].rate, after.meters[0].rate
    extra_nanos = _roundings(one, now.position, wanted) + _roundings(other, now.position, wanted)
    subjects: list[tuple[str, Rate | None]] = []
    later = dict(after.subject_rates)
    for subject, rate in now.subject_rates:
        rate_after = later.get(subject)
        if rate is None or rate_after is None:
            subjects.append((subject, None))
            continue
        subjects.append((subject, _dearer(rate, rate_after)))
        extra_nanos += _roundings(rate, now.position, wanted) + _roundings(rate_after, now.position, wanted)
    state = msgspec.structs.replace(
        now,
        meters=(Meter(_dearer(one, other), start=now.position),),
        fee_nanos=max(now.fee_nanos, after.fee_nanos),
        subject_rates=tuple(subjects),
    )
    return state, extra_nanos


def _dearer(one: Rate, other: Rate) -> Rate:
    """The dearer price of each position, without increments, rounded up."""
    starts = sorted({0, *[tier.start for tier in (*one.tiers, *other.tiers)]})
    tiers = [_dearer_at(one, other, start) for start in starts]
    return Rate(
        one.id,
        one.measure,
        tiers[0].price_nanos,
        tiers[0].unit_size,
        rounding="up",
        tiers=tuple(tiers[1:]),
        max_cost_nanos=_limit(one, other),
        disconnect=one.disconnect or other.disconnect,
    )


def _dearer_at(one: Rate, other: Rate, start: int) -> Tier:
    first, second = (_tiers(rate)[_place(rate, start)] for rate in (one, other))
    dearer = first if first.price_nanos * second.unit_size >= second.price_nanos * first.unit_size else second
    return Tier(start, dearer.price_nanos, dearer.unit_size, 1)


def _limit(one: Rate, other: Rate) -> int | None:
    """A maximum cost that ends the grant counts wherever it stands; one that makes usage free, only on both sides."""
    limits = [rate.max_cost_nanos for rate in (one, other) if rate.max_cost_nanos is not None]
    ends = [rate.max_cost_nanos for rate in (one, other) if rate.max_cost_nanos is not None and rate.disconnect]
    if ends:
        return min(ends)
    return max(limits) if len(limits) == 2 else None


def _roundings(rate: Rate, position: int, wanted: int) -> int:
    """What increments and the rounding of a price add at the most: one increment less a base unit in each tier."""
    tiers = _tiers(rate)
    reached = [tier for tier in tiers[_place(rate, position) :] if tier.start < position + wanted]
    nanos = [-(-(tier.increment - 1) * tier.price_nanos // tier.unit_size) for tier in reached]
    return sum(nanos) + rate.rounding_nanos


def _tiers(rate: Rate) -> Sequence[Tier]:
    return (Tier(0, rate.price_nanos, rate.unit_size, rate.increment), *rate.tiers)


def _place(rate: Rate, position: int) -> int:
    """Which of the tiers a position lies in."""
    return sum(tier.start <= position for tier in rate.tiers)
