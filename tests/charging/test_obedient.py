"""Clients that use no more than they are granted, and ask again in time, never owe anything: over windows, versions,
tiers, fees, maximum costs, slices, factors, prices of balances; and what they used costs what the oracle says."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Balance
from ocs.charging.requests import GroupAnswer, Result, Units
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Prices, pieces, settle
from tests.charging.sheets import payers, sheets, tariff_of
from tests.charging.test_properties import SPECIAL, ordered
from tests.charging.world import INITIAL, MIB, START_NS, TERMINATION, UPDATE, World, group, request

SHARES = st.lists(st.sampled_from([0, 1, 5, 9, 10, 10, 10]), min_size=1, max_size=10)
WAITS = st.lists(st.integers(0, 10), min_size=10, max_size=10)

Record = tuple[int, int, int]


def owes_nothing(world: World) -> None:
    assert world.account is not None
    assert all(entry.overdraft_nanos == 0 for entry in world.journal)
    assert all(balance.value >= balance.held >= 0 for balance in world.account.balances)


def costs_what_the_oracle_says(
    world: World, versions: list[Prices], number: str, records: list[Record], balances: list[Balance], service: str
) -> None:
    subjects = {name: SPECIAL[name] for name in SPECIAL if service == "voice"}
    said = settle(pieces(versions, number, records), ordered(balances, subjects=subjects, service=service))
    assert world.spent() == said.taken
    assert sum(entry.cost_nanos for entry in world.journal) == said.nanos
    assert sum(cdr.cost_nanos for cdr in world.cdrs) == said.nanos
    assert said.overdraft == 0


def talk(versions: list[Prices], balances: list[Balance], ring: int, shares: list[int], waits: list[int]) -> None:
    """A call: after `ring` seconds it is answered; each grant is used by so many tenths, then the client asks again."""
    world = World(*balances)
    world.tariff = tariff_of(versions, "voice", SPECIAL)
    call: dict[str, Any] = {"service": "voice", "called": "4930", "refuse_in_group": True}
    given = world.send(request(INITIAL, 0, group(None, Units()), **call)).groups[0]
    owes_nothing(world)
    used_s = answer_ns = 0
    for number, (share, wait) in enumerate(zip(shares, waits, strict=False), start=1):
        if not given.granted:
            break
        amount_s = given.granted // NS_PER_S * share // 10
        idle_s = ring if not answer_ns else 0
        valid_s = given.validity_time_s or 0
        if idle_s + amount_s + wait > valid_s:
            idle_s, wait = 0, min(wait, valid_s - amount_s)
        assert amount_s <= valid_s
        if amount_s and not answer_ns:
            answer_ns = world.now_ns + idle_s * NS_PER_S
            wait = 0  # the first report of usage tells when the call was answered
        world.now_ns += (idle_s + amount_s + wait) * NS_PER_S
        used_s += amount_s
        asks = group(None, Units(), [Units(time_ns=amount_s * NS_PER_S)])
        given = world.send(request(UPDATE, number, asks, **call)).groups[0]
        owes_nothing(world)
    world.send(request(TERMINATION, 99, group(None, used=[Units(time_ns=0)]), **call))
    owes_nothing(world)
    used_ns = used_s * NS_PER_S
    records = [(used_ns, answer_ns, answer_ns + used_ns)] if used_s else []
    costs_what_the_oracle_says(world, versions, "4930", records, balances, "voice")


@settings(max_examples=300)
@given(
    versions=sheets(Measure.TIME, START_NS, ends=True),
    balances=payers(Kind.VOICE, rich=False, subjects=False),
    ring=st.integers(0, 60),
    shares=SHARES,
    waits=WAITS,
)
def test_a_call_within_its_grants_owes_nothing(
    versions: list[Prices], balances: list[Balance], ring: int, shares: list[int], waits: list[int]
) -> None:
    talk(versions, balances, ring, shares, waits)


@settings(max_examples=300)
@given(
    versions=sheets(Measure.TIME, START_NS, tiers=False, ends=True),
    balances=payers(Kind.VOICE, rich=False),
    ring=st.integers(0, 60),
    shares=SHARES,
    waits=WAITS,
)
def test_a_call_within_its_grants_owes_nothing_whatever_its_balances_are_like(
    versions: list[Prices], balances: list[Balance], ring: int, shares: list[int], waits: list[int]
) -> None:
    talk(versions, balances, ring, shares, waits)


def containers(
    how: str, amount: int, given: GroupAnswer, last_ns: int, now_ns: int
) -> tuple[list[Units], list[Record]]:
    """What a client reports of `amount` octets used since `last_ns`, and when that was, by what it tells of it."""
    change_ns = given.tariff_change_at_ns
    if how == "split" and change_ns is not None and change_ns <= now_ns:
        part = amount // 3
        units = [Units(octets=part, tariff_change=0), Units(octets=amount - part, tariff_change=1)]
        return units, [(part, last_ns, last_ns), (amount - part, change_ns, change_ns)]
    if how == "times":
        first_ns = last_ns + (now_ns - last_ns) // 4 // NS_PER_S * NS_PER_S
        return [Units(octets=amount, first_at_ns=first_ns, last_at_ns=now_ns)], [(amount, first_ns, now_ns)]
    return [Units(octets=amount)], [(amount, last_ns, last_ns)]


@settings(max_examples=400)
@given(
    versions=sheets(Measure.OCTETS, START_NS, ends=True),
    balances=payers(Kind.DATA, rich=False, subjects=False),
    shares=SHARES,
    waits_s=st.lists(st.integers(0, 3_600), min_size=10, max_size=10),
    how=st.lists(st.sampled_from(["plain", "split", "split", "times"]), min_size=10, max_size=10),
)
def test_data_within_its_grants_owes_nothing(
    versions: list[Prices], balances: list[Balance], shares: list[int], waits_s: list[int], how: list[str]
) -> None:
    world = World(*balances)
    world.tariff = tariff_of(versions, "data")
    given = world.send(request(INITIAL, 0, group(100, Units(octets=3 * MIB)), refuse_in_group=True)).groups[0]
    owes_nothing(world)
    records: list[Record] = []
    last_ns = world.now_ns
    for number, (share, wait_s) in enumerate(zip(shares, waits_s, strict=False), start=1):
        if not given.granted:
            break
        world.now_ns += min(wait_s, given.validity_time_s or 0) * NS_PER_S
        amount = given.granted * share // 10
        used, when = containers(how[number - 1], amount, given, last_ns, world.now_ns)
        records += [record for record in when if record[0]]
        last_ns = world.now_ns
        asks = group(100, Units(octets=3 * MIB), used)
        given = world.send(request(UPDATE, number, asks, refuse_in_group=True)).groups[0]
        owes_nothing(world)
    assert given.result in (Result.SUCCESS, Result.CREDIT_LIMIT_REACHED)
    world.send(request(TERMINATION, 99, group(100)))
    owes_nothing(world)
    costs_what_the_oracle_says(world, versions, "", records, balances, "data")


MOVES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([100, 101]), st.sampled_from([0, 3, 10, 10]), st.integers(0, 900)),
    min_size=4,
    max_size=25,
)


@settings(max_examples=300)
@given(
    versions=sheets(Measure.OCTETS, START_NS, ends=True),
    balances=payers(Kind.DATA, rich=False, subjects=False),
    moves=MOVES,
    how=st.lists(st.sampled_from(["plain", "split", "times"]), min_size=25, max_size=25),
)
def test_sessions_side_by_side_within_their_grants_owe_nothing(
    versions: list[Prices],
    balances: list[Balance],
    moves: list[tuple[int, int, int, int]],
    how: list[str],
) -> None:
    """Three sessions of two rating groups each draw on the same balances; none takes what is held for another."""
    world = World(*balances)
    world.tariff = tariff_of(versions, "data")
    open_grants: dict[tuple[str, int], tuple[GroupAnswer, int]] = {}
    numbers: dict[str, int] = {}

    def send(session: str, rating_group: int, used: list[Units]) -> None:
        kind = UPDATE if session in numbers else INITIAL
        numbers[session] = numbers.get(session, -1) + 1
        asks = group(rating_group, Units(octets=2 * MIB), used)
        sent = request(kind, numbers[session], asks, session_id=session, refuse_in_group=True)
        open_grants[session, rating_group] = (world.send(sent).groups[0], world.now_ns)
        owes_nothing(world)

    for (which, rating_group, share, wait_s), manner in zip(moves, how, strict=False):
        session = f"s{which}"
        limits = [at_ns + (given.validity_time_s or 0) * NS_PER_S for given, at_ns in open_grants.values()]
        world.now_ns = min([world.now_ns + wait_s * NS_PER_S, *limits])
        given, last_ns = open_grants.pop((session, rating_group), (None, 0))
        used: list[Units] = []
        if given is not None and given.granted:
            amount = given.granted * share // 10
            used, _ = containers(manner, amount, given, last_ns, world.now_ns)
        send(session, rating_group, used)
        open_grants = {key: kept for key, kept in open_grants.items() if kept[0].granted}
    for session in numbers:
        world.send(request(TERMINATION, 99, session_id=session))
        owes_nothing(world)
    assert world.account is not None
    assert all(balance.held == 0 for balance in world.account.balances)
    money = {balance.id for balance in balances if balance.kind is Kind.MONETARY}
    assert sum(amount for name, amount in world.spent().items() if name in money) == sum(
        entry.cost_nanos for entry in world.journal
    )
