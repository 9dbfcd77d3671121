"""Which balances may pay for an event, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ocs.balances.account import Account, Balance
from ocs.rating.destinations import Destination, match_length
from ocs.rating.units import Kind


class Choice(NamedTuple):
    """Balances that may pay, in the order of use: units of the service's kind, then generic ones, then money."""

    units: tuple[Balance, ...]
    money: tuple[Balance, ...]


_NEVER_NS = 2**63

_FREE = Choice((), ())


class Looked(NamedTuple):
    """One balance that was looked at: why it is not used ("" = it is), and the precision of its destination filter."""

    balance: Balance
    why_not: str
    precision: int


def look(
    account: Account, kind: Kind, number: str, destinations: Mapping[str, Destination], at_ns: int
) -> list[Looked]:
    """Every balance of the account, those that may pay first and in the order of use; `number` is the called one.

    Order: kind (own units, generic, money), precision of the destination, weight, earliest expiry, id.
    """
    looked = []
    for balance in account.balances:
        precision = match_length(number, balance.destinations, destinations) if balance.destinations else 0
        if balance.kind is not kind and balance.kind is not Kind.GENERIC and balance.kind is not Kind.MONETARY:
            why_not = "kind"
        elif balance.expires_at_ns is not None and balance.expires_at_ns <= at_ns:
            why_not = "expired"
        elif precision is None:
            why_not = "destination"
        else:
            why_not = ""
        looked.append(Looked(balance, why_not, precision or 0))
    looked.sort(key=_order)
    return looked


def choose(account: Account, kind: Kind, number: str, destinations: Mapping[str, Destination], at_ns: int) -> Choice:
    """The balances of `look` that may pay."""
    if not account.balances:
        return _FREE
    usable = [looked.balance for looked in look(account, kind, number, destinations, at_ns) if not looked.why_not]
    return Choice(
        tuple(balance for balance in usable if balance.kind is not Kind.MONETARY),
        tuple(balance for balance in usable if balance.kind is Kind.MONETARY),
    )


_CLASS = {Kind.GENERIC: 1, Kind.MONETARY: 2}


def _order(looked: Looked) -> tuple[bool, int, int, int, int, str]:
    balance = looked.balance
    return (
        bool(looked.why_not),
        _CLASS.get(balance.kind, 0),
        -looked.precision,
        -balance.weight,
        _NEVER_NS if balance.expires_at_ns is None else balance.expires_at_ns,
        balance.id,
    )
