"""From the services of `server.yaml` as written to their policies, with the checks that need more than one value."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from ocs.charging.contexts import ATTRIBUTES
from ocs.charging.policy import Answers, GrantPolicy, QuotaTerms, ServicePolicy
from ocs.charging.requests import FinalAction, FinalUnit
from ocs.config.diagnostics import Place, Problems, did_you_mean
from ocs.config.made import built
from ocs.config.schema import Entry
from ocs.config.service_file import RawAnswers, RawFinalUnit, RawGrant, RawQuota, RawService
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure
from ocs.units import Quantity, format_measured

_EXPECTED = {
    Measure.TIME: "a duration such as 60s",
    Measure.OCTETS: "a volume such as 10 MiB",
    Measure.EVENTS: "a whole number such as 1",
}


def compile_services(
    raw: Mapping[str, Entry[RawService]], currency: str | None, problems: Problems
) -> dict[str, ServicePolicy]:
    """The services without errors. currency: of the tariff, None where it cannot be read."""
    _unique_contexts(raw, problems)
    services = {}
    for name, entry in raw.items():
        policy = _service(name, entry.value, currency, problems) if entry.value else None
        if policy is not None:
            services[name] = policy
    return services


def _unique_contexts(raw: Mapping[str, Entry[RawService]], problems: Problems) -> None:
    """A context leads to one service, or by what its requests say to several."""
    seen: dict[str, Place] = {}
    for entry in raw.values():
        for context, place in entry.value.contexts if entry.value and not entry.value.only else ():
            if context in seen:
                message = f'the context "{context}" is given twice, first in {seen[context]}'
                problems.error(place, message)
            seen.setdefault(context, place)


def _service(name: str, raw: RawService, currency: str | None, problems: Problems) -> ServicePolicy | None:
    final_unit = FinalUnit() if raw.final_unit is None else _final_unit(raw.final_unit, problems)
    answers = Answers() if raw.answers is None else _answers(raw.answers, currency, problems)
    _known_attributes(raw, problems)
    if raw.kind is None or raw.grant is None or not raw.contexts:
        return None
    grant = _grant(raw.grant, raw.kind, problems)
    quotas = [raw.quota, *(entry.value for entry in raw.rating_groups.values())]
    for quota in quotas:
        if quota is not None:
            _check_quota(quota, raw.kind, grant, problems)
    if grant is None or final_unit is None:
        return None
    return built(
        ServicePolicy,
        raw,
        name=name,
        contexts=tuple(context for context, _ in raw.contexts),
        grant=grant,
        final_unit=final_unit,
        answers=answers,
        quota=_terms(raw.quota, None),
        pooled=any(quota is not None and quota.pool is not None for quota in quotas),
        quota_of={int(group): _terms(raw.quota, entry.value) for group, entry in raw.rating_groups.items()},
        only=tuple((attribute, entry.value) for attribute, entry in raw.only.items() if entry.value),
        rating_group_from=tuple(
            (attribute, value, group.value)
            for attribute, entry in raw.rating_group_from.items()
            for value, group in (entry.value or {}).items()
            if group.value is not None
        ),
        called_from=tuple(attribute for attribute, _ in raw.called_from),
    )


def _known_attributes(raw: RawService, problems: Problems) -> None:
    named = [(name, entry.place) for table in (raw.only, raw.rating_group_from) for name, entry in table.items()]
    named += list(raw.called_from)
    if raw.count_from is not None:
        named.append((raw.count_from, raw.at("count_from")))
    for name, place in named:
        if name not in ATTRIBUTES and not name.startswith("service_parameter_"):
            message = f'requests have no attribute "{name}"'
            problems.error(place, message, "one of those in docs/configuration.md", did_you_mean(name, ATTRIBUTES))


def _answers(raw: RawAnswers, currency: str | None, problems: Problems) -> Answers:
    low = raw.low_balance
    if low is not None and currency is not None and low.currency != currency:
        problems.error(raw.at("low_balance"), f"the amount is in {low.currency}", f"{currency}, as in the tariff")
    if low is not None and low.nanos <= 0:
        problems.error(raw.at("low_balance"), "no balance is lower", "an amount above 0")
    return built(Answers, raw, low_balance_nanos=None if low is None else low.nanos)


def _terms(common: RawQuota | None, own: RawQuota | None) -> QuotaTerms:
    """The terms of a rating group: its own, then those of the service."""
    fields: dict[str, Any] = {}
    for raw in (common, own):
        if raw is None:
            continue
        for name in QuotaTerms.__struct_fields__:
            value = getattr(raw, name, None)
            if value is not None:
                fields[name] = value
        if raw.threshold is not None:
            fields["threshold"] = raw.threshold.amount
        if raw.time_mechanism is not None:
            fields["time_mechanism"] = raw.time_mechanism.type
            fields["time_interval_s"] = raw.time_mechanism.interval_s or 0
    return QuotaTerms(**fields)


def _check_quota(raw: RawQuota, kind: Kind, grant: GrantPolicy | None, problems: Problems) -> None:
    measure = MEASURE_OF_KIND[kind]
    threshold = raw.threshold
    if threshold is not None and threshold.measure is not measure:
        problems.error(raw.at("threshold"), f"the service counts {_COUNTS[measure]}", _EXPECTED[measure])
    elif threshold is not None and (threshold.amount == 0 or (measure is Measure.TIME and threshold.amount % NS_PER_S)):
        expected = "whole seconds above 0" if measure is Measure.TIME else "an amount above 0"
        problems.error(raw.at("threshold"), "the threshold cannot be told", expected)
    elif threshold is not None and grant is not None and threshold.amount >= grant.slice:
        most = format_measured(grant.slice, measure)
        problems.warn(raw.at("threshold"), f"the threshold is no less than the slice {most}: mostly it is not told")
    if "furnish_append" in raw.given and "furnish" not in raw.given:
        problems.error(raw.at("furnish_append"), "there is nothing that furnish_append could speak of", "furnish")


def _final_unit(raw: RawFinalUnit, problems: Problems) -> FinalUnit | None:
    """Redirection needs an address, restriction filters; neither has a meaning elsewhere."""
    if raw.action is None:
        return None
    wanted = _NEEDED.get(raw.action, ())
    sound = not wanted or any(name in raw.given for name in wanted)
    if not sound:
        problems.error(raw.place, f'"{wanted[0]}" is missing', f"{' or '.join(wanted)}, as the action needs it")
    for other in ("redirect_to", "filter_ids", "filter_rules", "extended"):
        if other in raw.given and other not in wanted and (other != "extended" or not wanted):
            problems.error(raw.at(other), f"{other} has no meaning with this action", "another action, or no such key")
            sound = False
    if raw.extended and "filter_rules" in raw.given:
        problems.error(raw.at("filter_rules"), "an extended indication has no filter_rules", "filter_ids")
        sound = False
    return built(FinalUnit, raw) if sound else None


_NEEDED: Final = {
    FinalAction.REDIRECT: ("redirect_to",),
    FinalAction.RESTRICT_ACCESS: ("filter_ids", "filter_rules"),
}
"""What says where to: one of these is needed."""


def _grant(raw: RawGrant, kind: Kind, problems: Problems) -> GrantPolicy | None:
    measure = MEASURE_OF_KIND[kind]
    amounts: dict[str, int] = {}
    for name in ("minimum", "contended_slice", "slice", "maximum"):
        quantity: Quantity | None = getattr(raw, name)
        if quantity is None:
            continue
        if quantity.measure is not measure:
            problems.error(raw.at(name), f"the service counts {_COUNTS[measure]}", _EXPECTED[measure])
        elif quantity.amount == 0:
            problems.error(raw.at(name), f"the {name} is 0", "an amount above 0")
        else:
            amounts[name] = quantity.amount
    if len(amounts) < 4:
        return None
    policy = built(GrantPolicy, raw, **amounts)
    for smaller, larger in pairwise(amounts):
        if amounts[smaller] > amounts[larger]:
            few, many = (format_measured(amounts[name], measure) for name in (larger, smaller))
            expected = "minimum, contended_slice, slice, maximum in rising order"
            problems.error(raw.at(larger), f"the {larger} {few} is below the {smaller} {many}", expected)
    if kind is Kind.VOICE:
        _outlives(raw, "validity_time", policy.validity_time_s, "maximum", amounts, problems)
        _outlives(
            raw, "contended_validity_time", policy.contended_validity_time_s, "contended_slice", amounts, problems
        )
    return policy


_COUNTS = {Measure.TIME: "time", Measure.OCTETS: "octets", Measure.EVENTS: "events"}


def _outlives(
    raw: RawGrant, name: str, validity_s: int, limit: str, amounts: dict[str, int], problems: Problems
) -> None:
    """A grant of time is used up before it is no longer valid."""
    if validity_s * NS_PER_S <= amounts[limit]:
        granted = format_measured(amounts[limit], Measure.TIME)
        problems.error(raw.at(name), f"the {name} does not exceed the {limit} {granted}", f"more than {granted}")
