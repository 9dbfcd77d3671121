"""What answers tell of cost and account, where the service says so."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance
from ocs.charging.policy import Answers
from ocs.charging.requests import RequestedAction, Units
from ocs.rating.units import Kind
from tests.charging.world import (
    AUD,
    EVENT,
    INITIAL,
    MIB,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
)


def world(answers: Answers, *balances: Balance) -> World:
    made = World(*balances)
    made.policies = {name: msgspec.structs.replace(policy, answers=answers) for name, policy in made.policies.items()}
    return made


@pytest.mark.conformance("B34")
def test_the_cost_told_at_the_end_is_that_of_the_cdrs() -> None:
    made = world(Answers(cost=True), money(AUD))
    assert made.send(request(INITIAL, 0, group(100, Units()), group(101, Units()))).accumulated_nanos == 0
    used = (group(100, Units(), [octets(MIB)]), group(101, Units(), [octets(3 * MIB)]))
    assert made.send(request(UPDATE, 1, *used)).accumulated_nanos == 4 * AUD // 100
    answer = made.send(request(TERMINATION, 2, group(100, used=[octets(2 * MIB)])))
    assert answer.accumulated_nanos == sum(cdr.cost_nanos for cdr in made.cdrs) == 6 * AUD // 100
    assert answer.currency == "AUD"


@pytest.mark.conformance("B34")
def test_a_connect_fee_is_in_the_cost() -> None:
    made = world(Answers(advice_of_charge=True), money(AUD))
    call = {"service": "voice", "called": "+61212345678"}
    made.send(request(INITIAL, 0, group(None, seconds(60)), **call))
    answer = made.send(request(TERMINATION, 1, group(None, used=[seconds(10)]), **call))
    assert answer.accumulated_nanos == 20 * AUD // 100


@pytest.mark.conformance("B34")
def test_each_event_tells_its_own_cost() -> None:
    made = world(Answers(cost=True), money(AUD))
    debit = {"service": "sms", "action": RequestedAction.DIRECT_DEBITING, "called": "+4917"}
    costs = [made.send(request(EVENT, number, group(None), **debit)).accumulated_nanos for number in range(2)]
    assert costs == [5 * AUD // 100] * 2
    refund = {**debit, "action": RequestedAction.REFUND_ACCOUNT}
    assert made.send(request(EVENT, 2, group(None), **refund)).accumulated_nanos == -10 * AUD // 100


@pytest.mark.conformance("C12")
@pytest.mark.parametrize(("spent_mib", "low"), [(50, False), (51, True)])
def test_a_low_balance_is_indicated_after_the_debit(spent_mib: int, low: object) -> None:
    expired = money(AUD, "old", expires_at_ns=START_NS)
    made = world(
        Answers(balance=True, low_balance_nanos=AUD // 2), Balance("minutes", Kind.VOICE, 100), money(AUD), expired
    )
    made.send(request(INITIAL, 0, group(100, Units())))
    answer = made.send(request(UPDATE, 1, group(100, Units(), [octets(spent_mib * MIB)])))
    assert (answer.low_balance, answer.balance_nanos) == (low, AUD - spent_mib * AUD // 100)


@pytest.mark.conformance("C14")
def test_the_expiry_of_the_account_is_told_where_there_is_one() -> None:
    made = world(Answers(account_expiry=True), money(AUD))
    assert made.account is not None
    assert made.send(request(INITIAL, 0, group(100, Units()))).account_expires_at_ns is None
    made.account = msgspec.structs.replace(made.account, expires_at_ns=START_NS + 7)
    assert made.send(request(UPDATE, 1, group(100, Units()))).account_expires_at_ns == START_NS + 7


def test_nothing_is_told_of_the_house_account() -> None:
    made = world(Answers(cost=True, balance=True, low_balance_nanos=1))
    made.account = None
    answer = made.send(request(INITIAL, 0, group(None, seconds(60)), service="voice", called="112"))
    assert (answer.result, answer.accumulated_nanos, answer.balance_nanos, answer.low_balance) == (
        2001,
        None,
        None,
        None,
    )
