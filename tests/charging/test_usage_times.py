"""When reported usage happened, by what is known of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.charging.requests import Units
from ocs.charging.session import Group
from ocs.charging.usage_times import Stretch, stretches
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.test_tariff_change import ANY, MIB_CHEAP, MIB_DEAR, changing, opened
from tests.charging.world import AUD, MIB, START_NS, TERMINATION, UPDATE, group, money, octets, request

T = 1_000


def data(**more: Any) -> Group:
    """A rating group that counts octets, granted at T."""
    return Group(100, None, Measure.OCTETS, started_at_ns=T, **more)


def when(group_: Group, *used: Units, now_ns: int = T + 1_000) -> list[tuple[int, int, int]]:
    """(amount, from, to) of what is reported, times counted from T."""
    usage = sum(units.get(group_.measure) or 0 for units in used)
    return [(one.amount, one.from_ns - T, one.to_ns - T) for one in stretches(group_, used, usage, T, now_ns)]


@pytest.mark.parametrize(
    ("units", "more", "expected"),
    [
        # nothing is told: at the report before, or at the first grant
        (Units(octets=9), {}, (9, 0, 0)),
        (Units(octets=9), {"last_at_ns": T + 50}, (9, 50, 50)),
        # before, after, indeterminate
        (Units(octets=9, tariff_change=0), {"change_at_ns": T + 600}, (9, 0, 0)),
        (Units(octets=9, tariff_change=1), {"change_at_ns": T + 600}, (9, 600, 600)),
        (Units(octets=9, tariff_change=2), {"change_at_ns": T + 600}, (9, 0, 0)),
        # after a change that was never told
        (Units(octets=9, tariff_change=1), {}, (9, 0, 0)),
        # first and last use; what is before the last report or in the future is the client's clock
        (Units(octets=9, first_at_ns=T + 100, last_at_ns=T + 900), {}, (9, 100, 900)),
        (Units(octets=9, first_at_ns=T - 100, last_at_ns=T + 900), {}, (9, 0, 900)),
        (Units(octets=9, first_at_ns=T + 10, last_at_ns=T + 900), {"last_at_ns": T + 50}, (9, 50, 900)),
        (Units(octets=9, first_at_ns=T + 100, last_at_ns=T + 5_000), {}, (9, 100, 1_000)),
        (Units(octets=9, first_at_ns=T + 3_000, last_at_ns=T + 5_000), {}, (9, 1_000, 1_000)),
        (Units(octets=9, first_at_ns=T + 500, last_at_ns=T + 400), {}, (9, 500, 500)),
        # one of the two says nothing
        (Units(octets=9, first_at_ns=T + 100), {}, (9, 0, 0)),
        (Units(octets=9, last_at_ns=T + 100), {}, (9, 0, 0)),
        # before or after a change says more than times
        (
            Units(octets=9, tariff_change=1, first_at_ns=T + 700, last_at_ns=T + 800),
            {"change_at_ns": T + 600},
            (9, 600, 600),
        ),
    ],
)
def test_octets_were_used_when_the_client_says_so(
    units: Units, more: dict[str, int], expected: tuple[int, int, int]
) -> None:
    assert when(data(**more), units) == [expected]


def test_containers_are_put_in_the_order_of_time_and_empty_ones_left_out() -> None:
    used = [
        Units(octets=1, tariff_change=1),
        Units(octets=0),
        Units(time_ns=5),
        Units(octets=2, first_at_ns=T + 100, last_at_ns=T + 200),
        Units(octets=3),
    ]
    assert when(data(change_at_ns=T + 600), *used) == [(3, 0, 0), (2, 100, 200), (1, 600, 600)]


def test_time_is_one_stretch_from_the_answer_and_that_is_no_earlier_than_the_session() -> None:
    def talking(**more: Any) -> Group:
        return Group(None, None, Measure.TIME, started_at_ns=T, **more)

    assert when(talking(), Units(time_ns=400), now_ns=T + 1_000) == [(400, 600, 1_000)]
    assert when(talking(), Units(time_ns=1_500), now_ns=T + 1_000) == [(1_500, 0, 1_500)]
    assert when(talking(), Units(time_ns=100), Units(time_ns=300)) == [(400, 600, 1_000)]
    assert when(talking(), Units(time_ns=0)) == []
    # the answer is known, 300 were talked: it goes on there, however late the report is
    assert when(talking(answered_at_ns=T + 20, position=300), Units(time_ns=400), now_ns=T + 9_000) == [(400, 320, 720)]


@pytest.mark.parametrize(
    ("stretch", "change", "part"),
    [
        (Stretch(10, 0, 100), None, 10),
        (Stretch(10, 0, 100), 50, 5),
        (Stretch(10, 0, 100), 55, 5),
        (Stretch(10, 0, 100), 100, 10),
        (Stretch(10, 0, 100), 0, 0),
        (Stretch(10, 50, 100), 20, 0),
        (Stretch(10, 50, 50), 50, 0),
        (Stretch(10, 50, 50), 51, 10),
        (Stretch(10, 50, 50), None, 10),
    ],
)
def test_the_part_before_a_change(stretch: Stretch, change: int | None, part: int) -> None:
    assert stretch.until(change) == part


@given(
    st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**6), st.lists(st.integers(0, 10**7), max_size=6)
)
def test_however_often_a_stretch_is_cut_nothing_of_it_is_lost(
    amount: int, from_ns: int, length_ns: int, cuts: list[int]
) -> None:
    rest = Stretch(amount, from_ns, from_ns + length_ns)
    parts = []
    for change_ns in sorted(cuts):
        part = rest.until(change_ns)
        assert 0 <= part <= rest.amount
        parts.append(part)
        rest = rest.after(part, change_ns)
        assert rest.from_ns <= rest.to_ns
        assert rest.from_ns >= change_ns
    assert sum(parts) + rest.amount == amount


def test_octets_between_first_and_last_use_are_spread_over_a_change_in_proportion() -> None:
    world, _ = opened(changing("data", MIB_CHEAP, MIB_DEAR, after_s=600), money(10 * AUD), data=True)
    world.now_ns += 1_000 * NS_PER_S
    # 4 MiB from second 500 to second 900: a quarter of it before second 600
    first_ns, last_ns = START_NS + 500 * NS_PER_S, START_NS + 900 * NS_PER_S
    used = Units(octets=4 * MIB, first_at_ns=first_ns, last_at_ns=last_ns)
    world.send(request(TERMINATION, 1, group(100, used=[used])))
    assert world.spent() == {"money": AUD // 100 + 3 * AUD // 10}


def test_octets_of_which_no_time_is_known_were_used_at_the_report_before() -> None:
    world, _ = opened(changing("data", MIB_CHEAP, MIB_DEAR, after_s=600), money(10 * AUD), data=True)
    world.now_ns += 500 * NS_PER_S
    world.send(request(UPDATE, 1, group(100, ANY, [octets(MIB)])))
    world.now_ns += 500 * NS_PER_S
    world.send(request(UPDATE, 2, group(100, ANY, [octets(MIB)])))
    assert world.spent() == {"money": 2 * AUD // 100}
    world.now_ns += 500 * NS_PER_S
    world.send(request(TERMINATION, 3, group(100, used=[octets(MIB)])))
    assert world.spent() == {"money": 2 * AUD // 100 + AUD // 10}
