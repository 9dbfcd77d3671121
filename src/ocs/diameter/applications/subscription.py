"""Who is charged: from Subscription-Id (RFC 8506 8.46, 8.47) and User-Name to identities of the directory.

An identity is "msisdn:4917...", "imsi:26201...", "sip:user@host", "nai:user@realm" or "private:...": numbers as digits
in international form, hosts in lower case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from ocs.diameter.applications import codes
from ocs.diameter.errors import PeerError
from ocs.diameter.subscription_id import usual
from ocs.diameter.types import unpack_enumerated, unpack_utf8_string
from ocs.diameter.wire import Avp
from ocs.rating.numbers import Numbering, dialled, international

KINDS: Final = ("msisdn", "imsi", "sip", "nai", "private")
"""By Subscription-Id-Type: END_USER_E164 0, IMSI 1, SIP_URI 2, NAI 3, PRIVATE 4."""

_PRIVATE: Final = "private"
"""Also what a type means that nobody has defined: the identity is private to client and server."""

_KIND_OF_EXTENSION: Final = {660: "msisdn", 661: "imsi", 662: "sip", 663: "nai", 664: "private"}
"""AVPs of a Subscription-Id-Extension (RFC 8506 8.58) -> kind."""


class Order(msgspec.Struct, frozen=True):
    """How identities are read and which counts first.

    rank: kind -> place, the lowest first; realms: served, in lower case.
    """

    rank: Mapping[str, int]
    realms: frozenset[str]
    numbering: Numbering


def make_order(kinds: Sequence[str], realms: Collection[str], numbering: Numbering) -> Order:
    """Kinds in their order of preference; those not named come after them."""
    ranked = [*kinds, *(kind for kind in KINDS if kind not in kinds)]
    return Order(
        {kind: place for place, kind in enumerate(ranked)}, frozenset(realm.lower() for realm in realms), numbering
    )


def read_subscriber(
    ids: Sequence[Avp], more_ids: Sequence[Avp], user_name: Avp | None, order: Order
) -> tuple[str, ...]:
    """The identities of a request, the preferred one first, none twice.

    ids: Subscription-Id and -Extension of the command; more_ids: those inside Service-Information, where what cannot be
    read is passed over; user_name: counts only where neither names anybody. Raises PeerError for unreadable `ids`.
    """
    found: list[tuple[int, str]] = []
    for avp in ids:
        try:
            found += _read(avp, 1, order)
        except PeerError as error:
            raise error.within(avp) from None
    for avp in more_ids:
        try:
            found += _read(avp, 2, order)
        except PeerError:
            continue
    if not found and user_name is not None:
        text = unpack_utf8_string(user_name)
        found = identities("nai" if "@" in text else "imsi", text, order)
        if not found or found[0][1].startswith("imsi:"):
            # A bare number may be either.
            found += identities("msisdn", text, order)
    if len(found) > 1:
        found.sort(key=_rank)
        return tuple(dict.fromkeys([identity for _, identity in found]))
    return (found[0][1],) if found else ()


def _rank(found: tuple[int, str]) -> int:
    return found[0]


def _read(avp: Avp, depth: int, order: Order) -> list[tuple[int, str]]:
    usually = usual(avp.data) if avp.code == codes.SUBSCRIPTION_ID else None
    if usually is not None:
        number, octets = usually
        return identities(KINDS[number] if number < len(KINDS) else _PRIVATE, octets.decode("ascii"), order)
    kind = data = None
    if avp.code == codes.SUBSCRIPTION_ID_EXTENSION:
        for child in avp.children(depth):
            kind = _KIND_OF_EXTENSION.get(child.code, kind)
            data = unpack_utf8_string(child) if child.code in _KIND_OF_EXTENSION else data
        return [] if kind is None or data is None else identities(kind, data, order)
    for child in avp.children(depth):
        if child.code == codes.SUBSCRIPTION_ID_TYPE:
            number = unpack_enumerated(child)
            kind = KINDS[number] if 0 <= number < len(KINDS) else _PRIVATE
        elif child.code == codes.SUBSCRIPTION_ID_DATA:
            data = unpack_utf8_string(child)
    return [] if kind is None or data is None else identities(kind, data, order)


def identities(kind: str, data: str, order: Order) -> list[tuple[int, str]]:
    """(rank, identity) of one name of a subscriber, in any of the forms that clients send it in.

    The scheme of a URI counts more than the kind it was sent as: a tel: URI is a number. A SIP URI of a served realm
    whose user part is a number names that number as well.
    """
    if data.isdigit() and data.isascii():
        if kind not in ("msisdn", "sip"):
            return [(order.rank[kind], f"{kind}:{data}")]
        number = international(data, order.numbering)
        return [(order.rank["msisdn"], f"msisdn:{number}")] if number.isdigit() else []
    text = data.strip(" \t\r\n\0")
    if not text or "\0" in text:
        return []
    scheme = text[:5].lower()
    if scheme.startswith(("sip:", "sips:")) or (kind == "sip" and "@" in text):
        return _sip(text, order)
    if kind in ("msisdn", "sip") or scheme.startswith("tel:"):
        number = _number(text, order)
        return [(order.rank["msisdn"], f"msisdn:{number}")] if number else []
    if kind == "nai":
        user, at, realm = text.rpartition("@")
        text = f"{user}{at}{realm.lower()}"
    return [(order.rank[kind], f"{kind}:{text}")]


def _sip(uri: str, order: Order) -> list[tuple[int, str]]:
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        rest = uri
    user, at, host = rest.rpartition("@")
    for mark in ";?:":
        host = host.partition(mark)[0]
    host = host.lower()
    rank = order.rank["sip"]
    found = [(rank, f"sip:{user}{at}{host}")]
    if host in order.realms:
        number = _number(user, order)
        if number:
            found.append((rank, f"msisdn:{number}"))
    return found


def _number(text: str, order: Order) -> str:
    number = international(dialled(text), order.numbering)
    return number if number.isascii() and number.isdigit() else ""
