"""What an operator sets per service: how much is granted, for how long, and what clients do on failure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

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


class TimeMechanism(IntEnum):
    """Time-Quota-Type (TS 32.299): how time of silence counts."""

    DISCRETE = 0
    CONTINUOUS = 1


TRIGGERS: Final = {
    "serving_node": 1,
    "qos": 2,
    "location": 3,
    "rat": 4,
    "time_zone": 5,
    "location_mcc": 30,
    "location_mnc": 31,
    "location_rac": 32,
    "location_lac": 33,
    "location_cell": 34,
    "location_tac": 35,
    "location_ecgi": 36,
    "media": 40,
    "participants": 50,
    "service_condition": 60,
    "serving_node_change": 61,
    "csg": 70,
}
"""Changes that a client may be told to report at once: our words, and Trigger-Type (TS 32.299)."""


class QuotaTerms(msgspec.Struct, frozen=True):
    """What a client is told to do with a quota; None: nothing is said, and it does as it likes.

    threshold: base units of the service's measure; it asks again when no more than that is left.
    holding_time_s: it gives back a quota that was not used for so long; 0 = never.
    consumption_time_s: of time without traffic only so much counts. time_mechanism, time_interval_s: how time counts.
    unused_timer_s: it gives back a quota that was never used for so long.
    triggers: changes that it reports at once; () = none.
    furnish: octets for its own CDR; furnish_append: they are added to those that it has.
    pool: the pool that the quota is drawn from, together with those of other groups.
    """

    threshold: int | None = None
    holding_time_s: int | None = None
    consumption_time_s: int | None = None
    time_mechanism: TimeMechanism | None = None
    time_interval_s: int = 0
    unused_timer_s: int | None = None
    triggers: tuple[int, ...] | None = None
    furnish: bytes = b""
    furnish_append: bool = False
    pool: int | None = None


class Answers(msgspec.Struct, frozen=True):
    """What answers tell besides.

    cost: Cost-Information, what the session or event has cost so far. advice_of_charge: the same as AoC-Information,
    where the client asks for it. balance: Remaining-Balance, the money of the account. low_balance_nanos: below it
    there is a Low-Balance-Indication. account_expiry: Account-Expiration.
    refund_information: answers to events say what a refund of them has to name.
    """

    cost: bool = False
    advice_of_charge: bool = False
    balance: bool = False
    low_balance_nanos: int | None = None
    account_expiry: bool = False
    refund_information: bool = True

    @property
    def told(self) -> bool:
        """Whether anything is told of cost or account."""
        return (
            self.cost
            or self.advice_of_charge
            or self.balance
            or self.account_expiry
            or self.low_balance_nanos is not None
        )


class ServicePolicy(msgspec.Struct, frozen=True):
    """One service, e.g. "data".

    contexts: what the Service-Context-Id's document number is, e.g. ("32251",): any prefix is accepted.
    default_rating_group: rated where the client sends no Rating-Group.
    final_unit: what a client does at the end of credit; REDIRECT and RESTRICT_ACCESS also answer an empty account.
    idle_limit_s: a session not heard of for this long (or twice the validity time, if longer) is closed.
    session_failover: CC-Session-Failover SUPPORTED.
    quota: what clients are told to do with quotas; quota_of: the same for single rating groups.
    answers: what answers tell besides.
    only: attribute -> values: requests with another value belong to other services of the same context.
    rating_group_from: (attribute, value, rating group): rated, the first that fits, where the client names no group.
    called_from: attributes that may name the called party, the first that is there counts; () = as the context says.
    count_from: the attribute that says how many units an event is of that names none; "" = as the context says.
    pooled: some of the quotas are drawn from pools.
    terminating_rated: what the served user receives is looked up in the tariff, too; else it is free.
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
    quota: QuotaTerms = QuotaTerms()
    quota_of: Mapping[int, QuotaTerms] = {}
    answers: Answers = Answers()
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rating_group_from: tuple[tuple[str, str, int], ...] = ()
    called_from: tuple[str, ...] = ()
    count_from: str = ""
    terminating_rated: bool = False
    pooled: bool = False
