"""How balances pay for usage: one walk over them, for grants and for reports, exact to the nano.

    cover(state, choice, budget, usage) -> Covered

walks the balances in their order, unit balances before money, and takes from each what it can pay within `budget`.
What a balance pays with its own rating subject is metered apart from what is paid at the price of the event, so that
each is priced from its whole length. Nothing is changed: a Covered says what is to be taken, and the state after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from ocs.balances.account import Balance
from ocs.balances.choice import Choice
from ocs.rating.prices import Rate, most, price, round_up
from ocs.rating.units import NS_PER_S, Kind

Budget = Callable[[Balance], int]
"""What may be taken off a balance."""

_ZERO_SUBJECT: Final = "*zero"
_SLICE_UNITS: Final = {"ms": NS_PER_S // 1_000, "ns": 1, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3_600 * NS_PER_S}


class Meter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Usage of one segment at one price.

    subject: whose price; "" = the event's own. start: what the rating group had used when it began (for tiers).
    priced: base units; charged_nanos: charged for them, never lowered.
    """

    rate: Rate
    subject: str = ""
    start: int = 0
    priced: int = 0
    charged_nanos: int = 0


class Sliced(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a unit balance that rounds or multiplies has paid in one segment: usage covered, units taken for it."""

    balance_id: str
    covered: int
    taken: int


class State(msgspec.Struct, frozen=True, gc=False):
    """Where a segment stands.

    meters: the event's own first. position: all usage of the rating group so far. fee_nanos: connect fee still due.
    spent_nanos: what the rating group was charged so far, fees apart (for a maximum cost).
    subject_rates: prices that balances with a rating subject pay, by subject; None where such a one has no rate.
    factor: id of the factors that apply.
    """

    meters: tuple[Meter, ...]
    sliced: tuple[Sliced, ...] = ()
    position: int = 0
    fee_nanos: int = 0
    spent_nanos: int = 0
    subject_rates: tuple[tuple[str, Rate | None], ...] = ()
    factor: str = ""


class Covered(NamedTuple):
    """What balances pay.

    usage: base units covered; by_units: the part of it that unit balances cover. taken: (balance, amount), in order.
    nanos: money taken in all, fee included; fee_nanos: the fee in it. state: after it. short: why not all is covered:
    "", "no_credit" or "blocked".
    """

    usage: int
    by_units: int
    taken: tuple[tuple[str, int], ...]
    nanos: int
    fee_nanos: int
    state: State
    short: str


class _Walk:
    """The walk: lives inside one call of `cover`."""

    def __init__(self, state: State, budget: Budget, usage: int) -> None:
        self.budget = budget
        self.rest = usage
        self.taken: dict[str, int] = {}
        self.position = state.position
        self.meters = {meter.subject: meter for meter in state.meters}
        self.sliced = {sliced.balance_id: sliced for sliced in state.sliced}
        self.spent_nanos = state.spent_nanos
        self.nanos = 0

    def left(self, balance: Balance) -> int:
        """What is left of a balance's budget."""
        return self.budget(balance) - self.taken.get(balance.id, 0)

    def take(self, balance: Balance, amount: int) -> None:
        """Take `amount` off a balance."""
        if amount:
            self.taken[balance.id] = self.taken.get(balance.id, 0) + amount

    def use(self, usage: int) -> None:
        """Move on by `usage` that is paid for."""
        self.rest -= usage
        self.position += usage


def cover(state: State, choice: Choice, budget: Budget, usage: int) -> Covered:
    """Walk the balances for up to `usage` base units; the connect fee is taken with the first of them."""
    walk = _Walk(state, budget, usage)
    fee_nanos = state.fee_nanos if usage else 0
    if fee_nanos and not _pay(walk, choice.money, fee_nanos):
        return Covered(0, 0, (), 0, 0, state, _lack(choice.money))
    walk.nanos += fee_nanos
    blocked = _cover_by_units(walk, choice, state)
    by_units = usage - walk.rest
    short = "blocked" if blocked and walk.rest else ""
    if walk.rest and not blocked:
        short = _cover_by_money(walk, choice.money, state)
    after = msgspec.structs.replace(
        state,
        meters=tuple(walk.meters.values()),
        sliced=tuple(walk.sliced.values()),
        position=walk.position,
        fee_nanos=state.fee_nanos - fee_nanos,
        spent_nanos=walk.spent_nanos,
    )
    return Covered(usage - walk.rest, by_units, tuple(walk.taken.items()), walk.nanos, fee_nanos, after, short)


def owed(state: State, usage: int) -> tuple[int, State]:
    """(nanos that `usage` costs at the event's own price, fee included; the state after it), whoever pays them."""
    meter = meter_at(state.meters[0], state.position)
    due_nanos = capped(meter, usage, state.spent_nanos)
    fee_nanos = state.fee_nanos if usage else 0
    after = msgspec.structs.replace(
        state,
        meters=(
            msgspec.structs.replace(
                meter, priced=meter.priced + usage, charged_nanos=meter.charged_nanos + due_nanos
            ),
            *state.meters[1:],
        ),
        position=state.position + usage,
        fee_nanos=state.fee_nanos - fee_nanos,
        spent_nanos=state.spent_nanos + due_nanos,
    )
    return due_nanos + fee_nanos, after


def meter_at(meter: Meter, position: int) -> Meter:
    """The meter for usage that begins at `position`.

    With tiers it has to go on where it stands: usage that units paid in between ends it, and another one begins.
    """
    if not meter.rate.tiers or meter.start + meter.priced == position:
        return meter
    return Meter(meter.rate, meter.subject, start=position)


def capped(meter: Meter, usage: int, spent_nanos: int) -> int:
    """Nanos that `usage` more costs on a meter: never less than nothing, never above the rate's maximum cost."""
    due_nanos = max(0, price(meter.rate, meter.priced + usage, meter.start) - meter.charged_nanos)
    limit_nanos = meter.rate.max_cost_nanos
    if limit_nanos is None or meter.rate.disconnect:
        return due_nanos
    return min(due_nanos, max(0, limit_nanos - spent_nanos))


def _cover_by_units(walk: _Walk, choice: Choice, state: State) -> bool:
    """Let the unit balances pay; returns whether a blocker ended it."""
    for balance in choice.units:
        if not walk.rest:
            return False
        if _is_priced(balance):
            _units_and_money(walk, balance, choice.money, state)
        else:
            _units_alone(walk, balance, state.factor)
        if balance.blocker and walk.rest:
            return True
    return False


def _units_alone(walk: _Walk, balance: Balance, factor_id: str) -> None:
    """A unit balance pays usage with units: exactly, in free slices, or multiplied by a factor."""
    budget = walk.left(balance)
    if budget <= 0:
        return
    slice_size = _slice(balance)
    factor = _factor(balance, factor_id)
    if slice_size <= 1 and factor is None:
        usage = min(walk.rest, budget)
        walk.take(balance, usage)
        walk.use(usage)
        return
    before = walk.sliced.get(balance.id) or Sliced(balance.id, 0, 0)

    def units(usage: int) -> int:
        rounded = round_up(before.covered + usage, slice_size)
        return (rounded if factor is None else -int(-(rounded * factor) // 1)) - before.taken

    usage = most(walk.rest, lambda more: units(more) <= budget)
    taken = units(usage) if usage else 0
    if usage:
        walk.take(balance, taken)
        walk.sliced[balance.id] = Sliced(balance.id, before.covered + usage, before.taken + taken)
        walk.use(usage)


def _units_and_money(walk: _Walk, balance: Balance, money: Sequence[Balance], state: State) -> None:
    """A unit balance with a priced subject pays with its units and, at that subject's price, with money."""
    rate = dict(state.subject_rates).get(balance.rating_subject)
    budget = walk.left(balance)
    if rate is None or budget <= 0:
        return
    meter = meter_at(walk.meters.get(balance.rating_subject) or Meter(rate, balance.rating_subject), walk.position)
    purse = _purse(walk, money)
    usage = most(min(walk.rest, budget), lambda more: capped(meter, more, walk.spent_nanos) <= purse)
    if usage:
        _charge(walk, meter, usage, money)
        walk.take(balance, usage)
        walk.use(usage)


def _cover_by_money(walk: _Walk, money: Sequence[Balance], state: State) -> str:
    """Let the money balances pay, those of one price together; returns what to call the lack of it."""
    open_to: list[Balance] = []
    lack = "no_credit"
    for balance in money:
        open_to.append(balance)
        if balance.blocker:
            lack = "blocked" if balance is not money[-1] else "no_credit"
            break
    for subject, payers in _by_subject(open_to):
        if not walk.rest:
            break
        rate = walk.meters[""].rate if not subject else dict(state.subject_rates).get(subject)
        if rate is None:
            continue
        meter = meter_at(walk.meters.get(subject) or Meter(rate, subject), walk.position)
        purse = _purse(walk, payers, debts_of=open_to)
        usage = most(walk.rest, lambda more, m=meter, p=purse: _affords(m, more, walk.spent_nanos, p))
        if usage:
            _charge(walk, meter, usage, payers)
            walk.use(usage)
    if walk.rest and not open_to and _affords(walk.meters[""], walk.rest, walk.spent_nanos, 0):
        walk.meters[""], usage = _advanced(meter_at(walk.meters[""], walk.position), walk.rest, 0), walk.rest
        walk.use(usage)
    return lack if walk.rest else ""


def _affords(meter: Meter, usage: int, spent_nanos: int, purse: int) -> bool:
    due_nanos = capped(meter, usage, spent_nanos)
    limit_nanos = meter.rate.max_cost_nanos
    if meter.rate.disconnect and limit_nanos is not None and spent_nanos + due_nanos > limit_nanos:
        return False
    return due_nanos <= purse


def _charge(walk: _Walk, meter: Meter, usage: int, money: Sequence[Balance]) -> None:
    due_nanos = capped(meter, usage, walk.spent_nanos)
    paid = _pay(walk, money, due_nanos)
    assert paid, (meter, usage)
    walk.meters[meter.subject] = _advanced(meter, usage, due_nanos)
    walk.spent_nanos += due_nanos
    walk.nanos += due_nanos


def _advanced(meter: Meter, usage: int, due_nanos: int) -> Meter:
    return msgspec.structs.replace(
        meter, priced=meter.priced + usage, charged_nanos=meter.charged_nanos + due_nanos
    )


def _pay(walk: _Walk, money: Sequence[Balance], nanos: int) -> bool:
    """Take `nanos` off money balances in their order, up to a blocker; nothing, and False, where they do not have it."""
    if nanos > _purse(walk, money):
        return False
    for balance in money:
        part = min(nanos, max(0, walk.left(balance)))
        walk.take(balance, part)
        nanos -= part
        if not nanos:
            break
    return True


def _purse(walk: _Walk, money: Sequence[Balance], debts_of: Sequence[Balance] | None = None) -> int:
    """What money balances have in all, up to the first blocker. The debt of one counts against the others."""
    nanos = 0
    for balance in money:
        nanos += max(0, walk.left(balance)) if debts_of is not None else walk.left(balance)
        if balance.blocker:
            break
    return nanos + sum(min(0, walk.left(balance)) for balance in debts_of or ())


def _lack(money: Sequence[Balance]) -> str:
    return "blocked" if any(balance.blocker for balance in money[:-1]) else "no_credit"


def _by_subject(money: Sequence[Balance]) -> Iterable[tuple[str, list[Balance]]]:
    """Neighbours that pay the same price, together."""
    for subject, payers in groupby(money, key=lambda balance: balance.rating_subject if _is_priced(balance) else ""):
        yield subject, list(payers)


def _is_priced(balance: Balance) -> bool:
    subject = balance.rating_subject
    return bool(subject) and subject != "*any" and not subject.startswith(_ZERO_SUBJECT)


def _slice(balance: Balance) -> int:
    """Free slice of a unit balance in base units: `*zero1m` = a minute; 1 where it has none."""
    subject = balance.rating_subject
    return zero_slice(subject) if subject.startswith(_ZERO_SUBJECT) else 1


def zero_slice(subject: str) -> int:
    """Base units of a `*zero` subject: "*zero1m" -> 60e9, "*zero10ms" -> 10e6, "*zero100" -> 100. ValueError if none."""
    text = subject.removeprefix(_ZERO_SUBJECT)
    digits = text.rstrip("smnh")
    return int(digits) * _SLICE_UNITS.get(text[len(digits) :], 1)


def _factor(balance: Balance, factor_id: str) -> Fraction | None:
    for factor in balance.factors:
        if factor.id in (factor_id, "*any"):
            return factor.value
    return None


def subjects_of(choice: Choice) -> set[str]:
    """The rating subjects whose prices a walk needs."""
    return {balance.rating_subject for balances in choice for balance in balances if _is_priced(balance)}


__all__ = ["Covered", "Kind", "Meter", "Sliced", "State", "cover", "owed", "subjects_of"]
