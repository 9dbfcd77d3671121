"""A call or event rated as a whole: what it would cost, how much of it could be paid, and what it does to an account.

For authorisations, for records of calls that are over, for explanations and for tests of tariffs. Sessions of clients
are decided in `engine`; both use the same prices, the same choice of balances and the same walk over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ocs.balances.account import Account
from ocs.balances.cover import Sliced, cover, meter_at
from ocs.balances.reserve import budget_of
from ocs.charging.groups import measure_of
from ocs.charging.payer import Payer, for_measure
from ocs.charging.policy import ServicePolicy
from ocs.charging.reports import FIELD, Watch, report
from ocs.charging.requests import Units
from ocs.charging.session import Group, Segment, Session, SessionState
from ocs.charging.usage_times import Stretch
from ocs.limits import SEGMENTS_PER_REPORT_MAX
from ocs.rating.prices import price
from ocs.rating.tariff import NotFound, Tariff
from ocs.rating.units import Measure


class Call(msgspec.Struct, frozen=True):
    """What is rated: `usage` base units from `at_ns` on; `number` is the called one, normalised.

    position: what of the same call was rated before (tiers; no connect fee when above 0).
    """

    number: str
    at_ns: int
    usage: int
    rating_group: int | None = None
    position: int = 0
    measure: Measure | None = None


class Part(NamedTuple):
    """A part of a call with one price: when it began, how much, in which segment, what it costs (connect fee apart)."""

    at_ns: int
    usage: int
    segment: Segment
    cost_nanos: int


class Cost(NamedTuple):
    """What a call costs at the prices of its subject, whoever pays."""

    nanos: int
    fee_nanos: int
    parts: tuple[Part, ...]


class Charged(NamedTuple):
    """What a call did to its accounts: the own one first, then those that paid with shared balances.

    cost_nanos includes the connect fee; overdraft_nanos: the part of it that no credit covered.
    """

    accounts: tuple[Account, ...]
    usage: int
    unit_usage: int
    cost_nanos: int
    overdraft_nanos: int
    taken: dict[str, int]


def cost_of(account: Account, tariff: Tariff, policy: ServicePolicy, call: Call) -> Cost | NotFound:
    """The price of a call, part by part."""
    payer, group = begin(account, (), tariff, policy, call)
    parts: list[Part] = []
    nanos = 0
    for at_ns, usage, segment in _parts(payer, group, call):
        if isinstance(segment, NotFound):
            return segment
        meter = meter_at(segment.meters[0], call.position + sum(part.usage for part in parts))
        cost_nanos = price(meter.rate, usage, meter.start)
        limit_nanos = meter.rate.max_cost_nanos
        if limit_nanos is not None and not meter.rate.disconnect:
            cost_nanos = min(cost_nanos, max(0, limit_nanos - nanos))
        parts.append(Part(at_ns, usage, segment, cost_nanos))
        nanos += cost_nanos
    fee_nanos = parts[0].segment.rate.connect_fee_nanos if call.usage and not call.position else 0
    return Cost(nanos + fee_nanos, fee_nanos, tuple(parts))


def max_usage(
    account: Account, tariff: Tariff, policy: ServicePolicy, call: Call, others: Sequence[Account] = ()
) -> int | NotFound:
    """How much of a call the balances can pay: base units, 0..usage."""
    payer, group = begin(account, others, tariff, policy, call)
    payable = 0
    sliced: tuple[Sliced, ...] = ()
    fee_charged = bool(call.position)
    for at_ns, usage, segment in _parts(payer, group, call):
        if isinstance(segment, NotFound):
            return payable or segment
        choice = payer.choice(segment.rate, group.measure, at_ns)
        segment = msgspec.structs.replace(segment, sliced=sliced)
        state = payer.state(group, segment, choice, at_ns, fee_charged=fee_charged)
        covered = cover(state, choice, budget_of(payer.book), usage)
        for balance_id, amount in covered.taken:
            payer.book.debit(balance_id, amount)
        payable += covered.usage
        if covered.usage < usage:
            break
        fee_charged = True
        sliced = covered.state.sliced
        group = msgspec.structs.replace(group, position=group.position + usage, spent_nanos=covered.state.spent_nanos)
    return payable


def charge(
    account: Account,
    tariff: Tariff,
    policy: ServicePolicy,
    call: Call,
    others: Sequence[Account] = (),
    watch: Watch | None = None,
) -> Charged | NotFound:
    """Debit a call that is over: all of it, as an overdraft where credit ends.

    watch: for explanations, is told each debit.
    """
    payer, group = begin(account, others, tariff, policy, call)
    found = for_measure(payer.find_rate(call.rating_group, call.at_ns), group.measure)
    if isinstance(found, NotFound):
        return found
    group = msgspec.structs.replace(
        group, segment=payer.segment(found, group), answered_at_ns=call.at_ns - call.position
    )
    used = (Units(**{FIELD[group.measure]: call.usage}),)
    done = report(
        group,
        payer,
        used,
        call.usage,
        lambda before: before,
        fee_charged=bool(call.position),
        opened_at_ns=call.at_ns,
        now_ns=call.at_ns,
        plausible=None,
        watch=watch,
    )
    accounts = tuple(closed.account for closed in payer.book.close())
    return Charged(accounts, done.usage, done.group.unit_usage, done.cost_nanos, done.overdraft_nanos, done.taken)


def begin(
    account: Account, others: Sequence[Account], tariff: Tariff, policy: ServicePolicy, call: Call
) -> tuple[Payer, Group]:
    """(who pays, the rating group before its first use) of a call."""
    session = Session(
        account.id, "", policy.name, SessionState.OPEN, call.at_ns, call.at_ns, call.at_ns, called=call.number
    )
    payer = Payer(account, others, session, tariff, policy)
    found = payer.find_rate(call.rating_group, call.at_ns)
    rate = None if isinstance(found, NotFound) else found.rate
    measure = call.measure or measure_of(rate, None, (), policy)
    group = Group(call.rating_group, None, measure, position=call.position, started_at_ns=call.at_ns)
    return payer, group


def _parts(payer: Payer, group: Group, call: Call) -> list[tuple[int, int, Segment | NotFound]]:
    """(begin, usage, segment or why there is none) of the parts of a call; time goes on with usage of time only."""
    length = call.usage if group.measure is Measure.TIME else 0
    stretch = Stretch(call.usage, call.at_ns, call.at_ns + length)
    parts: list[tuple[int, int, Segment | NotFound]] = []
    for _ in range(SEGMENTS_PER_REPORT_MAX):
        found = for_measure(payer.find_rate(call.rating_group, stretch.from_ns), group.measure)
        until_ns = found.until_ns
        usage = stretch.until(until_ns)
        segment = found if isinstance(found, NotFound) else payer.segment(found, group)
        assert segment is not None
        parts.append((stretch.from_ns, usage, segment))
        if usage == stretch.amount or until_ns is None:
            break
        group = msgspec.structs.replace(group, position=group.position + usage)
        stretch = stretch.after(usage, until_ns)
    return parts
