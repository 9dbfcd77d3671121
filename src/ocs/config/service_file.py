"""What a service of `server.yaml` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ocs.charging.policy import TRIGGERS, DirectDebitingFailureHandling, FailureHandling, TimeMechanism
from ocs.charging.requests import FinalAction, UnknownSession
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Raw, Record, Switch
from ocs.config.values import (
    ANY_TEXT,
    CONTEXT,
    FILTER_RULE,
    FURNISH,
    ID,
    MONEY,
    NUMBER,
    QUANTITY,
    TEXT_KEY,
    integer,
    seconds,
)
from ocs.rating.units import Kind
from ocs.units import Money, Quantity

_DAY_S: Final = 86_400


class RawGrant(Raw, frozen=True, kw_only=True):
    """A grant policy as written: quantities still carry their measure."""

    slice: Quantity | None = None
    minimum: Quantity | None = None
    maximum: Quantity | None = None
    contended_slice: Quantity | None = None
    validity_time_s: int | None = None
    contended_validity_time_s: int | None = None
    grace_s: int | None = None


class RawFinalUnit(Raw, frozen=True, kw_only=True):
    """What a client does at the end of credit, as written."""

    action: FinalAction | None = None
    redirect_to: str = ""
    filter_ids: tuple[str, ...] = ()
    filter_rules: tuple[str, ...] = ()
    extended: bool | None = None
    announcement: int | None = None


class RawTimeMechanism(Raw, frozen=True, kw_only=True):
    """How time counts, as written."""

    type: TimeMechanism | None = None
    interval_s: int | None = None


class RawQuota(Raw, frozen=True, kw_only=True):
    """What clients are told to do with quotas, as written."""

    threshold: Quantity | None = None
    holding_time_s: int | None = None
    consumption_time_s: int | None = None
    time_mechanism: RawTimeMechanism | None = None
    unused_timer_s: int | None = None
    triggers: tuple[int, ...] | None = None
    furnish: bytes | None = None
    furnish_append: bool | None = None
    pool: int | None = None


class RawAnswers(Raw, frozen=True, kw_only=True):
    """What answers tell besides, as written."""

    cost: bool | None = None
    advice_of_charge: bool | None = None
    balance: bool | None = None
    low_balance: Money | None = None
    account_expiry: bool | None = None
    refund_information: bool | None = None


class RawService(Raw, frozen=True, kw_only=True):
    """A service as written; defaults are those of `ServicePolicy`."""

    kind: Kind | None = None
    contexts: tuple[Located[str], ...] = ()
    default_rating_group: int | None = None
    grant: RawGrant | None = None
    final_unit: RawFinalUnit | None = None
    idle_limit_s: int | None = None
    session_failover: bool | None = None
    failure_handling: FailureHandling | None = None
    direct_debiting_failure_handling: DirectDebitingFailureHandling | None = None
    unknown_session: UnknownSession | None = None
    quota: RawQuota | None = None
    rating_groups: Mapping[str, Entry[RawQuota]] = {}
    answers: RawAnswers | None = None
    only: Mapping[str, Entry[tuple[str, ...]]] = {}
    rating_group_from: Mapping[str, Entry[Mapping[str, Entry[int]]]] = {}
    called_from: tuple[Located[str], ...] = ()
    count_from: str | None = None
    terminating_rated: bool | None = None


GRANT = Record(
    RawGrant,
    {
        "slice": Field(QUANTITY, "granted where the client leaves it to the server", required=True),
        "minimum": Field(QUANTITY, "the least that a client's wish can make of it", required=True),
        "maximum": Field(QUANTITY, "the most that a client's wish can make of it", required=True),
        "contended_slice": Field(QUANTITY, "granted where credit is short and shared", required=True),
        "validity_time": Field(seconds(1, 30 * _DAY_S), "life of a grant", into="validity_time_s"),
        "contended_validity_time": Field(
            seconds(1, 30 * _DAY_S), "life of a grant where credit is shared", into="contended_validity_time_s"
        ),
        "grace": Field(seconds(0, _DAY_S), "a hold outlives its grant by this", into="grace_s"),
    },
)

_FINAL_ACTIONS = {
    "terminate": FinalAction.TERMINATE,
    "redirect": FinalAction.REDIRECT,
    "restrict": FinalAction.RESTRICT_ACCESS,
}

FINAL_UNIT = Record(
    RawFinalUnit,
    {
        "action": Field(Choice(_FINAL_ACTIONS), "what the client does at the end of credit", required=True),
        "redirect_to": Field(ANY_TEXT, "IPv4, IPv6, URL or SIP URI to redirect to"),
        "filter_ids": Field(ListOf(ANY_TEXT, or_one=True), "names of filters in the client for restrict"),
        "filter_rules": Field(ListOf(FILTER_RULE, or_one=True), "rules (IPFilterRule) for restrict"),
        "extended": Field(Switch(), "tell it as QoS-Final-Unit-Indication, which the client has to know"),
        "announcement": Field(integer(0, 2**32 - 1), "number of the announcement that the client plays"),
    },
)

TIME_MECHANISM = Record(
    RawTimeMechanism,
    {
        "type": Field(
            Choice({each.name.lower(): each for each in TimeMechanism}), "how time of silence counts", required=True
        ),
        "interval": Field(seconds(1, _DAY_S), "the base time interval", required=True, into="interval_s"),
    },
)

_QUOTA = {
    "threshold": Field(QUANTITY, "the client asks again when no more than that is left"),
    "holding_time": Field(
        seconds(0, 30 * _DAY_S), "a quota not used for so long is given back; 0s = never", into="holding_time_s"
    ),
    "consumption_time": Field(
        seconds(0, _DAY_S), "of time without traffic only so much counts", into="consumption_time_s"
    ),
    "time_mechanism": Field(TIME_MECHANISM, "how time counts"),
    "unused_timer": Field(
        seconds(1, 30 * _DAY_S), "a quota never used for so long is given back", into="unused_timer_s"
    ),
    "triggers": Field(ListOf(Choice(TRIGGERS)), "changes that the client reports at once; [] = none"),
    "furnish": Field(FURNISH, "text, or 0x and hexadecimal digits, for the client's own CDR"),
    "furnish_append": Field(Switch(), "add it to what the CDR has, instead of replacing that"),
    "pool": Field(integer(0, 2**32 - 1), "the pool that quotas are drawn from"),
}

QUOTA = Record(RawQuota, _QUOTA)

ANSWERS = Record(
    RawAnswers,
    {
        "cost": Field(Switch(), "Cost-Information: what the session or event has cost so far"),
        "advice_of_charge": Field(Switch(), "the same as AoC-Information, where the client asks for it"),
        "balance": Field(Switch(), "Remaining-Balance: the money of the account"),
        "low_balance": Field(MONEY, "Low-Balance-Indication where there is less money than that"),
        "account_expiry": Field(Switch(), "Account-Expiration"),
        "refund_information": Field(Switch(), "Refund-Information in answers to events"),
    },
)

SERVICE = Record(
    RawService,
    {
        "kind": Field(
            Choice({kind.value: kind for kind in Kind if kind is not Kind.MONETARY}), "kind of usage", required=True
        ),
        "contexts": Field(
            ListOf(Placed(CONTEXT), or_one=True, at_least=1), "document numbers of Service-Context-Ids", required=True
        ),
        "default_rating_group": Field(integer(0, 2**32 - 1), "rated where the client sends none"),
        "grant": Field(GRANT, "how much is granted, and for how long", required=True),
        "final_unit": Field(FINAL_UNIT, "what the client does at the end of credit"),
        "idle_limit": Field(seconds(60, 30 * _DAY_S), "a session silent for this long is closed", into="idle_limit_s"),
        "session_failover": Field(Switch(), "sessions may move to another server"),
        "failure_handling": Field(
            Choice({each.name.lower(): each for each in FailureHandling}), "Credit-Control-Failure-Handling"
        ),
        "direct_debiting_failure_handling": Field(
            Choice({each.name.lower(): each for each in DirectDebitingFailureHandling}),
            "Direct-Debiting-Failure-Handling",
        ),
        "unknown_session": Field(
            Choice({each.value: each for each in UnknownSession}), "an UPDATE of a session that is not known here"
        ),
        "quota": Field(QUOTA, "what clients are told to do with quotas"),
        "rating_groups": Field(MapOf(NUMBER, QUOTA, at_least=1), "the same for single rating groups"),
        "answers": Field(ANSWERS, "what answers tell besides"),
        "only": Field(
            MapOf(ID, ListOf(ANY_TEXT, or_one=True, at_least=1), at_least=1),
            "attributes of the requests that belong here, of those with the same context",
        ),
        "rating_group_from": Field(
            MapOf(ID, MapOf(TEXT_KEY, integer(0, 2**32 - 1), at_least=1), at_least=1),
            "attribute, value: the rating group, where the client names none",
        ),
        "called_from": Field(ListOf(Placed(ID), or_one=True, at_least=1), "attributes that may name the called party"),
        "count_from": Field(ID, "the attribute that says how many units an event is of"),
        "terminating": Field(
            Choice({"free": False, "rated": True}), "what the served user receives", into="terminating_rated"
        ),
    },
)
