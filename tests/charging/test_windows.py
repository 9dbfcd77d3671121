"""Calls and data over windows of a clock: nights, weekends, both clock changes, times without a price."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ocs.balances.account import Balance
from ocs.charging.requests import Result, Units
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Window
from ocs.rating.timings import Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Prices, utc
from tests.charging.sheets import tariff_of
from tests.charging.world import AUD, INITIAL, MIN, TERMINATION, UPDATE, World, group, money, request, seconds

ANY = Units()
CALL: dict[str, Any] = {"service": "voice", "called": "4930", "refuse_in_group": True}
BERLIN = ZoneInfo("Europe/Berlin")
DAY = Rate("day", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S)
NIGHT = Rate("night", Measure.TIME, 6 * AUD // 100, MIN, NS_PER_S)


def timing(start_h: float, end_h: float, **days: Any) -> Timing:
    sets = {name: frozenset(numbers) for name, numbers in days.items()}
    return Timing("t", BERLIN, start_s=int(start_h * 3_600), end_s=int(end_h * 3_600), **sets)


def world_with(*windows: Window, at: str, balances: tuple[Balance, ...] = (money(1_000 * AUD),)) -> World:
    world = World(*balances)
    world.tariff = tariff_of([Prices("v1", 0, {"": windows})], "voice")
    world.now_ns = utc(at)
    return world


def talk(world: World, *pieces_s: int) -> dict[str, int]:
    """What a call takes that is answered at once and reported in these pieces."""
    world.send(request(INITIAL, 0, group(None, ANY), **CALL))
    for number, piece_s in enumerate(pieces_s[:-1], start=1):
        world.now_ns += piece_s * NS_PER_S
        world.send(request(UPDATE, number, group(None, ANY, [seconds(piece_s)]), **CALL))
    world.now_ns += pieces_s[-1] * NS_PER_S
    world.send(request(TERMINATION, 99, group(None, used=[seconds(pieces_s[-1])]), **CALL))
    return world.spent()


ALWAYS, NIGHTS = Window("*any", DAY), Window("*any", NIGHT, timing(20, 6))


@pytest.mark.parametrize("pieces_s", [(7_200,), (1_800, 1_800, 3_600), (600,) * 12, (3_599, 2, 3_599)])
@pytest.mark.parametrize(
    ("at", "day_s"),
    [
        ("2026-11-18T18:00", 3_600),  # 19:00 to 21:00 in winter: half of it by day
        ("2026-07-18T17:00", 3_600),  # the same in summer
        ("2026-11-18T22:30", 0),  # over midnight
        ("2026-11-19T04:30", 5_400),  # 05:30 to 07:30
        ("2026-10-25T00:30", 0),  # the night on which 02:00 to 03:00 comes twice
        ("2026-10-25T03:30", 1_800),  # 04:30 to 06:30 in winter time: 90 minutes of night
    ],
)
def test_a_call_over_the_edge_of_the_night(at: str, day_s: int, pieces_s: tuple[int, ...]) -> None:
    spent = talk(world_with(ALWAYS, NIGHTS, at=at), *pieces_s)
    assert spent == {"money": day_s * AUD // 100 + (7_200 - day_s) * AUD // 1_000}


def test_an_hour_that_comes_twice_is_two_and_one_that_is_skipped_is_none() -> None:
    early = Window("*any", NIGHT, timing(2, 3))
    # 25 October: 02:00 to 03:00 lasts two hours; the call from 01:30 to 03:30 lasts three
    assert talk(world_with(ALWAYS, early, at="2026-10-24T23:30"), 3 * 3_600) == {"money": 36 * AUD + 72 * AUD // 10}
    # 29 March: from 01:30 to 03:30 is one hour, all of it by day
    assert talk(world_with(ALWAYS, early, at="2026-03-29T00:30"), 3_600) == {"money": 36 * AUD}


def test_usage_in_all_windows_counts_in_the_tiers() -> None:
    falling = Rate("r", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S, tiers=(Tier(600 * NS_PER_S, 0, MIN, NS_PER_S),))
    nights = Window("*any", falling, timing(20, 6))
    # 5 minutes by day, then 5 at the first price of the night, which are 10 of the call; the rest is free
    assert talk(world_with(ALWAYS, nights, at="2026-11-18T18:55"), 900) == {"money": 3 * AUD + 3 * AUD}


def test_a_maximum_cost_is_for_the_whole_call() -> None:
    most = Rate("r", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S, max_cost_nanos=4 * AUD)
    capped = Window("*any", most), Window("*any", most, timing(20, 6))
    assert talk(world_with(*capped, at="2026-11-18T18:55"), 900) == {"money": 4 * AUD}


def test_a_maximum_cost_that_disconnects_ends_the_grants() -> None:
    most = Rate("r", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S, max_cost_nanos=AUD // 2, disconnect=True)
    world = world_with(Window("*any", most), at="2026-11-18T12:00")
    first = world.send(request(INITIAL, 0, group(None, seconds(600)), **CALL)).groups[0]
    assert first.granted == 50 * NS_PER_S
    world.now_ns += 50 * NS_PER_S
    second = world.send(request(UPDATE, 1, group(None, seconds(600), [seconds(50)]), **CALL)).groups[0]
    assert second.result is Result.CREDIT_LIMIT_REACHED
    assert world.spent() == {"money": AUD // 2}


def test_outside_its_windows_a_destination_is_not_sold_and_within_them_no_longer_than_they_last() -> None:
    only = Window("*any", DAY, timing(8, 20))
    world = world_with(only, at="2026-11-18T20:00")  # 21:00
    refused = world.send(request(INITIAL, 0, group(None, ANY), **CALL)).groups[0]
    assert (refused.result, refused.why) == (Result.END_USER_SERVICE_DENIED, "no_time")
    world = world_with(only, at="2026-11-18T18:55")
    given = world.send(request(INITIAL, 0, group(None, seconds(600)), **CALL)).groups[0]
    assert (given.granted, given.validity_time_s, given.tariff_change_at_ns) == (300 * NS_PER_S, 300, None)


def test_usage_between_windows_is_counted_unrated_and_what_comes_after_it_is_rated_again() -> None:
    """19:50 to 08:10, delivered all the same: ten minutes each evening and morning have a price."""
    for pieces_s in ((44_400,), (600, 43_200, 600), (300, 43_500, 600)):
        world = world_with(Window("*any", DAY, timing(8, 20)), at="2026-11-18T18:50")
        assert talk(world, *pieces_s) == {"money": 12 * AUD}
        assert sum(cdr.unrated for cdr in world.cdrs) == 12 * 3_600 * NS_PER_S
        assert sum(cdr.usage for cdr in world.cdrs) == 44_400 * NS_PER_S


# --- windows of balances --------------------------------------------------------------------------------------------


def test_a_balance_for_the_night_pays_at_night() -> None:
    weekend = Timing("weekend", BERLIN, week_days=frozenset({6, 7}))
    balances = (Balance("free", Kind.VOICE, 10 * MIN, timings=("weekend",)), money(1_000 * AUD))
    for at, spent in (
        ("2026-11-20T12:00", {"money": 6 * AUD // 10}),  # a Friday
        ("2026-11-21T12:00", {"free": MIN}),
    ):
        world = world_with(ALWAYS, at=at, balances=balances)
        world.tariff = _with_timings(world, weekend)
        assert talk(world, 60) == spent


def test_a_balance_not_for_the_weekend_pays_on_other_days() -> None:
    weekend = Timing("weekend", BERLIN, week_days=frozenset({6, 7}))
    balances = (Balance("work", Kind.VOICE, 10 * MIN, timings=("!weekend",)), money(1_000 * AUD))
    for at, spent in (("2026-11-20T12:00", {"work": MIN}), ("2026-11-21T12:00", {"money": 6 * AUD // 10})):
        world = world_with(ALWAYS, at=at, balances=balances)
        world.tariff = _with_timings(world, weekend)
        assert talk(world, 60) == spent


def _with_timings(world: World, *timings: Timing) -> Any:
    return msgspec.structs.replace(world.tariff, timings={one.id: one for one in timings})
