"""Unit counters of an account: how much its events used, and what was taken off its balances."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ocs.balances.account import Account, Counter
from ocs.balances.choice import Event
from ocs.rating.destinations import Destination, match_length
from ocs.rating.units import Kind


def count(
    account: Account,
    event: Event,
    destinations: Mapping[str, Destination],
    usage: int,
    taken: Mapping[str, int],
    cost_nanos: int,
) -> Account:
    """The account with its counters moved on by one event: `usage` base units, `taken` off each balance, its cost."""
    if not account.counters:
        return account
    kinds = {balance.id: balance.kind for balance in account.balances}
    counters = tuple(
        msgspec.structs.replace(counter, value=counter.value + _more(counter, event, usage, taken, cost_nanos, kinds))
        if _matches(counter, event, destinations)
        else counter
        for counter in account.counters
    )
    return msgspec.structs.replace(account, counters=counters)


def _matches(counter: Counter, event: Event, destinations: Mapping[str, Destination]) -> bool:
    return (not counter.categories or event.service in counter.categories) and (
        not counter.destinations or match_length(event.number, counter.destinations, destinations) is not None
    )


def _more(
    counter: Counter,
    event: Event,
    usage: int,
    taken: Mapping[str, int],
    cost_nanos: int,
    kinds: Mapping[str, Kind],
) -> int:
    if counter.of_balance:
        return sum(
            amount
            for balance_id, amount in taken.items()
            if kinds.get(balance_id) is counter.kind and counter.balance_id in ("", balance_id)
        )
    if counter.kind is Kind.MONETARY:
        return cost_nanos
    return usage if counter.kind is event.kind else 0
