"""The connect fee of a session: held once, with the first grant, and paid by the group that is used first."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import msgspec

from ocs.balances.book import Book
from ocs.charging.session import Group, GroupKey, Hold
from ocs.rating.units import Kind


def held_elsewhere(groups: Mapping[GroupKey, Group], key: GroupKey) -> bool:
    """Whether another group holds the fee, so that this one need not."""
    return any(group.fee_held for other, group in groups.items() if other != key)


def noted(groups: Mapping[GroupKey, Group], key: GroupKey) -> Group:
    """The group, just granted something, with a note of the fee that it holds with it."""
    group = groups[key]
    if group.segment is None or group.segment.rate.fee_per_group or held_elsewhere(groups, key):
        return group
    return msgspec.structs.replace(group, fee_held=group.segment.rate.connect_fee_nanos)


def take_hold(groups: MutableMapping[GroupKey, Group], key: GroupKey, group: Group, book: Book) -> Group:
    """The group, about to pay the fee, with what another one holds for it; that one keeps the rest of its holds."""
    if group.segment is None or group.segment.rate.fee_per_group:
        return group
    holder_key = next((other for other, holder in groups.items() if other != key and holder.fee_held), None)
    if holder_key is None:
        return group
    holder = groups[holder_key]
    wanted = min(holder.fee_held, group.segment.rate.connect_fee_nanos)
    amounts = {hold.balance_id: hold.amount for hold in group.holds}
    kept = []
    for hold in holder.holds:
        part = min(wanted, hold.amount) if book.kind(hold.balance_id) is Kind.MONETARY else 0
        wanted -= part
        if part:
            amounts[hold.balance_id] = amounts.get(hold.balance_id, 0) + part
        if hold.amount > part:
            kept.append(Hold(hold.balance_id, hold.amount - part))
    groups[holder_key] = msgspec.structs.replace(holder, holds=tuple(kept), fee_held=0)
    holds = tuple([Hold(balance_id, amount) for balance_id, amount in amounts.items()])
    return msgspec.structs.replace(group, holds=holds)
