"""What holds for every mix of requests: exact cost, conserved money, no overselling, no hold left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Balance
from ocs.charging.requests import GroupRequest, Units
from ocs.rating.prices import Rate
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.mix import GROUP_RATES, NUMBERS, Mix, mixed_tariff
from tests.charging.oracle import Payers, Prices, bill_of, in_order, pieces, settle
from tests.charging.sheets import payers, sheets, tariff_of
from tests.charging.world import (
    AUD,
    BY_MINUTE,
    INITIAL,
    MIB,
    MOBILE,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
)

ANY = Units()

# --- one session: the way of reporting does not change the cost ----------------------------------------------------

RATES = [GROUP_RATES[number] for number in (100, 101, 102, 103)]


@pytest.mark.conformance("B6", "B16")
@given(
    rate=st.sampled_from(RATES),
    pieces=st.lists(st.integers(0, 5 * MIB), min_size=1, max_size=12),
    cuts=st.lists(st.sampled_from(["ask", "report", "twice", "silence"]), min_size=12, max_size=12),
    bundle=st.integers(0, 12 * MIB),
)
def test_any_split_of_the_same_usage_costs_what_the_oracle_says(
    rate: Rate, pieces: list[int], cuts: list[str], bundle: int
) -> None:
    number = next(number for number, other in GROUP_RATES.items() if other is rate)
    world = World(Balance("bundle", Kind.DATA, bundle), money(1_000 * AUD))
    world.tariff = mixed_tariff("v1")
    world.send(request(INITIAL, 0, group(number, ANY)))
    for at, (piece, how) in enumerate(zip(pieces[:-1], cuts, strict=False), start=1):
        used = [octets(piece // 3), octets(piece - piece // 3)] if how == "twice" else [octets(piece)]
        world.send(request(UPDATE, at, group(number, None if how == "report" else ANY, used)))
        if how == "silence":
            world.now_ns = world.sessions["s"].due_at_ns
            world.expire()
            assert world.balance().held == 0
    world.send(request(TERMINATION, len(pieces), group(number, used=[octets(pieces[-1])])))
    units, nanos = bill_of(rate, sum(pieces), bundle)
    assert bundle - world.balance("bundle").value == units
    assert 1_000 * AUD - world.balance().value == nanos
    assert sum(entry.cost_nanos for entry in world.journal) == nanos
    assert [(cdr.usage, cdr.unit_usage, cdr.cost_nanos) for cdr in world.cdrs] == [(sum(pieces), units, nanos)]


@given(
    called=st.sampled_from([("61491570156", MOBILE), ("4930123456", BY_MINUTE)]),
    pieces=st.lists(st.integers(0, 200), min_size=1, max_size=10),
    minutes_ns=st.integers(0, 400 * NS_PER_S),
)
def test_any_split_of_a_call_costs_what_the_oracle_says(
    called: tuple[str, Rate], pieces: list[int], minutes_ns: int
) -> None:
    number, rate = called
    world = World(Balance("minutes", Kind.VOICE, minutes_ns), money(1_000 * AUD))
    call = {"service": "voice", "called": number}
    world.send(request(INITIAL, 0, group(None, ANY), **call))
    for at, piece in enumerate(pieces[:-1], start=1):
        world.send(request(UPDATE, at, group(None, ANY, [Units(time_ns=piece * NS_PER_S)]), **call))
    last = Units(time_ns=pieces[-1] * NS_PER_S)
    world.send(request(TERMINATION, len(pieces), group(None, used=[last]), **call))
    units, nanos = bill_of(rate, sum(pieces) * NS_PER_S, minutes_ns)
    assert minutes_ns - world.balance("minutes").value == units
    assert 1_000 * AUD - world.balance().value == nanos


@given(
    value=st.integers(0, AUD // 5),
    bundle=st.integers(0, 30 * MIB),
    wishes=st.lists(st.integers(0, 20 * MIB), min_size=1, max_size=20),
    rate=st.sampled_from([100, 101, 102, 103]),
)
def test_whoever_uses_no_more_than_was_granted_never_owes_anything(
    value: int, bundle: int, wishes: list[int], rate: int
) -> None:
    world = World(Balance("bundle", Kind.DATA, bundle), money(value // 2), money(value - value // 2, "rest", weight=1))
    world.tariff = mixed_tariff("v1")
    answer = world.send(request(INITIAL, 0, group(rate, octets(wishes[0])), refuse_in_group=True))
    for number, wish in enumerate(wishes, start=1):
        granted = answer.groups[0].granted or 0
        answer = world.send(request(UPDATE, number, group(rate, octets(wish), [octets(granted)]), refuse_in_group=True))
        assert all(balance.available >= 0 for balance in (world.balance(), world.balance("rest")))
    assert all(entry.overdraft_nanos == 0 for entry in world.journal)
    used = sum(group.usage for group in world.sessions["s"].groups)
    assert value - world.balance().value - world.balance("rest").value == bill_of(GROUP_RATES[rate], used, bundle)[1]


# --- many sessions at once ----------------------------------------------------------------------------------------

VALUES: dict[Kind, st.SearchStrategy[int]] = {
    Kind.MONETARY: st.integers(0, 10 * AUD) | st.integers(0, 30).map(lambda cents: cents * AUD // 100),
    Kind.DATA: st.integers(0, 40 * MIB),
    Kind.VOICE: st.integers(0, 400 * NS_PER_S),
    Kind.SMS: st.integers(0, 5),
    Kind.GENERIC: st.integers(0, 15 * MIB),
}
KINDS = [Kind.MONETARY, Kind.MONETARY, Kind.MONETARY, Kind.DATA, Kind.DATA, Kind.VOICE, Kind.SMS, Kind.GENERIC]


@st.composite
def balance_sets(draw: st.DrawFn) -> list[Balance]:
    """Up to six balances of all kinds and terms."""
    found = []
    for number, kind in enumerate([Kind.MONETARY, *draw(st.lists(st.sampled_from(KINDS), max_size=5))]):
        found.append(
            Balance(
                f"b{number}",
                kind,
                draw(VALUES[kind]),
                weight=draw(st.integers(0, 2)),
                expires_at_ns=draw(st.sampled_from([None, None, START_NS + 3_700 * NS_PER_S])),
                destinations=draw(st.sampled_from([(), (), ("mobile",), ("!mobile",), ("fixed", "mobile")])),
                blocker=draw(st.sampled_from([False, False, False, True])),
            )
        )
    return found


SESSIONS = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
GROUPS = st.sampled_from([100, 101, 102, 103, 104, 900, 200])
SHARE = st.sampled_from([None, None, 0, 3, 7, 10, 10, 10, 13, 25])
"""How much of its grant a group reports, in tenths, or that it reports nothing; more than ten is an overrun."""

MOSTLY = st.sampled_from([True, True, True, False])
SELDOM = st.sampled_from([False, False, False, False, True])
REPORTS = st.lists(
    st.tuples(GROUPS, SHARE, MOSTLY, SELDOM), min_size=1, max_size=3, unique_by=lambda report: report[0]
) | st.just([])  # fmt: skip
OPENINGS = st.lists(st.sampled_from(["data", "data", "data", "voice", "flat", "minute"]), min_size=1, max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("open"), SESSIONS, st.sampled_from(sorted(NUMBERS)), REPORTS),
    st.tuples(st.just("update"), SESSIONS, st.integers(1, 40), REPORTS),
    st.tuples(st.just("update"), SESSIONS, st.integers(1, 40), REPORTS),
    st.tuples(st.just("update"), SESSIONS, st.integers(1, 40), REPORTS),
    st.tuples(st.just("end"), SESSIONS, st.none(), REPORTS),
    st.tuples(st.just("event"), st.integers(0, 5), st.integers(0, 4), st.none()),
    st.tuples(st.just("repeat"), st.integers(0, 50), st.none(), st.none()),
    st.tuples(st.just("top_up"), st.integers(0, 5), st.integers(1, AUD // 3), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 61, 121, 1_800, 3_660, 7_200, 86_400]), st.none(), st.none()),
    st.tuples(st.just("tariff"), st.integers(1, 3), st.none(), st.none()),
)


def containers(mix: Mix, key: str, reports: list[tuple[int | None, int | None, bool, bool]]) -> list[GroupRequest]:
    """MSCCs that report a share of what each group was granted (or of 2 MiB, 20 s, where it was not)."""
    session = mix.sessions.get(key)
    voice = session is not None and session.service == "voice"
    if voice:
        reports = [(None, *report[1:]) for report in reports[:1]]
    found = []
    for rating_group, share, ask, final in reports:
        granted = next((g.granted for g in (session.groups if session else ()) if g.rating_group == rating_group), 0)
        amount = (granted or (20 * NS_PER_S if voice else 2 * MIB)) * (share or 0) // 10
        units = Units(time_ns=amount // NS_PER_S * NS_PER_S) if voice else octets(amount)
        used = () if share is None else (units,)
        found.append(group(rating_group, ANY if ask else None, used, final=final))
    return found


@pytest.mark.conformance("B2", "B4", "B5", "B17", "B24", "B25", "B41", "B42")
@settings(max_examples=200)
@given(balances=balance_sets(), openings=OPENINGS, steps=st.lists(STEPS, min_size=5, max_size=40))
def test_whatever_happens_money_is_conserved_nothing_is_oversold_and_each_cost_is_exact(
    balances: list[Balance], openings: list[str], steps: list[tuple[str, int, Any, Any]]
) -> None:
    mix = Mix(*balances)
    for number, kind in enumerate(openings):
        groups = [group(100, ANY), group(101, ANY)] if kind == "data" else [group(None, ANY)]
        mix.initial(f"s{number}", kind, *groups[: 2 - number % 2])
    for name, number, what, reports in steps:
        key = f"s{number}"
        if number in (1, 2) and key not in mix.sessions:
            key = "s0"  # of sessions that were never opened, one is enough
        if name == "open":
            session = mix.sessions.get(key)
            if session is None or not session.answers:
                kind = what
                asked = [msgspec.structs.replace(one, used=()) for one in containers(mix, key, reports)]
                if kind != "data":
                    asked = [msgspec.structs.replace(one, rating_group=None) for one in asked[:1]]
                mix.initial(key, kind, *asked)
        elif name == "update":
            mix.update(key, what, *containers(mix, key, reports))
        elif name == "end":
            mix.terminate(key, *containers(mix, key, reports))
        elif name == "event":
            mix.event(f"e{number}", what)
        elif name == "repeat":
            mix.repeat(number)
        elif name == "top_up":
            mix.top_up(number, what)
        elif name == "wait":
            mix.wait(number)
        else:
            mix.tariff = mixed_tariff(f"v{number}", number)
    mix.finish()


# --- windows, versions, tiers: any split of one rating group ------------------------------------------------------

SPECIAL = {
    "special": Rate("special", Measure.TIME, AUD // 50, 60 * NS_PER_S, 10 * NS_PER_S),
    "other": Rate("other", Measure.TIME, AUD // 70, 60 * NS_PER_S, 1),
}


def ordered(balances: Sequence[Balance], **more: object) -> Payers:
    units = [balance for balance in balances if balance.kind is not Kind.MONETARY]
    own = in_order(balance for balance in units if balance.kind is not Kind.GENERIC)
    generic = in_order(balance for balance in units if balance.kind is Kind.GENERIC)
    money = in_order(balance for balance in balances if balance.kind is Kind.MONETARY)
    return Payers((*own, *generic), tuple(money), **more)  # type: ignore[arg-type]


@settings(max_examples=300)
@given(
    versions=sheets(Measure.TIME, START_NS),
    balances=payers(Kind.VOICE, rich=True, subjects=False),
    ring=st.integers(0, 90),
    pieces_s=st.lists(st.integers(0, 900) | st.integers(0, 90), min_size=1, max_size=12),
    late_s=st.lists(st.integers(0, 90), min_size=12, max_size=12),
)
def test_a_call_over_windows_versions_and_tiers_costs_what_the_oracle_says(
    versions: list[Prices], balances: list[Balance], ring: int, pieces_s: list[int], late_s: list[int]
) -> None:
    _call_costs_what_the_oracle_says(versions, balances, ring, pieces_s, late_s)


@settings(max_examples=300)
@given(
    versions=sheets(Measure.TIME, START_NS, tiers=False),
    balances=payers(Kind.VOICE, rich=True),
    ring=st.integers(0, 90),
    pieces_s=st.lists(st.integers(0, 900) | st.integers(0, 90), min_size=1, max_size=12),
    late_s=st.lists(st.integers(0, 90), min_size=12, max_size=12),
)
def test_a_call_paid_by_slices_factors_and_priced_balances_costs_what_the_oracle_says(
    versions: list[Prices], balances: list[Balance], ring: int, pieces_s: list[int], late_s: list[int]
) -> None:
    _call_costs_what_the_oracle_says(versions, balances, ring, pieces_s, late_s)


def _call_costs_what_the_oracle_says(
    versions: list[Prices], balances: list[Balance], ring: int, pieces_s: list[int], late_s: list[int]
) -> None:
    world = World(*balances)
    world.tariff = tariff_of(versions, "voice", SPECIAL)
    call = {"service": "voice", "called": "4930"}
    world.send(request(INITIAL, 0, group(None, Units()), **call))
    answer_ns = world.now_ns + ring * NS_PER_S
    world.now_ns = answer_ns
    for number, (piece, late) in enumerate(zip(pieces_s[:-1], late_s, strict=False), start=1):
        world.now_ns = answer_ns + (sum(pieces_s[:number]) + (late if any(pieces_s[: number - 1]) else 0)) * NS_PER_S
        world.send(request(UPDATE, number, group(None, Units(), [Units(time_ns=piece * NS_PER_S)]), **call))
    world.now_ns = answer_ns + sum(pieces_s) * NS_PER_S
    last = Units(time_ns=pieces_s[-1] * NS_PER_S)
    world.send(request(TERMINATION, len(pieces_s), group(None, used=[last]), **call))
    total = sum(pieces_s) * NS_PER_S
    found = pieces(versions, "4930", [(total, answer_ns, answer_ns + total)]) if total else []
    said = settle(found, ordered(balances, subjects=SPECIAL, service="voice"))
    assert world.spent() == said.taken
    assert sum(entry.cost_nanos for entry in world.journal) == said.nanos
    assert sum(cdr.cost_nanos for cdr in world.cdrs) == said.nanos
