"""The compiled tariff: immutable, with a version that each CDR carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate


class PricedDestination(msgspec.Struct, frozen=True, gc=False):
    """What a prefix leads to: the destination's id (`*any` where the plan names none) and its rate."""

    destination_id: str
    rate: Rate


RateTable = PrefixTable[PricedDestination]


class ServicePlan(msgspec.Struct, frozen=True):
    """The rates of one plan for one service: by rating group, or `any_group` for all groups not named."""

    by_group: Mapping[int, RateTable]
    any_group: RateTable | None

    def table(self, rating_group: int | None) -> RateTable | None:
        """The rate table of a rating group, None where the plan does not sell it."""
        if rating_group is not None:
            table = self.by_group.get(rating_group)
            if table is not None:
                return table
        return self.any_group


class Plan(msgspec.Struct, frozen=True):
    """A named price list: service name -> ServicePlan."""

    id: str
    services: Mapping[str, ServicePlan]


class Tariff(msgspec.Struct, frozen=True):
    """All that rating needs, compiled from YAML.

    version: digest of what it was compiled from, the `tariff_version` of CDRs.
    currency: ISO 4217 code of all money.
    emergency_numbers: matched exactly, free for everybody, before any account is looked up.
    """

    version: str
    currency: str
    destinations: Mapping[str, Destination]
    plans: Mapping[str, Plan]
    numbering: Numbering
    emergency_numbers: frozenset[str]
    free_prefixes: PrefixTable[str]


class Found(NamedTuple):
    """A rate that was found, and the way to it."""

    prefix: str
    destination_id: str
    rate: Rate


class NotFound(NamedTuple):
    """Why there is no rate.

    reason: "no_plan", "no_service", "unknown_rating_group", "no_destination", or "no_rate": only in another measure.
    """

    reason: str


def find_rate(tariff: Tariff, plan_id: str, service: str, rating_group: int | None, number: str) -> Found | NotFound:
    """The rate of an event. `number` is normalised digits, "" where the service has no destination."""
    plan = tariff.plans.get(plan_id)
    if plan is None:
        return NotFound("no_plan")
    service_plan = plan.services.get(service)
    if service_plan is None:
        return NotFound("no_service")
    table = service_plan.table(rating_group)
    if table is None:
        return NotFound("unknown_rating_group")
    found = table.find(number)
    if found is None:
        return NotFound("no_destination")
    prefix, priced = found
    return Found(prefix, priced.destination_id, priced.rate)
