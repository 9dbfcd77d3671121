"""What `subscribers.yaml` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ocs.balances.account import Status
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Raw, Record, Switch, Text
from ocs.config.values import (
    ACCOUNT_ID,
    ANY_TEXT,
    ID,
    IMSI,
    MSISDN,
    NAI,
    PRIVATE,
    SERVICE_OR_ANY,
    SIP,
    SUBJECT,
    SUBJECT_OR_ANY,
    TIME,
    integer,
)
from ocs.rating.destinations import ANY
from ocs.rating.units import Kind
from ocs.units import RATIO_EXPECTED, MalformedError, parse_ratio


class RawBalance(Raw, frozen=True, kw_only=True):
    """A balance as written; what `value` is depends on the kind."""

    kind: Kind | None = None
    value: str | None = None
    weight: int = 0
    expires_at_ns: int | None = None
    destinations: tuple[Located[str], ...] = ()
    blocker: bool = False
    categories: tuple[Located[str], ...] = ()
    timings: tuple[Located[str], ...] = ()
    disabled: bool = False
    rating_subject: str = ""
    shared_group: str = ""
    factors: Mapping[str, Entry[tuple[int, int]]] = {}


class RawCounter(Raw, frozen=True, kw_only=True):
    """A counter as written."""

    kind: Kind | None = None
    of_balance: bool | None = None
    balance: str = ""
    destinations: tuple[Located[str], ...] = ()
    categories: tuple[Located[str], ...] = ()


class RawAccount(Raw, frozen=True, kw_only=True):
    """An account as written."""

    msisdn: tuple[Located[str], ...] = ()
    imsi: tuple[Located[str], ...] = ()
    sip: tuple[Located[str], ...] = ()
    nai: tuple[Located[str], ...] = ()
    private: tuple[Located[str], ...] = ()
    plan: str | None = None
    status: Status = Status.ACTIVE
    expires_at_ns: int | None = None
    allow_negative: bool = False
    balances: Mapping[str, Entry[RawBalance]] = {}
    counters: Mapping[str, Entry[RawCounter]] = {}


class RawSubscribers(Raw, frozen=True, kw_only=True):
    """`subscribers.yaml` as written."""

    accounts: Mapping[str, Entry[RawAccount]] = {}


def _destination(text: str) -> str:
    if text != ANY:
        ID.parse(re.sub("^!", "", text))
    return text


def _timing(text: str) -> str:
    ID.parse(re.sub("^!", "", text))
    return text


def _rating_subject(text: str) -> str:
    if not text.startswith("*"):
        return SUBJECT.parse(text)
    if text == ANY or re.fullmatch(r"\*zero[1-9][0-9]{0,17}(ns|ms|s|m|h)?", text):
        return text
    hint = f"did you mean *zero1{text[5:]}?" if re.fullmatch(r"\*zero(ns|ms|s|m|h)", text) else ""
    raise MalformedError(f'"{text}" is not a rating subject', hint=hint)


DESTINATIONS = ListOf(Placed(Text(_destination, "the id of a destination, !ID, or *any")), or_one=True)
SERVICES = ListOf(Placed(ID), or_one=True)
RATING_SUBJECT = Text(
    _rating_subject, "a profile or plan, or free slices such as *zero1s, *zero1m, or *zero1024 of what is counted"
)
RATIO = Text(parse_ratio, RATIO_EXPECTED, types=("string", "number"))

BALANCE = Record(
    RawBalance,
    {
        "kind": Field(Choice({kind.value: kind for kind in Kind}), "what it pays", required=True),
        "value": Field(ANY_TEXT, "50.00 AUD, 100 min, 1 GiB or a count, by the kind", required=True),
        "weight": Field(integer(-1_000_000, 1_000_000), "higher is used first"),
        "expires_at": Field(TIME, "from when it is no longer used", into="expires_at_ns"),
        "destinations": Field(DESTINATIONS, "what it is for; !ID excludes"),
        "blocker": Field(Switch(), "what it cannot pay is paid by no balance after it"),
        "categories": Field(SERVICES, "the services that it is for"),
        "timings": Field(
            ListOf(Placed(Text(_timing, "the id of a timing, or !ID")), or_one=True), "when it holds; !ID excludes"
        ),
        "disabled": Field(Switch(), "true where it is not used at all"),
        "rating_subject": Field(RATING_SUBJECT, "whose prices it pays; *zero1m: free, in slices of a minute"),
        "shared_group": Field(ID, "the shared group whose accounts may use it"),
        "factors": Field(
            MapOf(SERVICE_OR_ANY, RATIO), 'how much of it one unit of usage takes, by service or "*any": 1/60, 0.5'
        ),
    },
)

COUNTER = Record(
    RawCounter,
    {
        "kind": Field(Choice({kind.value: kind for kind in Kind}), "of the usage or of the balances", required=True),
        "counts": Field(
            Choice({"usage": False, "balances": True}),
            "what is used, or what is taken off balances",
            True,
            "of_balance",
        ),
        "balance": Field(ID, "only what is taken off this balance"),
        "destinations": Field(DESTINATIONS, "only these; !ID excludes"),
        "categories": Field(SERVICES, "only these services"),
    },
)

ACCOUNT = Record(
    RawAccount,
    {
        "msisdn": Field(ListOf(Placed(MSISDN), or_one=True), "phone numbers, country code first"),
        "imsi": Field(ListOf(Placed(IMSI), or_one=True), "IMSIs"),
        "sip": Field(ListOf(Placed(SIP), or_one=True), "SIP identities, user@host"),
        "nai": Field(ListOf(Placed(NAI), or_one=True), "network access identifiers, user@realm"),
        "private": Field(ListOf(Placed(PRIVATE), or_one=True), "private identities, compared as they are"),
        "plan": Field(SUBJECT_OR_ANY, "id of the plan, or of the profile, that prices its usage", required=True),
        "status": Field(Choice({each.value: each for each in Status}), "whether it is charged at all"),
        "expires_at": Field(TIME, "from when it is treated as disabled", into="expires_at_ns"),
        "allow_negative": Field(Switch(), "true where its money may go below zero, without limit"),
        "balances": Field(MapOf(ID, BALANCE), "what it has"),
        "counters": Field(MapOf(ID, COUNTER), "what is counted of its usage"),
    },
)

SUBSCRIBERS_FILE = Record(
    RawSubscribers, {"accounts": Field(MapOf(ACCOUNT_ID, ACCOUNT), "accounts by id", required=True)}
)
