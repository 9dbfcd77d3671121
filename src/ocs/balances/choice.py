"""Which balances may pay for an event, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ocs.balances.account import Account, Balance
from ocs.rating.destinations import Destination, match_length
from ocs.rating.tariff import SharedGroup, Tariff
from ocs.rating.timings import Timing, active
from ocs.rating.units import Kind

OWNER_SEPARATOR: Final = "\x1f"


class Event(NamedTuple):
    """What of an event decides which balances may pay: service kind and name, called number, time."""

    kind: Kind
    service: str
    number: str
    at_ns: int


class Choice(NamedTuple):
    """Balances that may pay, in the order of use: units of the service's kind, then generic ones, then money.

    Balances of other accounts of a shared group bear their owner's name before their id (see `ref`).
    """

    units: tuple[Balance, ...]
    money: tuple[Balance, ...]


class Looked(NamedTuple):
    """One balance that was looked at: why it is not used ("" = it is), and the precision of its destination filter."""

    balance: Balance
    why_not: str
    precision: int


NEVER_NS: Final = 2**63
"""Stands in the order for the expiry of what never expires."""


def ref(owner: str, balance_id: str) -> str:
    """The name of a balance of another account, as holds and working copies know it."""
    return owner + OWNER_SEPARATOR + balance_id


def owner_of(name: str) -> str:
    """The account in such a name, "" for a balance of one's own."""
    return name.rpartition(OWNER_SEPARATOR)[0]


def look(account: Account, event: Event, tariff: Tariff) -> list[Looked]:
    """Every balance of the account, those that may pay first and in the order of use.

    Order: kind (own units, generic, money), precision of the destination, weight, earliest expiry, id.
    """
    looked = [_look(balance, event, tariff.destinations, tariff.timings) for balance in account.balances]
    looked.sort(key=_order)
    return looked


def choose(account: Account, event: Event, tariff: Tariff, others: Sequence[Account] = ()) -> Choice:
    """The balances of `look` that may pay; with those that `others` share, as the strategy of the group says."""
    looked = [found for found in look(account, event, tariff) if not found.why_not]
    if others:
        looked = _with_shared(looked, account, event, tariff, others)
    units = [found.balance for found in looked]
    money = [balance for balance in units if balance.kind is Kind.MONETARY]
    return Choice(tuple(units[: len(units) - len(money)]), tuple(money))


def shared_with(account: Account, tariff: Tariff) -> tuple[str, ...]:
    """Ids of the other accounts that have to be at hand for a decision: members of the groups of its balances."""
    groups = {balance.shared_group for balance in account.balances if balance.shared_group}
    members = {
        member for group in groups if group in tariff.shared_groups for member in tariff.shared_groups[group].members
    }
    return tuple(sorted(members - {account.id}))


def _with_shared(
    looked: Sequence[Looked], account: Account, event: Event, tariff: Tariff, others: Sequence[Account]
) -> list[Looked]:
    """Where the first own balance of a shared group stands, all of the group's stand, in the order of its strategy."""
    placed: list[Looked] = []
    done: set[tuple[str, int]] = set()
    for found in looked:
        group = tariff.shared_groups.get(found.balance.shared_group)
        if group is None or account.id not in group.members:
            placed.append(found)
            continue
        place = (group.id, _class(found))
        if place in done:
            continue
        done.add(place)
        own = [mine for mine in looked if mine.balance.shared_group == group.id and _class(mine) == place[1]]
        theirs = [
            Looked(_named(other, shared.balance), "", shared.precision)
            for other in others
            if other.id in group.members and other.usable(event.at_ns)
            for shared in look(other, event, tariff)
            if not shared.why_not and shared.balance.shared_group == group.id and _class(shared) == place[1]
        ]
        placed.extend(_strategic(own, theirs, group))
    return placed


def _strategic(own: list[Looked], theirs: list[Looked], group: SharedGroup) -> list[Looked]:
    mine_first = group.strategy.startswith("mine")
    first, rest = (own, theirs) if mine_first else ([], own + theirs)
    if group.strategy.endswith("lowest"):
        return first + sorted(rest, key=lambda found: (found.balance.value, found.balance.id))
    if group.strategy.endswith("highest"):
        return first + sorted(rest, key=lambda found: (-found.balance.value, found.balance.id))
    return first + sorted(rest, key=_order)


def _class(looked: Looked) -> int:
    return _order(looked)[1]


def _named(owner: Account, balance: Balance) -> Balance:
    return msgspec.structs.replace(balance, id=ref(owner.id, balance.id))


def _look(
    balance: Balance, event: Event, destinations: Mapping[str, Destination], timings: Mapping[str, Timing]
) -> Looked:
    precision: int | None = 0
    why_not = ""
    kind = balance.kind
    if kind is not Kind.MONETARY and kind is not event.kind and kind is not Kind.GENERIC:
        why_not = "kind"
    elif balance.disabled:
        why_not = "disabled"
    elif balance.expires_at_ns is not None and balance.expires_at_ns <= event.at_ns:
        why_not = "expired"
    elif balance.categories and event.service not in balance.categories:
        why_not = "category"
    elif balance.timings and not _holds(balance.timings, timings, event.at_ns):
        why_not = "timing"
    elif balance.destinations:
        precision = match_length(event.number, balance.destinations, destinations)
        why_not = "destination" if precision is None else ""
    return Looked(balance, why_not, precision or 0)


def _holds(ids: Iterable[str], timings: Mapping[str, Timing], at_ns: int) -> bool:
    """Whether one of the timings holds and none of the excluded (`!id`) ones does; unknown ids never hold."""
    positive = held = False
    for timing_id in ids:
        excluded = timing_id.startswith("!")
        timing = timings.get(timing_id.removeprefix("!"))
        holds = timing is not None and active(timing, at_ns)
        if excluded and holds:
            return False
        positive = positive or not excluded
        held = held or (holds and not excluded)
    return held or not positive


def _order(looked: Looked) -> tuple[bool, int, int, int, int, str]:
    balance = looked.balance
    kind = balance.kind
    return (
        looked.why_not != "",
        2 if kind is Kind.MONETARY else kind is Kind.GENERIC,
        -looked.precision,
        -balance.weight,
        NEVER_NS if balance.expires_at_ns is None else balance.expires_at_ns,
        balance.id,
    )
