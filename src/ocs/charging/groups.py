"""What rating groups are counted in, and how refusals are called."""

from __future__ import annotations

from typing import Final

from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import GroupAnswer, GroupRequest, Result, Units
from ocs.charging.session import Group
from ocs.rating.prices import Rate
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Measure

GRANULARITY: Final = {Measure.TIME: NS_PER_S, Measure.OCTETS: 1, Measure.EVENTS: 1}
"""What clients can count: CC-Time is whole seconds."""

RESULT_OF_REASON: Final = {
    "no_plan": Result.RATING_FAILED,
    "no_rate": Result.RATING_FAILED,
    "no_service": Result.END_USER_SERVICE_DENIED,
    "unknown_rating_group": Result.END_USER_SERVICE_DENIED,
    "no_destination": Result.END_USER_SERVICE_DENIED,
    "no_time": Result.END_USER_SERVICE_DENIED,
    "disabled_account": Result.END_USER_SERVICE_DENIED,
    "unknown_charge": Result.UNABLE_TO_COMPLY,
    "nothing_to_refund": Result.UNABLE_TO_COMPLY,
    "too_many_groups": Result.UNABLE_TO_COMPLY,
    "blocked": Result.END_USER_SERVICE_DENIED,
    "no_credit": Result.CREDIT_LIMIT_REACHED,
}
"""The reasons for a refusal stay apart; this is what each is called on the wire (RFC 8506 9.1, 9.2)."""


def measure_of(rate: Rate | None, asked: Units | None, used: tuple[Units, ...], policy: ServicePolicy) -> Measure:
    """What the group counts in: its rate's measure; without a price the one asked for, else the service's."""
    if rate is not None and (rate.price_nanos or rate.tiers):
        return rate.measure
    for units in (asked, *used):
        measure = None if units is None else units.measure()
        if measure is not None:
            own = MEASURE_OF_KIND[policy.kind]
            return own if units is not None and units.get(own) is not None else measure
    return MEASURE_OF_KIND[policy.kind]


def used_amount(asked: GroupRequest, measure: Measure) -> int:
    """What is reported in all containers of a request."""
    return sum([units.get(measure) or 0 for units in asked.used])


def refuse(group: Group, why: str) -> GroupAnswer:
    """The answer to a group that gets nothing, with the reason that stays apart from all others."""
    return GroupAnswer(group.rating_group, group.service_id, RESULT_OF_REASON[why], group.measure, why=why)
