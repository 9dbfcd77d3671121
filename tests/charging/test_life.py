"""How long sessions and holds live."""

from __future__ import annotations

import msgspec
import pytest

from ocs.charging.life import deadline_ns, due_at_ns
from ocs.charging.requests import Units
from ocs.charging.session import Group, Session, SessionState
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.world import AUD, INITIAL, MIB, POLICIES, UPDATE, World, group, money, octets, request

ANY = Units()
SHORT = msgspec.structs.replace(POLICIES["data"], idle_limit_s=100)
LONG = msgspec.structs.replace(POLICIES["data"], idle_limit_s=10_000)
S = NS_PER_S


def quota(valid_s: int, hold_s: int) -> Group:
    """A group with a quota until then; Unix seconds."""
    return Group(100, None, Measure.OCTETS, granted=1, valid_until_ns=valid_s * S, hold_until_ns=hold_s * S)


def session(*groups: Group, last_s: int = 1_000, state: SessionState = SessionState.OPEN) -> Session:
    """A session that was last heard of at 1000 s."""
    return Session("a", "s", "data", state, 0, last_s * S, 0, groups=groups)


NOTHING = Group(101, None, Measure.OCTETS)


@pytest.mark.conformance("B25")
@pytest.mark.parametrize(
    ("groups", "short_s", "long_s"),
    [
        ((), 1_100, 11_000),
        ((NOTHING,), 1_100, 11_000),
        ((quota(1_600, 1_660),), 2_200, 11_000),
        ((quota(1_010, 1_070),), 1_100, 11_000),
        ((quota(1_050, 1_110),), 1_100, 11_000),
        ((quota(1_051, 1_111),), 1_102, 11_000),
        ((quota(1_600, 1_660), NOTHING, quota(9_000, 9_060)), 17_000, 17_000),
        ((quota(900, 960),), 1_100, 11_000),
    ],
)
def test_a_session_is_given_up_after_twice_the_validity_or_the_idle_limit_whichever_is_longer(
    groups: tuple[Group, ...], short_s: int, long_s: int
) -> None:
    assert deadline_ns(session(*groups), SHORT) == short_s * S
    assert deadline_ns(session(*groups), LONG) == long_s * S


@pytest.mark.parametrize(
    ("groups", "due_s"),
    [
        ((), 1_100),
        ((quota(1_600, 1_660),), 1_660),
        ((quota(1_600, 1_660), quota(1_300, 1_360), NOTHING), 1_360),
        ((quota(1_010, 1_170),), 1_100),
    ],
)
def test_supervision_is_due_when_the_first_hold_ends_or_the_session_is_given_up(
    groups: tuple[Group, ...], due_s: int
) -> None:
    assert due_at_ns(session(*groups), SHORT) == due_s * S


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.OPEN])
def test_what_is_not_open_is_remembered_for_a_day(state: SessionState) -> None:
    assert due_at_ns(session(quota(1_600, 1_660), state=state), SHORT) == (1_000 + 86_400) * S


def test_a_silent_session_lives_twice_its_validity_though_its_hold_ended_before() -> None:
    world = World(money(AUD))
    world.policies["data"] = SHORT
    opened_ns = world.now_ns
    world.send(request(INITIAL, 0, group(100, ANY)))
    world.now_ns = world.sessions["s"].due_at_ns
    assert world.now_ns - opened_ns == 3_660 * S
    world.expire()
    assert world.balance().held == 0
    assert world.sessions["s"].is_open
    world.now_ns = world.sessions["s"].due_at_ns
    assert world.now_ns - opened_ns == 7_200 * S
    world.expire()
    assert world.sessions["s"].state is SessionState.EXPIRED


def test_once_the_quota_was_reported_the_idle_limit_alone_counts() -> None:
    world = World(money(AUD))
    world.policies["data"] = SHORT
    world.send(request(INITIAL, 0, group(100, ANY)))
    world.now_ns += 10 * S
    world.send(request(UPDATE, 1, group(100, used=[octets(MIB)])))
    assert world.sessions["s"].due_at_ns == world.now_ns + 100 * S


def test_each_group_keeps_its_own_time() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, ANY)))
    first_ns = world.now_ns + 3_660 * S
    world.now_ns += 1_000 * S
    world.send(request(UPDATE, 1, group(101, ANY)))
    assert world.sessions["s"].due_at_ns == first_ns
    world.now_ns = first_ns
    world.expire()
    assert [bool(g.holds) for g in world.sessions["s"].groups] == [False, True]
    assert world.sessions["s"].due_at_ns == first_ns + 1_000 * S


def test_a_session_given_up_while_it_still_holds_gives_everything_back() -> None:
    world = World(money(AUD))
    long_grace = msgspec.structs.replace(SHORT.grant, validity_time_s=40, grace_s=600)
    world.policies["data"] = msgspec.structs.replace(SHORT, grant=long_grace)
    world.send(request(INITIAL, 0, group(100, ANY), group(101, ANY)))
    world.now_ns += 100 * S
    world.expire()
    assert world.sessions["s"].state is SessionState.EXPIRED
    assert (world.balance().value, world.balance().held) == (AUD, 0)
