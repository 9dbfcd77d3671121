"""The tariff, the services and the accounts that simulations play with, and the dice's choice of circumstances."""

from __future__ import annotations

import random

import msgspec

from ocs.balances.account import Balance, Status
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.config.settings import PeerRule, Refusals, Settings, Subscriber
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import ServicePlan, SharedGroup, Tariff
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.mix import GROUP_RATES, mixed_tariff
from tests.charging.world import AUD, BY_MINUTE, FLAT, MIB, MOBILE, START_NS, table
from tests.diameter.node_kit import LOOPBACK

CENT = AUD // 100
TIERED = Rate("data-tiers", Measure.OCTETS, AUD // 50, MIB, 1_024, tiers=(Tier(5 * MIB, AUD // 200, MIB, 1_024),))
RATES = {**GROUP_RATES, 104: TIERED}
CALLS = {"tel:+61491570156": MOBILE, "tel:+61291234567": FLAT, "tel:+4930123456": BY_MINUTE}
PER_OCTET = {"v1": 10, "v2": 17, "v3": 6}
"""Nanos per octet where the tariff is read again meanwhile: a price without rounding, so that it adds up anyhow."""
EXPIRES_S = 25
FAMILY = ("family-a", "family-b", "family-c")
STRATEGIES = ("mine_first", "mine_lowest", "mine_highest", "lowest", "highest")

_LIMITS = {"validity_time_s": 60, "contended_validity_time_s": 20, "grace_s": 10}
POLICIES = {
    "data": ServicePolicy("data", Kind.DATA, ("32251",), GrantPolicy(4 * MIB, 64 * 1_024, 20 * MIB, MIB, **_LIMITS),
                          default_rating_group=100, idle_limit_s=150),
    "voice": ServicePolicy("voice", Kind.VOICE, ("32260",),
                           GrantPolicy(60 * NS_PER_S, NS_PER_S, 300 * NS_PER_S, 30 * NS_PER_S, **_LIMITS),
                           idle_limit_s=150),
    "sms": ServicePolicy("sms", Kind.SMS, ("32274",), GrantPolicy(1, 1, 100, 1, **_LIMITS)),
}  # fmt: skip


class Line(msgspec.Struct, frozen=True):
    """A subscriber. groups: of data that it uses, such that the order of usage makes no difference to its cost."""

    account_id: str
    msisdn: str
    groups: tuple[int | None, ...]
    services: tuple[str, ...] = ("data", "data", "data", "voice", "sms")
    refused: int = 0


def _money(nanos: int, name: str = "money", **terms: object) -> Balance:
    return msgspec.structs.replace(Balance(name, Kind.MONETARY, nanos), **terms)


def _units(kind: Kind, amount: int, name: str, **terms: object) -> Balance:
    return msgspec.structs.replace(Balance(name, kind, amount, weight=10), **terms)


def accounts(dice: random.Random) -> dict[str, tuple[tuple[Balance, ...], bool]]:
    """Balances of each account, and whether it may be negative."""
    shared = {"shared_group": "family"}
    until = {"expires_at_ns": START_NS + EXPIRES_S * NS_PER_S}

    def pot(mib: int) -> Balance:
        return _units(Kind.DATA, mib * MIB, "pot", **shared)

    return {
        "rich": ((_money(10**6 * AUD),), False),
        "volume": ((_money(10**6 * AUD), _units(Kind.DATA, dice.randrange(30, 90) * MIB, "volume"),
                    _units(Kind.VOICE, dice.randrange(1, 600) * NS_PER_S, "minutes"),
                    _units(Kind.SMS, dice.randrange(5), "messages")), False),
        "poor": ((_money(dice.randrange(1, 60) * CENT),), False),
        "poorer": ((_money(dice.randrange(1, 10) * CENT), _money(dice.randrange(30) * CENT, "second")), False),
        "bonus": ((_money(dice.randrange(1, 50) * CENT), _money(10 * CENT, "bonus", weight=5, **until),
                   _units(Kind.DATA, 8 * MIB, "night", **until)), False),
        "postpaid": ((_money(0),), True),
        "disabled": ((_money(AUD),), False),
        FAMILY[0]: ((pot(20), _money(dice.randrange(20) * CENT, **shared)), False),
        FAMILY[1]: ((pot(3), _money(50 * CENT, **shared)), False),
        FAMILY[2]: ((pot(dice.randrange(9)),), False),
    }  # fmt: skip


def lines(names: list[str]) -> list[Line]:
    """The subscribers of those accounts."""
    found = []
    for number, name in enumerate(names):
        groups: tuple[int | None, ...] = (None, 100, 101, 102, 103)
        if name in ("rich", "poor", "poorer", "postpaid"):
            groups += (104,)  # tiers count what units pay, too: where these are none, the cost is that of the whole
        found.append(Line(name, f"4917110{number:05}", groups, refused=4010 if name == "disabled" else 0))
    return found


def tariff(version: str, *, changing: bool, strategy: str) -> Tariff:
    """`changing`: it is one of several that are read one after another."""
    made = mixed_tariff(version)
    plan = made.plans["standard"]
    groups = {**plan.services["data"].by_group, 104: table({}, TIERED)}
    if changing:
        linear = Rate("linear", Measure.OCTETS, PER_OCTET[version])
        groups = dict.fromkeys(groups, table({}, linear))
    services = {**plan.services, "data": ServicePlan(groups, None)}
    return msgspec.structs.replace(
        made,
        plans={"standard": msgspec.structs.replace(plan, services=services)},
        shared_groups={"family": SharedGroup("family", FAMILY, strategy)},
    )


class Circumstances(msgspec.Struct, frozen=True):
    """What a simulation has to go through. Shares are of 1; times are virtual seconds between two of a kind, 0: never.

    in_order: messages of one connection arrive in their order. obedient: sessions that use what was granted only.
    """

    nodes: int
    names: tuple[str, ...]
    in_order: bool
    dropped: float
    doubled: float
    obedient: float
    vanishing: float
    at_once: int
    store_fault: float
    kill_s: float
    cut_s: float
    drain_s: float
    jump_s: float
    outage_s: float
    people_s: float
    reload_s: float
    strategy: str


def circumstances(dice: random.Random) -> Circumstances:
    """A choice for one seed; some are calm, so that what only happens in calm or under load is seen as well."""
    everybody = ["rich", "volume", "poor", "poorer", "bonus", "postpaid", "disabled", *FAMILY]
    some = dice.sample(everybody, dice.randrange(1, len(everybody)))
    if dice.random() < 0.3:
        some = [*FAMILY, *[name for name in some if name not in FAMILY][:1]]
    rough = dice.choice((0.0, 0.3, 1.0, 1.0, 2.0))

    def now_and_then(seconds: float) -> float:
        return dice.uniform(0.5, 2) * seconds / rough if rough and dice.random() < 0.7 else 0.0

    changing = dice.random() < 0.15
    return Circumstances(
        nodes=dice.choice((1, 2, 2)),
        names=tuple(sorted(some)),
        in_order=dice.random() < 0.6,
        dropped=rough * dice.choice((0.0, 0.005, 0.02)),
        doubled=rough * dice.choice((0.0, 0.01, 0.05)),
        obedient=dice.choice((0.0, 0.5, 0.8, 1.0)),
        vanishing=dice.choice((0.0, 0.03, 0.1)),
        at_once=dice.choice((1, 4, 16, 40)),
        store_fault=rough * dice.choice((0.0, 0.003, 0.02)),
        kill_s=now_and_then(6),
        cut_s=now_and_then(5),
        drain_s=now_and_then(25),
        jump_s=now_and_then(8),
        outage_s=now_and_then(15),
        people_s=dice.uniform(0.3, 3),
        reload_s=5 if changing else 0.0,
        strategy=dice.choice(STRATEGIES),
    )


def settings(index: int, around: Circumstances, version: str, everybody: dict) -> Settings:
    """The configuration of a node."""
    identities = {line.account_id: f"msisdn:{line.msisdn}" for line in lines(list(around.names))}
    subscribers = tuple(
        Subscriber(
            name,
            (identities[name],),
            "standard",
            Status.DISABLED if name == "disabled" else Status.ACTIVE,
            everybody[name][0],
            allow_negative=everybody[name][1],
        )
        for name in around.names
    )
    rule = PeerRule("*", LOOPBACK, refusals=Refusals.MSCC if index else Refusals.COMMAND)
    return Settings(
        identity=f"ocs{index}.example.com",
        realms=("example.com",),
        listeners=(),
        peers=(rule,),
        services=POLICIES,
        store_url="memory:",
        http_host="127.0.0.1",
        http_port=0,
        tariff=tariff(version, changing=bool(around.reload_s), strategy=around.strategy),
        subscribers=subscribers,
    )
