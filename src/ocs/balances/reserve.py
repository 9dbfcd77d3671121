"""Holding what a grant may cost, and debiting what was used: over several balances, to the nano."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ocs.balances.account import Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice
from ocs.balances.cover import Budget, Covered, State, Step, cover, owed, up_to_blocker
from ocs.balances.dearest import dearest
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


def reserve(book: Book, choice: Choice, state: State, wanted: int, granularity: int = 1) -> Reserved:
    """Hold what up to `wanted` base units cost: units first, then money for the rest and for the connect fee.

    What is granted is a multiple of `granularity` where it is less than wanted (clients count whole seconds). Holds
    nothing where nothing can be granted.
    """
    covered = cover(state, choice, budget_of(book), wanted)
    amount, short = covered.usage, covered.short
    if amount < wanted and amount % granularity:
        amount -= amount % granularity
        covered = cover(state, choice, budget_of(book), amount)
    if amount <= 0:
        return Reserved(0, (), short)
    for balance_id, part in covered.taken:
        book.hold(balance_id, part)
    return Reserved(amount, covered.taken, short)


def reserve_across(book: Book, choice: Choice, now: State, after: State, wanted: int) -> Reserved | None:
    """Hold what `wanted` base units cost at the most, wherever in them the change from `now` to `after` comes.

    None, and nothing is held, where there is not that much credit.
    """
    worst, extra_nanos = dearest(now, after, wanted)
    budget = budget_of(book)
    covered = cover(worst, choice, budget, wanted)
    if covered.usage < wanted:
        return None
    holds = dict(covered.taken)
    if covered.nanos > covered.fee_nanos and not _hold_more(choice, budget, holds, extra_nanos):
        return None
    for balance_id, part in holds.items():
        book.hold(balance_id, part)
    return Reserved(wanted, tuple(holds.items()), "")


def _hold_more(choice: Choice, budget: Budget, holds: dict[str, int], nanos: int) -> bool:
    """Add `nanos` of money to the holds; returns whether there is as much, the debts of some balances counted."""
    money = up_to_blocker(choice.money)
    left = {balance.id: budget(balance) - holds.get(balance.id, 0) for balance in money}
    if sum(left.values()) < nanos:
        return False
    for balance in money:
        part = min(nanos, max(0, left[balance.id]))
        if part:
            holds[balance.id] = holds.get(balance.id, 0) + part
            nanos -= part
    return True


def debit(
    book: Book,
    choice: Choice,
    state: State,
    usage: int,
    own: dict[str, int] | None = None,
    granted: int | None = None,
    steps: list[Step] | None = None,
) -> Debited:
    """Debit `usage` base units that were delivered: from the own holds, then from what is available, then overdraft.

    own: what the group held on each balance, in the order of use, already given back; what is taken of it is taken off
    the dict, too. granted: base units it was held for, None = all; what is beyond is paid as if nothing was held.
    The connect fee is charged with the first usage above 0.
    steps: for explanations, takes what each balance did.
    """
    own = {} if own is None else own
    taken: dict[str, int] = {}
    cost_nanos = overdraft_nanos = fee_nanos = by_units = 0
    if usage and state.fee_nanos:
        fee_nanos = cost_nanos = state.fee_nanos
        overdraft_nanos = _pay(book, choice, state, own, taken, fee_nanos)
        state = state.without_fee()
        if steps is not None:
            debtor = book.debtor(choice.money) if overdraft_nanos else ""
            steps += _fee_steps(taken, fee_nanos, overdraft_nanos, debtor)
    rest, short = usage, ""
    for choice_now, budget in _payers(book, choice, state, own) if not state.meters[0].rate.free else ():
        part = rest if choice_now is choice or granted is None else min(rest, granted)
        covered = cover(state, choice_now, budget, part, delivered=True, steps=steps)
        _debit_all(book, covered, own, taken)
        state, rest = covered.state, rest - covered.usage
        cost_nanos += covered.nanos
        by_units += covered.by_units
        short = covered.short
        if not rest:
            break
    if rest:
        due_nanos, state = owed(state, rest)
        before = dict(taken)
        # What did not suffice for a whole increment pays for a part of it; what a blocker keeps back does not.
        if short == "blocked":
            debt_nanos = _owe(book, choice, taken, due_nanos)
        else:
            debt_nanos = _pay(book, choice, state, own, taken, due_nanos)
        cost_nanos += due_nanos
        overdraft_nanos += debt_nanos
        if steps is not None:
            paid = [(name, amount - before.get(name, 0)) for name, amount in taken.items()]
            parts = tuple([(name, amount) for name, amount in paid if amount])
            steps.append(Step("overdraft", rest, parts, due_nanos, state.meters[0]))
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


def release(book: Book, holds: Iterable[tuple[str, int]]) -> None:
    """Give back all of `holds`."""
    for balance_id, amount in holds:
        book.release(balance_id, amount)


def _payers(book: Book, choice: Choice, state: State, own: dict[str, int]) -> Iterator[tuple[Choice, Budget]]:
    """Who pays for what was delivered: the own holds, then what is available, each in the order of use.

    A hold is good for its amount whatever became of its balance since: other holds and debts may exceed what it has, or
    it may have expired, and is used first then.
    """
    if any(own.values()):
        yield _held(book, choice, state, own), lambda balance: own.get(balance.id, 0)
    yield choice, budget_of(book)


def _held(book: Book, choice: Choice, state: State, own: dict[str, int]) -> Choice:
    """The balances of the own holds, and those of which nothing may be held, but that count all the same.

    These are unit balances that have paid for more than was used; and, where money has prices of its own, all of it,
    since what is paid together goes by the order.
    """
    names = {balance_id for balance_id, amount in own.items() if amount}
    outside = names.difference([balance.id for balances in choice for balance in balances])
    gone = [book.balance(balance_id) for balance_id in own if balance_id in outside]
    begun = {sliced.balance_id for sliced in state.sliced}
    units = [balance for balance in choice.units if balance.id in names or balance.id in begun]
    money = [
        balance for balance in choice.money if balance.id in names or (state.subject_rates and not balance.blocker)
    ]
    return Choice(
        tuple([balance for balance in gone if balance.kind is not Kind.MONETARY] + units),
        tuple([balance for balance in gone if balance.kind is Kind.MONETARY] + money),
    )


def _debit_all(book: Book, covered: Covered, own: dict[str, int], taken: dict[str, int]) -> None:
    for balance_id, amount in covered.taken:
        book.debit(balance_id, amount)
        taken[balance_id] = taken.get(balance_id, 0) + amount
        if balance_id in own:
            own[balance_id] = max(0, own[balance_id] - amount)


def _pay(book: Book, choice: Choice, state: State, own: dict[str, int], taken: dict[str, int], nanos: int) -> int:
    """Debit money from own holds, then from what is available, then as an overdraft; returns the overdraft."""

    def take(balance: Balance, budget: int) -> None:
        nonlocal nanos
        part = min(nanos, budget)
        if part:
            book.debit(balance.id, part)
            taken[balance.id] = taken.get(balance.id, 0) + part
            own[balance.id] = max(0, own.get(balance.id, 0) - part)
            nanos -= part

    for payers, budget in _payers(book, choice, state, own):
        for balance in payers.money:
            take(balance, max(0, budget(balance)))
    return _owe(book, choice, taken, nanos)


def _owe(book: Book, choice: Choice, taken: dict[str, int], nanos: int) -> int:
    """Debit an overdraft."""
    if nanos:
        debtor = book.debtor(choice.money)
        book.debit(debtor, nanos)
        taken[debtor] = taken.get(debtor, 0) + nanos
    return nanos
