"""What an operator sets per service: how much is granted, for how long, and what clients do on failure."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from ocs.charging.requests import FinalUnit, UnknownSession
from ocs.rating.units import Kind


class FailureHandling(IntEnum):
    """Credit-Control-Failure-Handling (RFC 8506 8.14)."""

    TERMINATE = 0
    CONTINUE = 1
    RETRY_AND_TERMINATE = 2


class DirectDebitingFailureHandling(IntEnum):
    """Direct-Debiting-Failure-Handling (RFC 8506 8.15)."""

    TERMINATE_OR_BUFFER = 0
    CONTINUE = 1


class GrantPolicy(msgspec.Struct, frozen=True):
    """How much is granted, in base units of the service's measure (ns, octets, units).

    slice: granted where the client leaves it to the server; also what a contended balance is shared out in.
    minimum, maximum: limits of what a client's wish can change; `maximum` also limits voice and events.
    contended_slice: the most that is granted when credit is short and others hold some of it.
    validity_time_s: of each grant; contended_validity_time_s: of a grant on contended credit.
    grace_s: a hold lives validity time + grace.
    """

    slice: int
    minimum: int
    maximum: int
    contended_slice: int
    validity_time_s: int = 3_600
    contended_validity_time_s: int = 60
    grace_s: int = 60


class ServicePolicy(msgspec.Struct, frozen=True):
    """One service, e.g. "data".

    contexts: what the Service-Context-Id's document number is, e.g. ("32251",): any prefix is accepted.
    default_rating_group: rated where the client sends no Rating-Group.
    final_unit: what a client does at the end of credit; REDIRECT and RESTRICT_ACCESS also answer an empty account.
    idle_limit_s: a session not heard of for this long (or twice the validity time, if longer) is closed.
    session_failover: CC-Session-Failover SUPPORTED.
    refund_information: answers to events say what a refund of them has to name.
    """

    name: str
    kind: Kind
    contexts: tuple[str, ...]
    grant: GrantPolicy
    default_rating_group: int = 0
    final_unit: FinalUnit = FinalUnit()
    idle_limit_s: int = 86_400
    session_failover: bool = True
    failure_handling: FailureHandling = FailureHandling.TERMINATE
    direct_debiting_failure_handling: DirectDebitingFailureHandling = DirectDebitingFailureHandling.TERMINATE_OR_BUFFER
    unknown_session: UnknownSession = UnknownSession.REFUSE
    refund_information: bool = True
