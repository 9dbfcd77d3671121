"""What a file in `tariffs/` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

from collections.abc import Mapping

from ocs.config.document import Node
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Opaque, Raw, Record, Switch, Text
from ocs.config.values import CURRENCY, EMERGENCY, ID, MONEY, PREFIX, PRICE, QUANTITY, RATING_GROUP, integer
from ocs.rating.destinations import ANY
from ocs.units import MalformedError, Money, Price, Quantity


class RawRounding(Raw, frozen=True, kw_only=True):
    """How the price of a segment is rounded."""

    decimals: int = 9
    method: str = "middle"


class RawRate(Raw, frozen=True, kw_only=True):
    """One rate as written; None where a key is absent or could not be read (`given` tells which)."""

    price: Price | None = None
    increment: Quantity | None = None
    connect_fee: Money | None = None
    fee_per_group: bool = False
    rounding: RawRounding | None = None
    free: bool | None = None


class RawDestination(Raw, frozen=True, kw_only=True):
    """A named set of prefixes as written."""

    prefixes: tuple[Located[str], ...] = ()
    free: bool = False


Rates = Mapping[str, Entry[RawRate]]


class RawServicePlan(Raw, frozen=True, kw_only=True):
    """What one plan asks for one service: rates by destination, and by rating group and destination."""

    rates: Mapping[str, Entry[RawRate]] = {}
    rating_groups: Mapping[str, Entry[Rates]] = {}


class RawEmergency(Raw, frozen=True, kw_only=True):
    """Numbers that are free for everybody and matched exactly."""

    numbers: tuple[Located[str], ...] = ()


class RawTariff(Raw, frozen=True, kw_only=True):
    """One tariff file as written."""

    currency: str | None = None
    destinations: Mapping[str, Entry[RawDestination]] = {}
    emergency: RawEmergency | None = None
    plans: Mapping[str, Entry[Mapping[str, Entry[RawServicePlan]]]] = {}
    tests: tuple[Located[Node], ...] = ()


ROUNDING = Record(
    RawRounding,
    {
        "decimals": Field(integer(0, 9), "decimals of the currency unit that a price is rounded to", required=True),
        "method": Field(Choice({name: name for name in ("up", "down", "middle")}), "middle is half up"),
    },
)

RATE = Record(
    RawRate,
    {
        "price": Field(PRICE, "what a unit costs: 0.22 AUD/min, 0.01 AUD/MiB, 0.05 AUD (per event)"),
        "increment": Field(QUANTITY, "usage is rounded up to a multiple of this: 1s, 1 KiB"),
        "connect_fee": Field(MONEY, "charged with the first usage"),
        "fee_per": Field(
            Choice({"session": False, "group": True}), "how often the connect fee is charged", into="fee_per_group"
        ),
        "rounding": Field(ROUNDING, "of the price; to one nano (nine decimals) where absent"),
        "free": Field(Switch(), "true where the usage costs nothing"),
    },
)


def _rate_key(text: str) -> str:
    if text == ANY:
        return text
    if text in RATE.fields:
        hint = f'did you mean "*any": {{{text}: ...}}?'
        raise MalformedError(f'"{text}" is an option of a rate, not a destination', hint=hint)
    return ID.parse(text)


RATES = MapOf(Text(_rate_key, 'the id of a destination, or "*any"'), RATE)

SERVICE_PLAN = Record(
    RawServicePlan,
    {
        "rating_groups": Field(
            MapOf(RATING_GROUP, RATES, at_least=1), 'rates of single rating groups; "*any" for all others'
        )
    },
    rest=("rates", RATES),
)

DESTINATION = Record(
    RawDestination,
    {
        "prefixes": Field(ListOf(Placed(PREFIX), at_least=1), "digits, country code first", required=True),
        "free": Field(Switch(), "true where calls there are free for everybody"),
    },
)

EMERGENCY_NUMBERS = Record(
    RawEmergency, {"numbers": Field(ListOf(Placed(EMERGENCY)), "matched exactly, free for everybody", required=True)}
)

TARIFF_FILE = Record(
    RawTariff,
    {
        "currency": Field(CURRENCY, "ISO 4217 code of all amounts"),
        "destinations": Field(MapOf(ID, DESTINATION), "named sets of prefixes"),
        "emergency": Field(EMERGENCY_NUMBERS, "numbers that are free for everybody"),
        "plans": Field(MapOf(ID, MapOf(ID, SERVICE_PLAN), at_least=1), "price lists: plan, service, destination"),
        "tests": Field(ListOf(Placed(Opaque())), "events, what they cost, and the balances after them"),
    },
)
