"""What one rate may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

from ocs.config.schema import Choice, Field, ListOf, Raw, Record, Switch
from ocs.config.values import APN, ID, MONEY, PLMN, PRICE, QCI, QUANTITY, RAT, integer
from ocs.units import Money, Price, Quantity

WEIGHT_MAX = 1_000_000
DIRECTIONS = ("originating", "terminating")


class RawRounding(Raw, frozen=True, kw_only=True):
    """How the price of a segment is rounded."""

    decimals: int = 9
    method: str = "middle"


class RawTier(Raw, frozen=True, kw_only=True):
    """Another price from a length of usage on."""

    start: Quantity | None = None
    price: Price | None = None
    increment: Quantity | None = None
    free: bool | None = None


class RawConditions(Raw, frozen=True, kw_only=True):
    """Circumstances that a rate asks for; () where it does not."""

    apn: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()
    location: tuple[str, ...] = ()
    plmn: tuple[str, ...] = ()
    qci: tuple[str, ...] = ()
    rat: tuple[str, ...] = ()
    roaming: bool | None = None


class RawRate(Raw, frozen=True, kw_only=True):
    """One rate as written; None where a key is absent or could not be read (`given` tells which)."""

    price: Price | None = None
    increment: Quantity | None = None
    connect_fee: Money | None = None
    fee_per_group: bool = False
    rounding: RawRounding | None = None
    free: bool | None = None
    tiers: tuple[RawTier, ...] = ()
    max_cost: Money | None = None
    disconnect: bool | None = None
    when: str | None = None
    conditions: RawConditions | None = None
    weight: int = 0


ROUNDING = Record(
    RawRounding,
    {
        "decimals": Field(integer(0, 9), "decimals of the currency unit that a price is rounded to", required=True),
        "method": Field(Choice({name: name for name in ("up", "down", "middle")}), "middle is half up"),
    },
)

TIER = Record(
    RawTier,
    {
        "from": Field(QUANTITY, "how much was used before, in the session and rating group", True, "start"),
        "price": Field(PRICE, "what a unit costs from there on"),
        "increment": Field(QUANTITY, "usage is rounded up to a multiple of this; else as before"),
        "free": Field(Switch(), "true where the usage from there on costs nothing"),
    },
)

CONDITIONS = Record(
    RawConditions,
    {
        "apn": Field(ListOf(APN, or_one=True, at_least=1), "access points, one of them"),
        "direction": Field(
            ListOf(Choice({name: name for name in DIRECTIONS}), or_one=True, at_least=1),
            "whether the served user calls or receives",
        ),
        "location": Field(ListOf(PLMN, or_one=True, at_least=1), "MCC and MNC of the cell"),
        "plmn": Field(ListOf(PLMN, or_one=True, at_least=1), "MCC and MNC of the serving network"),
        "qci": Field(ListOf(QCI, or_one=True, at_least=1), "QoS classes"),
        "rat": Field(ListOf(RAT, or_one=True, at_least=1), "access technologies"),
        "roaming": Field(Switch(), "whether the serving network is none of home_networks"),
    },
)

RATE = Record(
    RawRate,
    {
        "conditions": Field(CONDITIONS, "circumstances that it holds under; all where absent"),
        "when": Field(ID, "the timing that it holds at; always where absent"),
        "weight": Field(integer(-WEIGHT_MAX, WEIGHT_MAX), "of several that hold, the heaviest counts"),
        "price": Field(PRICE, "what a unit costs: 0.22 AUD/min, 0.01 AUD/MiB, 0.05 AUD (per event)"),
        "increment": Field(QUANTITY, "usage is rounded up to a multiple of this: 1s, 1 KiB"),
        "connect_fee": Field(MONEY, "charged with the first usage"),
        "fee_per": Field(
            Choice({"session": False, "group": True}), "how often the connect fee is charged", into="fee_per_group"
        ),
        "rounding": Field(ROUNDING, "of the price; to one nano (nine decimals) where absent"),
        "tiers": Field(ListOf(TIER, at_least=1), "other prices from other lengths of usage on"),
        "max_cost": Field(MONEY, "the most that the usage of a session costs, the connect fee apart"),
        "max_cost_strategy": Field(
            Choice({"free": False, "disconnect": True}),
            "what comes after the most: it is free, or it ends",
            False,
            "disconnect",
        ),
        "free": Field(Switch(), "true where the usage costs nothing"),
    },
)
