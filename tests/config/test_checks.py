"""`ocs check` finds what a tariff leaves out and what in it never counts, and says which times and prefixes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.config import load
from ocs.config.calendar import Calendar
from ocs.rating import tariff
from ocs.rating.prices import Rate
from ocs.rating.tariff import Window
from ocs.rating.timings import Timing, active
from ocs.rating.units import NS_PER_S, Measure
from tests.config.folder import FILES, SUBSCRIBERS, TARIFF, lines, write

NOW_NS = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * NS_PER_S
PRICE = "price: 0.10 AUD/min, increment: 1s"
RATE = "{price: 0.22 AUD/min, increment: 1s}"


def said(folder, tariff, subscribers=SUBSCRIBERS):
    write(folder, {**FILES, "tariffs/a.yaml": tariff, "subscribers.yaml": subscribers})
    settings, found = load(folder, now_ns=NOW_NS)
    assert settings is not None, lines(folder, found)
    return [line.split(" ", 2)[2] for line in lines(folder, found)]


def with_rate(written, timings="", more=""):
    return TARIFF.replace(RATE, written) + (f"timings: {{{timings}}}\n" if timings else "") + more


# --- times without a rate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timings", "times"),
    [
        (["{week_days: mon-fri}"], "sat-sun 00:00-24:00"),
        (["{week_days: [mon-fri, sun]}"], "sat 00:00-24:00"),
        (["{time: 08:00-19:00}"], "mon-sun 00:00-08:00; mon-sun 19:00-24:00"),
        (["{time: 20:00-06:00}"], "mon-sun 06:00-20:00"),
        (
            ["{week_days: mon-fri, time: 08:00-19:00}", "{week_days: mon-fri, time: 19:00-08:00}"],
            "sun-mon 00:00-08:00; sat-sun 08:00-24:00",
        ),
        (["{months: jan-jun}"], "all days of jul-dec 00:00-24:00"),
        (["{years: 2026}"], "all days of 2027 and later 00:00-24:00"),
        (["{month_days: 1-30}"], "the 31 of jan, mar, may, jul-aug, oct, dec 00:00-24:00"),
        (["{months: 1-11}", "{months: dec, week_days: mon-sat}"], "sun of dec 00:00-24:00"),
        (["{month_days: 1-27}", "{month_days: last}"], "9 days"),
        (["{week_days: mon-fri}", "{week_days: sat-sun}"], None),
        (["{time: 08:00-20:00}", "{time: 20:00-08:00}"], None),
        (["{years: 2020-2100}"], None),
        (["{}"], None),
    ],
)
def test_times_without_a_rate_are_named(tmp_path, timings, times):
    windows = ", ".join(f"{{when: t{index}, {PRICE}}}" for index in range(len(timings)))
    text = with_rate(f"[{windows}]", ", ".join(f"t{index}: {each}" for index, each in enumerate(timings)))
    found = [each for each in said(tmp_path, text) if "no rate" in each]
    if times is None:
        assert found == []
    elif times == "9 days":
        assert len(found) == 1
        assert " days such as 2026-01-28 00:00-24:00 for 614" in found[0]
    else:
        times = times.replace("sun-mon", "mon, sun")
        assert found == [f"warning: no rate on {times} for 614"]


def test_a_shorter_prefix_or_any_fills_what_a_longer_one_leaves_out(tmp_path):
    peak = f"{{when: peak, {PRICE}}}"
    timings = "peak: {week_days: mon-fri}, rest: {week_days: sat-sun}"
    text = with_rate(f'{peak}\n      "*any": {{when: rest, {PRICE}}}', timings)
    assert said(tmp_path, text) == ["warning: no rate on mon-fri 00:00-24:00"]
    text = with_rate(f'{peak}\n      "*any": {{{PRICE}}}', "peak: {week_days: mon-fri}")
    assert said(tmp_path, text) == []
    text = (
        with_rate(peak, "peak: {week_days: mon-fri}")
        .replace("[612, 613]", "[61]")
        .replace("{connect_fee", f"{{{PRICE}, connect_fee")
    )
    assert said(tmp_path, text) == []


def test_several_prefixes_with_the_same_gap_are_one_warning(tmp_path):
    text = with_rate(f"{{when: peak, {PRICE}}}", "peak: {week_days: mon-fri}").replace("[614]", "[614, 615, 616, 617]")
    assert said(tmp_path, text) == ["warning: no rate on sat-sun 00:00-24:00 for 614, 615, 616 and 1 more prefixes"]


@pytest.mark.parametrize(("alone", "warned"), [("", 0), ("  q: {voice: {plan: standard}}\n", 1)])
def test_a_plan_that_always_falls_back_may_leave_times_out(tmp_path, alone, warned):
    other = "".join(f'    {name}: {{"*any": {{free: true}}}}\n' for name in ("voice", "data", "sms"))
    more = f"  other:\n{other}profiles:\n  p: {{voice: {{plan: standard, fallback: other}}}}\n{alone}"
    text = TARIFF.replace(RATE, f"{{when: peak, {PRICE}}}") + more + "timings: {peak: {week_days: mon-fri}}\n"
    assert len([each for each in said(tmp_path, text) if "no rate" in each]) == warned


# --- rates that never count ------------------------------------------------------------------------------------------

HIDDEN = "warning: this rate never counts: others of more weight hold at all its times"


@pytest.mark.parametrize(
    ("windows", "count"),
    [
        ([("", 0), ("week", 10)], 0),
        ([("", 0), ("", 10)], 1),
        ([("week", 0), ("", 10)], 1),
        ([("peak", 0), ("week", 10), ("", -1)], 1),
        ([("week", 0), ("peak", 10), ("", -1)], 0),
        ([("peak", 10), ("early", 20), ("late", 20), ("", 0)], 1),
        ([("peak", 10), ("early", 20), ("", 0)], 0),
        ([("night", 0), ("early", 5), ("late", 5), ("evening", 5), ("", -1)], 0),
    ],
)
def test_rates_that_heavier_ones_always_hide_are_named(tmp_path, windows, count):
    timings = {
        "week": "{week_days: mon-fri}",
        "peak": "{week_days: mon-fri, time: 08:00-18:00}",
        "early": "{time: 08:00-12:00}",
        "late": "{time: 12:00-18:00}",
        "evening": "{time: 18:00-24:00}",
        "night": "{time: 22:00-06:00}",
    }
    written = ", ".join(f"{{{f'when: {when}, ' if when else ''}weight: {weight}, {PRICE}}}" for when, weight in windows)
    used = {when: timings[when] for when, _ in windows if when}
    text = with_rate(f"[{written}]", ", ".join(f"{name}: {each}" for name, each in used.items()))
    assert said(tmp_path, text).count(HIDDEN) == count


def test_a_rate_that_counts_for_one_of_its_prefixes_counts(tmp_path):
    text = TARIFF.replace("destinations:\n", "destinations:\n  special: {prefixes: [614]}\n")
    text = text.replace("      au-mobile:", "      special: {free: true, weight: 5}\n      au-mobile:")
    assert HIDDEN in said(tmp_path, text)
    assert HIDDEN not in said(tmp_path, text.replace("au-mobile: {prefixes: [614]", "au-mobile: {prefixes: [614, 615]"))


def test_windows_that_begin_together_with_the_same_weight_are_named(tmp_path):
    written = f"[{{when: week, {PRICE}}}, {{when: peak, {PRICE}}}, {{{PRICE}}}]"
    timings = "week: {week_days: mon-fri, time: 08:00-20:00}, peak: {time: 08:00-18:00}"
    place = "tariffs/a.yaml:9:19"
    assert said(tmp_path, with_rate(written, timings)) == [
        f"warning: at some times nothing but its place puts the rate in {place} before this one: weights would"
    ]


# --- the rest --------------------------------------------------------------------------------------------------------


def test_prefixes_that_cost_what_a_shorter_one_costs_are_noted(tmp_path):
    text = TARIFF.replace("[614]", "[614, 61412, 615]")
    assert said(tmp_path, text) == ['note: the prefix 61412 ("au-mobile") costs what 614 ("au-mobile") costs']
    text = TARIFF.replace("[612, 613]", "[6121, 61, 613]").replace("{connect_fee: 0.20 AUD}", RATE)
    assert said(tmp_path, text) == [
        'note: the prefix 614 ("au-mobile") costs what 61 ("au-fixed") costs, and 2 more cost what a shorter one costs'
    ]


def test_ids_that_nothing_uses_are_named(tmp_path):
    text = TARIFF.replace(
        "destinations:\n", "destinations:\n  us: {prefixes: [1]}\n  help: {prefixes: [999], free: true}\n"
    )
    text += "timings: {peak: {week_days: mon-fri}, off: {week_days: sat-sun}}\n"
    used = SUBSCRIBERS.replace("value: 1 GiB", "value: 1 GiB, timings: '!off'")
    ending = "is used by no plan and by no balance of subscribers.yaml"
    assert said(tmp_path, text, used) == [
        f'warning: the destination "us" {ending}',
        f'warning: the timing "peak" {ending}',
    ]


def test_timings_that_never_hold_are_named(tmp_path):
    text = with_rate(
        f"[{{when: a, {PRICE}}}, {{when: b, {PRICE}}}, {{{PRICE}}}]",
        "a: {months: feb, month_days: 30}, b: {years: 2020-2025}",
    )
    assert [each for each in said(tmp_path, text) if "never holds" in each] == [
        f'warning: the timing "{name}" never holds from 2026 to 2053' for name in "ab"
    ]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("{voice: {from: 2026-12-01T00:00:00Z, plan: standard}}", ['"p" has no plan before 2026-12-01T00:00:00Z']),
        ("{voice: {from: 2026-01-01T00:00:00Z, plan: standard}}", []),
        ("{voice: [{from: 2026-12-01T00:00:00Z, plan: standard}, {plan: standard}]}", []),
        ('{voice: {from: 2026-12-01T00:00:00Z, plan: standard}}\n  "*any": {voice: {plan: standard}}', []),
    ],
)
def test_a_subject_whose_first_plan_is_to_come_is_named(tmp_path, profile, expected):
    text = TARIFF + f"profiles:\n  p: {profile}\n"
    assert said(tmp_path, text) == [f"warning: {each}: until then it is refused" for each in expected]


def test_each_version_is_checked(tmp_path):
    later = with_rate(f"{{when: peak, {PRICE}}}", "peak: {week_days: mon-fri}").replace(
        "currency: AUD", "valid_from: 2027-01-01T00:00:00Z"
    )
    write(tmp_path, {**FILES, "tariffs/b.yaml": later})
    _, found = load(tmp_path, now_ns=NOW_NS)
    assert lines(tmp_path, found) == [
        "tariffs/b.yaml:9:7 plans.standard.voice.au-mobile: warning: no rate on sat-sun 00:00-24:00 for 614"
    ]


# --- the calendar against the clock ----------------------------------------------------------------------------------

SECONDS = st.sampled_from([0, 6 * 3_600, 8 * 3_600, 12 * 3_600, 20 * 3_600])
TIMINGS = st.builds(
    lambda years, months, days, week_days, begin_s, length_s: Timing(
        "t", UTC, years, months, days, week_days, begin_s, (begin_s + length_s - 1) % 86_400 + 1
    ),
    st.sampled_from([frozenset(), frozenset({2026}), frozenset({2027, 2028})]),
    st.frozensets(st.integers(1, 12), max_size=3),
    st.frozensets(st.sampled_from([-1, 1, 15, 28, 31]), max_size=2),
    st.frozensets(st.integers(1, 7), max_size=4),
    SECONDS,
    st.sampled_from([4 * 3_600, 10 * 3_600, 86_400]),
)
CALENDAR = Calendar(2026)
MOMENTS = [(day, second) for day in range(0, 365 * 3, 5) for second in range(3 * 3_600, 86_400, 7 * 3_600)]


def at_ns(day, second):
    return int((datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, seconds=second)).timestamp()) * NS_PER_S


def covers(stretches, day, second):
    return any(each.begin_s <= second < each.end_s and each.days >> (day + 1) & 1 for each in stretches)


@given(st.lists(TIMINGS, min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_gaps_are_the_times_at_which_no_timing_is_active(timings):
    gaps = CALENDAR.gaps(timings)
    for day, second in MOMENTS:
        assert covers(gaps, day, second) is not any(active(timing, at_ns(day, second)) for timing in timings)


@given(st.lists(st.tuples(st.none() | TIMINGS, st.integers(0, 1)), min_size=2, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_window_that_is_chosen_at_some_time_counts(shapes):
    rate = Rate("r", Measure.TIME)
    windows = [Window("d", rate, timing, weight) for timing, weight in shapes]
    counts, _ = CALENDAR.contest(shapes)
    for day, second in MOMENTS:
        chosen = tariff._heaviest(windows, at_ns(day, second))
        if chosen is not None:
            assert next(index for index, window in enumerate(windows) if window is chosen) in counts
