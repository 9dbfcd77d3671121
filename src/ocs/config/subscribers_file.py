"""What `subscribers.yaml` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ocs.balances.account import Status
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Raw, Record, Switch, Text
from ocs.config.values import ACCOUNT_ID, ANY_TEXT, ID, IMSI, MSISDN, NAI, PRIVATE, SIP, TIME, integer
from ocs.rating.destinations import ANY
from ocs.rating.units import Kind


class RawBalance(Raw, frozen=True, kw_only=True):
    """A balance as written; what `value` is depends on the kind."""

    kind: Kind | None = None
    value: str | None = None
    weight: int = 0
    expires_at_ns: int | None = None
    destinations: tuple[Located[str], ...] = ()
    blocker: bool = False


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
    balances: Mapping[str, Entry[RawBalance]] = {}


class RawSubscribers(Raw, frozen=True, kw_only=True):
    """`subscribers.yaml` as written."""

    accounts: Mapping[str, Entry[RawAccount]] = {}


def _destination(text: str) -> str:
    if text != ANY:
        ID.parse(re.sub("^!", "", text))
    return text


BALANCE = Record(
    RawBalance,
    {
        "kind": Field(Choice({kind.value: kind for kind in Kind}), "what it pays", required=True),
        "value": Field(ANY_TEXT, "50.00 AUD, 100 min, 1 GiB or a count, by the kind", required=True),
        "weight": Field(integer(-1_000_000, 1_000_000), "higher is used first"),
        "expires_at": Field(TIME, "from when it is no longer used", into="expires_at_ns"),
        "destinations": Field(
            ListOf(Placed(Text(_destination, "the id of a destination, !ID, or *any")), or_one=True),
            "what it is for; !ID excludes",
        ),
        "blocker": Field(Switch(), "what it cannot pay is paid by no balance after it"),
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
        "plan": Field(ID, "id of the plan that prices its usage", required=True),
        "status": Field(Choice({each.value: each for each in Status}), "whether it is charged at all"),
        "expires_at": Field(TIME, "from when it is treated as disabled", into="expires_at_ns"),
        "balances": Field(MapOf(ID, BALANCE), "what it has"),
    },
)

SUBSCRIBERS_FILE = Record(
    RawSubscribers, {"accounts": Field(MapOf(ACCOUNT_ID, ACCOUNT), "accounts by id", required=True)}
)
