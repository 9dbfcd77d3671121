"""From the rows of CGRateS tables to a compiled tariff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo

from ocs.config.cgrates_rows import DestinationRate, Rows, Slot, TimingRow
from ocs.config.cgrates_values import ANY
from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Activation, Plan, RateTable, ServicePlan, SharedGroup, Tariff, Window
from ocs.rating.timings import Timing
from ocs.rating.units import MEASURE_OF_KIND, Kind, Measure


def subject_key(tenant: str, subject: str) -> str:
    """The name of a subject of a tenant in a tariff: "cgrates.org:1001"; without tenants the subject alone."""
    return f"{tenant}:{subject}" if tenant else subject


def compile_rows(
    rows: Rows,
    kinds: Mapping[str, Kind],
    currency: str,
    zone: tzinfo = UTC,
    members: Mapping[str, tuple[str, ...]] | None = None,
    version: str = "",
) -> Tariff:
    """The tariff of sound rows. A category is a service, and `kinds` says what each of them counts.

    zone: whose clock the timings follow. members: ids of the accounts of each shared group.
    """
    timings = {name: timing(name, row, zone) for name, row in rows.timings.items()}
    subjects: dict[str, dict[str, tuple[Activation, ...]]] = {}
    services: dict[str, set[str]] = {}
    for profile in rows.profiles:
        fallbacks = tuple(subject_key(profile.tenant, name) for name in profile.fallbacks)
        activation = Activation(profile.from_ns, profile.plan_id, fallbacks)
        of_subject = subjects.setdefault(subject_key(profile.tenant, profile.subject), {})
        of_subject[profile.category] = (*of_subject.get(profile.category, ()), activation)
        services.setdefault(profile.plan_id, set()).add(profile.category)
    plans = {
        plan_id: Plan(
            plan_id,
            {
                category: ServicePlan({}, _table(rows, plan_id, MEASURE_OF_KIND[kinds[category]], timings))
                for category in sorted(categories)
            },
        )
        for plan_id, categories in services.items()
    }
    return Tariff(
        version=version,
        currency=currency,
        destinations={
            name: Destination(name, tuple(sorted({row.prefix for row in found})))
            for name, found in rows.destinations.items()
        },
        plans=plans,
        numbering=Numbering(),
        emergency_numbers=frozenset(),
        free_prefixes=PrefixTable({}),
        subjects=subjects,
        timings=timings,
        shared_groups={
            name: SharedGroup(name, (members or {}).get(name, ()), group.strategy)
            for name, group in rows.shared_groups.items()
        },
    )


def timing(name: str, row: TimingRow, zone: tzinfo) -> Timing:
    """A timing on the clock of `zone`."""
    return Timing(name, zone, row.years, row.months, row.month_days, row.week_days, row.start_s, row.end_s)


def compile_rate(found: DestinationRate, slots: tuple[Slot, ...], measure: Measure) -> Rate:
    """The rate of a destination: the first slot is its price, the others are tiers."""
    first, *others = (_exact(slot) for slot in slots)
    rounded = bool(found.rounding) and found.decimals < 9
    return Rate(
        f"{found.rate_id}/{found.destination_id}",
        measure,
        price_nanos=first.price_nanos,
        unit_size=first.unit_size,
        increment=first.increment,
        connect_fee_nanos=slots[0].fee_nanos,
        rounding_nanos=10 ** (9 - found.decimals) if rounded else 1,
        rounding=found.rounding or "middle",
        tiers=tuple(others),
        max_cost_nanos=found.max_cost_nanos,
        disconnect=found.disconnect,
    )


def _exact(slot: Slot) -> Tier:
    """A price of less than whole nanos is one of whole nanos for more units."""
    times = slot.price.denominator
    return Tier(slot.start, int(slot.price * times), slot.unit_size * times, slot.increment)


def _table(rows: Rows, plan_id: str, measure: Measure, timings: Mapping[str, Timing]) -> RateTable:
    by_prefix: dict[str, tuple[Window, ...]] = {}
    default: tuple[Window, ...] = ()
    for line in rows.plans[plan_id]:
        for found in rows.destination_rates[line.destination_rates_id]:
            rate = compile_rate(found, tuple(rows.rates[found.rate_id]), measure)
            window = Window(found.destination_id, rate, timings.get(line.timing_id), line.weight)
            if found.destination_id == ANY:
                default = (*default, window)
                continue
            for prefix in {row.prefix for row in rows.destinations[found.destination_id]}:
                by_prefix[prefix] = (*by_prefix.get(prefix, ()), window)
    return PrefixTable(by_prefix, default or None)
