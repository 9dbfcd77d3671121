"""The state of one account: its balances. The account is the unit of consistency (one version, one journal)."""

from __future__ import annotations

from enum import Enum
from fractions import Fraction

import msgspec

from ocs.rating.units import Kind

DEFAULT_BALANCE = "*default"
"""The monetary balance that takes what was delivered beyond all credit, made when there is no other."""


class Status(Enum):
    """Whether an account is charged at all."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Factor(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many units of a balance one base unit of usage takes, for events of that factor id ("*any" = all)."""

    id: str
    numerator: int
    denominator: int = 1

    @property
    def value(self) -> Fraction:
        """The factor."""
        return Fraction(self.numerator, self.denominator)


class Balance(msgspec.Struct, frozen=True, array_like=True):
    """One balance.

    value: what is there: nanos for MONETARY, nanoseconds for VOICE, octets for DATA, units else. Below zero only by
        usage that was already delivered, or where the account may be negative.
    held: the part of value that open sessions hold; `available` may be negative when value fell below it.
    weight: higher is used first, among balances of the same destination precision.
    expires_at_ns: Unix time in nanoseconds from which it is no longer used (holds outlive it); None = never.
    destinations: ids of destinations it is for, `!id` excludes; none = all.
    blocker: what it cannot pay is paid by no balance after it.
    categories: services it is for; none = all. timings: ids of times it holds at, `!id` excludes; none = always.
    disabled: not used at all.
    rating_subject: "" = the usage costs what the event's subject pays. `*zero1m`: free slices of that length, of which
        units are rounded up. Another: rated under that subject, and from a unit balance both units and money are taken.
    shared_group: accounts of that group may use it, too.
    factors: what one base unit of usage takes; none = 1.
    """

    id: str
    kind: Kind
    value: int
    held: int = 0
    weight: int = 0
    expires_at_ns: int | None = None
    destinations: tuple[str, ...] = ()
    blocker: bool = False
    categories: tuple[str, ...] = ()
    timings: tuple[str, ...] = ()
    disabled: bool = False
    rating_subject: str = ""
    shared_group: str = ""
    factors: tuple[Factor, ...] = ()

    @property
    def available(self) -> int:
        """Value - held."""
        return self.value - self.held


class Counter(msgspec.Struct, frozen=True, array_like=True):
    """How much was used: of a balance, or by events, since it was last set to 0.

    of_balance: counts what is taken off balances (in their base unit); otherwise the usage of events.
    kind: of the balances (MONETARY counts money), or of the events' service.
    balance_id, destinations, categories: only those; none = all.
    """

    id: str
    kind: Kind
    of_balance: bool
    value: int = 0
    balance_id: str = ""
    destinations: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class Account(msgspec.Struct, frozen=True, array_like=True):
    """One account, as stored with its version.

    id: a subscriber, a family or a company; never a phone number by itself.
    version: raised by one with each outcome; the journal has one entry per version.
    plan: id of the tariff plan, or the subject, that prices its usage.
    expires_at_ns: Unix time in nanoseconds from which it is treated as disabled; None = never.
    allow_negative: its money may go below zero, without limit (postpaid).
    """

    id: str
    version: int
    currency: str
    plan: str
    status: Status = Status.ACTIVE
    balances: tuple[Balance, ...] = ()
    expires_at_ns: int | None = None
    allow_negative: bool = False
    counters: tuple[Counter, ...] = ()

    def usable(self, at_ns: int) -> bool:
        """Whether it may be granted anything at `at_ns`."""
        return self.status is Status.ACTIVE and (self.expires_at_ns is None or at_ns < self.expires_at_ns)
