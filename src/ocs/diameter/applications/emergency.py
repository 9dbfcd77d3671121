"""What an emergency call is answered when there is no store to decide over."""

from __future__ import annotations

from typing import Final

from ocs.charging import house
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupAnswer, GroupRequest, RequestType, Result
from ocs.diameter.wire import Message
from ocs.rating.tariff import Tariff
from ocs.rating.units import MEASURE_OF_KIND

_VISUAL_SEPARATORS: Final = b"-.() "


def is_emergency(request: ChargingRequest, tariff: Tariff) -> bool:
    """Whether an emergency number is called: one that merely costs nothing can wait."""
    found = None if request.terminating else house.house_destination(house.called_number(request, tariff), tariff)
    return found is not None and found[0] == house.EMERGENCY


def may_be_emergency(message: Message, tariff: Tariff) -> bool:
    """Whether an emergency number is found in a request at all: few others are worth reading for it."""
    bare = b"".join([avp.data for avp in message.avps]).translate(None, _VISUAL_SEPARATORS)
    return any(number.encode() in bare for number in tariff.emergency_numbers)


def emergency_answer(request: ChargingRequest, policy: ServicePolicy, validity_time_s: int) -> ChargingAnswer:
    """2001 and the service's slice for each group that asks for units; nobody pays for it."""
    return ChargingAnswer(
        Result.SUCCESS, tuple([_grant(request, group, policy, validity_time_s) for group in request.groups])
    )


def _grant(request: ChargingRequest, group: GroupRequest, policy: ServicePolicy, validity_time_s: int) -> GroupAnswer:
    asked = group.requested
    measure = (None if asked is None else asked.measure()) or MEASURE_OF_KIND[policy.kind]
    if asked is None or request.type is RequestType.TERMINATION:
        return GroupAnswer(group.rating_group, group.service_id, Result.SUCCESS, measure)
    if request.type is RequestType.EVENT:
        return GroupAnswer(group.rating_group, group.service_id, Result.SUCCESS, measure, asked.get(measure) or 1)
    amount = policy.grant.slice if measure is MEASURE_OF_KIND[policy.kind] else asked.get(measure) or 1
    return GroupAnswer(group.rating_group, group.service_id, Result.SUCCESS, measure, amount, validity_time_s)
