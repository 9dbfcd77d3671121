"""What an entry under `tests` of a tariff file may say: the table of its keys, and the values as read."""

from __future__ import annotations

from collections.abc import Mapping

from ocs.config.diagnostics import Place, Problems
from ocs.config.document import Node, Scalar
from ocs.config.schema import At as Placed
from ocs.config.schema import Entry, Field, JsonSchema, Located, MapOf, Raw, Record, Schema
from ocs.config.subscribers_file import BALANCE, RawBalance
from ocs.config.values import ACCOUNT_ID, ANY_TEXT, ID, MONEY, QUANTITY, SUBJECT, TIME, integer, matching
from ocs.rating.units import Kind, Measure
from ocs.units import MalformedError, Money, Quantity, parse_money, parse_quantity

_KIND_OF_MEASURE = {Measure.TIME: Kind.VOICE, Measure.OCTETS: Kind.DATA, Measure.EVENTS: Kind.GENERIC}

REASON = matching(
    r"[a-z][a-z_]*|[345][0-9]{3}",
    "a reason or a Result-Code",
    "a reason such as no_credit, or a Result-Code such as 4012",
    ("string", "integer"),
)


class ShortBalance(Schema[RawBalance]):
    """A balance as in `subscribers.yaml`, or its value alone: money, or units of the kind that its own unit says."""

    expected = "10.00 AUD, 30s, 1 GiB, a count, or a balance as in subscribers.yaml"

    def read(self, node: Node, place: Place, problems: Problems) -> RawBalance | None:
        if not isinstance(node, Scalar):
            return BALANCE.read(node, place, problems)
        text = ANY_TEXT.read(node, place, problems)
        if text is None:
            return None
        try:
            kind = _kind(text)
        except MalformedError:
            problems.error(place, f'"{text}" is not the value of a balance', self.expected)
            return None
        return RawBalance(place=place, given={"value": place}, kind=kind, value=text)

    def json(self) -> JsonSchema:
        return {"anyOf": [{"type": ["string", "integer"], "description": self.expected}, BALANCE.json()]}


def _kind(text: str) -> Kind:
    """The kind that a value alone is of."""
    try:
        parse_money(text)
    except MalformedError:
        return _KIND_OF_MEASURE[parse_quantity(text).measure]
    return Kind.MONETARY


class RawExpect(Raw, frozen=True, kw_only=True):
    """What is expected of an event; what is not given is not looked at."""

    cost: Money | None = None
    balances: Mapping[str, Entry[Located[str]]] = {}
    refused: str | None = None
    overdraft: Money | None = None
    affordable: Quantity | None = None
    destination: str | None = None


class RawTest(Raw, frozen=True, kw_only=True):
    """A test of the tariff as written."""

    name: str = ""
    service: str | None = None
    plan: str | None = None
    account: str | None = None
    to: str = ""
    at_ns: int | None = None
    usage: Quantity | None = None
    rating_group: int | None = None
    balances: Mapping[str, Entry[RawBalance]] = {}
    expect: RawExpect | None = None


EXPECT = Record(
    RawExpect,
    {
        "cost": Field(MONEY, "what it costs, connect fee included"),
        "balances": Field(MapOf(ANY_TEXT, Placed(ANY_TEXT)), "values of balances after it"),
        "refused": Field(REASON, "why it is refused: no_destination, no_credit, ..., or the Result-Code"),
        "overdraft": Field(MONEY, "what no credit covers, of usage that was delivered"),
        "affordable": Field(QUANTITY, "how much of it can be paid"),
        "destination": Field(ANY_TEXT, "the destination whose rate is taken"),
    },
)

TEST = Record(
    RawTest,
    {
        "name": Field(ANY_TEXT, "what is tested", required=True),
        "service": Field(ID, "the service, as server.yaml names it", required=True),
        "plan": Field(SUBJECT, "whose prices: a plan or a profile; instead of an account"),
        "account": Field(ACCOUNT_ID, "an account of subscribers.yaml, as it is opened; instead of a plan"),
        "to": Field(ANY_TEXT, "the number as dialled"),
        "at": Field(TIME, "when", required=True, into="at_ns"),
        "usage": Field(QUANTITY, "how much: 60s, 10 MiB, 1", required=True),
        "rating_group": Field(integer(0, 2**32 - 1), "else the service's default"),
        "balances": Field(MapOf(ID, ShortBalance()), "what the account has; without them it may owe whatever it costs"),
        "expect": Field(EXPECT, "what has to come out", required=True),
    },
)
