"""The state of one charging session: rating groups, segments, holds, numbers processed, last answers."""

from __future__ import annotations

from enum import Enum

import msgspec

from ocs.balances.cover import Meter, Sliced
from ocs.rating.conditions import Facts
from ocs.rating.prices import Rate
from ocs.rating.units import Measure


class SessionState(Enum):
    """Life of a session row. Only OPEN has holds; the others are the memory of repeats, kept 24 h.

    CLOSED: ended by TERMINATION, or an EVENT; EXPIRED: ended by a timer or from here; REFUSED: an INITIAL that opened
    no session; UNKNOWN: never opened here, but a report of it was refused and remembered.
    """

    OPEN = "open"
    CLOSED = "closed"
    EXPIRED = "expired"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a rating group holds on one balance, in the balance's base unit."""

    balance_id: str
    amount: int


class Segment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of usage with one rate; once it is over it is never priced again.

    meters: usage at the price of the event, then at those of balances with a rating subject: price(priced) - charged.
    sliced: what unit balances that round or multiply have paid.
    until_ns: when another rate or version takes over, None = never.
    facts: the circumstances that the rate was looked up for; another one closes the segment.
    """

    tariff_version: str
    destination_id: str
    prefix: str
    meters: tuple[Meter, ...]
    sliced: tuple[Sliced, ...] = ()
    until_ns: int | None = None
    facts: Facts = ()

    @property
    def rate(self) -> Rate:
        """The event's own rate."""
        return self.meters[0].rate


class PoolShare(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a quota takes part in a pool: a unit, as clients count, is worth digits x 10^exponent of the pool's."""

    pool: int
    digits: int
    exponent: int


class Group(msgspec.Struct, frozen=True, array_like=True):
    """One rating group (and service identifier) of a session.

    segment: None while the group has no rate (its usage is then counted, unrated).
    holds: of the open grant; granted: its base units.
    valid_until_ns: end of the last grant's validity, 0 once it was reported; hold_until_ns: plus grace, 0 while
        nothing is held.
    change_at_ns: the Tariff-Time-Change that was sent with the grant, 0 if none.
    position: all usage of the session so far; spent_nanos: what it was charged, connect fees apart.
    usage, unit_usage, cost_nanos, overrun, unrated: sums since the last CDR, in base units and nanos:
        all usage; the part paid by unit balances; money charged, fees included; usage beyond what was granted;
        usage for which there was no rate.
    fee_held: the part of the holds that is for the connect fee of the session, nanos.
    answered_at_ns: when the usage of time began, 0 while there is none.
    started_at_ns, last_at_ns: first grant or report, last report.
    attributes: what its container said of the service, for its CDRs.
    short: it was last granted less than policy, or nothing, for lack of credit: a top-up is of use to it.
    pool: how the open grant takes part in a pool, None where it does not.
    """

    rating_group: int | None
    service_id: int | None
    measure: Measure
    segment: Segment | None = None
    holds: tuple[Hold, ...] = ()
    granted: int = 0
    valid_until_ns: int = 0
    hold_until_ns: int = 0
    change_at_ns: int = 0
    position: int = 0
    spent_nanos: int = 0
    usage: int = 0
    unit_usage: int = 0
    cost_nanos: int = 0
    overrun: int = 0
    unrated: int = 0
    fee_charged: bool = False
    fee_held: int = 0
    answered_at_ns: int = 0
    started_at_ns: int = 0
    last_at_ns: int = 0
    partial: int = 0
    attributes: tuple[tuple[str, str], ...] = ()
    short: bool = False
    pool: PoolShare | None = None


class Charge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an event charged to one rating group, so that it can be refunded.

    number: CC-Request-Number of the event. usage, unit_usage: base units charged; the part that unit balances paid.
    units, money: (balance, amount) taken off unit and off monetary balances. refunded: base units given back since.
    """

    number: int
    rating_group: int | None
    service_id: int | None
    measure: Measure
    usage: int
    unit_usage: int
    units: tuple[tuple[str, int], ...]
    money: tuple[tuple[str, int], ...]
    refunded: int = 0


GroupKey = tuple[int | None, int | None]
"""Rating group and service identifier: what a group is known by in its session."""


class Answered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The stored answer of one request: `content` is every AVP of it but Proxy-Info, as sent."""

    type: int
    number: int
    content: bytes


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One session, or sub-session.

    key: Session-Id, with "#N" for sub-session N.
    seen: per CC-Request-Type the numbers processed, as inclusive ranges (low, high) in ascending order.
    answers: the last answers, oldest first; older ones are in `pages` answer pages of the store.
    adopted: taken over in the middle, after a failover: what was before is not known here.
    answered_at_ns: when the call was answered, by the client's clock, 0 while that is not told.
    facts: circumstances that rates ask for, as they were last told.
    cost_nanos: money charged in all, fees included.
    charges: what its events charged, the last ones: what can be refunded.
    due_at_ns: when supervision has to look at it next; for a closed one, when it may be forgotten.
    """

    account_id: str
    key: str
    service: str
    state: SessionState
    opened_at_ns: int
    last_at_ns: int
    due_at_ns: int
    subscriber: str = ""
    called: str = ""
    origin_host: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    groups: tuple[Group, ...] = ()
    fee_charged: bool = False
    seen: dict[int, tuple[tuple[int, int], ...]] = {}
    answers: tuple[Answered, ...] = ()
    pages: int = 0
    cause: str = ""
    terminating: bool = False
    adopted: bool = False
    charges: tuple[Charge, ...] = ()
    cost_nanos: int = 0
    facts: Facts = ()
    answered_at_ns: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it can hold and be granted."""
        return self.state is SessionState.OPEN


class AnswerPage(msgspec.Struct, frozen=True, array_like=True):
    """Answers that no longer fit into the session row, written once and read only for a late repeat."""

    account_id: str
    session_key: str
    page: int
    answers: tuple[Answered, ...]
