"""A change of price ahead of a grant: what the client is told, what is held, what each side then costs.

Money is in AUD; START is a Wednesday, 11:06:40 UTC. The price changes some minutes after it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ocs.balances.account import Balance
from ocs.charging.policy import GrantPolicy
from ocs.charging.requests import GroupAnswer, Result, Units
from ocs.rating.prices import Rate
from ocs.rating.tariff import Tariff, Window
from ocs.rating.timings import Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Prices, utc
from tests.charging.sheets import ZONES, tariff_of
from tests.charging.world import (
    AUD,
    INITIAL,
    MIB,
    MIN,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
)

ANY = Units()
CALL: dict[str, Any] = {"service": "voice", "called": "4930", "refuse_in_group": True}
CHEAP = Rate("cheap", Measure.TIME, 6 * AUD // 100, MIN, NS_PER_S)
"""0.001 a second."""
DEAR = Rate("dear", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S)
"""0.01 a second."""
MIB_CHEAP = Rate("cheap", Measure.OCTETS, AUD // 100, MIB, 1_024)
MIB_DEAR = Rate("dear", Measure.OCTETS, AUD // 10, MIB, 1_024)
MIB_FREE = Rate("free", Measure.OCTETS, free=True)

MARGIN = 2
"""Nanos that rounding on both sides may add."""


def changing(service: str, *rates: Rate, after_s: int = 600) -> Tariff:
    """One version after the other, each for `after_s` seconds, the last without an end."""
    versions = [
        Prices(f"v{place + 1}", place and START_NS + place * after_s * NS_PER_S, {"": (Window("*any", rate),)})
        for place, rate in enumerate(rates)
    ]
    return tariff_of(versions, service)


def opened(sold: Tariff, *balances: Balance, ask: Units = ANY, data: bool = False) -> tuple[World, GroupAnswer]:
    world = World(*balances)
    world.tariff = sold
    if data:
        return world, world.send(request(INITIAL, 0, group(100, ask), refuse_in_group=True)).groups[0]
    return world, world.send(request(INITIAL, 0, group(None, ask), **CALL)).groups[0]


# --- what is told and held ------------------------------------------------------------------------------------------


@pytest.mark.conformance("B33")
def test_the_change_is_told_and_the_dearer_side_is_held() -> None:
    world, given = opened(changing("voice", CHEAP, DEAR), money(10 * AUD), ask=seconds(100))
    assert (given.granted, given.tariff_change_at_ns) == (100 * NS_PER_S, START_NS + 600 * NS_PER_S)
    # 100 s at 0.01, and on each side up to a second less a nanosecond more: 0.01 + 0.001
    assert AUD <= world.balance().held <= AUD + AUD // 100 + AUD // 1_000 + MARGIN
    world, given = opened(changing("voice", DEAR, CHEAP), money(10 * AUD), ask=seconds(100))
    assert AUD <= world.balance().held <= AUD + AUD // 100 + AUD // 1_000 + MARGIN


def test_data_without_increments_holds_just_the_dearer_side() -> None:
    one = msgspec.structs.replace(MIB_CHEAP, increment=1)
    other = msgspec.structs.replace(MIB_DEAR, increment=1)
    world, given = opened(changing("data", one, other), money(10 * AUD), data=True)
    assert (given.granted, given.tariff_change_at_ns) == (10 * MIB, START_NS + 600 * NS_PER_S)
    assert world.balance().held == AUD + MARGIN


def test_units_alone_are_held_once() -> None:
    world, given = opened(changing("data", MIB_CHEAP, MIB_DEAR), Balance("bundle", Kind.DATA, 20 * MIB), data=True)
    assert (given.granted, given.tariff_change_at_ns) == (10 * MIB, START_NS + 600 * NS_PER_S)
    assert world.balance("bundle").held == 10 * MIB


@pytest.mark.parametrize(("credit", "granted_s"), [(AUD, 600), (AUD // 2, 500), (AUD // 1_000, 1)])
def test_credit_that_is_short_of_the_dearer_side_is_granted_for_this_side_only(credit: int, granted_s: int) -> None:
    world, given = opened(changing("voice", CHEAP, DEAR, after_s=1_200), money(credit), ask=seconds(600))
    assert (given.granted, given.tariff_change_at_ns) == (granted_s * NS_PER_S, None)
    assert world.balance().held == granted_s * AUD // 1_000
    assert given.validity_time_s == 1_200  # the client asks again before the dearer price begins
    assert (given.final_unit is not None) == (granted_s < 600)


def test_a_call_is_granted_no_longer_than_to_a_change_that_is_not_told() -> None:
    _, given = opened(changing("voice", CHEAP, DEAR, after_s=300), money(AUD // 2), ask=seconds(600))
    assert (given.granted, given.validity_time_s, given.final_unit) == (300 * NS_PER_S, 300, None)


def test_the_validity_ends_at_the_second_change() -> None:
    _, given = opened(changing("voice", CHEAP, DEAR, CHEAP, after_s=900), money(100 * AUD), ask=seconds(600))
    assert (given.granted, given.validity_time_s) == (600 * NS_PER_S, 1_800)
    assert given.tariff_change_at_ns == START_NS + 900 * NS_PER_S
    _, given = opened(changing("voice", CHEAP, DEAR, CHEAP, after_s=200), money(100 * AUD), ask=seconds(600))
    assert (given.granted, given.validity_time_s) == (400 * NS_PER_S, 400)
    assert given.tariff_change_at_ns == START_NS + 200 * NS_PER_S
    _, given = opened(changing("data", MIB_CHEAP, MIB_DEAR, MIB_CHEAP), money(100 * AUD), data=True)
    assert (given.granted, given.validity_time_s) == (10 * MIB, 1_200)


def test_a_change_beyond_the_validity_is_not_told_nor_held_for() -> None:
    world, given = opened(changing("voice", CHEAP, DEAR, after_s=3_660), money(10 * AUD), ask=seconds(100))
    assert (given.tariff_change_at_ns, given.validity_time_s) == (None, 3_600)
    assert world.balance().held == AUD // 10
    # the hold lives a minute longer than the validity: within that the change is held for, and still not told
    world, given = opened(changing("voice", CHEAP, DEAR, after_s=3_659), money(10 * AUD), ask=seconds(100))
    assert given.tariff_change_at_ns is None
    assert world.balance().held >= AUD


def test_a_grant_of_time_that_lasts_longer_than_the_usual_validity_looks_as_far_ahead() -> None:
    world = World(money(1_000 * AUD))
    world.tariff = changing("voice", CHEAP, DEAR, after_s=5_000)
    long = GrantPolicy(60 * NS_PER_S, NS_PER_S, 7_200 * NS_PER_S, 30 * NS_PER_S)
    world.policies["voice"] = msgspec.structs.replace(world.policies["voice"], grant=long)
    given = world.send(request(INITIAL, 0, group(None, seconds(7_200)), **CALL)).groups[0]
    assert (given.granted, given.tariff_change_at_ns) == (7_200 * NS_PER_S, START_NS + 5_000 * NS_PER_S)
    assert world.balance().held >= 72 * AUD


@pytest.mark.parametrize("rates", [(MIB_FREE, MIB_DEAR), (MIB_DEAR, MIB_FREE)])
def test_between_free_and_not_free_the_price_is_held(rates: tuple[Rate, Rate]) -> None:
    world, given = opened(changing("data", *rates), money(100 * AUD), data=True)
    assert given.result is Result.SUCCESS
    assert given.tariff_change_at_ns == START_NS + 600 * NS_PER_S
    assert given.granted is not None
    cost = given.granted // MIB * AUD // 10
    assert cost <= world.balance().held <= cost + AUD // 10_000
    world.now_ns += 700 * NS_PER_S
    free, paid = (0, 1) if rates[0] is MIB_FREE else (1, 0)
    used = [Units(octets=3 * MIB, tariff_change=free), Units(octets=2 * MIB, tariff_change=paid)]
    world.send(request(TERMINATION, 1, group(100, used=used)))
    assert world.spent() == {"money": AUD // 5}


def test_who_has_nothing_is_granted_what_is_free_until_it_no_longer_is() -> None:
    _, given = opened(changing("data", MIB_FREE, MIB_DEAR), data=True)
    assert (given.result, given.tariff_change_at_ns, given.validity_time_s) == (Result.SUCCESS, None, 600)


# --- what each side costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ring_s", "talk_s", "nanos"),
    [
        (0, 100, 55 * AUD // 100),  # 50 s at 0.001, 50 s at 0.01
        (20, 100, 30 * AUD // 1_000 + 70 * AUD // 100),  # from the answer: 30 s, 70 s
        (50, 100, AUD),
        (0, 50, 5 * AUD // 100),
    ],
)
def test_a_call_is_one_stretch_from_its_answer_whatever_the_reports(ring_s: int, talk_s: int, nanos: int) -> None:
    for step_s in (talk_s, 7):
        world, _ = opened(changing("voice", CHEAP, DEAR, after_s=50), money(10 * AUD))
        world.now_ns += ring_s * NS_PER_S
        number, left_s = 1, talk_s
        while left_s > step_s:
            world.now_ns += step_s * NS_PER_S
            world.send(request(UPDATE, number, group(None, ANY, [seconds(step_s)]), **CALL))
            number, left_s = number + 1, left_s - step_s
        world.now_ns += left_s * NS_PER_S
        world.send(request(TERMINATION, number, group(None, used=[seconds(left_s)]), **CALL))
        assert world.spent() == {"money": nanos}


def test_a_call_whose_reports_are_late_still_changes_price_where_its_time_does() -> None:
    world, _ = opened(changing("voice", CHEAP, DEAR, after_s=60), money(10 * AUD))
    world.now_ns += 30 * NS_PER_S
    world.send(request(UPDATE, 1, group(None, ANY, [seconds(30)]), **CALL))  # answered at once
    world.now_ns += 40 * NS_PER_S  # 70 s after the start, but only 10 s more were talked: to the 40th second
    given = world.send(request(UPDATE, 2, group(None, ANY, [seconds(10)]), **CALL)).groups[0]
    assert given.tariff_change_at_ns is None  # the change is over by the clock
    world.now_ns += 30 * NS_PER_S
    world.send(request(TERMINATION, 3, group(None, used=[seconds(30)]), **CALL))
    # 60 s before the change, 10 s after it
    assert world.spent() == {"money": 6 * AUD // 100 + AUD // 10}


@pytest.mark.conformance("B16", "B33")
def test_what_the_client_says_was_used_before_and_after_is_billed_so() -> None:
    world, _ = opened(changing("data", MIB_CHEAP, MIB_DEAR), money(10 * AUD), data=True)
    world.now_ns += 700 * NS_PER_S
    used = [
        Units(octets=2 * MIB, tariff_change=1),
        Units(octets=3 * MIB, tariff_change=0),
        Units(octets=MIB, tariff_change=2),  # indeterminate: at the price before
    ]
    world.send(request(UPDATE, 1, group(100, ANY, used)))
    assert world.spent() == {"money": 4 * AUD // 100 + 2 * AUD // 10}
    # the change is behind: what comes next is all at the new price
    world.send(request(TERMINATION, 2, group(100, used=[octets(MIB)])))
    assert world.spent() == {"money": 4 * AUD // 100 + 3 * AUD // 10}


def test_each_side_is_rounded_up_for_itself_and_once_in_however_many_reports() -> None:
    world, _ = opened(changing("data", MIB_CHEAP, MIB_DEAR), money(10 * AUD), data=True)
    world.now_ns += 300 * NS_PER_S
    world.send(request(UPDATE, 1, group(100, ANY, [octets(100)])))
    world.now_ns += 400 * NS_PER_S
    used = [Units(octets=100, tariff_change=0), Units(octets=100, tariff_change=1)]
    world.send(request(UPDATE, 2, group(100, ANY, used)))
    world.now_ns += 100 * NS_PER_S
    world.send(request(TERMINATION, 3, group(100, used=[octets(100)])))
    # 200 octets on each side are a KiB: 0.01/1024 and 0.10/1024
    assert world.spent() == {"money": 9_766 + 97_656}


def test_the_fee_is_that_of_the_price_at_which_the_call_begins_and_comes_once() -> None:
    with_fee = msgspec.structs.replace(DEAR, connect_fee_nanos=AUD)
    for rates, fee in (((CHEAP, with_fee), 0), ((with_fee, CHEAP), AUD)):
        world, _ = opened(changing("voice", *rates, after_s=50), money(10 * AUD))
        world.now_ns += 100 * NS_PER_S
        world.send(request(TERMINATION, 1, group(None, used=[seconds(100)]), **CALL))
        assert world.spent() == {"money": 55 * AUD // 100 + fee}


def test_a_new_version_ends_the_record_and_the_next_one_names_it() -> None:
    world, _ = opened(
        changing("data", MIB_CHEAP, MIB_DEAR), Balance("bundle", Kind.DATA, MIB), money(10 * AUD), data=True
    )
    world.now_ns += 700 * NS_PER_S
    used = [Units(octets=3 * MIB, tariff_change=0), Units(octets=2 * MIB, tariff_change=1)]
    world.send(request(TERMINATION, 1, group(100, used=used)))
    assert [
        (cdr.partial, cdr.tariff_version, cdr.usage, cdr.unit_usage, cdr.cost_nanos, cdr.cause) for cdr in world.cdrs
    ] == [
        (0, "v1", 3 * MIB, MIB, 2 * AUD // 100, "tariff_change"),
        (1, "v2", 2 * MIB, 0, 2 * AUD // 10, "normal"),
    ]


def test_windows_of_one_version_stand_in_one_record() -> None:
    afternoon = Timing("afternoon", ZONES[0], start_s=12 * 3_600)
    windows = (Window("*any", CHEAP), Window("*any", DEAR, afternoon))
    world = World(money(10 * AUD))
    world.tariff = tariff_of([Prices("v1", 0, {"": windows})], "voice")
    world.now_ns = utc("2026-11-18T11:59:30")
    world.send(request(INITIAL, 0, group(None, ANY), **CALL))
    world.now_ns += MIN
    world.send(request(TERMINATION, 1, group(None, used=[seconds(60)]), **CALL))
    assert [(cdr.tariff_version, cdr.usage, cdr.cost_nanos) for cdr in world.cdrs] == [("v1", MIN, 33 * AUD // 100)]


def test_a_version_without_a_price_ends_the_grants_and_counts_what_is_used_all_the_same() -> None:
    sold = changing("voice", CHEAP, DEAR, after_s=50)
    assert sold.successor is not None
    sold = msgspec.structs.replace(sold, successor=msgspec.structs.replace(sold.successor, plans={}))
    world, given = opened(sold, money(10 * AUD))
    assert (given.granted, given.validity_time_s, given.tariff_change_at_ns) == (50 * NS_PER_S, 50, None)
    world.now_ns += MIN
    again = world.send(request(UPDATE, 1, group(None, ANY, [seconds(60)]), **CALL)).groups[0]
    assert (again.result, again.why) == (Result.RATING_FAILED, "no_plan")
    world.send(request(TERMINATION, 2, group(None), **CALL))
    assert world.spent() == {"money": 5 * AUD // 100}
    assert sum(cdr.unrated for cdr in world.cdrs) == 10 * NS_PER_S
