"""Stored CDRs explained: the price agrees with what was charged, or the explanation says what does not fit."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Balance
from ocs.charging.explain_cdr import CdrExplained, began_at, explain_cdr, version_of
from ocs.charging.requests import Units
from ocs.rating.prices import Rate, Tier
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.world import (
    AUD,
    INITIAL,
    MIB,
    MIN,
    POLICIES,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
    tariff,
)

FEE = Rate("fee", Measure.OCTETS, AUD // 100, MIB, 1_024, connect_fee_nanos=AUD // 20)
TIERED = Rate("tiered", Measure.OCTETS, AUD // 100, MIB, 1_024, tiers=(Tier(MIB, AUD // 7, MIB, 1),))


def explained(world: World, index: int = -1) -> CdrExplained:
    cdr = world.cdrs[index]
    before = [other for other in world.cdrs if other is not cdr]
    return explain_cdr(cdr, before, world.account, world.tariff, POLICIES[cdr.service])


def used(world: World, *amounts: int, rating_group: int = 100) -> None:
    """One data session that reports these octets, one report after the other."""
    world.send(request(INITIAL, 0, group(rating_group, Units())))
    for number, amount in enumerate(amounts, 1):
        world.now_ns += 60 * NS_PER_S
        world.send(request(UPDATE, number, group(rating_group, Units(), [octets(amount)])))
    world.send(request(TERMINATION, len(amounts) + 1))


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 3 * MIB), min_size=1, max_size=4),
    st.sampled_from([None, FEE, TIERED]),
    st.integers(0, 2 * MIB),
)
def test_the_price_of_a_record_agrees_with_what_was_charged(amounts, rate, free):
    world = World(money(100 * AUD), Balance("volume", Kind.DATA, free))
    world.tariff = tariff(data=rate) if rate is not None else tariff()
    used(world, *amounts)
    found = explained(world)
    assert found.agrees, found
    assert found.version_loaded
    assert found.by_money == max(0, sum(amounts) - free)
    assert found.explanation.asked.usage == sum(amounts)


def test_records_of_one_session_follow_each_other():
    world = World(money(100 * AUD))
    world.tariff = tariff(data=TIERED)
    world.tariff = msgspec.structs.replace(
        world.tariff,
        successor=msgspec.structs.replace(tariff("v2", data=TIERED), valid_from_ns=START_NS + 90 * NS_PER_S),
    )
    used(world, MIB, MIB, MIB // 2, 1_000)
    assert [cdr.tariff_version for cdr in world.cdrs] == ["v1", "v2"]
    first, second = explained(world, 0), explained(world, 1)
    assert (first.position, second.position) == (0, world.cdrs[0].usage)
    assert (first.agrees, second.agrees) == (True, True)
    assert second.explanation.version == "v2"


def test_a_version_that_is_gone_is_said_to_be():
    world = World(money(100 * AUD))
    used(world, MIB)
    world.tariff = tariff("v9", data=FEE)
    found = explained(world)
    assert (found.version_loaded, found.explanation.version) == (False, "v9")
    assert (found.money_nanos, found.fee_nanos, found.agrees) == (AUD // 100, AUD // 20, True)
    world.tariff = tariff("v9", data=msgspec.structs.replace(FEE, price_nanos=AUD))
    assert not explained(world).agrees


def test_the_balances_are_those_of_now():
    world = World(money(AUD))
    used(world, 10 * MIB)
    found = explained(world)
    (seen,) = found.explanation.parts[0].balances
    assert seen.available == AUD - AUD // 10


@pytest.mark.parametrize(("wait_s", "report_s"), [(90, 90), (120, 90)])
def test_a_call_began_when_it_was_answered(wait_s, report_s):
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(None, seconds(90)), service="voice", called="61491570156"))
    world.now_ns += wait_s * NS_PER_S
    world.send(request(TERMINATION, 1, group(None, used=[seconds(report_s)]), service="voice"))
    found = explained(world)
    assert began_at(world.cdrs[-1], 0) == START_NS + (wait_s - report_s) * NS_PER_S
    assert (found.explanation.asked.at_ns, found.agrees) == (began_at(world.cdrs[-1], 0), True)
    assert found.money_nanos == 33 * AUD // 100


def test_an_account_that_is_gone_leaves_the_rest_of_the_explanation():
    world = World(money(AUD))
    used(world, MIB)
    found = explain_cdr(world.cdrs[-1], (), None, world.tariff, POLICIES["data"])
    assert (found.money_nanos, found.agrees, found.explanation.event.why) == (None, False, "unknown_account")


def test_versions_are_found_by_name_wherever_they_stand():
    last = tariff("v3")
    chain = msgspec.structs.replace(tariff("v1"), successor=msgspec.structs.replace(tariff("v2"), successor=last))
    found = [version_of(chain, name) for name in ("v1", "v2", "v3", "v4")]
    assert [version and version.version for version in found] == ["v1", "v2", "v3", None]
    assert version_of(chain, "v1").successor is None


def test_usage_without_a_rate_is_not_priced():
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, Units())))
    world.send(request(UPDATE, 1, group(555, None, [octets(500)])))
    world.send(request(TERMINATION, 2))
    found = explained(world)
    assert (world.cdrs[-1].unrated, found.by_money, found.money_nanos) == (500, 0, None)
    assert found.explanation.parts[0].reason == "unknown_rating_group"


def test_minutes_are_a_kind_of_their_own():
    world = World(money(AUD), Balance("minutes", Kind.VOICE, MIN))
    world.send(request(INITIAL, 0, group(None, seconds(90)), service="voice", called="61491570156"))
    world.now_ns += 90 * NS_PER_S
    world.send(request(TERMINATION, 1, group(None, used=[seconds(90)]), service="voice"))
    found = explained(world)
    assert (found.by_money, found.money_nanos, found.agrees) == (30 * NS_PER_S, 11 * AUD // 100, True)
