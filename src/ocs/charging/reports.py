"""A report of usage: debited segment by segment, each part at the price of its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from ocs.balances.choice import Choice
from ocs.balances.cover import State, Step
from ocs.balances.reserve import Debited, debit, release
from ocs.charging.payer import Payer
from ocs.charging.requests import Units
from ocs.charging.session import Group
from ocs.charging.usage_times import Stretch, answered_at, stretches
from ocs.limits import REPORT_COST_MAX_NANOS, SEGMENTS_PER_REPORT_MAX
from ocs.rating.prices import price
from ocs.rating.units import Measure

FIELD: Final = {Measure.TIME: "time_ns", Measure.OCTETS: "octets", Measure.EVENTS: "events"}
"""The field of Units for a measure."""

Cut = Callable[[Group], Group]
"""Writes the CDR of a group up to here, and gives the group back with its sums at zero."""


class Reported(NamedTuple):
    """A group after a report, and what the report did: sums for the journal and the counters.

    fee_charged: the connect fee of the session (not one per group) was charged with it. taken: off each balance.
    """

    group: Group
    usage: int
    cost_nanos: int
    overdraft_nanos: int
    fee_charged: bool
    taken: dict[str, int]
    notes: tuple[str, ...]


class Seen(NamedTuple):
    """One debit of a report, for explanations: `usage` base units from `at_ns` on.

    group: before it; its segment says the price, None: there was none, nothing was debited, and the rest is empty.
    state: where the segment stood. steps: what each balance did. done: what became of it.
    """

    at_ns: int
    usage: int
    group: Group
    choice: Choice | None = None
    state: State | None = None
    steps: tuple[Step, ...] = ()
    done: Debited | None = None


Watch = Callable[[Seen], None]
"""Is told each debit once it is done."""


class _Report:
    """Lives inside one call of `report`."""

    def __init__(self, group: Group, payer: Payer, cut: Cut, watch: Watch | None, *, fee_charged: bool) -> None:
        self.group = group
        self.payer = payer
        self.cut = cut
        self.watch = watch
        self.fee_charged = fee_charged
        self.session_fee = False
        self.own = {hold.balance_id: hold.amount for hold in group.holds}
        self.granted = group.granted
        self.cost_nanos = 0
        self.overdraft_nanos = 0
        self.taken: dict[str, int] = {}
        self.notes: set[str] = set()

    def debit(self, stretch: Stretch) -> None:
        """Debit a stretch of usage, cut where another rate takes over."""
        for _ in range(SEGMENTS_PER_REPORT_MAX):
            until_ns = self._at(stretch.from_ns)
            amount = stretch.until(until_ns)
            self._debit(amount, stretch.from_ns)
            if amount == stretch.amount or until_ns is None:
                return
            stretch = stretch.after(amount, until_ns)
        self._debit(stretch.amount, stretch.from_ns)

    def _at(self, at_ns: int) -> int | None:
        """Begin another segment where the one that stands is over, or there is none; returns until when it holds."""
        segment = self.group.segment
        if segment is not None and (segment.until_ns is None or at_ns < segment.until_ns):
            return segment.until_ns
        facts = None if segment is None else segment.facts  # the usage was before what the request tells of
        found = self.payer.find_rate(self.group.rating_group, at_ns, None, facts)
        begun = self.payer.segment(found, self.group, facts)
        if segment is not None and begun is not None and begun.tariff_version != segment.tariff_version:
            self.group = self.cut(self.group) if self.group.usage else self.group
        self.group = msgspec.structs.replace(self.group, segment=begun)
        return found.until_ns

    def _debit(self, amount: int, at_ns: int) -> None:
        group, segment = self.group, self.group.segment
        if segment is None:
            if amount:
                self.notes.add("unrated_usage")
            self.group = msgspec.structs.replace(
                group, usage=group.usage + amount, unrated=group.unrated + amount, position=group.position + amount
            )
            if self.watch is not None:
                self.watch(Seen(at_ns, amount, group))
            return
        choice = self.payer.choice(segment.rate, group.measure, at_ns)
        state = self.payer.state(group, segment, choice, at_ns, fee_charged=self.fee_charged)
        steps: list[Step] | None = None if self.watch is None else []
        done = debit(self.payer.book, choice, state, amount, self.own, self.granted, steps)
        self.granted = max(0, self.granted - amount)
        if self.watch is not None:
            self.watch(Seen(at_ns, amount, group, choice, state, tuple(steps or ()), done))
        if done.fee_nanos and not segment.rate.fee_per_group:
            self.fee_charged = self.session_fee = True
        self.cost_nanos += done.cost_nanos
        self.overdraft_nanos += done.overdraft_nanos
        for balance_id, part in done.taken.items():
            self.taken[balance_id] = self.taken.get(balance_id, 0) + part
        self.group = msgspec.structs.replace(
            group,
            segment=msgspec.structs.replace(segment, meters=done.state.meters, sliced=done.state.sliced),
            usage=group.usage + amount,
            unit_usage=group.unit_usage + done.by_units,
            cost_nanos=group.cost_nanos + done.cost_nanos,
            position=group.position + amount,
            spent_nanos=done.state.spent_nanos,
            fee_charged=group.fee_charged or bool(done.fee_nanos),
        )


def _costs_too_much(group: Group, usage: int) -> bool:
    """Whether usage would cost more than anybody can owe: then the amount is wrong, not the price."""
    segment = group.segment
    return segment is not None and price(segment.rate, usage, group.position) > REPORT_COST_MAX_NANOS


def report(
    group: Group,
    payer: Payer,
    used: Sequence[Units],
    usage: int,
    cut: Cut,
    *,
    fee_charged: bool,
    opened_at_ns: int,
    now_ns: int,
    plausible: int | None,
    watch: Watch | None = None,
) -> Reported:
    """Debit what was used and give back the rest of what the group held.

    plausible: the most that can have been used by the clock, None where that is unknown: what is beyond, or costs
    more than limits.REPORT_COST_MAX_NANOS, is taken for a client's fault, and only what was granted is debited.
    watch: for explanations, is told each debit.
    """
    work = _Report(group, payer, cut, watch, fee_charged=fee_charged)
    if (plausible is not None and usage > plausible) or _costs_too_much(group, usage):
        usage = min(usage, group.granted)
        used = [Units(**{FIELD[group.measure]: usage})]
        work.notes.add("implausible_usage")
    overrun = max(0, usage - group.granted) if group.granted else 0
    if overrun:
        work.notes.add("overrun")
    release(payer.book, work.own.items())
    for stretch in stretches(group, used, usage, opened_at_ns, now_ns):
        work.debit(stretch)
    if work.overdraft_nanos:
        work.notes.add("overdraft")
    after = msgspec.structs.replace(
        work.group,
        holds=(),
        granted=0,
        valid_until_ns=0,
        hold_until_ns=0,
        change_at_ns=0,
        fee_held=0,
        overrun=work.group.overrun + overrun,
        answered_at_ns=(
            answered_at(group, usage, opened_at_ns, now_ns)
            if usage and group.measure is Measure.TIME
            else group.answered_at_ns
        ),
        last_at_ns=now_ns if usage else group.last_at_ns,
    )
    return Reported(
        after, usage, work.cost_nanos, work.overdraft_nanos, work.session_fee, work.taken, tuple(sorted(work.notes))
    )
