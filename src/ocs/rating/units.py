"""Kinds of service and balance, and the measures that usage is counted in."""

from __future__ import annotations

from enum import Enum


class Measure(Enum):
    """What usage is counted in; the value is the name of the base unit in APIs and CDRs."""

    __hash__ = object.__hash__  # they are compared by identity, and looked up for each request

    TIME = "ns"
    OCTETS = "octets"
    EVENTS = "units"


class Kind(Enum):
    """Kind of a service and of a balance. MONETARY and GENERIC are kinds of balances only."""

    __hash__ = object.__hash__  # as above

    VOICE = "voice"
    DATA = "data"
    SMS = "sms"
    MMS = "mms"
    GENERIC = "generic"
    MONETARY = "monetary"


MEASURE_OF_KIND: dict[Kind, Measure] = {
    Kind.VOICE: Measure.TIME,
    Kind.DATA: Measure.OCTETS,
    Kind.SMS: Measure.EVENTS,
    Kind.MMS: Measure.EVENTS,
    Kind.GENERIC: Measure.EVENTS,
}
"""The measure of a service of that kind where the client asks for none."""

NS_PER_S = 1_000_000_000
NANOS_PER_UNIT = 1_000_000_000
"""Money is counted in nanos: 10^-9 of the currency unit."""
