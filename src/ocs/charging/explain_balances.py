"""Of an explanation: every balance that was looked at, in its order, and why it pays or does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.choice import OWNER_SEPARATOR, Choice, Event, Looked, look, ref
from ocs.balances.cover import State, Step, factor_of, is_priced, slice_of
from ocs.charging.explained import BalanceSeen
from ocs.charging.reports import Seen
from ocs.rating.tariff import Tariff
from ocs.rating.units import Kind


def balances_seen(
    seen: Seen, account: Account, others: Sequence[Account], tariff: Tariff, event: Event, left: Mapping[str, int]
) -> tuple[BalanceSeen, ...]:
    """The balances of the account, and those that others share with it: first those that may pay, in the order of use.

    left: what is available before the debit, by the names that balances have in a decision.
    """
    state, choice = seen.state, seen.choice
    assert state is not None
    assert choice is not None
    looked = _looked(account, others, event, tariff)
    reasons = _reasons(seen, state, choice, left)
    found = []
    for balance in (*choice.units, *choice.money):
        precision = looked[balance.id].precision if balance.id in looked else 0
        one = BalanceSeen(balance, "", precision, left.get(balance.id, 0), reasons[balance.id])
        found.append(_paying(one, seen.steps, state))
    found += [
        BalanceSeen(one.balance, name.rpartition(OWNER_SEPARATOR)[0], one.precision, left[name], why_not)
        for name, one in looked.items()
        if name not in reasons and (why_not := one.why_not or "measure")
    ]
    return tuple(found)


def _looked(account: Account, others: Sequence[Account], event: Event, tariff: Tariff) -> dict[str, Looked]:
    """What `look` says of the own balances and of the shared ones, by the names that they have in a decision."""
    looked = {one.balance.id: one for one in look(account, event, tariff)}
    groups = {one.balance.shared_group for one in looked.values() if not one.why_not and one.balance.shared_group}
    for other in others:
        for one in look(other, event, tariff):
            group = tariff.shared_groups.get(one.balance.shared_group)
            if group is not None and group.id in groups and {account.id, other.id} <= set(group.members):
                why_not = one.why_not if other.usable(event.at_ns) else "disabled"
                looked[ref(other.id, one.balance.id)] = one._replace(why_not=why_not)
    return looked


def _reasons(seen: Seen, state: State, choice: Choice, available: Mapping[str, int]) -> dict[str, str]:
    """Why each of the balances that may pay pays nothing; "" where it pays."""
    rates = dict(state.subject_rates)
    reasons: dict[str, str] = {}
    rest, blocked = seen.usage, False
    for balance in choice.units:
        steps = _steps_of(balance.id, seen.steps)
        if steps:
            reasons[balance.id] = ""
        elif blocked or not rest:
            reasons[balance.id] = "blocked" if blocked else "not_needed"
        else:
            reasons[balance.id] = _lack(balance, available, rates)
        rest -= sum(step.usage for step in steps)
        blocked = blocked or (balance.blocker and rest > 0)
    owed = any(step.kind == "overdraft" for step in seen.steps)
    for balance in choice.money:
        if _steps_of(balance.id, seen.steps):
            reasons[balance.id] = ""
        elif blocked:
            reasons[balance.id] = "blocked"
        elif not owed and (not rest or available.get(balance.id, 0) > 0):
            reasons[balance.id] = "not_needed"
        else:
            reasons[balance.id] = _lack(balance, available, rates)
        blocked = blocked or balance.blocker
    return reasons


def _lack(balance: Balance, available: Mapping[str, int], rates: Mapping[str, object]) -> str:
    if available.get(balance.id, 0) <= 0:
        return "no_value"
    return "no_rate" if is_priced(balance) and rates.get(balance.rating_subject) is None else "too_little"


def _steps_of(balance_id: str, steps: Sequence[Step]) -> list[Step]:
    """The steps in which a balance paid; also those in which it gave of a slice begun before."""
    return [
        step
        for step in steps
        if step.kind != "overdraft"
        and (
            any(name == balance_id for name, _ in step.taken)
            or (step.sliced is not None and step.sliced.balance_id == balance_id)
        )
    ]


def _paying(seen: BalanceSeen, steps: Sequence[Step], state: State) -> BalanceSeen:
    """What a balance that may pay has paid, under the name that its owner gives it."""
    balance = seen.balance
    mine = _steps_of(balance.id, steps)
    owner, _, name = balance.id.rpartition(OWNER_SEPARATOR)
    amount = sum(part for step in mine for paid, part in step.taken if paid == balance.id)
    after = msgspec.structs.replace(seen, balance=msgspec.structs.replace(balance, id=name), owner=owner, amount=amount)
    if balance.kind is Kind.MONETARY:
        return after
    factor = factor_of(balance, state.factor)
    sliced = [step.sliced for step in mine if step.sliced is not None]
    return msgspec.structs.replace(
        after,
        usage=sum(step.usage for step in mine),
        factor=None if factor is None else (factor.numerator, factor.denominator),
        slice_size=slice_of(balance),
        sliced=sliced[-1] if sliced else None,
    )
