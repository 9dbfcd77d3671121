"""Price sheets, balances and tariffs, drawn for properties; and the tariff that the engine gets for a sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

from ocs.balances.account import Balance, Factor
from ocs.rating.destinations import PrefixTable
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Plan, ServicePlan, Tariff, Window
from ocs.rating.timings import Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Prices
from tests.charging.world import AUD, MIB, MIN
from tests.charging.world import tariff as small_tariff

Draw = Callable[..., Any]

ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Australia/Sydney", "Asia/Kolkata", "America/New_York")]

LARGE = 1_000_000 * AUD
"""Credit that does not run out."""


def rates(measure: Measure, *, tiers: bool = True, fees: bool = True, ends: bool = False) -> st.SearchStrategy[Rate]:
    """Rates with increments, fees, roundings, tiers and maximum costs of all kinds."""
    second = NS_PER_S if measure is Measure.TIME else 1
    sizes = [MIN, NS_PER_S, 30 * NS_PER_S] if measure is Measure.TIME else [MIB, 1_000, 1, 1_000_000]
    increments = [1, NS_PER_S, 60 * NS_PER_S, 7 * NS_PER_S] if measure is Measure.TIME else [1, 7, 1_024, 10_000, MIB]
    price = st.sampled_from([0, 1, 7, AUD // 100, AUD // 3, 22 * AUD // 100, 1_234_567])
    starts = [60, 100, 301, 600] if measure is Measure.TIME else [1_000, 100_000, MIB, 5 * MIB]
    tier = st.builds(
        Tier,
        st.sampled_from([start * second for start in starts]),
        price,
        st.sampled_from(sizes),
        st.sampled_from(increments),
    )
    return st.builds(
        Rate,
        id=st.just("r"),
        measure=st.just(measure),
        price_nanos=price.filter(bool),
        unit_size=st.sampled_from(sizes),
        increment=st.sampled_from(increments),
        connect_fee_nanos=st.sampled_from([0, 0, AUD // 20]) if fees else st.just(0),
        fee_per_group=st.booleans(),
        rounding_nanos=st.sampled_from([1, 1, 10_000, AUD // 100]),
        rounding=st.sampled_from(["middle", "up", "down"]),
        tiers=st.lists(tier, max_size=2 if tiers else 0, unique_by=lambda one: one.start).map(_sorted),
        max_cost_nanos=st.sampled_from([None, None, None, AUD // 4, 2 * AUD]) if tiers else st.none(),
        disconnect=st.booleans() if ends else st.just(False),
    )


def _sorted(tiers: Sequence[Tier]) -> tuple[Tier, ...]:
    return tuple(sorted(tiers, key=lambda one: one.start))


def near(at_ns: int) -> st.SearchStrategy[Timing]:
    """Windows that begin or end within the two hours after an instant."""

    def make(zone: ZoneInfo, begin: int, length: int) -> Timing:
        shown = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).astimezone(zone) + timedelta(minutes=begin)
        start = shown.hour * 60 + shown.minute
        end = (start + length) % 1_440
        return Timing("t", zone, start_s=60 * start, end_s=60 * (end or 1_440))

    return st.builds(make, st.sampled_from(ZONES), st.integers(-60, 90), st.integers(1, 1_439))


def sheets(
    measure: Measure, at_ns: int, prefixes: Sequence[str] = ("",), *, hours: int = 2, **terms: bool
) -> st.SearchStrategy[list[Prices]]:
    """One or two versions; each prefix has a window that always holds, and up to three that come and go."""
    rate = rates(measure, **terms)
    window = st.builds(Window, st.just("somewhere"), rate, near(at_ns), st.integers(0, 2))
    windows = st.builds(lambda base, more: (Window("somewhere", base), *more), rate, st.lists(window, max_size=3))
    by_prefix = st.fixed_dictionaries(dict.fromkeys(prefixes, windows))
    begin = st.integers(1, hours * 3_600).map(lambda second: at_ns + second * NS_PER_S)
    first = st.builds(Prices, st.just("v1"), st.just(0), by_prefix)
    second = st.builds(Prices, st.just("v2"), begin, by_prefix)
    return st.one_of(st.tuples(first), st.tuples(first), st.tuples(first, second)).map(list)


def tariff_of(versions: Sequence[Prices], service: str, subjects: Mapping[str, Rate] | None = None) -> Tariff:
    """The tariff that sells the sheets as plan "standard", and the subjects' rates under plans of their names."""
    later: Tariff | None = None
    for prices in reversed(versions):
        some = {prefix: windows for prefix, windows in prices.windows.items() if prefix}
        table = PrefixTable(some, prices.windows.get(""))
        plans = {"standard": Plan("standard", {service: ServicePlan({}, table)})}
        for subject, rate in (subjects or {}).items():
            one = PrefixTable[tuple[Window, ...]]({}, (Window("*any", rate),))
            plans[subject] = Plan(subject, {service: ServicePlan({}, one)})
        later = msgspec.structs.replace(
            small_tariff(prices.version), plans=plans, valid_from_ns=prices.from_ns, successor=later
        )
    assert later is not None
    return later


SUBJECTS = ["", "", "", "*any", "special", "other", "nowhere"]


@st.composite
def payers(draw: Draw, kind: Kind, *, rich: bool, subjects: bool = True) -> list[Balance]:
    """Up to three unit balances of all terms, and one to three of money; the last of money never ends if `rich`."""
    size = 100 * NS_PER_S if kind is Kind.VOICE else MIB
    zero = ["*zero1s", "*zero1m", "*zero10ms"] if kind is Kind.VOICE else ["*zero1000"]
    found = [
        Balance(
            f"u{number}",
            draw(st.sampled_from([kind, kind, Kind.GENERIC])),
            draw(st.integers(0, 5 * size)),
            weight=draw(st.integers(0, 1)),
            rating_subject=draw(st.sampled_from(["", "", "special", "other", "nowhere", *zero] if subjects else [""])),
            factors=draw(st.sampled_from([(), (), (Factor("*any", 3, 2),), (Factor("data", 1, 3),)])),
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    found += [
        Balance(
            f"m{number}",
            Kind.MONETARY,
            draw(st.integers(0, AUD // 2)),
            weight=draw(st.integers(0, 1)),
            rating_subject=draw(st.sampled_from(SUBJECTS if subjects else [""])),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    if rich:
        found.append(Balance("rich", Kind.MONETARY, LARGE, weight=-1))
    return found
