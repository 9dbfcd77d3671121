"""The way to a rate: version, subject, activation, plan, prefix, window; and until when the answer stays the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.rating.destinations import PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate
from ocs.rating.tariff import Activation, Found, NotFound, Plan, ServicePlan, Tariff, Window, choose_window, find_rate
from ocs.rating.timings import Timing
from ocs.rating.units import Measure
from tests.charging.oracle import Prices, price_at, utc
from tests.charging.sheets import near
from tests.rating.test_timings import HOUR_NS, MINUTE_NS, timing

NOON = utc("2026-10-23T12:00")  # a Friday


def rate(name: str) -> Rate:
    """A rate that is known by its name."""
    return Rate(name, Measure.TIME, 1)


def window(name: str, when: Timing | None = None, weight: int = 0) -> Window:
    """A window of the rate of that name."""
    return Window(name, rate(name), when, weight)


def plan(name: str, table: dict[str, tuple[Window, ...]], service: str = "voice") -> Plan:
    """A plan for all rating groups; prefix "" is `*any`."""
    some = {prefix: windows for prefix, windows in table.items() if prefix}
    return Plan(name, {service: ServicePlan({}, PrefixTable(some, table.get("")))})


def tariff(*plans: Plan, version: str = "v1", **more: Any) -> Tariff:
    """A tariff of plans, and no more than that."""
    return Tariff(version, "AUD", {}, {one.id: one for one in plans}, Numbering(), frozenset(), PrefixTable({}), **more)


def found(one: Tariff, subject: str = "p", number: str = "4917", at_ns: int = NOON) -> str:
    """The name of the rate, or the reason for none."""
    answer = find_rate(one, subject, "voice", None, number, at_ns)
    return answer.rate.id if isinstance(answer, Found) else answer.reason


# --- windows ------------------------------------------------------------------------------------------------------

NIGHT = timing(start="20:00", end="06:00")
WEEKEND = timing(week_days={6, 7})


@pytest.mark.parametrize(
    ("windows", "at", "chosen", "until"),
    [
        ([window("all")], "2026-10-23T12:00", "all", None),
        ([window("all"), window("night", NIGHT)], "2026-10-23T12:00", "all", "2026-10-23T20:00"),
        ([window("all"), window("night", NIGHT)], "2026-10-23T23:00", "night", "2026-10-24T06:00"),
        # the heaviest, whichever began last
        ([window("all", weight=1), window("night", NIGHT)], "2026-10-23T23:00", "all", None),
        ([window("night", NIGHT, 1), window("end", WEEKEND)], "2026-10-24T05:00", "night", "2026-10-24T06:00"),
        # of equal weight the one that began last
        ([window("night", NIGHT), window("end", WEEKEND)], "2026-10-23T23:00", "night", "2026-10-24T00:00"),
        ([window("night", NIGHT), window("end", WEEKEND)], "2026-10-24T05:00", "end", "2026-10-24T20:00"),
        # of two that began at once the first
        ([window("one", NIGHT), window("two", NIGHT)], "2026-10-23T23:00", "one", "2026-10-24T06:00"),
        ([window("night", NIGHT)], "2026-10-23T12:00", None, "2026-10-23T20:00"),
        ([window("never", timing(years={2000}))], "2026-10-23T12:00", None, None),
        # each day is a window of its own: at midnight it begins anew, and later than the night did
        ([window("night", NIGHT), window("day", timing(week_days={5, 6}))], "2026-10-23T23:00", "night",
         "2026-10-24T00:00"),
        ([window("night", NIGHT), window("always", timing())], "2026-10-23T23:00", "night", "2026-10-24T06:00"),
    ],
)  # fmt: skip
def test_the_window_that_counts_and_until_when(
    windows: list[Window], at: str, chosen: str | None, until: str | None
) -> None:
    best, until_ns = choose_window(windows, utc(at))
    assert (best.rate.id if best else None, until_ns) == (chosen, utc(until) if until else None)


def test_windows_that_are_too_light_to_count_are_not_searched_for_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Timing] = []
    monkeypatch.setattr("ocs.rating.tariff.turns", lambda one, after_ns: searched.append(one) or iter(()))
    choose_window([window("all", weight=1), window("light", NIGHT), window("heavy", WEEKEND, 2)], NOON)
    assert searched == [WEEKEND]


# --- the property: until when -------------------------------------------------------------------------------------

PREFIXES = ["", "4", "49", "4917"]
NAMES = st.integers(0, 10_000).map(str)
WINDOWS = st.lists(
    st.builds(window, NAMES, st.none() | near(NOON) | near(NOON), st.integers(0, 1)), min_size=1, max_size=3
).map(tuple)
TABLES = st.dictionaries(st.sampled_from(PREFIXES), WINDOWS, max_size=3)
MINUTES = st.integers(-30, 150).map(lambda minute: NOON + minute * MINUTE_NS)
ACTIVATIONS = st.lists(
    st.builds(
        Activation,
        MINUTES,
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.sampled_from(["s", "t", "*any"]), max_size=2).map(tuple),
    ),
    max_size=2,
    unique_by=lambda one: one.from_ns,
).map(lambda some: tuple(sorted(some, key=lambda one: one.from_ns)))


def versions_of(
    tables: tuple[dict[str, tuple[Window, ...]], ...],
    subjects: tuple[tuple[Activation, ...], ...],
    later: dict[str, tuple[Window, ...]] | None,
    from_ns: int,
) -> Tariff:
    """Plans a, b, c and subjects s, t, *any; and maybe a version after it, in which s has plan a."""
    after = None
    if later is not None:
        of_s = {"s": {"voice": (Activation(0, "a"),)}}
        after = tariff(plan("a", later), subjects=of_s, version="v2", valid_from_ns=from_ns)
    names = zip(("s", "t", "*any"), subjects, strict=True)
    return tariff(
        *[plan(name, table) for name, table in zip("abc", tables, strict=True)],
        subjects={name: {"voice": activations} for name, activations in names},
        successor=after,
    )


TARIFFS = st.builds(
    versions_of,
    st.tuples(TABLES, TABLES, TABLES),
    st.tuples(ACTIVATIONS, ACTIVATIONS, ACTIVATIONS),
    st.none() | st.none() | TABLES,
    MINUTES,
)


def answer(one: Tariff, at_ns: int) -> Found | NotFound:
    """What is found, and not until when."""
    return find_rate(one, "s", "voice", None, "4917555", at_ns)._replace(until_ns=None)


@settings(max_examples=200)
@given(one=TARIFFS, at_minute=st.integers(0, 119))
def test_the_answer_stays_until_it_says_and_changes_then(one: Tariff, at_minute: int) -> None:
    """Exactly then, but where fallbacks and equal plans make a change no change; it is never too late."""
    at_ns = NOON + at_minute * MINUTE_NS
    until_ns = find_rate(one, "s", "voice", None, "4917555", at_ns).until_ns
    scan = range(at_ns, at_ns + 3 * HOUR_NS, MINUTE_NS)
    now = answer(one, at_ns)
    change_ns = next((instant_ns for instant_ns in scan if answer(one, instant_ns) != now), None)
    if change_ns is not None:
        assert until_ns is not None
        assert until_ns <= change_ns
    assert until_ns is None or until_ns > at_ns
    plans = [[one.plan_id for one in services["voice"]] for services in one.subjects.values()]
    plain = not any(one.fallbacks for services in one.subjects.values() for one in services["voice"])
    if isinstance(now, Found) and plain and not set(plans[0]) & set(plans[2]) and until_ns and until_ns < scan[-1]:
        assert change_ns == until_ns


@settings(max_examples=200)
@given(versions=st.lists(TABLES, min_size=1, max_size=2), at_minute=st.integers(-60, 240))
def test_the_rate_is_the_one_that_the_oracle_finds(
    versions: list[dict[str, tuple[Window, ...]]], at_minute: int
) -> None:
    sheets = [Prices(f"v{number}", number * NOON, table) for number, table in enumerate(versions)]
    later: Tariff | None = None
    for sheet in reversed(sheets):
        later = tariff(
            plan("p", dict(sheet.windows)), version=sheet.version, valid_from_ns=sheet.from_ns, successor=later
        )
    assert later is not None
    at_ns = NOON + at_minute * MINUTE_NS
    said = price_at(sheets, "4917555", at_ns)
    got = find_rate(later, "p", "voice", None, "4917555", at_ns)
    if said is None:
        assert isinstance(got, NotFound)
        return
    assert isinstance(got, Found)
    assert (got.version, got.prefix, got.rate) == (said.version, said.prefix, said.rate)


# --- subjects, plans, prefixes, by example ------------------------------------------------------------------------


def test_the_longest_prefix_counts_and_a_shorter_one_where_it_holds_at_no_time_now() -> None:
    nights = (window("night", NIGHT),)
    table = {"4": (window("four"),), "49": nights, "4917": (window("mobile"),), "": (window("any"),)}
    one = tariff(plan("p", table))
    assert found(one, number="4917") == "mobile"
    assert found(one, number="4916") == "four"
    assert found(one, number="4916", at_ns=utc("2026-10-23T21:00")) == "night"
    assert found(one, number="5") == "any"
    assert find_rate(one, "p", "voice", None, "4916", NOON).until_ns == utc("2026-10-23T20:00")


@pytest.mark.parametrize(
    ("subject", "service", "rating_group", "number", "reason"),
    [
        ("q", "voice", None, "4917", "no_plan"),
        ("p", "data", None, "4917", "no_service"),
        ("data", "data", 2, "", "unknown_rating_group"),
        ("p", "voice", None, "5", "no_destination"),
        ("p", "voice", None, "48", "no_time"),
        ("known", "data", None, "", "no_service"),
        ("gone", "voice", None, "4917", "no_plan"),
    ],
)
def test_the_reasons_for_no_rate_stay_apart(
    subject: str, service: str, rating_group: int | None, number: str, reason: str
) -> None:
    data = Plan("data", {"data": ServicePlan({1: PrefixTable({}, (window("data"),))}, None)})
    one = tariff(
        plan("p", {"49": (window("mobile"),), "48": (window("night", NIGHT),)}),
        data,
        subjects={"known": {"voice": (Activation(0, "p"),)}, "gone": {"voice": (Activation(0, "nowhere"),)}},
    )
    answer = find_rate(one, subject, service, rating_group, number, NOON)
    assert isinstance(answer, NotFound)
    assert answer.reason == reason


def test_a_rating_group_of_its_own_comes_before_the_one_for_all_others() -> None:
    table = PrefixTable({}, (window("one"),))
    others = PrefixTable({}, (window("others"),))
    one = tariff(Plan("p", {"voice": ServicePlan({1: table}, others)}))
    assert [find_rate(one, "p", "voice", group, "", NOON).rate.id for group in (1, 2, None)] == [  # type: ignore[union-attr]
        "one",
        "others",
        "others",
    ]


def test_a_subject_has_the_plan_of_its_last_activation_and_that_of_any_before_the_first() -> None:
    one = tariff(
        *[plan(name, {"": (window(name),)}) for name in ("first", "second", "rest")],
        subjects={
            "acme:alice": {"voice": (Activation(NOON, "first"), Activation(NOON + HOUR_NS, "second"))},
            "acme:*any": {"voice": (Activation(0, "rest"),)},
        },
    )
    assert found(one, "acme:alice", at_ns=NOON - 1) == "rest"
    assert find_rate(one, "acme:alice", "voice", None, "1", NOON - 1).until_ns == NOON
    assert found(one, "acme:alice", at_ns=NOON) == "first"
    assert find_rate(one, "acme:alice", "voice", None, "1", NOON).until_ns == NOON + HOUR_NS
    assert found(one, "acme:alice", at_ns=NOON + HOUR_NS) == "second"
    assert found(one, "acme:bob") == "rest"
    assert found(one, "other:bob") == "no_plan"
    assert found(one, "bob") == "no_plan"


def test_a_plan_is_a_subject_of_its_own_name_unless_one_is_named_so() -> None:
    one = tariff(
        plan("p", {"": (window("p"),)}),
        plan("q", {"": (window("q"),)}),
        subjects={"q": {"voice": (Activation(0, "p"),)}},
    )
    assert (found(one, "p"), found(one, "q")) == ("p", "p")


def test_fallbacks_are_asked_in_turn_three_deep_and_no_deeper() -> None:
    def chain(last: int) -> Tariff:
        subjects = {f"s{number}": {"voice": (Activation(0, "none", (f"s{number + 1}",)),)} for number in range(last)}
        subjects[f"s{last}"] = {"voice": (Activation(0, "some"),)}
        return tariff(plan("none", {"99": (window("no"),)}), plan("some", {"": (window("some"),)}), subjects=subjects)

    assert [found(chain(last), "s0") for last in (1, 2, 3, 4)] == ["some", "some", "some", "no_destination"]


def test_what_a_fallback_lacks_now_and_gets_later_ends_the_answer_of_the_one_after_it() -> None:
    one = tariff(
        plan("none", {"99": (window("no"),)}),
        plan("night", {"": (window("night", NIGHT),)}),
        plan("rest", {"": (window("rest"),)}),
        subjects={"s": {"voice": (Activation(0, "none", ("night", "rest")),)}},
    )
    answer = find_rate(one, "s", "voice", None, "4917", NOON)
    assert isinstance(answer, Found)
    assert (answer.rate.id, answer.until_ns) == ("rest", utc("2026-10-23T20:00"))


def test_versions_take_over_one_after_the_other() -> None:
    third = tariff(plan("p", {"": (window("third"),)}), version="v3", valid_from_ns=NOON + HOUR_NS)
    second = tariff(plan("p", {"": (window("second"),)}), version="v2", valid_from_ns=NOON, successor=third)
    first = tariff(plan("p", {"": (window("first"),)}), successor=second)
    answers = [find_rate(first, "p", "voice", None, "1", at_ns) for at_ns in (NOON - 1, NOON, NOON + HOUR_NS)]
    assert [(one.rate.id, one.version, one.until_ns) for one in answers if isinstance(one, Found)] == [
        ("first", "v1", NOON),
        ("second", "v2", NOON + HOUR_NS),
        ("third", "v3", None),
    ]
    assert first.at(NOON + HOUR_NS) is third
    assert msgspec.structs.replace(third, valid_from_ns=0).at(0).version == "v3"


def test_the_first_fallback_that_has_a_rate_counts() -> None:
    one = tariff(
        plan("none", {"99": (window("no"),)}),
        plan("first", {"": (window("first"),)}),
        plan("second", {"": (window("second"),)}),
        subjects={"s": {"voice": (Activation(0, "none", ("first", "second")),)}},
    )
    assert found(one, "s") == "first"


def test_a_subject_of_no_tenant_shares_the_rest_of_no_tenant() -> None:
    one = tariff(plan("rest", {"": (window("rest"),)}), subjects={"*any": {"voice": (Activation(0, "rest"),)}})
    assert found(one, "bob") == "rest"
    assert found(one, "acme:bob") == "no_plan"
