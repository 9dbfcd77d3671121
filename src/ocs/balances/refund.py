"""Refunds: what a charge took off balances goes back to them. Pure; each leaves a journal entry.

What is given back is what the caller names: the increments of a charge, or a whole charge by its journal entry. That no
charge is given back twice is the caller's matter, who knows what was refunded before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.adjust import AdjustError, check_value
from ocs.balances.book import Book
from ocs.balances.choice import Event
from ocs.balances.counters import count
from ocs.balances.journal import Entry
from ocs.limits import BALANCES_PER_ACCOUNT_MAX
from ocs.rating.destinations import Destination
from ocs.rating.units import Kind

CHARGES = frozenset({"charge", "late", "shared"})
"""Kinds of journal entries that can be refunded whole."""


class Increment(msgspec.Struct, frozen=True):
    """A part of a charge, as it was taken: `units` off the unit balance `unit_balance`, `nanos` off `money_balance`.

    usage: base units of the event that it paid for, for the counters; units differ from it where a factor applied.
    """

    units: int = 0
    unit_balance: str = ""
    nanos: int = 0
    money_balance: str = ""
    usage: int = 0


class Counted(msgspec.Struct, frozen=True):
    """The event that was charged, as counters counted it; they go back by what is refunded."""

    event: Event
    destinations: Mapping[str, Destination]
    usage: int = 0


def refund_increments(
    account: Account,
    increments: Sequence[Increment],
    terms: Mapping[str, Balance],
    now_ns: int,
    *,
    by: str,
    reason: str,
    counted: Counted | None = None,
) -> tuple[Account, Entry]:
    """Give back some increments of a charge. `terms`: see `refund`."""
    taken: dict[str, int] = {}
    for increment in increments:
        for balance_id, amount in (
            (increment.unit_balance, increment.units),
            (increment.money_balance, increment.nanos),
        ):
            if amount:
                taken[balance_id] = taken.get(balance_id, 0) + amount
    if counted is not None:
        counted = msgspec.structs.replace(counted, usage=sum(increment.usage for increment in increments))
    return refund(account, taken, terms, now_ns, by=by, reason=reason, counted=counted)


def refund_charge(
    account: Account,
    charge: Entry,
    terms: Mapping[str, Balance],
    now_ns: int,
    *,
    by: str,
    reason: str,
    counted: Counted | None = None,
) -> tuple[Account, Entry]:
    """Give back all that an entry of the account's journal took, fee and overdraft included.

    What the same request took off accounts that share balances stands in their journals, and is refunded there.
    """
    if charge.account_id != account.id:
        raise AdjustError(f"the charge is of account {charge.account_id}, not of {account.id}")
    if charge.kind not in CHARGES:
        raise AdjustError(f"version {charge.version} of account {account.id} is no charge but {charge.kind}")
    taken = {posting.balance_id: -posting.value for posting in charge.postings if posting.value < 0}
    return refund(
        account,
        taken,
        terms,
        now_ns,
        by=by,
        reason=reason,
        counted=counted,
        session_id=charge.session_id,
        request=charge.request,
    )


def refund(
    account: Account,
    taken: Mapping[str, int],
    terms: Mapping[str, Balance],
    now_ns: int,
    *,
    by: str,
    reason: str,
    counted: Counted | None = None,
    session_id: str = "",
    request: str = "",
) -> tuple[Account, Entry]:
    """(the account with `taken` base units given back to each balance, the entry for it).

    terms: what balances of the account were like, by id (`opened_terms` of its journal up to the charge). A balance
    that is gone is made again with them, so that nothing is given back into nothing; AdjustError where they are not
    known, and where the balance of that id has become one of another kind, whose units are others. What cost nothing
    gives nothing back, and is noted all the same.
    The entry has no cost, since no CDR tells of it: what was given back stands in its postings.
    """
    if any(amount < 0 for amount in taken.values()):
        raise AdjustError("a refund gives back: amounts are not below 0")
    book = Book(account)
    present = {balance.id: balance for balance in account.balances}
    taken = {balance_id: amount for balance_id, amount in taken.items() if amount}
    for balance_id in taken:
        if balance_id not in present:
            present[balance_id] = _again(book, account, balance_id, terms)
        kind, was = present[balance_id].kind, terms.get(balance_id, present[balance_id]).kind
        if kind is not was:
            raise AdjustError(f"balance {balance_id} of account {account.id} was {was.value}, and is {kind.value} now")
    for balance_id, amount in taken.items():
        check_value(account.id, balance_id, book.value(balance_id) + amount)
        book.credit(balance_id, amount)
    own = book.close()[0]
    nanos = sum(amount for balance_id, amount in taken.items() if present[balance_id].kind is Kind.MONETARY)
    after = own.account
    if counted is not None:
        given = {balance_id: -amount for balance_id, amount in taken.items()}
        after = count(after, counted.event, counted.destinations, -counted.usage, given, -nanos)
    after = msgspec.structs.replace(after, version=account.version + 1)
    entry = Entry(
        account.id,
        after.version,
        "refund",
        now_ns,
        session_id,
        request,
        own.postings,
        own.opened,
        by=by,
        reason=reason,
    )
    return after, entry


def opened_terms(entries: Iterable[Entry]) -> dict[str, Balance]:
    """The terms of all balances that a journal opened, by id, as they were last opened."""
    return {balance.id: balance for entry in entries for balance in entry.opened}


def _again(book: Book, account: Account, balance_id: str, terms: Mapping[str, Balance]) -> Balance:
    known = terms.get(balance_id)
    if known is None:
        raise AdjustError(f"balance {balance_id} of account {account.id} is gone, and its terms are not known")
    if len(account.balances) + len(book.opened) >= BALANCES_PER_ACCOUNT_MAX:
        raise AdjustError(f"account {account.id} has {BALANCES_PER_ACCOUNT_MAX} balances, which is the limit")
    balance = msgspec.structs.replace(known, id=balance_id, value=0, held=0)
    book.open(balance)
    return balance
