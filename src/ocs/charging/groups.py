"""One rating group of a session: its rate, its reports, its grants."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from ocs.balances.account import Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.balances.reserve import Priced, Reserved, debit, release, reserve
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import FinalAction, FinalUnit, GroupAnswer, GroupRequest, Result, Units
from ocs.charging.session import Group, Hold, Segment
from ocs.rating.prices import Rate
from ocs.rating.tariff import Found, NotFound
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure

GRANULARITY: Final = {Measure.TIME: NS_PER_S, Measure.OCTETS: 1, Measure.EVENTS: 1}
"""What clients can count: CC-Time is whole seconds."""

FALLBACK_SLICE: Final = {Measure.TIME: 600 * NS_PER_S, Measure.OCTETS: 10 * 1_048_576, Measure.EVENTS: 1}
"""Granted where a service is priced in another measure than its own, for which its policy has no words."""

FALLBACK_MAXIMUM: Final = {Measure.TIME: 86_400 * NS_PER_S, Measure.OCTETS: 1_073_741_824, Measure.EVENTS: 1_000}
"""The most that a client's wish gets there: a Validity-Time has to be as long, and is a 32-bit number of seconds."""

RESULT_OF_REASON: Final = {
    "no_plan": Result.RATING_FAILED,
    "no_rate": Result.RATING_FAILED,
    "no_service": Result.END_USER_SERVICE_DENIED,
    "unknown_rating_group": Result.END_USER_SERVICE_DENIED,
    "no_destination": Result.END_USER_SERVICE_DENIED,
    "disabled_account": Result.END_USER_SERVICE_DENIED,
    "too_many_groups": Result.UNABLE_TO_COMPLY,
    "blocked": Result.END_USER_SERVICE_DENIED,
    "no_credit": Result.CREDIT_LIMIT_REACHED,
}
"""The reasons for a refusal stay apart; this is what each is called on the wire (RFC 8506 9.1, 9.2)."""


class Payer(NamedTuple):
    """What a request pays with: the working copy, and for rates that cost something the balances in order."""

    book: Book
    choice: Choice

    def choice_for(self, rate: Rate, measure: Measure) -> Choice:
        """The balances for usage of a rate: none for one that is free, no minutes for octets."""
        if rate.free:
            return Choice((), ())
        units = self.choice.units
        if all(_pays(balance, measure) for balance in units):
            return self.choice
        return Choice(tuple(balance for balance in units if _pays(balance, measure)), self.choice.money)


def _pays(balance: Balance, measure: Measure) -> bool:
    """Whether units of the balance are those of the usage; generic ones are whatever they are used for."""
    return balance.kind is Kind.GENERIC or MEASURE_OF_KIND[balance.kind] is measure


class Reported(NamedTuple):
    """A group after a report, and what the report did: sums for the journal.

    fee_charged: the connect fee of the session (not one per group) was charged with it.
    """

    group: Group
    usage: int
    cost_nanos: int
    overdraft_nanos: int
    fee_charged: bool
    notes: tuple[str, ...]


def measure_of(rate: Rate | None, asked: Units | None, used: tuple[Units, ...], policy: ServicePolicy) -> Measure:
    """What the group counts in: its rate's measure; without a price the one asked for, else the service's."""
    if rate is not None and rate.price_nanos:
        return rate.measure
    for units in (asked, *used):
        measure = None if units is None else units.measure()
        if measure is not None:
            own = MEASURE_OF_KIND[policy.kind]
            return own if units is not None and units.get(own) is not None else measure
    return MEASURE_OF_KIND[policy.kind]


def for_measure(found: Found | NotFound, measure: Measure) -> Found | NotFound:
    """What was found, unless it cannot price usage counted in `measure`: a price per MiB says nothing of seconds."""
    if isinstance(found, Found) and found.rate.price_nanos and found.rate.measure is not measure:
        return NotFound("no_rate")
    return found


def open_segment(found: Found | NotFound, tariff_version: str) -> Segment | None:
    """A segment that starts now, None where there is no rate."""
    if isinstance(found, NotFound):
        return None
    return Segment(found.rate, tariff_version, found.destination_id, found.prefix)


def used_amount(asked: GroupRequest, measure: Measure) -> int:
    """What is reported in all containers of a request."""
    return sum(units.get(measure) or 0 for units in asked.used)


def standing(group: Group, segment: Segment, *, session_fee_charged: bool) -> Priced:
    """Where the group's segment stands; the connect fee is due once per session, or once per group if the rate says."""
    rate = segment.rate
    charged = group.fee_charged if rate.fee_per_group else session_fee_charged
    return Priced(rate, segment.priced, segment.charged_nanos, 0 if charged else rate.connect_fee_nanos)


def report(
    group: Group, payer: Payer, usage: int, *, session_fee_charged: bool, now_ns: int, plausible: int | None
) -> Reported:
    """Debit what was used and give back the rest of what the group held.

    plausible: the most that can have been used by the clock, None where that is unknown: what is beyond is taken for
    a client's fault, and only what was granted is debited.
    """
    notes: list[str] = []
    if plausible is not None and usage > plausible:
        usage = min(usage, group.granted)
        notes.append("implausible_usage")
    overrun = max(0, usage - group.granted) if group.granted else 0
    if overrun:
        notes.append("overrun")
    holds = [(hold.balance_id, hold.amount) for hold in group.holds]
    segment, cost_nanos, by_units, overdraft_nanos, fee_nanos, unrated = group.segment, 0, 0, 0, 0, 0
    if segment is None:
        release(payer.book, holds)
        unrated = usage
        if usage:
            notes.append("unrated_usage")
    else:
        now = standing(group, segment, session_fee_charged=session_fee_charged)
        done = debit(payer.book, payer.choice_for(segment.rate, group.measure), now, usage, holds, group.granted_priced)
        cost_nanos = done.charged_nanos - segment.charged_nanos + done.fee_nanos
        by_units, overdraft_nanos, fee_nanos = done.by_units, done.overdraft_nanos, done.fee_nanos
        segment = msgspec.structs.replace(segment, priced=done.priced, charged_nanos=done.charged_nanos)
        if overdraft_nanos:
            notes.append("overdraft")
    after = msgspec.structs.replace(
        group,
        segment=segment,
        holds=(),
        granted=0,
        granted_priced=0,
        valid_until_ns=0,
        hold_until_ns=0,
        usage=group.usage + usage,
        unit_usage=group.unit_usage + by_units,
        cost_nanos=group.cost_nanos + cost_nanos,
        overrun=group.overrun + overrun,
        unrated=group.unrated + unrated,
        fee_charged=group.fee_charged or bool(fee_nanos),
        last_at_ns=now_ns if usage else group.last_at_ns,
    )
    session_fee = bool(fee_nanos) and not (segment is not None and segment.rate.fee_per_group)
    return Reported(after, usage, cost_nanos, overdraft_nanos, session_fee, tuple(notes))


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
    group: Group, asked: Units, payer: Payer, policy: ServicePolicy, *, session_fee_charged: bool, now_ns: int
) -> tuple[Group, GroupAnswer]:
    """Grant by policy what the balances allow, and hold what it may cost.

    Credit that is short ends with a Final-Unit-Indication only where nobody else holds any of it: otherwise it may
    come back, and a small slice for a short time is granted instead.
    """
    segment = group.segment
    assert segment is not None
    assert not group.holds
    if asked.measure() is not None and asked.get(group.measure) is None:
        return group, refuse(group, "no_rate")
    now = standing(group, segment, session_fee_charged=session_fee_charged)
    choice = payer.choice_for(segment.rate, group.measure)
    wanted = wanted_amount(asked, group.measure, segment.rate, policy)
    granularity = GRANULARITY[group.measure]
    contended = any(payer.book.held(balance.id) for balances in choice for balance in balances)
    held = reserve(payer.book, choice, now, wanted, granularity)
    validity_time_s = policy.grant.validity_time_s
    final_unit: FinalUnit | None = None
    if held.amount < wanted:
        if not contended:
            final_unit = policy.final_unit
        else:
            validity_time_s = policy.grant.contended_validity_time_s
            if held.amount > policy.grant.contended_slice:
                release(payer.book, held.holds)
                held = reserve(payer.book, choice, now, policy.grant.contended_slice, granularity)
    if not held.amount:
        if final_unit is None or final_unit.action is FinalAction.TERMINATE:
            return group, refuse(group, held.short or "no_credit")
        return group, GroupAnswer(
            group.rating_group, group.service_id, Result.SUCCESS, group.measure, 0, final_unit=final_unit
        )
    return _granted(group, held, validity_time_s, final_unit, policy, now_ns)


def _granted(
    group: Group, held: Reserved, validity_time_s: int, final_unit: FinalUnit | None, policy: ServicePolicy, now_ns: int
) -> tuple[Group, GroupAnswer]:
    if group.measure is Measure.TIME:
        # A quota of time must not run out of validity while it is being used.
        validity_time_s = max(validity_time_s, held.amount // NS_PER_S + policy.grant.grace_s)
    valid_until_ns = now_ns + validity_time_s * NS_PER_S
    after = msgspec.structs.replace(
        group,
        holds=tuple(Hold(balance_id, amount) for balance_id, amount in held.holds),
        granted=held.amount,
        granted_priced=held.priced,
        valid_until_ns=valid_until_ns,
        hold_until_ns=valid_until_ns + policy.grant.grace_s * NS_PER_S,
    )
    return after, GroupAnswer(
        group.rating_group,
        group.service_id,
        Result.SUCCESS,
        group.measure,
        held.amount,
        validity_time_s,
        final_unit,
    )


def refuse(group: Group, why: str) -> GroupAnswer:
    """The answer to a group that gets nothing, with the reason that stays apart from all others."""
    return GroupAnswer(group.rating_group, group.service_id, RESULT_OF_REASON[why], group.measure, why=why)
