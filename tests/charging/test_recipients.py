"""Events with several recipients, and what the served user receives."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance, Counter
from ocs.charging import engine
from ocs.charging.requests import RequestedAction, Result, Units
from ocs.rating.prices import Rate
from ocs.rating.tariff import Plan, ServicePlan
from ocs.rating.units import Kind, Measure
from tests.charging.world import AUD, EVENT, INITIAL, TERMINATION, World, group, money, request, table

CENT = AUD // 100
NEAR = Rate("near", Measure.EVENTS, 2 * CENT)
FAR = Rate("far", Measure.EVENTS, 30 * CENT)
DEBIT = {"service": "sms", "action": RequestedAction.DIRECT_DEBITING}


def world(*balances: Balance) -> World:
    """Texts: 2 cents to 614, 30 to 49, not to others."""
    made = World(*balances)
    plan = Plan("standard", {"sms": ServicePlan({}, table({"614": NEAR, "49": FAR}))})
    made.tariff = msgspec.structs.replace(made.tariff, plans={"standard": plan})
    return made


@pytest.mark.conformance("C25")
def test_each_recipient_is_priced_and_recorded_by_itself() -> None:
    made = world(money(AUD))
    asked = request(EVENT, 0, group(None, Units()), called="+614111", more_called=("+49222", "0061433"), **DEBIT)
    answer = made.send(asked)
    assert (answer.result, answer.groups[0].granted) == (Result.SUCCESS, 3)
    assert made.spent() == {"money": 34 * CENT}
    assert [(cdr.called, cdr.cost_nanos, cdr.usage, cdr.partial) for cdr in made.cdrs] == [
        ("614111", 2 * CENT, 1, 0),
        ("49222", 30 * CENT, 1, 1),
        ("61433", 2 * CENT, 1, 2),
    ]


@pytest.mark.conformance("C25", "C28")
@pytest.mark.parametrize(
    ("units", "count", "cost"),
    [(None, 1, 32), (None, 2, 64), (Units(events=2), 1, 32), (Units(events=4), 9, 64), (Units(events=3), 1, 96)],
)
def test_units_are_those_of_all_recipients_where_they_can_be(units: Units | None, count: int, cost: int) -> None:
    made = world(money(AUD))
    made.send(request(EVENT, 0, group(None, units), called="+614111", more_called=("+49222",), count=count, **DEBIT))
    assert made.spent() == {"money": cost * CENT}


@pytest.mark.conformance("C28")
def test_the_number_of_messages_counts_where_no_units_are_named() -> None:
    made = world(money(AUD))
    made.send(request(EVENT, 0, group(None, Units()), called="+614111", count=4, **DEBIT))
    assert made.spent() == {"money": 8 * CENT}


@pytest.mark.conformance("C25")
@pytest.mark.parametrize(("balance", "more", "result"), [(31, "+49222", 4012), (AUD, "+1333", 4010)])
def test_all_recipients_or_none(balance: int, more: str, result: int) -> None:
    made = world(money(balance * CENT if balance < AUD else balance))
    answer = made.send(request(EVENT, 0, group(None, Units()), called="+614111", more_called=(more,), **DEBIT))
    assert (answer.result, made.spent(), made.cdrs) == (result, {}, [])
    assert made.balance().held == 0


@pytest.mark.conformance("C25")
def test_each_recipient_has_its_connect_fee() -> None:
    made = world(money(AUD))
    fee = Rate("fee", Measure.EVENTS, 2 * CENT, connect_fee_nanos=CENT)
    plans = {"standard": Plan("standard", {"sms": ServicePlan({}, table({}, fee))})}
    made.tariff = msgspec.structs.replace(made.tariff, plans=plans)
    made.send(request(EVENT, 0, group(None), called="+614111", more_called=("+49222",), **DEBIT))
    assert made.spent() == {"money": 6 * CENT}


@pytest.mark.conformance("C25")
def test_a_price_enquiry_is_for_all_recipients() -> None:
    made = world(money(31 * CENT))
    fields = {"called": "+614111", "more_called": ("+49222",), "service": "sms"}
    answer = made.send(request(EVENT, 0, group(None), action=RequestedAction.PRICE_ENQUIRY, **fields))
    assert answer.cost_nanos == 32 * CENT
    answer = made.send(request(EVENT, 0, group(None), action=RequestedAction.CHECK_BALANCE, **fields))
    assert answer.enough_credit is False


def test_counters_count_each_recipient_by_its_destination() -> None:
    made = world(money(AUD))
    assert made.account is not None
    counter = Counter("mobile", Kind.SMS, of_balance=False, destinations=("mobile",))
    made.account = msgspec.structs.replace(made.account, counters=(counter, Counter("money", Kind.MONETARY, False)))
    made.send(request(EVENT, 0, group(None), called="+49222", more_called=("+614111", "+614112"), **DEBIT))
    assert [counter.value for counter in made.account.counters] == [2, 34 * CENT]


def test_a_free_recipient_among_others_costs_nothing() -> None:
    made = world(money(AUD))
    made.send(request(EVENT, 0, group(None), called="+614111", more_called=("+6118055",), **DEBIT))
    assert made.spent() == {"money": 2 * CENT}


def test_an_event_is_free_for_everybody_only_where_all_recipients_are() -> None:
    made = world()
    made.account = None
    free = request(EVENT, 0, group(None), called="+6118055", more_called=("+6118056",), **DEBIT)
    assert made.send(free).result is Result.SUCCESS
    mixed = msgspec.structs.replace(free, more_called=("+49222",), session_id="t")
    answer = engine.decide(None, None, mixed, made.tariff, made.policies["sms"], made.now_ns).answer
    assert answer is not None
    assert answer.result is Result.USER_UNKNOWN
    made = world(money(AUD))
    made.send(mixed)
    assert made.spent() == {"money": 30 * CENT}


@pytest.mark.conformance("C25", "B11")
def test_a_refund_is_of_all_recipients() -> None:
    made = world(money(AUD))
    fields = {"called": "+614111", "more_called": ("+49222",)}
    made.send(request(EVENT, 0, group(None), **fields, **DEBIT))
    made.send(request(EVENT, 1, group(None), service="sms", action=RequestedAction.REFUND_ACCOUNT))
    assert made.spent() == {}


@pytest.mark.conformance("C29")
def test_what_is_received_is_free_or_has_a_price_without_a_destination() -> None:
    made = world(money(AUD))
    plans = {"standard": Plan("standard", {"sms": ServicePlan({}, table({"614": NEAR}, FAR))})}
    made.tariff = msgspec.structs.replace(made.tariff, plans=plans)
    received = request(EVENT, 0, group(None), called="+614111", terminating=True, **DEBIT)
    made.send(received)
    assert made.spent() == {}
    made.policies["sms"] = msgspec.structs.replace(made.policies["sms"], terminating_rated=True)
    made.send(msgspec.structs.replace(received, number=1))
    assert (made.spent(), made.cdrs[-1].called) == ({"money": 30 * CENT}, "614111")


@pytest.mark.conformance("C21")
def test_a_group_that_is_not_named_is_rated_as_the_request_leads_to() -> None:
    made = World(money(AUD))
    asked = msgspec.structs.replace(group(None, Units()), rated_as=900)
    answer = made.send(request(INITIAL, 0, asked))
    assert (answer.groups[0].rating_group, made.balance().held) == (None, 0)
    assert [known.rating_group for known in made.sessions["s"].groups] == [900]


@pytest.mark.conformance("C18")
def test_a_cdr_has_what_container_and_session_said() -> None:
    made = World(money(AUD))
    asked = msgspec.structs.replace(group(100, Units()), attributes=(("sponsor", "shop"),))
    made.send(request(INITIAL, 0, asked, group(101, Units()), attributes=(("apn", "internet"),)))
    made.send(request(TERMINATION, 1))
    assert {cdr.rating_group: cdr.attributes for cdr in made.cdrs} == {
        100: (("apn", "internet"), ("sponsor", "shop")),
        101: (("apn", "internet"),),
    }
