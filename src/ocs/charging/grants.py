"""A grant: by policy what the balances allow, with what it may cost held."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from ocs.balances.choice import Choice
from ocs.balances.reserve import Reserved, release, reserve, reserve_across
from ocs.charging.groups import GRANULARITY, refuse
from ocs.charging.payer import Payer
from ocs.charging.policy import ServicePolicy
from ocs.charging.pools import share_of
from ocs.charging.requests import FinalAction, FinalUnit, GroupAnswer, Result, Units
from ocs.charging.session import Group, Hold, Segment
from ocs.rating.prices import Rate
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Measure

FALLBACK_SLICE: Final = {Measure.TIME: 600 * NS_PER_S, Measure.OCTETS: 10 * 1_048_576, Measure.EVENTS: 1}
"""Granted where a service is priced in another measure than its own, for which its policy has no words."""

FALLBACK_MAXIMUM: Final = {Measure.TIME: 86_400 * NS_PER_S, Measure.OCTETS: 1_073_741_824, Measure.EVENTS: 1_000}
"""The most that a client's wish gets there: a Validity-Time has to be as long, and is a 32-bit number of seconds."""


class Ahead(NamedTuple):
    """A change of price within the validity of a grant; after: the segment that begins then, None = do not tell it."""

    change_at_ns: int
    after: Segment | None

    @property
    def end_ns(self) -> int | None:
        """When the client has to ask again: before the second change, or before the first that it is not told of."""
        return self.change_at_ns if self.after is None else self.after.until_ns


def wanted_amount(asked: Units, measure: Measure, rate: Rate, policy: ServicePolicy) -> int:
    """What policy grants where credit is no question, in base units of `measure`."""
    wish = asked.get(measure) or 0
    if measure is not MEASURE_OF_KIND[policy.kind]:
        return min(wish, FALLBACK_MAXIMUM[measure]) or FALLBACK_SLICE[measure]
    limits = policy.grant
    if measure is Measure.OCTETS:
        if rate.free:
            return limits.maximum
        return min(max(wish, limits.minimum), limits.maximum) if wish else limits.slice
    return min(wish or limits.slice, limits.maximum)


def grant(
    group: Group, asked: Units, payer: Payer, *, fee_charged: bool, now_ns: int, at_ns: int
) -> tuple[Group, GroupAnswer]:
    """Grant by policy what the balances allow at `at_ns`, and hold what it may cost.

    Credit that is short ends with a Final-Unit-Indication only where nobody else holds any of it: otherwise it may
    come back, and a small slice for a short time is granted instead.
    """
    segment = group.segment
    assert segment is not None
    assert not group.holds
    if asked.measure() is not None and asked.get(group.measure) is None:
        return group, refuse(group, "no_rate")
    policy, limits = payer.policy, payer.policy.grant
    wanted = wanted_amount(asked, group.measure, segment.rate, policy)
    ahead = _look_ahead(group, segment, payer, wanted, at_ns)
    choice = payer.choice(segment.rate, group.measure, at_ns)
    contended = any(payer.book.held(balance.id) for balances in choice for balance in balances)
    state = payer.state(group, segment, choice, at_ns, fee_charged=fee_charged)
    granularity = GRANULARITY[group.measure]
    held = None
    if ahead is not None and ahead.after is not None:
        across = _within(ahead, group.measure, wanted, at_ns)
        held = _across(group, segment, ahead.after, payer, across, fee_charged=fee_charged, at_ns=at_ns)
        ahead = ahead if held is not None else ahead._replace(after=None)
    wanted = _within(ahead, group.measure, wanted, at_ns)
    if held is None:
        held = reserve(payer.book, choice, state, wanted, granularity)
    validity_time_s = limits.validity_time_s
    final_unit: FinalUnit | None = None
    if held.amount < wanted:
        if not contended:
            final_unit = policy.final_unit
        else:
            validity_time_s = limits.contended_validity_time_s
            if held.amount > limits.contended_slice:
                release(payer.book, held.holds)
                held = reserve(payer.book, choice, state, limits.contended_slice, granularity)
    short = held.amount < wanted and held.short != "blocked"
    if not held.amount:
        group = msgspec.structs.replace(group, short=short)
        if final_unit is None or final_unit.action is FinalAction.TERMINATE or held.short == "blocked":
            return group, refuse(group, held.short or "no_credit")
        return group, GroupAnswer(
            group.rating_group, group.service_id, Result.SUCCESS, group.measure, 0, final_unit=final_unit
        )
    if group.measure is Measure.TIME:
        # A quota of time must not run out of validity while it is being used.
        validity_time_s = max(validity_time_s, held.amount // NS_PER_S + limits.grace_s)
    if ahead is not None and ahead.end_ns is not None:
        validity_time_s = max(1, min(validity_time_s, (ahead.end_ns - at_ns) // NS_PER_S))
    if short is not group.short or policy.pooled:
        group = _noted(group, choice, policy, short=short, changes=ahead is not None and ahead.after is not None)
    return _granted(group, held, validity_time_s, final_unit, ahead, policy, now_ns)


def _noted(group: Group, choice: Choice, policy: ServicePolicy, *, short: bool, changes: bool) -> Group:
    """The group with a note of whether it waits for credit, and of the pool that its grant is part of."""
    share = share_of(group, choice, policy, changes=changes) if policy.pooled else None
    return msgspec.structs.replace(group, short=short, pool=share)


def _look_ahead(group: Group, segment: Segment, payer: Payer, wanted: int, at_ns: int) -> Ahead | None:
    """The change of price that a grant may live to see, None where there is none."""
    limits = payer.policy.grant
    validity_s = limits.validity_time_s
    if group.measure is Measure.TIME:
        validity_s = max(validity_s, wanted // NS_PER_S + limits.grace_s)
    change_ns = segment.until_ns
    if change_ns is None or change_ns >= at_ns + (validity_s + limits.grace_s) * NS_PER_S:
        return None
    return Ahead(change_ns, payer.segment(payer.find_rate(group.rating_group, change_ns), group))


def _within(ahead: Ahead | None, measure: Measure, wanted: int, at_ns: int) -> int:
    """What of `wanted` can be used until the client has to ask again, if that is time."""
    if ahead is None or ahead.end_ns is None or measure is not Measure.TIME:
        return wanted
    return min(wanted, max(1, (ahead.end_ns - at_ns) // NS_PER_S) * NS_PER_S)


def _across(
    group: Group, segment: Segment, after: Segment, payer: Payer, wanted: int, *, fee_charged: bool, at_ns: int
) -> Reserved | None:
    """Hold for both sides of a change of price; None where there is not enough credit for whichever is dearer.

    Then the grant ends before the change, so that no credit lies idle for what may not come.
    """
    assert segment.until_ns is not None
    rate = after.rate if segment.rate.free else segment.rate
    choice = payer.choice(rate, group.measure, at_ns)
    now = payer.state(group, segment, choice, at_ns, fee_charged=fee_charged)
    then = payer.state(group, after, choice, segment.until_ns, fee_charged=fee_charged)
    return reserve_across(payer.book, choice, now, then, wanted)


def _granted(
    group: Group,
    held: Reserved,
    validity_time_s: int,
    final_unit: FinalUnit | None,
    ahead: Ahead | None,
    policy: ServicePolicy,
    now_ns: int,
) -> tuple[Group, GroupAnswer]:
    valid_until_ns = now_ns + validity_time_s * NS_PER_S
    change_ns = None
    if ahead is not None and ahead.after is not None and now_ns < ahead.change_at_ns < valid_until_ns:
        change_ns = ahead.change_at_ns
    after = msgspec.structs.replace(
        group,
        holds=tuple([Hold(balance_id, amount) for balance_id, amount in held.holds]),
        granted=held.amount,
        valid_until_ns=valid_until_ns,
        hold_until_ns=valid_until_ns + policy.grant.grace_s * NS_PER_S,
        change_at_ns=change_ns or 0,
    )
    return after, GroupAnswer(
        group.rating_group,
        group.service_id,
        Result.SUCCESS,
        group.measure,
        held.amount,
        validity_time_s,
        final_unit,
        tariff_change_at_ns=change_ns,
        pool=None if group.pool is None else (group.pool.pool, group.pool.digits, group.pool.exponent),
    )
