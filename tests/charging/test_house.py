"""Emergency and free calls: never denied, never debited, always recorded."""

from __future__ import annotations

import pytest

from ocs.balances.account import Account
from ocs.charging.house import HOUSE_ACCOUNT, is_house_call
from ocs.charging.requests import Result
from ocs.rating.units import NS_PER_S
from tests.charging.world import INITIAL, TERMINATION, UPDATE, World, group, request, seconds, tariff


def house_world() -> World:
    """A world in which the request was found to belong on the house account, which nobody used before."""
    world = World()
    world.account = None
    return world


@pytest.mark.parametrize(
    ("called", "is_free"),
    [
        ("112", True),
        ("tel:000", True),
        ("sip:112@ims.example.com;user=phone", True),
        ("+611800123", True),
        ("00611800123", True),
        ("1121234", False),
        ("0001", False),
        ("+112", True),
        ("61491570156", False),
        ("", False),
    ],
)
def test_which_calls_are_free_for_everybody(called: str, is_free: object) -> None:
    assert is_house_call(request(INITIAL, 0, service="voice", called=called), tariff()) is is_free


@pytest.mark.conformance("C20")
def test_an_emergency_call_of_nobody_known_is_granted_and_recorded_at_no_cost() -> None:
    world = house_world()
    call = {"service": "voice", "called": "sip:112@example.com", "subscriber": ("msisdn:1",)}
    answer = world.send(request(INITIAL, 0, group(None, seconds(30)), **call))
    assert (answer.result, answer.groups[0].granted) == (Result.SUCCESS, 30 * NS_PER_S)
    world.send(request(UPDATE, 1, group(None, seconds(30), [seconds(30)]), service="voice", called="dummy"))
    world.send(request(TERMINATION, 2, group(None, used=[seconds(5)]), service="voice"))
    assert [(cdr.account_id, cdr.subscriber, cdr.usage, cdr.cost_nanos, cdr.destination_id) for cdr in world.cdrs] == [
        (HOUSE_ACCOUNT, "msisdn:1", 35 * NS_PER_S, 0, "*emergency")
    ]
    assert isinstance(world.account, Account)
    assert world.account.balances == ()
