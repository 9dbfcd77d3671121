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
from ocs.rating.prices import Rate, most, round_nanos, round_up, unrounded
from ocs.rating.units import NS_PER_S

Budget = Callable[[Balance], int]
"""What may be taken off a balance."""

_ZERO_SUBJECT: Final = "*zero"
_SLICE_UNITS: Final = {"ms": NS_PER_S // 1_000, "ns": 1, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3_600 * NS_PER_S}


class Meter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Usage of one segment at one price.

    subject: whose price; "" = the event's own. start: what the rating group had used when it began (for tiers).
    priced: base units; charged_nanos: charged for them, never lowered.
    before: with tiers, the exact price of stretches that usage paid by units parted from this one, as the numerator
        over the rate's common divisor; it is rounded together with the rest.
    """

    rate: Rate
    subject: str = ""
    start: int = 0
    priced: int = 0
    charged_nanos: int = 0
    before: int = 0


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

    def without_fee(self) -> State:
        """The state once the connect fee is charged."""
        return msgspec.structs.replace(self, fee_nanos=0)


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


class Step(NamedTuple):
    """What one balance, or the money balances together, did in a walk; for explanations.

    kind: "fee", "units", "money" or "overdraft". usage: base units covered. taken: (balance, amount), in order.
    nanos: the money in it. meter, sliced: as they stand after the step; None where it had none.
    """

    kind: str
    usage: int
    taken: tuple[tuple[str, int], ...]
    nanos: int = 0
    meter: Meter | None = None
    sliced: Sliced | None = None


class _Walk:
    """The walk: lives inside one call of `cover`. `left` is what is left of each balance's budget."""

    __slots__ = (
        "debt_nanos",
        "delivered",
        "left",
        "meters",
        "money",
        "nanos",
        "position",
        "rest",
        "seen",
        "sliced",
        "spent_nanos",
        "steps",
        "taken",
    )

    def __init__(self, state: State, choice: Choice, budget: Budget, usage: int, *, delivered: bool) -> None:
        self.delivered = delivered
        self.money = up_to_blocker(choice.money)
        self.left = {balance.id: budget(balance) for balances in (choice.units, self.money) for balance in balances}
        self.debt_nanos = 0
        for balance in self.money:
            if self.left[balance.id] < 0:
                self.debt_nanos += self.left[balance.id]
                self.left[balance.id] = 0
        self.rest = usage
        self.taken: dict[str, int] = {}
        self.position = state.position
        self.meters = {meter.subject: meter for meter in state.meters}
        self.sliced = {sliced.balance_id: sliced for sliced in state.sliced}
        self.spent_nanos = state.spent_nanos
        self.nanos = 0
        self.steps: list[Step] | None = None

    def watched(self, steps: list[Step]) -> None:
        """Have each step from here on noted in `steps`."""
        self.steps = steps
        self.seen = (self.rest, self.nanos, dict(self.taken), dict(self.meters), dict(self.sliced))

    def note(self, kind: str) -> None:
        """Note what was done since the step before, if anything was."""
        assert self.steps is not None
        rest, nanos, taken, meters, sliced = self.seen
        parts = tuple([(name, amount - taken.get(name, 0)) for name, amount in self.taken.items()])
        step = Step(
            kind,
            rest - self.rest,
            tuple([(name, amount) for name, amount in parts if amount]),
            self.nanos - nanos,
            next((meter for subject, meter in self.meters.items() if meters.get(subject) is not meter), None),
            next((one for name, one in self.sliced.items() if sliced.get(name) is not one), None),
        )
        if step.usage or step.taken:
            self.steps.append(step)
        self.watched(self.steps)

    def take(self, balance_id: str, amount: int) -> None:
        """Take `amount` off a balance."""
        if amount:
            self.taken[balance_id] = self.taken.get(balance_id, 0) + amount
            self.left[balance_id] -= amount

    def purse(self, money: Sequence[Balance]) -> int:
        """What money balances have in all. The debt of one counts against the others."""
        nanos = self.debt_nanos
        for balance in money:
            nanos += self.left[balance.id]
        return nanos

    def pay(self, money: Sequence[Balance], nanos: int) -> None:
        """Take `nanos` off money balances, in their order; they have them."""
        for balance in money:
            if not nanos:
                return
            part = min(nanos, self.left[balance.id])
            self.take(balance.id, part)
            nanos -= part
        assert not nanos, nanos

    def use(self, usage: int) -> None:
        """Move on by `usage` that is paid for."""
        self.rest -= usage
        self.position += usage


def cover(
    state: State,
    choice: Choice,
    budget: Budget,
    usage: int,
    *,
    delivered: bool = False,
    steps: list[Step] | None = None,
) -> Covered:
    """Walk the balances for up to `usage` base units; the connect fee is taken with the first of them.

    delivered: the usage has happened, so that a maximum cost which would disconnect no longer ends it.
    steps: for explanations, takes what each balance did.
    """
    walk = _Walk(state, choice, budget, usage, delivered=delivered)
    if steps is not None:
        walk.watched(steps)
    lack = "blocked" if len(walk.money) < len(choice.money) else "no_credit"
    fee_nanos = state.fee_nanos if usage else 0
    if fee_nanos:
        if fee_nanos > walk.purse(walk.money):
            return Covered(0, 0, (), 0, 0, state, lack)
        walk.pay(walk.money, fee_nanos)
        walk.nanos += fee_nanos
        if walk.steps is not None:
            walk.note("fee")
    if _cover_by_units(walk, choice.units, state):
        lack = "blocked"
        by_units = usage - walk.rest
    else:
        by_units = usage - walk.rest
        _cover_by_money(walk, state)
        _cover_by_nobody(walk)
    after = State(
        tuple(walk.meters.values()),
        tuple(walk.sliced.values()),
        walk.position,
        state.fee_nanos - fee_nanos,
        walk.spent_nanos,
        state.subject_rates,
        state.factor,
    )
    taken = tuple(walk.taken.items())
    return Covered(usage - walk.rest, by_units, taken, walk.nanos, fee_nanos, after, lack if walk.rest else "")


def owed(state: State, usage: int) -> tuple[int, State]:
    """(nanos that `usage` costs at the event's own price, fee included; the state after it), whoever pays them."""
    meter = meter_at(state.meters[0], state.position)
    due_nanos = capped(meter, usage, state.spent_nanos)
    fee_nanos = state.fee_nanos if usage else 0
    after = msgspec.structs.replace(
        state,
        meters=(
            msgspec.structs.replace(meter, priced=meter.priced + usage, charged_nanos=meter.charged_nanos + due_nanos),
            *state.meters[1:],
        ),
        position=state.position + usage,
        fee_nanos=state.fee_nanos - fee_nanos,
        spent_nanos=state.spent_nanos + due_nanos,
    )
    return due_nanos + fee_nanos, after


def meter_at(meter: Meter, position: int) -> Meter:
    """The meter for usage that begins at `position`.

    With tiers it has to go on where it stands: usage that units paid in between parts it, and it begins again.
    """
    if not meter.rate.tiers or meter.start + meter.priced == position:
        return meter
    before = meter.before + unrounded(meter.rate, meter.priced, meter.start)[0]
    return Meter(meter.rate, meter.subject, position, charged_nanos=meter.charged_nanos, before=before)


def capped(meter: Meter, usage: int, spent_nanos: int) -> int:
    """Nanos that `usage` more costs on a meter: never less than nothing, never above the rate's maximum cost."""
    rate = meter.rate
    exact, divisor = unrounded(rate, meter.priced + usage, meter.start)
    price_nanos = round_nanos(exact + meter.before, divisor, rate.rounding_nanos, rate.rounding)
    due_nanos = max(0, price_nanos - meter.charged_nanos)
    limit_nanos = rate.max_cost_nanos
    if limit_nanos is None or rate.disconnect:
        return due_nanos
    return min(due_nanos, max(0, limit_nanos - spent_nanos))


def _cover_by_units(walk: _Walk, units: Sequence[Balance], state: State) -> bool:
    """Let the unit balances pay; returns whether a blocker ended it."""
    for balance in units:
        if not walk.rest:
            return False
        if is_priced(balance):
            _units_and_money(walk, balance, state)
        else:
            _units_alone(walk, balance, state.factor)
        if walk.steps is not None:
            walk.note("units")
        if balance.blocker and walk.rest:
            return True
    return False


def _units_alone(walk: _Walk, balance: Balance, factor_id: str) -> None:
    """A unit balance pays usage with units: exactly, in free slices, or multiplied by a factor."""
    budget = walk.left[balance.id]
    slice_size = slice_of(balance)
    factor = factor_of(balance, factor_id)
    if slice_size <= 1 and factor is None:
        usage = min(walk.rest, budget)
        if usage > 0:
            walk.take(balance.id, usage)
            walk.use(usage)
        return
    usage, sliced = _rounded_up(walk, balance, walk.rest, slice_size, factor)
    if usage:
        _take_rounded(walk, sliced)
        walk.use(usage)


def _units_and_money(walk: _Walk, balance: Balance, state: State) -> None:
    """A unit balance with a priced subject pays with its units and, at that subject's price, with money."""
    rate = dict(state.subject_rates).get(balance.rating_subject)
    if rate is None:
        return
    meter = _meter(walk, balance.rating_subject, rate)
    factor = factor_of(balance, state.factor)
    if factor is None:
        wanted = min(walk.rest, walk.left[balance.id])
        if wanted > 0:
            walk.take(balance.id, _charge(walk, meter, wanted, walk.money))
        return
    wanted, _ = _rounded_up(walk, balance, walk.rest, 1, factor)
    usage = _charge(walk, meter, wanted, walk.money) if wanted else 0
    if usage:
        _take_rounded(walk, _rounded_up(walk, balance, usage, 1, factor)[1])


def _rounded_up(
    walk: _Walk, balance: Balance, wanted: int, slice_size: int, factor: Fraction | None
) -> tuple[int, Sliced]:
    """(how much of `wanted` the units of a balance cover, rounded up once for all that it covers; what it has paid)."""
    before = walk.sliced.get(balance.id) or Sliced(balance.id, 0, 0)
    if walk.left[balance.id] <= 0 and not before.covered:
        return 0, before

    def taken(usage: int) -> int:
        rounded = round_up(before.covered + usage, slice_size)
        return rounded if factor is None else -int(-(rounded * factor) // 1)

    limit = before.taken + walk.left[balance.id]
    usage = most(wanted, lambda more: taken(more) <= limit)
    return usage, Sliced(balance.id, before.covered + usage, taken(usage))


def _take_rounded(walk: _Walk, sliced: Sliced) -> None:
    """Take off a balance what it has paid more than before."""
    before = walk.sliced.get(sliced.balance_id)
    walk.take(sliced.balance_id, sliced.taken - (before.taken if before else 0))
    walk.sliced[sliced.balance_id] = sliced


def _cover_by_money(walk: _Walk, state: State) -> None:
    """Let the money balances pay, neighbours of one price together; an empty one for what costs nothing."""
    for subject, payers in _by_subject(walk.money):
        if not walk.rest:
            return
        rate = walk.meters[""].rate if not subject else dict(state.subject_rates).get(subject)
        if rate is not None:
            _charge(walk, _meter(walk, subject, rate), walk.rest, payers)
        if walk.steps is not None:
            walk.note("money")


def _cover_by_nobody(walk: _Walk) -> None:
    """What costs nothing needs nobody to pay for it."""
    if walk.rest:
        _charge(walk, _meter(walk, "", walk.meters[""].rate), walk.rest, ())
        if walk.steps is not None:
            walk.note("money")


def _meter(walk: _Walk, subject: str, rate: Rate) -> Meter:
    return meter_at(walk.meters.get(subject) or Meter(rate, subject, start=walk.position), walk.position)


def _charge(walk: _Walk, meter: Meter, wanted: int, money: Sequence[Balance]) -> int:
    """Let `money` pay for as much of `wanted` as it can, at the price of a meter; returns how much that is."""
    limit = walk.purse(money)
    if walk.delivered:
        limit = max(0, limit)  # what costs nothing is not owed, whatever else is
    max_nanos = meter.rate.max_cost_nanos
    if meter.rate.disconnect and max_nanos is not None and not walk.delivered:
        limit = min(limit, max(0, max_nanos - walk.spent_nanos))
    due_nanos = capped(meter, wanted, walk.spent_nanos)
    usage = wanted
    if due_nanos > limit:
        usage = most(wanted, lambda more: capped(meter, more, walk.spent_nanos) <= limit)
        if not usage:
            return 0
        due_nanos = capped(meter, usage, walk.spent_nanos)
    walk.pay(money, due_nanos)
    walk.meters[meter.subject] = Meter(
        meter.rate,
        meter.subject,
        meter.start,
        meter.priced + usage,
        meter.charged_nanos + due_nanos,
        meter.before,
    )
    walk.spent_nanos += due_nanos
    walk.nanos += due_nanos
    walk.use(usage)
    return usage


def up_to_blocker(money: Sequence[Balance]) -> Sequence[Balance]:
    """Those that may pay: what a blocker cannot pay is paid by none after it."""
    for index, balance in enumerate(money):
        if balance.blocker:
            return money[: index + 1]
    return money


def _by_subject(money: Sequence[Balance]) -> Iterable[tuple[str, Sequence[Balance]]]:
    """Neighbours that pay the same price, together."""
    if not any(balance.rating_subject for balance in money):
        yield "", money
        return
    for subject, payers in groupby(money, key=lambda balance: balance.rating_subject if is_priced(balance) else ""):
        yield subject, list(payers)


def is_priced(balance: Balance) -> bool:
    """Whether its rating subject is one with prices, which takes money with it."""
    subject = balance.rating_subject
    return bool(subject) and subject != "*any" and not subject.startswith(_ZERO_SUBJECT)


def slice_of(balance: Balance) -> int:
    """Free slice of a unit balance in base units: `*zero1m` = a minute; 1 where it has none."""
    subject = balance.rating_subject
    return zero_slice(subject) if subject.startswith(_ZERO_SUBJECT) else 1


def zero_slice(subject: str) -> int:
    """Base units of a `*zero` subject: "*zero1m" -> 60e9, "*zero10ms" -> 10e6, "*zero100" -> 100; else ValueError."""
    text = subject.removeprefix(_ZERO_SUBJECT)
    digits = text.rstrip("smnh")
    return int(digits) * _SLICE_UNITS.get(text[len(digits) :], 1)


def factor_of(balance: Balance, factor_id: str) -> Fraction | None:
    """How many units one base unit of usage takes; None where it has no such factor."""
    for factor in balance.factors:
        if factor.id in (factor_id, "*any"):
            return factor.value
    return None


def subjects_of(choice: Choice) -> set[str]:
    """The rating subjects whose prices a walk needs."""
    return {balance.rating_subject for balances in choice for balance in balances if is_priced(balance)}
