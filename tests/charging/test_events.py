"""One-time events: debited whole or not at all, in one exchange."""

from __future__ import annotations

import pytest

from ocs.balances.account import Balance
from ocs.charging.requests import GroupRequest, RequestedAction, Result, Units
from ocs.charging.session import SessionState
from ocs.rating.units import Kind
from tests.charging.world import AUD, EVENT, TERMINATION, World, group, money, request

DEBIT = {"service": "sms", "action": RequestedAction.DIRECT_DEBITING, "called": "+61491570156"}


@pytest.mark.conformance("B9")
@pytest.mark.parametrize(
    ("asked", "cost", "granted"),
    [
        ((), 5, None),
        ((group(None, Units()),), 5, 1),
        ((group(None, Units(events=3)),), 15, 3),
        ((group(None),), 5, None),
    ],
)
def test_an_event_is_debited_at_once_and_without_units_counts_one(
    asked: tuple[GroupRequest, ...], cost: int, granted: int | None
) -> None:
    world = World(money(AUD))
    answer = world.send(request(EVENT, 0, *asked, **DEBIT))
    assert answer.result is Result.SUCCESS
    assert [g.granted for g in answer.groups] == ([granted] if asked else [])
    assert (AUD - world.balance().value, world.balance().held) == (cost * AUD // 100, 0)
    assert [(cdr.cause, cdr.cost_nanos) for cdr in world.cdrs] == [("event", cost * AUD // 100)]
    assert world.sessions["s"].state is SessionState.CLOSED


def test_a_repeated_event_is_charged_once() -> None:
    world = World(money(AUD))
    event = request(EVENT, 0, **DEBIT)
    assert world.send(event) == world.send(event)
    assert AUD - world.balance().value == 5 * AUD // 100


def test_a_second_event_in_the_same_session_is_one_more() -> None:
    world = World(money(AUD))
    world.send(request(EVENT, 0, **DEBIT))
    world.send(request(EVENT, 1, **DEBIT))
    assert AUD - world.balance().value == 10 * AUD // 100
    assert [cdr.partial for cdr in world.cdrs] == [0, 1]


@pytest.mark.parametrize("in_group", [False, True])
def test_an_event_that_cannot_be_paid_whole_is_not_charged(in_group: object) -> None:
    world = World(money(9 * AUD // 100))
    asked = group(None, Units(events=2))
    answer = world.send(request(EVENT, 0, asked, refuse_in_group=in_group, **DEBIT))
    assert answer.groups[0].result is Result.CREDIT_LIMIT_REACHED
    assert answer.result == (2001 if in_group else 4012)
    assert (world.balance().value, world.balance().held) == (9 * AUD // 100, 0)


def test_units_pay_an_event_before_money() -> None:
    world = World(Balance("texts", Kind.SMS, 2), money(AUD))
    world.send(request(EVENT, 0, group(None, Units(events=3)), **DEBIT))
    assert (world.balance("texts").value, AUD - world.balance().value) == (0, 5 * AUD // 100)


@pytest.mark.parametrize(("events", "enough"), [(20, True), (21, False)])
def test_a_balance_check_says_whether_it_is_enough_and_moves_nothing(events: int, enough: object) -> None:
    world = World(money(AUD))
    check = {**DEBIT, "action": RequestedAction.CHECK_BALANCE}
    answer = world.send(request(EVENT, 0, group(None, Units(events=events)), **check))
    assert (answer.result, answer.enough_credit) == (2001, enough)
    assert world.outcome.writes == ()


def test_a_price_enquiry_tells_the_price_and_moves_nothing() -> None:
    world = World()
    enquiry = {**DEBIT, "action": RequestedAction.PRICE_ENQUIRY}
    answer = world.send(request(EVENT, 0, group(None, Units(events=3)), **enquiry))
    assert (answer.result, answer.cost_nanos, answer.currency) == (2001, 15 * AUD // 100, "AUD")
    assert world.outcome.writes == ()


def test_an_event_has_no_session_to_terminate_but_is_remembered() -> None:
    world = World(money(AUD))
    world.send(request(EVENT, 0, **DEBIT))
    assert world.send(request(TERMINATION, 1, service="sms")).result is Result.SUCCESS
