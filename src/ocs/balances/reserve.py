"""Holding what a grant may cost, and debiting what was used: over several balances, to the nano."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ocs.balances.account import Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.balances.cover import Budget, Covered, State, Step, cover, owed
from ocs.rating.prices import price
from ocs.rating.units import Kind

UNLIMITED: Final = 2**62
"""What a balance may be charged that may go below zero."""


class Reserved(NamedTuple):
    """What was held for a grant.

    amount: base units granted. holds: (balance, amount) in the order of use. short: why it is less than was wanted:
    "" (it is not), "no_credit" or "blocked".
    """

    amount: int
    holds: tuple[tuple[str, int], ...]
    short: str


class Debited(NamedTuple):
    """What a report cost.

    by_units: base units that unit balances paid. cost_nanos: money charged, the connect fee in it included.
    overdraft_nanos: the part of it that no hold and no available credit covered. state: after it.
    taken: what was taken off each balance.
    """

    by_units: int
    cost_nanos: int
    fee_nanos: int
    overdraft_nanos: int
    state: State
    taken: dict[str, int]


def reserve(book: Book, choice: Choice, states: Sequence[State], wanted: int, granularity: int = 1) -> Reserved:
    """Hold what up to `wanted` base units cost: units first, then money for the rest and for the connect fee.

    states: where the segment stands; and, where a change of price lies ahead, the segment after it: since nobody knows
    how much will be used before, the dearer of the two is held. What is granted is a multiple of `granularity` where it
    is less than wanted (clients count whole seconds). Holds nothing where nothing can be granted.
    """
    budget = budget_of(book)
    covers = [cover(state, choice, budget, wanted) for state in states]
    worst = min(covers, key=lambda covered: covered.usage)
    amount = worst.usage
    if amount < wanted:
        amount -= amount % granularity
    if amount <= 0:
        return Reserved(0, (), worst.short)
    if amount < wanted or len(covers) > 1:
        covers = [cover(state, choice, budget, amount) for state in states]
    dearest = max(covers, key=lambda covered: covered.nanos)
    holds = dict(dearest.taken)
    if len(states) > 1:
        _add_rounding(book, choice, states, holds)
    for balance_id, part in holds.items():
        book.hold(balance_id, part)
    return Reserved(amount, tuple(holds.items()), worst.short if amount < wanted else "")


def _add_rounding(book: Book, choice: Choice, states: Sequence[State], holds: dict[str, int]) -> None:
    """Usage on both sides of a change is rounded up twice: hold an increment more, as far as there is credit."""
    more_nanos = max(price(state.meters[0].rate, 1, state.position) for state in states)
    for balance in choice.money:
        part = min(more_nanos, max(0, book.available(balance.id) - holds.get(balance.id, 0)))
        if part:
            holds[balance.id] = holds.get(balance.id, 0) + part
            more_nanos -= part


def debit(
    book: Book,
    choice: Choice,
    state: State,
    usage: int,
    own: dict[str, int] | None = None,
    steps: list[Step] | None = None,
) -> Debited:
    """Debit `usage` base units that were delivered: from the own holds, then from what is available, then overdraft.

    own: what the group held on each balance, in the order of use, already given back; what is taken of it is taken off
    the dict, too. The connect fee is charged with the first usage above 0.
    steps: for explanations, takes what each balance did.
    """
    own = {} if own is None else own
    taken: dict[str, int] = {}
    cost_nanos = overdraft_nanos = fee_nanos = by_units = 0
    if usage and state.fee_nanos:
        fee_nanos = cost_nanos = state.fee_nanos
        overdraft_nanos = _pay(book, choice.money, own, taken, fee_nanos)
        state = state.without_fee()
        if steps is not None:
            debtor = book.debtor(choice.money) if overdraft_nanos else ""
            steps += _fee_steps(taken, fee_nanos, overdraft_nanos, debtor)
    rest = usage
    for choice_now, budget in ((_held(book, own), own_budget(own)), (choice, budget_of(book))):
        if not rest or not (choice_now.units or choice_now.money):
            continue
        covered = cover(state, choice_now, budget, rest, delivered=True, steps=steps)
        _debit_all(book, covered, own, taken)
        state, rest = covered.state, rest - covered.usage
        cost_nanos += covered.nanos
        by_units += covered.by_units
    if rest:
        due_nanos, state = owed(state, rest)
        part: tuple[tuple[str, int], ...] = ()
        if due_nanos:
            debtor = book.debtor(choice.money)
            book.debit(debtor, due_nanos)
            taken[debtor] = taken.get(debtor, 0) + due_nanos
            part = ((debtor, due_nanos),)
        cost_nanos += due_nanos
        overdraft_nanos += due_nanos
        if steps is not None:
            steps.append(Step("overdraft", rest, part, due_nanos, state.meters[0]))
    return Debited(by_units, cost_nanos, fee_nanos, overdraft_nanos, state, taken)


def _fee_steps(taken: dict[str, int], fee_nanos: int, overdraft_nanos: int, debtor: str) -> list[Step]:
    """What was paid of a fee, and what of it was owed."""
    if not overdraft_nanos:
        return [Step("fee", 0, tuple(taken.items()), fee_nanos)]
    paid = {**taken, debtor: taken[debtor] - overdraft_nanos}
    parts = tuple([(balance_id, amount) for balance_id, amount in paid.items() if amount])
    owing = Step("overdraft", 0, ((debtor, overdraft_nanos),), overdraft_nanos)
    return [Step("fee", 0, parts, fee_nanos - overdraft_nanos), owing] if parts else [owing]


def budget_of(book: Book) -> Budget:
    """What is available; without limit on the balance that takes the debts of an account that may be negative."""
    if not book.account.allow_negative:
        return lambda balance: book.available(balance.id)
    debtor = book.debtor(())
    return lambda balance: UNLIMITED if balance.id == debtor else book.available(balance.id)


def own_budget(own: dict[str, int]) -> Budget:
    """What a group held itself."""
    return lambda balance: own.get(balance.id, 0)


def release(book: Book, holds: Iterable[tuple[str, int]]) -> None:
    """Give back all of `holds`."""
    for balance_id, amount in holds:
        book.release(balance_id, amount)


def _held(book: Book, own: dict[str, int]) -> Choice:
    """The balances of the own holds, in the order in which they were held; a hold outlives what its balance is for."""
    balances = [book.balance(balance_id) for balance_id, amount in own.items() if amount]
    return Choice(
        tuple([balance for balance in balances if balance.kind is not Kind.MONETARY]),
        tuple([balance for balance in balances if balance.kind is Kind.MONETARY]),
    )


def _debit_all(book: Book, covered: Covered, own: dict[str, int], taken: dict[str, int]) -> None:
    for balance_id, amount in covered.taken:
        book.debit(balance_id, amount)
        taken[balance_id] = taken.get(balance_id, 0) + amount
        if balance_id in own:
            own[balance_id] = max(0, own[balance_id] - amount)


def _pay(book: Book, money: Sequence[Balance], own: dict[str, int], taken: dict[str, int], nanos: int) -> int:
    """Debit a fee from own holds, then from what is available, then as an overdraft; returns the overdraft."""

    def take(balance: Balance, budget: int) -> None:
        nonlocal nanos
        part = min(nanos, budget)
        if part:
            book.debit(balance.id, part)
            taken[balance.id] = taken.get(balance.id, 0) + part
            own[balance.id] = max(0, own.get(balance.id, 0) - part)
            nanos -= part

    for balance in _held(book, own).money:
        take(balance, own[balance.id])
    budget = budget_of(book)
    for balance in money:
        take(balance, max(0, budget(balance)))
    if nanos:
        debtor = book.debtor(money)
        book.debit(debtor, nanos)
        taken[debtor] = taken.get(debtor, 0) + nanos
    return nanos
