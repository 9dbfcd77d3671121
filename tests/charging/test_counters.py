"""Unit counters: what events used, and what was taken off balances."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance, Counter
from ocs.charging.requests import RequestedAction, Units
from ocs.rating.units import NS_PER_S, Kind
from tests.charging.world import (
    AUD,
    EVENT,
    INITIAL,
    MIB,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
)

ANY = Units()


def counting(*counters: Counter) -> World:
    """A world whose account has a bundle of 2 MiB, money, and these counters."""
    world = World(Balance("bundle", Kind.DATA, 2 * MIB), money(10 * AUD), money(10 * AUD, "other", weight=-1))
    assert world.account is not None
    world.account = msgspec.structs.replace(world.account, counters=counters)
    return world


def figures(world: World) -> list[int]:
    assert world.account is not None
    return [counter.value for counter in world.account.counters]


def surf(world: World) -> None:
    """5 MiB in two reports: 2 of the bundle, 3 at 0.01."""
    world.send(request(INITIAL, 0, group(100, ANY)))
    world.send(request(UPDATE, 1, group(100, ANY, [octets(3 * MIB)])))
    world.send(request(TERMINATION, 2, group(100, used=[octets(2 * MIB)])))


@pytest.mark.parametrize(
    ("counter", "value"),
    [
        # by events: their usage, their cost
        (Counter("c", Kind.DATA, of_balance=False), 5 * MIB),
        (Counter("c", Kind.DATA, of_balance=False, value=7), 5 * MIB + 7),
        (Counter("c", Kind.VOICE, of_balance=False), 0),
        (Counter("c", Kind.MONETARY, of_balance=False), 3 * AUD // 100),
        (Counter("c", Kind.DATA, of_balance=False, categories=("data",)), 5 * MIB),
        (Counter("c", Kind.DATA, of_balance=False, categories=("voice", "sms")), 0),
        (Counter("c", Kind.DATA, of_balance=False, destinations=("mobile",)), 0),
        # by balances: what was taken off them
        (Counter("c", Kind.DATA, of_balance=True), 2 * MIB),
        (Counter("c", Kind.MONETARY, of_balance=True), 3 * AUD // 100),
        (Counter("c", Kind.MONETARY, of_balance=True, balance_id="money"), 3 * AUD // 100),
        (Counter("c", Kind.MONETARY, of_balance=True, balance_id="other"), 0),
        (Counter("c", Kind.DATA, of_balance=True, balance_id="money"), 0),
        (Counter("c", Kind.VOICE, of_balance=True), 0),
        (Counter("c", Kind.MONETARY, of_balance=True, categories=("voice",)), 0),
    ],
)
def test_what_a_session_counts(counter: Counter, value: int) -> None:
    world = counting(counter)
    surf(world)
    assert figures(world) == [value]


def test_a_counter_for_a_destination_counts_calls_there_and_each_counter_is_for_itself() -> None:
    mobile = Counter("mobile", Kind.VOICE, of_balance=False, destinations=("mobile",))
    fixed = Counter("fixed", Kind.VOICE, of_balance=False, destinations=("fixed",))
    abroad = Counter("abroad", Kind.VOICE, of_balance=False, destinations=("!mobile", "!fixed"))
    world = counting(mobile, fixed, abroad, Counter("all", Kind.VOICE, of_balance=False))
    for number, called in enumerate(["61491570156", "61291234567", "4930123456"]):
        session = f"s{number}"
        world.send(request(INITIAL, 0, group(None, ANY), service="voice", called=called, session_id=session))
        used = group(None, used=[seconds(10 * (number + 1))])
        world.send(request(TERMINATION, 1, used, service="voice", session_id=session))
    assert figures(world) == [10 * NS_PER_S, 20 * NS_PER_S, 30 * NS_PER_S, 60 * NS_PER_S]


def test_events_count_once_and_their_repeats_and_refusals_do_not() -> None:
    world = counting(Counter("sms", Kind.SMS, of_balance=False), Counter("spent", Kind.MONETARY, of_balance=True))
    sent = request(EVENT, 0, group(None, Units(events=3)), service="sms", called="61491570156",
                   action=RequestedAction.DIRECT_DEBITING)  # fmt: skip
    world.send(sent)
    world.send(sent)
    assert figures(world) == [3, 15 * AUD // 100]
    world.send(msgspec.structs.replace(sent, session_id="t", groups=(group(None, Units(events=10**9)),)))
    assert figures(world) == [3, 15 * AUD // 100]


def test_a_grant_alone_counts_nothing() -> None:
    world = counting(Counter("c", Kind.DATA, of_balance=False), Counter("m", Kind.MONETARY, of_balance=True))
    world.send(request(INITIAL, 0, group(100, ANY)))
    assert figures(world) == [0, 0]
