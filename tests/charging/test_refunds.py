"""Refunds that clients ask for: bounded by what was charged, never twice, in the session of the charge."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Balance, Status
from ocs.charging import refunded
from ocs.charging.refunded import give
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupRequest, RequestedAction, Result, Units
from ocs.charging.session import Charge
from ocs.limits import REFUNDABLE_CHARGES_MAX
from ocs.rating.units import Kind, Measure
from tests.charging.world import AUD, EVENT, INITIAL, World, group, money, request

DEBIT = {"service": "sms", "action": RequestedAction.DIRECT_DEBITING, "called": "+61491570156"}
REFUND = {**DEBIT, "action": RequestedAction.REFUND_ACCOUNT}
CENT = AUD // 100


def debited(world: World, events: int = 3, number: int = 0) -> ChargingAnswer:
    answer = world.send(request(EVENT, number, group(None, Units(events=events)), **DEBIT))
    assert answer.result is Result.SUCCESS
    return answer


def refund(answer: ChargingAnswer, *groups: GroupRequest, number: int = 0, **more: object) -> ChargingRequest:
    """A refund in a session of its own, of what Refund-Information names."""
    named = refunded.named_by(answer.refund_information)
    assert named is not None
    of, of_number = named
    fields = {**REFUND, "session_id": "refund", **more}
    return request(EVENT, number, *groups, refund_of=of, refund_number=of_number, **fields)


@pytest.mark.conformance("B11", "C27", "B9")
def test_a_charge_is_refunded_whole_and_recorded() -> None:
    world = World(Balance("texts", Kind.SMS, 1), money(AUD))
    answer = debited(world)
    assert world.spent() == {"texts": 1, "money": 10 * CENT}
    assert world.send(refund(answer, group(None))).result is Result.SUCCESS
    assert world.spent() == {}
    entry = world.journal[-1]
    assert (entry.kind, entry.cost_nanos, entry.session_id, entry.request) == ("refund", -10 * CENT, "s", "R/0")
    record = world.cdrs[-1]
    assert (record.cause, record.usage, record.unit_usage, record.cost_nanos) == ("refund", -3, -1, -10 * CENT)
    assert (record.session_id, record.partial) == ("s", 1)


@pytest.mark.conformance("B11")
def test_nothing_is_refunded_twice() -> None:
    world = World(money(AUD))
    answer = debited(world)
    world.send(refund(answer, group(None)))
    again = world.send(refund(answer, group(None), number=1))
    assert (again.result, again.why) == (5012, "nothing_to_refund")
    assert world.spent() == {}
    assert world.outcome.writes == ()


@pytest.mark.conformance("B11")
def test_the_repeat_of_a_refund_gets_its_answer_and_moves_nothing() -> None:
    world = World(money(AUD))
    answer = debited(world)
    asked = refund(answer, group(None, Units(events=1)))
    assert world.send(asked) == world.send(asked)
    assert world.spent() == {"money": 10 * CENT}
    # The same number in another session is another refund.
    world.send(msgspec.structs.replace(asked, session_id="other"))
    assert world.spent() == {"money": 5 * CENT}


@pytest.mark.conformance("B11")
def test_more_than_was_charged_is_not_refunded() -> None:
    world = World(money(AUD))
    answer = debited(world)
    world.send(refund(answer, group(None, Units(events=2))))
    assert world.spent() == {"money": 5 * CENT}
    world.send(refund(answer, group(None, Units(events=1_000)), number=1))
    assert world.spent() == {}


@pytest.mark.conformance("C27")
def test_with_its_own_session_id_a_refund_needs_no_information() -> None:
    world = World(money(AUD))
    debited(world)
    # Even under the number of the debit: the two are not one request.
    assert world.send(request(EVENT, 0, group(None), **REFUND)).result is Result.SUCCESS
    assert world.spent() == {}


def test_of_several_charges_the_named_one_is_refunded_else_the_latest_first() -> None:
    world = World(money(AUD))
    first = debited(world, 3, 0)
    debited(world, 1, 1)
    world.send(refund(first, group(None, Units(events=2))))
    assert [(charge.number, charge.refunded) for charge in world.sessions["s"].charges] == [(0, 2), (1, 0)]
    world.send(request(EVENT, 7, group(None, Units(events=1)), **REFUND))
    assert [(charge.number, charge.refunded) for charge in world.sessions["s"].charges] == [(0, 2), (1, 1)]
    world.send(request(EVENT, 8, group(None, Units(events=1)), **REFUND))
    assert [(charge.number, charge.refunded) for charge in world.sessions["s"].charges] == [(0, 3), (1, 1)]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (group(100), "unknown_charge"),
        (group(None, Units(octets=5)), "no_rate"),
        (group(None, Units(events=0)), "nothing_to_refund"),
    ],
)
def test_what_was_not_charged_so_is_not_refunded(asked: GroupRequest, why: str) -> None:
    world = World(money(AUD))
    answer = world.send(refund(debited(world), asked))
    assert (answer.result is Result.SUCCESS, answer.why) == (False, why)
    assert (world.spent(), world.outcome.writes) == ({"money": 15 * CENT}, ())


@pytest.mark.parametrize("of", ["nobody", "open"])
def test_an_unknown_charge_is_not_refunded(of: str) -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, Units()), session_id="open"))
    answer = world.send(request(EVENT, 0, group(None), refund_of=of, refund_number=0, **REFUND))
    assert (answer.result, answer.why, world.outcome.writes) == (5012, "unknown_charge", ())
    assert world.balance().held > 0


def test_a_refused_event_can_not_be_refunded() -> None:
    world = World(money(0))
    assert world.send(request(EVENT, 0, group(None), **DEBIT)).result is Result.CREDIT_LIMIT_REACHED
    assert world.send(request(EVENT, 1, group(None), **REFUND)).why == "unknown_charge"


def test_a_disabled_account_gets_what_it_is_owed() -> None:
    world = World(money(AUD))
    answer = debited(world)
    assert world.account is not None
    world.account = msgspec.structs.replace(world.account, status=Status.DISABLED)
    world.send(refund(answer, group(None)))
    assert world.spent() == {}


def test_money_of_a_balance_that_is_gone_goes_to_the_debtor_its_units_are_gone_with_it() -> None:
    before = World(Balance("texts", Kind.SMS, 1), money(AUD))
    answer = debited(before)
    world = World()
    world.sessions = dict(before.sessions)
    world.send(refund(answer, group(None)))
    assert world.account is not None
    assert [(balance.id, balance.value) for balance in world.account.balances] == [("*default", 10 * CENT)]


def test_money_goes_to_money_and_units_to_units_whatever_took_their_names() -> None:
    before = World(Balance("texts", Kind.SMS, 1), money(AUD))
    answer = debited(before)
    world = World(money(0, "texts"), Balance("money", Kind.SMS, 5))
    world.sessions = dict(before.sessions)
    world.send(refund(answer, group(None)))
    assert (world.balance("texts").value, world.balance("money").value) == (10 * CENT, 5)


def test_a_session_remembers_its_last_charges() -> None:
    world = World(money(100 * AUD))
    for number in range(REFUNDABLE_CHARGES_MAX + 2):
        debited(world, 1, number)
    charges = world.sessions["s"].charges
    assert (len(charges), charges[0].number) == (REFUNDABLE_CHARGES_MAX, 2)


@pytest.mark.parametrize(
    "octets", [b"", b"\1\0\0\0\0", b"\2\0\0\0\0s", b"\1\0\0\0\0\xff", b"\1\0\0\0\0a\0b", b"\1" * 9_999]
)
def test_what_was_not_given_out_names_nothing(octets: bytes) -> None:
    assert refunded.named_by(octets) is None


@settings(derandomize=True, max_examples=50)
@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text), st.integers(0, 2**32 - 1))
def test_refund_information_names_what_it_was_made_of(key: str, number: int) -> None:
    assert refunded.named_by(refunded.information(key, number)) == (key, number)


@pytest.mark.conformance("B11")
@settings(derandomize=True, max_examples=100)
@given(st.data(), st.integers(1, 50), st.integers(0, 10**12), st.integers(0, 100))
def test_refunds_in_parts_add_up_to_the_charge(data: st.DataObject, usage: int, nanos: int, units: int) -> None:
    charge = Charge(0, 1, None, Measure.EVENTS, usage, units, (("u", units),), (("m", nanos),))
    given_nanos = given_units = 0
    while charge.refunded < usage:
        part = data.draw(st.integers(1, usage - charge.refunded))
        back = give(charge, part)
        given_nanos += back.money[0][1]
        given_units += back.units[0][1]
        charge = msgspec.structs.replace(charge, refunded=charge.refunded + part)
        assert given_nanos == nanos * charge.refunded // usage
    assert (given_nanos, given_units) == (nanos, units)
