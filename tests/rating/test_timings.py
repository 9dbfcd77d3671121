"""Windows follow the clock of a place: through nights, ends of months, leap days and both clock changes of the year."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.rating.timings import Timing, active, changes, started_at
from tests.charging.oracle import began, utc

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Havana",  # changes at 01:00 back to 00:00, and skips from 00:00 to 01:00
    "Africa/Cairo",  # skips midnight
    "Asia/Kolkata",
    "Asia/Beirut",
    "Australia/Lord_Howe",  # by half an hour
    "Australia/Sydney",
    "Pacific/Chatham",
]
STARTS = [
    # two days before clock changes of these zones
    "2026-03-06T00:00",
    "2026-03-28T00:00",
    "2026-04-04T00:00",
    "2026-04-23T00:00",
    "2026-10-02T00:00",
    "2026-10-24T00:00",
    "2026-10-30T00:00",
    # ends of February, of months, of a year
    "2028-02-27T00:00",
    "2027-02-26T00:00",
    "2026-04-29T00:00",
    "2026-12-30T00:00",
]


def timing(zone: str = "UTC", start: str = "00:00", end: str = "24:00", **days: Any) -> Timing:
    """A timing from "HH:MM" to "HH:MM"; days: sets of numbers."""
    hours, minutes = map(int, start.split(":"))
    end_hours, end_minutes = map(int, end.split(":"))
    sets = {name: frozenset(numbers) for name, numbers in days.items()}
    return Timing(
        "t",
        ZoneInfo(zone),
        start_s=3_600 * hours + 60 * minutes,
        end_s=3_600 * end_hours + 60 * end_minutes,
        **sets,
    )


def found(one: Timing, from_ns: int, to_ns: int) -> list[int]:
    """The changes within a stretch of time."""
    return list(takewhile(lambda instant_ns: instant_ns <= to_ns, changes(one, from_ns)))


def scanned(one: Timing, from_ns: int, to_ns: int) -> list[int]:
    """The same, by looking at the clock each full minute."""
    holds = [began(one, at_ns) is not None for at_ns in range(from_ns, to_ns + 1, MINUTE_NS)]
    return [from_ns + place * MINUTE_NS for place in range(1, len(holds)) if holds[place] != holds[place - 1]]


TIMINGS = st.builds(
    lambda zone, start, end, week_days, month_days: Timing(
        "t",
        ZoneInfo(zone),
        week_days=week_days,
        month_days=month_days,
        start_s=60 * start,
        end_s=60 * end,
    ),
    st.sampled_from(ZONES),
    st.integers(0, 1_439) | st.sampled_from([0, 30, 60, 90, 120, 150, 180, 1_380, 1_410]),
    st.integers(1, 1_440) | st.sampled_from([30, 60, 90, 120, 150, 180, 1_440]),
    st.just(frozenset()) | st.frozensets(st.integers(1, 7), max_size=5),
    st.just(frozenset()) | st.frozensets(st.sampled_from([-1, 1, 28, 29, 30, 31]), max_size=3),
)


@settings(max_examples=150)
@given(one=TIMINGS, start=st.sampled_from(STARTS), offset_minutes=st.integers(0, 1_440))
def test_changes_are_those_that_reading_the_clock_each_minute_shows(
    one: Timing, start: str, offset_minutes: int
) -> None:
    from_ns = utc(start) + offset_minutes * MINUTE_NS
    to_ns = from_ns + 3 * DAY_NS
    assert found(one, from_ns, to_ns) == scanned(one, from_ns, to_ns)


@settings(max_examples=300)
@given(one=TIMINGS, start=st.sampled_from(STARTS), second=st.integers(0, 4 * 86_400))
def test_a_window_that_holds_began_when_the_clock_says(one: Timing, start: str, second: int) -> None:
    at_ns = utc(start) + second * 1_000_000_000
    assert started_at(one, at_ns) == began(one, at_ns)
    assert active(one, at_ns) == (began(one, at_ns) is not None)


@pytest.mark.parametrize(
    ("one", "times"),
    [
        # a night from Friday on lasts until Saturday morning, in winter and summer time
        (
            timing("Europe/Berlin", "20:00", "06:00", week_days={5}),
            ["2026-10-23T18:00", "2026-10-24T04:00", "2026-10-30T19:00", "2026-10-31T05:00"],
        ),
        # 02:30 is shown twice on 25 October: from the first time on, and again; it ends at the second 03:00 only
        (
            timing("Europe/Berlin", "02:30", "03:00"),
            ["2026-10-24T00:30", "2026-10-24T01:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"],
        ),
        # the last day of each month, also of a leap year's February
        (
            timing(month_days={-1}),
            ["2026-10-31T00:00", "2026-11-01T00:00", "2026-11-30T00:00", "2026-12-01T00:00", "2026-12-31T00:00"],
        ),
        (timing(months={2}, month_days={29}), ["2028-02-29T00:00", "2028-03-01T00:00", "2032-02-29T00:00"]),
        (timing(years={2027}, months={1}), ["2027-01-01T00:00", "2027-02-01T00:00"]),
        # whole days one after the other have no change between them
        (timing(week_days={6, 7}), ["2026-10-24T00:00", "2026-10-26T00:00", "2026-10-31T00:00"]),
        # an end at the start is a whole day
        (timing(start="08:00", end="08:00", week_days={1}), ["2026-10-26T08:00", "2026-10-27T08:00"]),
        (timing(), []),
        (timing(years={2020}), []),
    ],
)
def test_changes_by_example(one: Timing, times: list[str]) -> None:
    instants = changes(one, utc("2026-10-23T12:00"))
    assert [next(instants, None) for _ in times] == [utc(text) for text in times]
    if len(times) in (0, 2) and (one.years or not times):
        assert next(instants, None) is None


def test_an_hour_that_the_clock_skips_does_not_happen() -> None:
    skipped = timing("Europe/Berlin", "02:00", "03:00")
    from_ns = utc("2026-03-28T12:00")
    assert found(skipped, from_ns, from_ns + DAY_NS) == []
    partly = timing("Europe/Berlin", "02:30", "03:30")
    assert found(partly, from_ns, from_ns + DAY_NS) == [utc("2026-03-29T01:00"), utc("2026-03-29T01:30")]


@pytest.mark.parametrize(
    ("at", "start"),
    [
        ("2026-10-23T17:59", None),
        ("2026-10-23T18:00", "2026-10-23T20:00"),
        ("2026-10-24T03:59", "2026-10-23T20:00"),
        ("2026-10-24T04:00", None),
        ("2026-10-24T18:00", None),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts(at: str, start: str | None) -> None:
    night = timing("Europe/Berlin", "20:00", "06:00", week_days={5})
    assert started_at(night, utc(at)) == (None if start is None else datetime.fromisoformat(start))


def test_nothing_is_looked_for_beyond_ten_years() -> None:
    assert next(changes(timing(years={2040}), utc("2026-01-01T00:00")), None) is None
    assert next(changes(timing(years={2036}), utc("2026-01-01T00:00")), None) == utc("2036-01-01T00:00")
