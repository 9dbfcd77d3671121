"""Whom a top-up, a change of tariff or a barring concerns."""

from __future__ import annotations

import msgspec
import pytest

from ocs.charging.effects import Detail, aborts, read_detail, reauths, recalls
from ocs.charging.policy import QuotaTerms
from ocs.charging.requests import FinalAction, FinalUnit, Units
from tests.charging.world import AUD, INITIAL, MIB, TERMINATION, UPDATE, World, group, money, octets, request, seconds

CENT = AUD // 100


def asked(world: World, of=reauths):  # type: ignore[no-untyped-def]
    """(session, peer, detail) of each."""
    effects = of(world.sessions.values(), "test")
    return [(effect.session_id, effect.peer, read_detail(effect)) for effect in effects]


@pytest.mark.conformance("B31", "B32")
@pytest.mark.parametrize("action", [FinalAction.TERMINATE, FinalAction.REDIRECT])
def test_who_was_told_of_a_final_unit_is_asked_after_a_top_up(action: FinalAction) -> None:
    world = World(money(CENT))
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], final_unit=FinalUnit(action))
    world.send(request(INITIAL, 0, group(100, Units()), origin_host="PGW.example.com"))
    assert asked(world) == [("s", "pgw.example.com", Detail(100, cause="test"))]
    world.send(request(UPDATE, 1, group(100, Units(), [octets(MIB)]), origin_host="PGW.example.com"))
    assert world.balance().value == 0
    assert asked(world) == [("s", "pgw.example.com", Detail(100, cause="test"))]


@pytest.mark.conformance("B31", "B32")
def test_who_got_a_small_slice_or_nothing_waits_and_who_got_all_does_not() -> None:
    world = World(money(12 * CENT))
    world.send(request(INITIAL, 0, group(100, Units())))
    assert asked(world) == []
    world.send(request(INITIAL, 0, group(101, Units()), session_id="t"))
    world.send(request(INITIAL, 0, group(102, Units()), group(900, Units()), session_id="u", sub_session_id=3))
    found = asked(world)
    assert found == [
        ("t", "pgw.example.com", Detail(101, cause="test")),
        ("u", "pgw.example.com", Detail(102, sub_session_id=3, cause="test")),
    ]


def test_who_is_kept_back_by_a_blocker_waits_for_no_money() -> None:
    world = World(money(CENT, "first", blocker=True, weight=1), money(AUD))
    world.send(request(INITIAL, 0, group(100, Units()), group(101, Units()), refuse_in_group=True))
    assert asked(world) == []


@pytest.mark.conformance("B31", "B32")
def test_after_a_grant_in_full_nobody_waits_any_more() -> None:
    world = World(money(CENT))
    world.send(request(INITIAL, 0, group(100, Units())))
    assert world.account is not None
    rich = msgspec.structs.replace(world.balance(), value=100 * AUD)
    world.account = msgspec.structs.replace(world.account, balances=(rich,))
    world.check = lambda: None  # type: ignore[method-assign]
    world.send(request(UPDATE, 1, group(100, Units(), [octets(0)])))
    assert asked(world) == []


@pytest.mark.conformance("B31")
def test_of_several_groups_the_session_is_asked_and_the_pool_where_they_share_one() -> None:
    world = World(money(CENT))
    world.send(request(INITIAL, 0, group(100, Units()), group(101, Units())))
    assert asked(world, recalls) == [("s", "pgw.example.com", Detail(cause="test"))]
    world = World(money(AUD))
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], quota=QuotaTerms(pool=7), pooled=True)
    world.send(request(INITIAL, 0, group(100, Units()), group(101, Units())))
    assert asked(world, recalls) == [("s", "pgw.example.com", Detail(pool=7, cause="test"))]


@pytest.mark.conformance("B32")
def test_a_recall_concerns_who_has_a_quota_and_an_abort_whoever_is_open() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, Units())))
    world.send(request(INITIAL, 0, session_id="idle"))
    world.send(request(INITIAL, 0, group(100, Units()), session_id="over"))
    world.send(request(TERMINATION, 1, session_id="over"))
    assert asked(world, recalls) == [("s", "pgw.example.com", Detail(100, cause="test"))]
    found = asked(world, aborts)
    assert found == [(name, "pgw.example.com", Detail(cause="test")) for name in ("s", "idle")]
    assert [effect.kind for effect in aborts(world.sessions.values(), "x")] == ["abort", "abort"]


@pytest.mark.conformance("B32")
def test_emergency_calls_are_left_alone() -> None:
    world = World()
    world.account = None
    world.send(request(INITIAL, 0, group(None, seconds(60)), service="voice", called="112"))
    assert asked(world, recalls) == asked(world, aborts) == []


@pytest.mark.conformance("B31", "C8")
def test_the_report_that_follows_is_like_any_other() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, Units())))
    answer = world.send(request(UPDATE, 1, group(100, Units(), [octets(MIB)])))
    assert (answer.groups[0].granted, world.spent()) == (10 * MIB, {"money": CENT})
