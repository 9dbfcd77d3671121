"""What an explanation says: values, made by `explain`, shown by the command line and by the API."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.cover import Sliced
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import FinalUnit, Result
from ocs.charging.session import Hold
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Activation, Window
from ocs.rating.units import Measure


class Asked(msgspec.Struct, frozen=True):
    """What is to be explained: `usage` base units of `measure` of a service, from `at_ns` on.

    called: as dialled or sent, "" for none. rating_group: None = the service's default.
    position: what of the same call was charged before.
    """

    service: ServicePolicy
    called: str
    usage: int
    measure: Measure
    at_ns: int
    rating_group: int | None = None
    position: int = 0


class WindowSeen(msgspec.Struct, frozen=True):
    """A rate of a prefix, and whether it holds; since: the wall clock when it began, None: always, or it does not."""

    window: Window
    holds: bool
    since: datetime | None
    taken: bool


class PrefixSeen(msgspec.Struct, frozen=True):
    """A prefix that the number begins with ("" = `*any`)."""

    prefix: str
    windows: tuple[WindowSeen, ...]


class SubjectSeen(msgspec.Struct, frozen=True):
    """A subject that a rate was looked for under: the account's own, then its fallbacks.

    name: under which it has its plan (`*any` where it has none itself). reason: why there is no rate, "": there is.
    """

    subject: str
    name: str
    activation: Activation | None
    prefixes: tuple[PrefixSeen, ...]
    reason: str


class TierSeen(msgspec.Struct, frozen=True):
    """`charged` base units at the price of one tier: what was used there, rounded up to its increment."""

    tier: Tier
    charged: int


class Priced(msgspec.Struct, frozen=True):
    """A length of usage and its price.

    subject: whose rate, "" = the event's own. start: what the call had used before, which places it in the tiers.
    before, before_nanos: what of the same segment was priced and charged before; usage: what is priced now.
    tiers: of all of it. numerator, denominator: its exact price in nanos; price_nanos: that, rounded.
    nanos: what is charged now: the price, less what was charged before, and no more than a maximum cost leaves.
    """

    rate: Rate
    subject: str
    start: int
    before: int
    before_nanos: int
    usage: int
    tiers: tuple[TierSeen, ...]
    numerator: int
    denominator: int
    price_nanos: int
    nanos: int


class Payment(msgspec.Struct, frozen=True):
    """What one balance, or the money balances together, paid.

    kind: "fee", "units", "money" or "overdraft". usage: base units covered. taken: (balance, amount).
    priced: how its money came about; None where units paid alone, and for a fee.
    """

    kind: str
    usage: int
    taken: tuple[tuple[str, int], ...]
    nanos: int
    priced: Priced | None


class BalanceSeen(msgspec.Struct, frozen=True):
    """A balance that was looked at.

    owner: the account that shares it, "" = the own one. available: before this part of the usage.
    why_not: why it pays nothing, "" = it pays: "kind", "measure", "disabled", "expired", "destination", "category",
        "timing", "blocked", "no_value", "no_rate", "too_little", "not_needed".
    usage: what its units cover; amount: what is taken off it, in its base unit.
    factor: (numerator, denominator) of the units that a base unit of usage takes, None = 1.
    slice_size: its units are rounded up to a multiple of this; sliced: what it covered and gave in this segment.
    """

    balance: Balance
    owner: str
    precision: int
    available: int
    why_not: str = ""
    usage: int = 0
    amount: int = 0
    factor: tuple[int, int] | None = None
    slice_size: int = 1
    sliced: Sliced | None = None


class Part(msgspec.Struct, frozen=True):
    """A part of the usage that has one price.

    position: what the call had used before it. tried: where a rate was looked for. reason: why there is none, or "".
    until_ns: when another rate or version takes over, None = never.
    price: what all of it costs in money, whoever pays; None for what is free or has no rate.
    payments: in the order in which they were taken; balances: all that were looked at, in their order.
    """

    at_ns: int
    usage: int
    position: int
    tried: tuple[SubjectSeen, ...]
    reason: str = ""
    until_ns: int | None = None
    version: str = ""
    prefix: str = ""
    destination_id: str = ""
    rate: Rate | None = None
    price: Priced | None = None
    payments: tuple[Payment, ...] = ()
    balances: tuple[BalanceSeen, ...] = ()
    cost_nanos: int = 0
    fee_nanos: int = 0
    overdraft_nanos: int = 0
    unit_usage: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What a client gets that asks for the usage: the Result-Code, why it is no success, and what is granted."""

    result: Result
    why: str = ""
    granted: int | None = None
    validity_time_s: int | None = None
    final_unit: FinalUnit | None = None
    change_at_ns: int | None = None
    holds: tuple[Hold, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """The whole chain from an event to its cost, and who pays.

    number: the called one in international form. version: of the tariff at that time, from valid_from_ns (0 = always)
    to next_from_ns, when next_version takes over (None = no later one is known).
    account: None = unknown. house: (destination, prefix) of a call that is free for everybody.
    rating_group: the one that is rated. parts: in the order of time.
    cost_nanos, fee_nanos in it, overdraft_nanos in it, unit_usage, taken: of all parts, if all is delivered.
    event: what an EVENT that debits all of it gets; initial: what an INITIAL that asks for it gets.
    affordable: how much of it can be paid, where that is not all.
    """

    asked: Asked
    number: str
    currency: str
    version: str
    valid_from_ns: int
    next_version: str
    next_from_ns: int | None
    account: Account | None
    usable: bool
    house: tuple[str, str] | None
    rating_group: int
    parts: tuple[Part, ...]
    cost_nanos: int
    fee_nanos: int
    overdraft_nanos: int
    unit_usage: int
    taken: tuple[tuple[str, int], ...]
    event: Answer
    initial: Answer
    affordable: int | None
