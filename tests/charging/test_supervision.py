"""Supervision: holds end, lost sessions end, and what comes late is still charged."""

from __future__ import annotations

import pytest

from ocs.charging.requests import Result, Units
from ocs.charging.session import SessionState
from ocs.rating.units import NS_PER_S
from tests.charging.world import AUD, INITIAL, MIB, TERMINATION, UPDATE, World, group, money, octets, request

HOUR_NS = 3_600 * NS_PER_S
ANY = Units()


def world_with_session() -> World:
    """A session that holds 10 MiB, and was not heard of since."""
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    return world


@pytest.mark.conformance("B24")
def test_a_hold_lives_for_the_validity_time_and_a_grace_and_the_session_goes_on() -> None:
    world = world_with_session()
    due_ns = world.sessions["s"].due_at_ns
    assert due_ns - world.now_ns == HOUR_NS + 60 * NS_PER_S
    world.now_ns = due_ns - 1
    assert world.expire().writes == ()
    world.now_ns = due_ns
    world.expire()
    assert world.balance().held == 0
    assert world.sessions["s"].is_open
    world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)])))
    assert 10 * AUD - world.balance().value == AUD // 100


@pytest.mark.conformance("B25")
def test_a_session_not_heard_of_for_a_day_is_closed_with_its_record() -> None:
    world = world_with_session()
    opened_ns = world.now_ns
    for _ in range(2):
        world.now_ns = world.sessions["s"].due_at_ns
        world.expire()
    assert world.now_ns - opened_ns == 24 * HOUR_NS
    assert world.sessions["s"].state is SessionState.EXPIRED
    assert [(cdr.cause, cdr.usage) for cdr in world.cdrs] == [("timeout", 0)]
    assert (world.balance().value, world.balance().held) == (10 * AUD, 0)
    assert world.sessions["s"].due_at_ns == world.now_ns + 24 * HOUR_NS
    assert world.expire().writes == ()


@pytest.mark.conformance("B8")
@pytest.mark.parametrize(("kind", "result"), [(UPDATE, Result.UNKNOWN_SESSION_ID), (TERMINATION, Result.SUCCESS)])
def test_late_usage_is_debited_once_and_recorded_whatever_the_client_is_told(kind: object, result: Result) -> None:
    world = world_with_session()
    world.now_ns += 25 * HOUR_NS
    world.expire()
    late = request(kind, 1, group(ask=ANY, used=[octets(MIB)]))  # type: ignore[arg-type]
    assert world.send(late).result is result
    assert world.send(late).result is result
    assert 10 * AUD - world.balance().value == AUD // 100
    assert [(cdr.cause, cdr.partial, cdr.usage) for cdr in world.cdrs] == [("timeout", 0, 0), ("late", 1, MIB)]
    assert world.balance().held == 0


def test_a_late_report_goes_on_with_the_price_of_its_segment() -> None:
    world = world_with_session()
    world.send(request(TERMINATION, 2, group(used=[octets(300_000)])))
    world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(8_400)])))
    assert 10 * AUD - world.balance().value == 2_949_219
    assert sum(cdr.cost_nanos for cdr in world.cdrs) == 2_949_219
