"""What a file in `tariffs/` may say: the tables of its keys, and the values as read, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Final

from ocs.config.document import Node
from ocs.config.rate_file import RATE, RawRate
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Opaque, Raw, Record, Switch, Text
from ocs.config.tariff_test_file import TEST
from ocs.config.timing_file import TIME_ZONE, TIMING, RawTiming
from ocs.config.values import (
    ACCOUNT_ID,
    CURRENCY,
    EMERGENCY,
    ID,
    PATH,
    PREFIX,
    RATING_GROUP,
    SERVICE_OR_ANY,
    SUBJECT_OR_ANY,
    TIME,
)
from ocs.rating.destinations import ANY
from ocs.units import MalformedError

STRATEGIES: Final = ("mine_first", "mine_lowest", "mine_highest", "lowest", "highest")


class RawDestination(Raw, frozen=True, kw_only=True):
    """A named set of prefixes as written."""

    prefixes: tuple[Located[str], ...] = ()
    free: bool = False


Rates = Mapping[str, Entry[tuple[RawRate, ...]]]


class RawServicePlan(Raw, frozen=True, kw_only=True):
    """What one plan asks for one service: rates by destination, and by rating group and destination, and a CSV file."""

    rates: Mapping[str, Entry[tuple[RawRate, ...]]] = {}
    rating_groups: Mapping[str, Entry[Rates]] = {}
    deck: str | None = None


class RawPlan(Raw, frozen=True, kw_only=True):
    """A plan as written."""

    time_zone: tzinfo | None = None
    services: Mapping[str, Entry[RawServicePlan]] = {}


class RawActivation(Raw, frozen=True, kw_only=True):
    """A plan, and from when a subject has it."""

    from_ns: int = 0
    plan: str | None = None
    fallback: tuple[Located[str], ...] = ()


Activations = Mapping[str, Entry[tuple[RawActivation, ...]]]


class RawSharedGroup(Raw, frozen=True, kw_only=True):
    """Accounts that pay for each other."""

    members: tuple[Located[str], ...] = ()
    strategy: str = "mine_first"


class RawEmergency(Raw, frozen=True, kw_only=True):
    """Numbers that are free for everybody and matched exactly."""

    numbers: tuple[Located[str], ...] = ()


class RawTariff(Raw, frozen=True, kw_only=True):
    """One tariff file as written."""

    currency: str | None = None
    destinations: Mapping[str, Entry[RawDestination]] = {}
    valid_from_ns: int | None = None
    time_zone: tzinfo | None = None
    emergency: RawEmergency | None = None
    timings: Mapping[str, Entry[RawTiming]] = {}
    plans: Mapping[str, Entry[RawPlan]] = {}
    profiles: Mapping[str, Entry[Activations]] = {}
    shared_groups: Mapping[str, Entry[RawSharedGroup]] = {}
    tests: tuple[Located[Node], ...] = ()

    @property
    def timed(self) -> bool:
        """Whether it is known from when it holds."""
        return self.valid_from_ns is not None or "valid_from" not in self.given

    @property
    def from_ns(self) -> int:
        """From when it holds, 0 = from the start."""
        return self.valid_from_ns or 0


def _rate_key(text: str) -> str:
    if text == ANY:
        return text
    if text in RATE.fields:
        hint = f'did you mean "*any": {{{text}: ...}}?'
        raise MalformedError(f'"{text}" is an option of a rate, not a destination', hint=hint)
    return ID.parse(text)


RATES = MapOf(Text(_rate_key, 'the id of a destination, or "*any"'), ListOf(RATE, or_one=True, at_least=1))

SERVICE_PLAN = Record(
    RawServicePlan,
    {
        "rating_groups": Field(
            MapOf(RATING_GROUP, RATES, at_least=1), 'rates of single rating groups; "*any" for all others'
        ),
        "deck": Field(PATH, "a CSV file with more rates, relative to this file: prefix, destination, price, ..."),
    },
    rest=("rates", RATES),
)

PLAN = Record(
    RawPlan,
    {"time_zone": Field(TIME_ZONE, "whose clock its rates follow; else that of the file, else UTC")},
    rest=("services", MapOf(ID, SERVICE_PLAN)),
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

ACTIVATION = Record(
    RawActivation,
    {
        "from": Field(TIME, "since when; always where absent", into="from_ns"),
        "plan": Field(ID, "the plan from then on", required=True),
        "fallback": Field(ListOf(Placed(SUBJECT_OR_ANY), or_one=True), "profiles or plans to ask where it has no rate"),
    },
)

SHARED_GROUP = Record(
    RawSharedGroup,
    {
        "members": Field(ListOf(Placed(ACCOUNT_ID), at_least=1), "accounts that share balances", required=True),
        "strategy": Field(Choice({name: name for name in STRATEGIES}), "whose balances are used first, and which"),
    },
)

TARIFF_FILE = Record(
    RawTariff,
    {
        "currency": Field(CURRENCY, "ISO 4217 code of all amounts"),
        "valid_from": Field(TIME, "from when what stands here replaces what stood before", into="valid_from_ns"),
        "time_zone": Field(TIME_ZONE, "whose clock timings follow where a plan does not say; else UTC"),
        "destinations": Field(MapOf(ID, DESTINATION), "named sets of prefixes"),
        "emergency": Field(EMERGENCY_NUMBERS, "numbers that are free for everybody"),
        "timings": Field(MapOf(ID, TIMING), "named sets of times"),
        "plans": Field(MapOf(ID, PLAN, at_least=1), "price lists: plan, service, destination"),
        "profiles": Field(
            MapOf(SUBJECT_OR_ANY, MapOf(SERVICE_OR_ANY, ListOf(ACTIVATION, or_one=True, at_least=1), at_least=1)),
            "subjects, and their plans over time: subject, service",
        ),
        "shared_groups": Field(MapOf(ID, SHARED_GROUP), "accounts that share balances"),
        "tests": Field(ListOf(Placed(Opaque(TEST))), "events, what they cost, and the balances after them"),
    },
)
