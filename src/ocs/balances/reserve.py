"""Holding what a grant may cost, and debiting what was used: over several balances, to the nano."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ocs.balances.account import Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.rating.prices import Rate, affordable, price
from ocs.rating.units import Kind


class Priced(NamedTuple):
    """Where a segment stands before a grant or a report.

    priced: base units priced so far; charged_nanos: charged for them; fee_nanos: connect fee still to be charged.
    """

    rate: Rate
    priced: int
    charged_nanos: int
    fee_nanos: int


class Reserved(NamedTuple):
    """What was held for a grant.

    amount: base units granted; priced: the part of it that money is held for; holds: (balance id, amount) in the order
    of use; short: why it is less than was wanted: "" (it is not), "no_credit" or "blocked".
    """

    amount: int
    priced: int
    holds: tuple[tuple[str, int], ...]
    short: str


class Debited(NamedTuple):
    """What a report cost.

    by_units: base units that unit balances paid; priced, charged_nanos: the segment after it; fee_nanos: connect fee
    charged with it; overdraft_nanos: the part of the money that no hold and no available credit covered.
    """

    by_units: int
    priced: int
    charged_nanos: int
    fee_nanos: int
    overdraft_nanos: int


def reserve(book: Book, choice: Choice, standing: Priced, wanted: int, granularity: int = 1) -> Reserved:
    """Hold what up to `wanted` base units cost: units first, then money for the rest and for the connect fee.

    What is granted is a multiple of `granularity` where it is less than wanted (clients count whole seconds).
    Holds nothing where nothing can be granted.
    """
    amount, short = _coverable(book, choice, standing, wanted)
    if amount < wanted:
        amount -= amount % granularity
    if amount <= 0:
        return Reserved(0, 0, (), short)
    holds = []
    rest = amount
    for balance in choice.units:
        take = min(rest, max(0, book.available(balance.id)))
        if take:
            book.hold(balance.id, take)
            holds.append((balance.id, take))
            rest -= take
    nanos = price(standing.rate, standing.priced + rest) - standing.charged_nanos + standing.fee_nanos
    for balance in choice.money:
        take = min(nanos, max(0, book.available(balance.id)))
        if take:
            book.hold(balance.id, take)
            holds.append((balance.id, take))
            nanos -= take
    assert nanos <= 0, (standing, amount, nanos)
    return Reserved(amount, rest, tuple(holds), short)


def _coverable(book: Book, choice: Choice, standing: Priced, wanted: int) -> tuple[int, str]:
    """(base units of `wanted` that the balances can pay, why not all)."""
    by_units = 0
    for balance in choice.units:
        by_units += min(wanted - by_units, max(0, book.available(balance.id)))
        if by_units == wanted:
            break
        if balance.blocker:
            # Nothing after a blocker pays, so there is no money for a fee either.
            return (by_units, "blocked") if not standing.fee_nanos else (0, "blocked")
    purse_nanos, short = _purse(book, choice.money)
    if purse_nanos < standing.fee_nanos:
        return 0, short
    rest = wanted - by_units
    if not rest:
        return wanted, ""
    budget_nanos = standing.charged_nanos + purse_nanos - standing.fee_nanos
    by_money = affordable(standing.rate, standing.priced, rest, budget_nanos)
    return by_units + by_money, short if by_money < rest else ""


def _purse(book: Book, money: Sequence[Balance]) -> tuple[int, str]:
    """(nanos available in all, up to the first blocker; what to call a lack of it). A debt counts against the rest."""
    nanos = 0
    for balance in money:
        nanos += book.available(balance.id)
        if balance.blocker:
            return nanos, "blocked" if balance is not money[-1] else "no_credit"
    return nanos, "no_credit"


def debit(
    book: Book,
    choice: Choice,
    standing: Priced,
    usage: int,
    holds: Sequence[tuple[str, int]] = (),
    granted_priced: int = 0,
) -> Debited:
    """Debit `usage` base units that were delivered: from the own holds, then from what is available, then overdraft.

    holds: what is held for them, all of it is given back; granted_priced: how much of the grant money was held for.
    The connect fee is charged with the first usage above 0.
    """
    for balance_id, amount in holds:
        book.release(balance_id, amount)
    rest = usage
    for balance_id, amount in holds:
        if book.kind(balance_id) is not Kind.MONETARY:
            take = min(rest, amount)
            book.debit(balance_id, take)
            rest -= take
    beyond = max(0, rest - granted_priced)
    for balance in choice.units:
        take = min(beyond, max(0, book.available(balance.id)))
        book.debit(balance.id, take)
        beyond -= take
        rest -= take
    priced = standing.priced + rest
    # What is charged in a segment is never lowered, and never priced again.
    charged_nanos = max(standing.charged_nanos, price(standing.rate, priced))
    fee_nanos = standing.fee_nanos if usage else 0
    due_nanos = charged_nanos - standing.charged_nanos + fee_nanos
    overdraft_nanos = _pay(book, choice.money, due_nanos, holds)
    return Debited(usage - rest, priced, charged_nanos, fee_nanos, overdraft_nanos)


def _pay(book: Book, money: Sequence[Balance], due_nanos: int, holds: Sequence[tuple[str, int]]) -> int:
    """Debit money from the (released) own holds, then from what is available; returns what became an overdraft."""
    for balance_id, amount in holds:
        if book.kind(balance_id) is Kind.MONETARY:
            take = min(due_nanos, amount)
            book.debit(balance_id, take)
            due_nanos -= take
    for balance in money:
        if not due_nanos:
            return 0
        take = min(due_nanos, max(0, book.available(balance.id)))
        book.debit(balance.id, take)
        due_nanos -= take
    if due_nanos:
        book.debit(book.debtor(money), due_nanos)
    return due_nanos


def release(book: Book, holds: Sequence[tuple[str, int]]) -> None:
    """Give back all of `holds`."""
    for balance_id, amount in holds:
        book.release(balance_id, amount)
