"""The quick way of the usual UPDATE: it is taken where it can be, and comes to the same as the full one."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from ocs.balances import adjust
from ocs.balances.account import Balance, Status
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.plain import decide_plainly
from ocs.charging.policy import Answers
from ocs.charging.requests import ChargingRequest, GroupRequest, Result, Units
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Plan, ServicePlan, Tariff
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.mix import GROUP_RATES
from tests.charging.world import (
    AUD,
    INITIAL,
    MIB,
    POLICIES,
    START_NS,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    table,
    tariff,
)

ANY = Units()
CHEAP = Rate("cheap", Measure.OCTETS, AUD // 1_000, MIB, 1_024)


def bundle_tariff(**rates: Rate) -> Tariff:
    """The small tariff, with plans of those names that price data only."""
    small = tariff()
    plans = {name: Plan(name, {"data": ServicePlan({}, table({}, rate))}) for name, rate in rates.items()}
    return msgspec.structs.replace(small, plans={**small.plans, **plans})


def opened(*groups: int, balances: tuple[Balance, ...], prices: Tariff | None = None) -> World:
    """A session with a quota for each group."""
    world = World(*balances)
    world.tariff = bundle_tariff(cheap=CHEAP) if prices is None else prices
    world.send(request(INITIAL, 0, *[group(number, ANY) for number in groups]))
    return world


def usual(*groups: int, amount: int = 308_400, number: int = 1) -> ChargingRequest:
    """A report within the grant, and a wish for more."""
    return request(UPDATE, number, *[group(each, ANY, [octets(amount)]) for each in groups])


def plainly(world: World, asked: ChargingRequest) -> bool:
    """Whether the quick way decides it."""
    assert world.account is not None
    decided = decide_plainly(
        world.account, world.sessions["s"], asked, world.tariff, world.policies["data"], world.now_ns
    )
    return decided is not None


VOLUME = Balance("volume", Kind.DATA, 2**40, weight=10, rating_subject="cheap")


@pytest.mark.parametrize("groups", [(100,), (100, 101, 102, 103, 104)])
@pytest.mark.parametrize("balances", [(money(100 * AUD),), (VOLUME, money(100 * AUD))])
def test_the_usual_update_goes_the_quick_way(groups: tuple[int, ...], balances: tuple[Balance, ...]) -> None:
    world = opened(*groups, balances=balances)
    for number in range(1, 12):
        world.now_ns += NS_PER_S
        asked = usual(*groups, number=number)
        assert plainly(world, asked)
        answer = world.send(asked)
        assert [each.result for each in answer.groups] == [Result.SUCCESS] * len(groups)


def _account(world: World, **changes: object) -> None:
    assert world.account is not None
    world.account = msgspec.structs.replace(world.account, **changes)


def _session(world: World, **changes: object) -> None:
    world.sessions["s"] = msgspec.structs.replace(world.sessions["s"], **changes)


def _policy(world: World, **changes: object) -> None:
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], **changes)


def _balance(world: World, **changes: object) -> None:
    assert world.account is not None
    first, *others = world.account.balances
    _account(world, balances=(msgspec.structs.replace(first, **changes), *others))


def _dearer(world: World) -> None:
    world.tariff = bundle_tariff(cheap=msgspec.structs.replace(CHEAP, price_nanos=AUD))


def _poor(world: World) -> None:
    assert world.account is not None
    volume, rest = world.account.balances
    _account(world, balances=(volume, msgspec.structs.replace(rest, value=rest.held)))


def _expires_meanwhile(world: World) -> None:
    _balance(world, expires_at_ns=world.now_ns + 1)
    world.now_ns += NS_PER_S


UNUSUAL: dict[str, tuple[Callable[[World], None], ChargingRequest]] = {
    "a gap in the numbers": (lambda _: None, usual(100, number=3)),
    "a report beyond the grant": (lambda _: None, usual(100, amount=11 * MIB)),
    "a group that is new": (lambda _: None, usual(101)),
    "a group named twice": (lambda _: None, usual(100, 100)),
    "no group": (lambda _: None, usual()),
    "no wish": (lambda _: None, request(UPDATE, 1, group(100, None, [octets(5)]))),
    "two reports": (lambda _: None, request(UPDATE, 1, group(100, ANY, [octets(5), octets(6)]))),
    "another measure": (lambda _: None, request(UPDATE, 1, group(100, ANY, [Units(events=1)]))),
    "a wish in another measure": (lambda _: None, request(UPDATE, 1, group(100, Units(events=1), [octets(5)]))),
    "a report with times": (
        lambda _: None,
        request(UPDATE, 1, group(100, ANY, [Units(octets=5, first_at_ns=START_NS)])),
    ),
    "another host": (lambda _: None, msgspec.structs.replace(usual(100), origin_host="other.example.com")),
    "a barred account": (lambda world: _account(world, status=Status.DISABLED), usual(100)),
    "a postpaid account": (lambda world: _account(world, allow_negative=True), usual(100)),
    "answers that tell the cost": (lambda world: _policy(world, answers=Answers(cost=True)), usual(100)),
    "a blocker": (lambda world: _balance(world, blocker=True), usual(100)),
    "a balance for some destinations": (lambda world: _balance(world, destinations=("mobile",)), usual(100)),
    "free slices": (lambda world: _balance(world, rating_subject="*zero1"), usual(100)),
    "a balance that times bound": (lambda world: _balance(world, timings=("never",)), usual(100)),
    "a balance that expires meanwhile": (_expires_meanwhile, usual(100)),
    "credit that is short": (_poor, usual(100)),
    "another price of the units": (_dearer, usual(100)),
    "a tariff of another version": (
        lambda world: setattr(world, "tariff", msgspec.structs.replace(world.tariff, version="v2")),
        usual(100),
    ),
    "a tariff that ends soon": (
        lambda world: setattr(
            world,
            "tariff",
            msgspec.structs.replace(
                world.tariff, successor=msgspec.structs.replace(world.tariff, version="v2", valid_from_ns=START_NS + 60)
            ),
        ),
        usual(100),
    ),
}


@pytest.mark.parametrize("why", [why for why in UNUSUAL if why != "another price of the units"])
def test_what_is_not_usual_is_decided_in_full(why: str) -> None:
    change, asked = UNUSUAL[why]
    world = opened(100, balances=(VOLUME, money(100 * AUD)))
    change(world)
    assert not plainly(world, asked)


@pytest.mark.parametrize("why", list(UNUSUAL))
def test_both_ways_come_to_the_same_whatever_is_not_usual(why: str) -> None:
    change, asked = UNUSUAL[why]
    world = opened(100, balances=(VOLUME, money(100 * AUD)))
    change(world)
    assert world.account is not None
    state = (world.account, world.sessions["s"], asked, world.tariff, world.policies["data"], world.now_ns)
    assert engine.decide(*state) == engine.decide_in_full(*state)


RATES = (
    *(GROUP_RATES[number] for number in sorted(GROUP_RATES)),
    CHEAP,
    Rate("nothing", Measure.OCTETS),
    Rate("dear", Measure.OCTETS, 5 * AUD, 1_000, 100, rounding="down", rounding_nanos=1_000),
    Rate("tiered", Measure.OCTETS, AUD, MIB, 1, tiers=(Tier(MIB, AUD // 2, MIB, 1),)),
    Rate("bounded", Measure.OCTETS, AUD, MIB, 1, max_cost_nanos=3 * AUD),
)


def test_any_update_comes_to_the_same_both_ways() -> None:
    """Accounts, prices, groups and reports at random: the outcomes are equal, and many of them come the quick way."""
    dice = random.Random(7)
    quick = 0
    for _ in range(150):
        prices = bundle_tariff(one=dice.choice(RATES), two=dice.choice(RATES), standard=dice.choice(RATES[:6]))
        world = _random_world(dice, prices)
        groups = dice.sample(range(100, 106), dice.randint(1, 4))
        world.send(request(INITIAL, 0, *[group(number, ANY) for number in groups]))
        if "s" not in world.sessions or not world.sessions["s"].is_open:
            continue
        for number in range(1, 8):
            world.now_ns += dice.choice((0, 1, 600)) * NS_PER_S
            asked = request(UPDATE, number, *[_random_report(dice, each) for each in groups if dice.random() < 0.9])
            quick += plainly(world, asked)
            world.send(asked)  # compares
    assert quick > 300


def _random_world(dice: random.Random, prices: Tariff) -> World:
    balances = [
        money(dice.choice((10, 1_000, 10**6)) * AUD, f"m{n}", weight=dice.randint(0, 2))
        for n in range(dice.randint(1, 3))
    ]
    balances += [
        Balance(
            f"u{n}",
            dice.choice((Kind.DATA, Kind.GENERIC, Kind.VOICE)),
            dice.choice((0, 5 * MIB, 50 * MIB, 2**40)),
            weight=dice.randint(0, 2),
            rating_subject=dice.choice(("", "", "one", "two", "*any")),
            expires_at_ns=dice.choice((None, None, START_NS + 1_000 * NS_PER_S)),
            categories=dice.choice(((), (), ("data",), ("voice",))),
            disabled=dice.random() < 0.1,
        )
        for n in range(dice.randint(0, 3))
    ]
    dice.shuffle(balances)
    world = World(*balances)
    world.tariff = prices
    return world


def _random_report(dice: random.Random, number: int) -> GroupRequest:
    used = [] if dice.random() < 0.1 else [octets(dice.choice((0, 1, 1_024, 308_400, 10 * MIB)))]
    return group(number, Units(octets=MIB) if dice.random() < 0.2 else ANY, used)


def test_a_group_that_was_short_of_credit_is_not_after_a_top_up() -> None:
    world = opened(100, balances=(money(AUD // 20),))
    assert world.sessions["s"].groups[0].short
    world.account = adjust.top_up(world.account, world.balance(), AUD, world.now_ns, by="test", reason="more")[0]
    assert plainly(world, usual(100))
    state = (world.account, world.sessions["s"], usual(100), world.tariff, world.policies["data"], world.now_ns)
    after = engine.decide(*state)
    assert after == engine.decide_in_full(*state)
    assert after.session is not None
    assert not after.session.groups[0].short


def test_a_hold_that_the_balance_does_not_have_is_told() -> None:
    world = opened(100, balances=(money(100 * AUD),))
    _balance(world, held=0)
    assert not plainly(world, usual(100))


def test_the_answer_is_kept_and_found_as_a_repeat_that_is_not_decided_again() -> None:
    world = opened(100, balances=(VOLUME, money(100 * AUD)))
    asked = usual(100)
    session, _ = remember(world.sessions["s"], asked.type, asked.number, b"answer")
    assert world.account is not None
    outcome = engine.decide(world.account, session, asked, world.tariff, POLICIES["data"], world.now_ns)
    assert outcome.repeat == b"answer"
