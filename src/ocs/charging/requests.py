"""Charging requests and answers in domain words: what an application makes of a CCR, free of AVP codes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from hashlib import sha256
from typing import Final

import msgspec

from ocs.rating.units import Measure


class RequestType(IntEnum):
    """CC-Request-Type (RFC 8506 8.3)."""

    INITIAL = 1
    UPDATE = 2
    TERMINATION = 3
    EVENT = 4


class RequestedAction(IntEnum):
    """Requested-Action of an event (RFC 8506 8.41)."""

    DIRECT_DEBITING = 0
    REFUND_ACCOUNT = 1
    CHECK_BALANCE = 2
    PRICE_ENQUIRY = 3


REFUND: Final = 5
"""What refunds are remembered under, beside the values of CC-Request-Type: one never is the repeat of a debit."""


class Result(IntEnum):
    """Result-Codes that charging decides on (RFC 6733 7.1, RFC 8506 9)."""

    SUCCESS = 2001
    TOO_BUSY = 3004
    END_USER_SERVICE_DENIED = 4010
    CREDIT_CONTROL_NOT_APPLICABLE = 4011
    CREDIT_LIMIT_REACHED = 4012
    UNKNOWN_SESSION_ID = 5002
    UNABLE_TO_COMPLY = 5012
    USER_UNKNOWN = 5030
    RATING_FAILED = 5031


class FinalAction(IntEnum):
    """Final-Unit-Action (RFC 8506 8.35)."""

    TERMINATE = 0
    REDIRECT = 1
    RESTRICT_ACCESS = 2


class Units(msgspec.Struct, frozen=True, gc=False):
    """Service units of one container; None where the client sent none of that measure.

    time_ns: CC-Time as nanoseconds; octets: CC-Total-Octets, or input + output where there is no total;
    events: CC-Service-Specific-Units.
    tariff_change: Tariff-Change-Usage of what was used: 0 before, 1 after the change, 2 indeterminate; None: not sent.
    first_at_ns, last_at_ns: Time-First-Usage and Time-Last-Usage as Unix nanoseconds, None where not sent.
    """

    time_ns: int | None = None
    octets: int | None = None
    events: int | None = None
    tariff_change: int | None = None
    first_at_ns: int | None = None
    last_at_ns: int | None = None

    def get(self, measure: Measure) -> int | None:
        """The counter of `measure`."""
        if measure is Measure.OCTETS:
            return self.octets
        return self.time_ns if measure is Measure.TIME else self.events

    def measure(self) -> Measure | None:
        """The measure that the container speaks of, None where it is empty; octets before time before events."""
        if self.octets is not None:
            return Measure.OCTETS
        if self.time_ns is not None:
            return Measure.TIME
        return None if self.events is None else Measure.EVENTS


class GroupRequest(msgspec.Struct, frozen=True, gc=False):
    """One Multiple-Services-Credit-Control of a request, or the command's own units where there is none.

    rating_group, service_id: None where not sent (the service's default group is rated).
    requested: None: no Requested-Service-Unit; empty Units: the server decides how much.
    used: one entry per Used-Service-Unit.
    final: reported as FINAL or QHT: the group's quota is given back with this report.
    rated_as: the rating group where the client names none, None = the service's default.
    attributes: what the container tells of the service, for the group's CDRs.
    """

    rating_group: int | None = None
    service_id: int | None = None
    requested: Units | None = None
    used: tuple[Units, ...] = ()
    final: bool = False
    rated_as: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()


class ChargingRequest(msgspec.Struct, frozen=True):
    """One request of a charging client.

    session_id: as sent; sub_session_id: CC-Sub-Session-Id or None.
    service: name of the service that the Service-Context-Id leads to.
    subscriber: identities in the configured order of preference, e.g. ("imsi:26201...", "msisdn:49...").
    action: Requested-Action, only with EVENT.
    called: called party or recipient as sent ("tel:+614...", "sip:000@..."), "" where there is none.
    more_called: further recipients of an event, each of which is priced by itself.
    count: how many units an event is of that names none.
    terminating: the served user is the one who receives: not rated as originating.
    groups: what is asked and reported; `command_level` says that the client sent no MSCC, and is answered so.
    refuse_in_group: the peer wants every refusal of credit in the MSCC, never at command level (PeerRule.refusals).
    grant_unasked: an INITIAL is granted by policy also where it has no Requested-Service-Unit
        (PeerRule.grant_without_rsu).
    asked_at_ns, answered_at_ns: SIP-Request- and SIP-Response-Timestamp as Unix nanoseconds, None where not sent.
    advice: AoC-Request-Type (TS 32.299), 0 = none is asked for.
    refund_of, refund_number: session and CC-Request-Number of the event that a refund names (Refund-Information);
        "" and None: whatever events of its own Session-Id charged.
    event_at_ns: Event-Timestamp as Unix nanoseconds, None where not sent.
    attributes: what CDRs keep besides: ("apn", "internet"), ("imei", ...), ...; no attribute twice. They may be read
        only when they are asked for: whoever keeps them makes a tuple of them.
    ending: those of the attributes that tell how it ended: "termination_cause", "cause_code".
    """

    session_id: str
    type: RequestType
    number: int
    service: str
    origin_host: str
    sub_session_id: int | None = None
    subscriber: tuple[str, ...] = ()
    action: RequestedAction | None = None
    called: str = ""
    terminating: bool = False
    groups: tuple[GroupRequest, ...] = ()
    command_level: bool = False
    refuse_in_group: bool = False
    grant_unasked: bool = False
    event_at_ns: int | None = None
    attributes: Sequence[tuple[str, str]] = ()
    refund_of: str = ""
    refund_number: int | None = None
    advice: int = 0
    more_called: tuple[str, ...] = ()
    count: int = 1
    asked_at_ns: int | None = None
    answered_at_ns: int | None = None
    ending: tuple[tuple[str, str], ...] = ()

    @property
    def session_key(self) -> str:
        """What the session is stored under: a sub-session is a session of its own, a refund belongs to its charge."""
        return self.refund_of or self.own_key

    @property
    def own_key(self) -> str:
        """The same by the ids of the request itself."""
        return self.session_id if self.sub_session_id is None else f"{self.session_id}#{self.sub_session_id}"

    @property
    def is_refund(self) -> bool:
        """Whether it gives something back."""
        return self.action is RequestedAction.REFUND_ACCOUNT

    @property
    def memory_key(self) -> tuple[int, int]:
        """(kind, number) that the request is remembered under in its session (RFC 8506 8.2).

        A refund may come in a session of its own, which is not the one it is remembered in: then its number stands for
        both.
        """
        if self.action is not RequestedAction.REFUND_ACCOUNT:
            return int(self.type), self.number
        if self.refund_of in ("", self.own_key):
            return REFUND, self.number
        digest = sha256(f"{self.own_key}\0{self.number}".encode()).digest()
        return REFUND, int.from_bytes(digest[:7])

    @property
    def name(self) -> str:
        """The request within its session, as the journal names it: "I/0", "U/3"; "R/1" of a refund."""
        return f"{'R' if self.is_refund else self.type.name[0]}/{self.number}"


class FinalUnit(msgspec.Struct, frozen=True):
    """Final-Unit-Indication: what the client does when the grant is used up.

    redirect_to: address for REDIRECT (IPv4, IPv6, URL or SIP URI).
    filter_ids, filter_rules: for RESTRICT_ACCESS: names of filters in the client, and IPFilterRules (RFC 6733 4.3.1).
    extended: told as QoS-Final-Unit-Indication (RFC 8506 8.68), which not every client knows.
    announcement: what the client plays with it (Announcement-Identifier), None = nothing.
    """

    action: FinalAction = FinalAction.TERMINATE
    redirect_to: str = ""
    filter_ids: tuple[str, ...] = ()
    filter_rules: tuple[str, ...] = ()
    extended: bool = False
    announcement: int | None = None


class GroupAnswer(msgspec.Struct, frozen=True):
    """The answer to one GroupRequest.

    granted: amount in base units of `measure`, None: nothing was to be granted (no Granted-Service-Unit is sent).
    validity_time_s: None where no quota is open.
    why: the reason of a refusal in words, for logs and metrics: one of "unknown_account", "disabled_account",
        "no_plan", "no_service", "unknown_rating_group", "no_destination", "no_time", "no_rate", "no_credit", "blocked",
        "unknown_charge", "nothing_to_refund".
    tariff_change_at_ns: when the price changes within the validity of the grant, None = it does not.
    pool: (G-S-U-Pool-Identifier, digits, exponent): the pool that the grant is added to, and what a unit of it is worth
        there; None = no pool.
    """

    rating_group: int | None
    service_id: int | None
    result: Result
    measure: Measure
    granted: int | None = None
    validity_time_s: int | None = None
    final_unit: FinalUnit | None = None
    why: str = ""
    tariff_change_at_ns: int | None = None
    pool: tuple[int, int, int] | None = None


class ChargingAnswer(msgspec.Struct, frozen=True):
    """The answer to a ChargingRequest; `result` stands at command level, each group has its own.

    enough_credit: Check-Balance-Result of a balance check, None otherwise.
    cost_nanos, currency: of a price enquiry; None otherwise.
    accumulated_nanos: what the session or event has cost so far; balance_nanos: the money of the account; low_balance:
        whether that is low; account_expires_at_ns; all in `currency`, None where they are not told.
    refund_information: what a refund of this charge has to name, b"" where there is nothing to refund.
    """

    result: Result
    groups: tuple[GroupAnswer, ...] = ()
    why: str = ""
    enough_credit: bool | None = None
    cost_nanos: int | None = None
    currency: str = ""
    refund_information: bytes = b""
    accumulated_nanos: int | None = None
    balance_nanos: int | None = None
    low_balance: bool | None = None
    account_expires_at_ns: int | None = None


class UnknownSession(Enum):
    """What to do with an UPDATE of a session that is not known here."""

    REFUSE = "refuse"
    ADOPT = "adopt"
