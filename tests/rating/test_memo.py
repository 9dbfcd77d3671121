"""Rates that are remembered are those that a lookup finds, also where the time of asking goes back and forth."""

from __future__ import annotations

import random

import msgspec

from ocs.rating.memo import REMEMBERED_NS, remembered_rate, steady_rate
from ocs.rating.prices import Rate
from ocs.rating.tariff import Activation, Found, NotFound, Tariff, find_rate
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.world import MIB, tariff

DAY = 86_400 * NS_PER_S
START = 1_795_000_000 * NS_PER_S


def _tariffs() -> Tariff:
    """Two versions, the second one a day and a half after the start; a subject whose plan begins in between."""
    later = tariff("v2", Rate("dear", Measure.OCTETS, 7, MIB))
    first = tariff("v1")
    activations = (Activation(START + DAY // 2, "standard"),)
    subjects = {"late": {"data": activations}}
    later = msgspec.structs.replace(later, valid_from_ns=START + 3 * DAY // 2, subjects=subjects)
    return msgspec.structs.replace(first, successor=later, subjects=subjects)


def test_what_is_remembered_is_what_would_be_found() -> None:
    dice = random.Random(3)
    prices = _tariffs()
    for _ in range(3_000):
        subject = dice.choice(("standard", "late", "nobody"))
        group = dice.choice((100, 101, 900, 5))
        at_ns = START + dice.randrange(3 * DAY)
        found = remembered_rate(prices, subject, "data", group, "", at_ns)
        assert found == find_rate(prices, subject, "data", group, "", at_ns)


def test_a_steady_rate_is_the_one_at_both_times() -> None:
    dice = random.Random(4)
    prices = _tariffs()
    steady = 0
    for _ in range(3_000):
        subject = dice.choice(("standard", "late"))
        one_ns, other_ns = (START + dice.randrange(3 * DAY) for _ in range(2))
        one, other = (find_rate(prices, subject, "data", 100, "", at_ns) for at_ns in (one_ns, other_ns))
        found = steady_rate(prices, subject, "data", 100, "", one_ns, other_ns)
        if isinstance(one, Found) and isinstance(other, Found):
            assert found == (other if one.rate == other.rate else None)
            steady += found is not None
        else:
            assert found is None or (isinstance(one, NotFound) and isinstance(other, NotFound))
    assert steady > 500


def test_another_tariff_is_asked_anew_and_after_a_day_the_same_one() -> None:
    one, other = tariff("v1"), tariff("v2", Rate("dear", Measure.OCTETS, 7, MIB))
    for prices in (one, other, one):
        found = remembered_rate(prices, "standard", "data", 100, "", START)
        assert isinstance(found, Found)
        assert found.version == prices.version
    late = remembered_rate(one, "standard", "data", 100, "", START + REMEMBERED_NS)
    assert late == find_rate(one, "standard", "data", 100, "", START + REMEMBERED_NS)
