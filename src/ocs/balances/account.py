"""The state of one account: its balances. The account is the unit of consistency (one version, one journal)."""

from __future__ import annotations

from enum import Enum

import msgspec

from ocs.rating.units import Kind

DEFAULT_BALANCE = "*default"
"""The monetary balance that takes what was delivered beyond all credit, made when there is no other."""


class Status(Enum):
    """Whether an account is charged at all."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Balance(msgspec.Struct, frozen=True, array_like=True):
    """One balance.

    value: what is there: nanos for MONETARY, nanoseconds for VOICE, octets for DATA, units else. Below zero only by
        usage that was already delivered.
    held: the part of value that open sessions hold; `available` may be negative when value fell below it.
    weight: higher is used first, among balances of the same destination precision.
    expires_at_ns: Unix time in nanoseconds from which it is no longer used (holds outlive it); None = never.
    destinations: ids of destinations it is for, `!id` excludes; none = all.
    blocker: what it cannot pay is paid by no balance after it.
    """

    id: str
    kind: Kind
    value: int
    held: int = 0
    weight: int = 0
    expires_at_ns: int | None = None
    destinations: tuple[str, ...] = ()
    blocker: bool = False

    @property
    def available(self) -> int:
        """Value - held."""
        return self.value - self.held


class Account(msgspec.Struct, frozen=True, array_like=True):
    """One account, as stored with its version.

    id: a subscriber, a family or a company; never a phone number by itself.
    version: raised by one with each outcome; the journal has one entry per version.
    plan: id of the tariff plan that prices its usage.
    expires_at_ns: Unix time in nanoseconds from which it is treated as disabled; None = never.
    """

    id: str
    version: int
    currency: str
    plan: str
    status: Status = Status.ACTIVE
    balances: tuple[Balance, ...] = ()
    expires_at_ns: int | None = None

    def usable(self, at_ns: int) -> bool:
        """Whether it may be granted anything at `at_ns`."""
        return self.status is Status.ACTIVE and (self.expires_at_ns is None or at_ns < self.expires_at_ns)
