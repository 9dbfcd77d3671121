"""One-time events (RFC 8506 6): direct debiting, balance check, price enquiry."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ocs.balances.cover import State, owed
from ocs.balances.reserve import Reserved, release, reserve
from ocs.charging import refunded, refunds
from ocs.charging.groups import RESULT_OF_REASON, refuse
from ocs.charging.outcome import Outcome
from ocs.charging.payer import for_measure
from ocs.charging.requests import (
    ChargingAnswer,
    ChargingRequest,
    GroupAnswer,
    GroupRequest,
    RequestedAction,
    Result,
)
from ocs.charging.session import Group, Hold, SessionState
from ocs.charging.work import Work
from ocs.rating.tariff import NotFound
from ocs.rating.units import Measure


def decide_event(work: Work) -> Outcome:
    """Decide on an EVENT_REQUEST; only direct debiting moves anything, in one exchange."""
    action = work.request.action
    decide = None if action is None else _ACTIONS.get(action)
    if decide is None:
        answer = ChargingAnswer(Result.UNABLE_TO_COMPLY, why="action_not_served")
        return Outcome(answer=answer)
    return decide(work)


def _asked(work: Work) -> tuple[GroupRequest, ...]:
    """What the event is of; one without any container counts one unit."""
    return work.request.groups or (GroupRequest(work.policy.default_rating_group),)


def _direct_debiting(work: Work) -> Outcome:
    before = work.before
    if before is not None and before.is_open:
        refusal = ChargingAnswer(Result.UNABLE_TO_COMPLY, why="session_id_in_use")
        return Outcome(answer=refusal, notes=("reused_session_id",))
    ended = before is not None and before.state in (SessionState.CLOSED, SessionState.EXPIRED)
    state = SessionState.CLOSED if ended else SessionState.REFUSED
    if not work.usable:
        refusal = ChargingAnswer(RESULT_OF_REASON["disabled_account"], why="disabled_account")
        return work.refuse_session(refusal, state)
    answers = _debit_all(work)
    refusals = [answer for answer in answers if answer.result is not Result.SUCCESS]
    if refusals and work.request.more_called:  # for all recipients or for none
        work, answers = work.anew(), [refusals[0]] * len(answers)
        refusals = answers
    shown = tuple(answers) if work.request.groups else ()
    at_command = work.request.command_level or not work.request.groups or not work.request.refuse_in_group
    if len(refusals) == len(answers) and at_command:
        refusal = ChargingAnswer(refusals[0].result, shown, why=refusals[0].why)
        return work.refuse_session(refusal, state)
    work.end(SessionState.CLOSED, "event", only_used=True)
    information = b""
    if work.policy.answers.refund_information:
        information = refunded.information(work.request.session_key, work.request.number)
    return work.commit(ChargingAnswer(Result.SUCCESS, shown, refund_information=information), "charge")


def _debit_all(work: Work) -> list[GroupAnswer]:
    """Debit the event for each of its recipients, each at its own price and with a record of its own; all or none."""
    answers = [_debit(work, asked) for asked in _asked(work)]
    for called in work.request.more_called:
        if any(answer.result is not Result.SUCCESS for answer in answers):
            return answers
        work.write_cdrs("event", only_used=True)
        work.call(called)
        answers = [
            further if further.result is not Result.SUCCESS else _together(answer, further)
            for answer, further in zip(answers, [_debit(work, asked) for asked in _asked(work)], strict=True)
        ]
    return answers


def _together(one: GroupAnswer, other: GroupAnswer) -> GroupAnswer:
    """The answer to what two recipients were charged."""
    if one.granted is None or other.granted is None:
        return one
    return msgspec.structs.replace(one, granted=one.granted + other.granted)


def _debit(work: Work, asked: GroupRequest) -> GroupAnswer:
    """Hold all of it, then debit it: an event is charged whole or not at all."""
    priced = _price(work, asked)
    if isinstance(priced, GroupAnswer):
        return priced
    group, state, amount = priced
    held = _reserve(work, group, state, amount)
    if held.amount < amount:
        release(work.payer.book, held.holds)
        return refuse(group, held.short)
    group = msgspec.structs.replace(
        group, holds=tuple([Hold(balance_id, part) for balance_id, part in held.holds]), granted=amount
    )
    work.take_event((asked.rating_group, asked.service_id), group, amount)
    granted = amount if asked.requested is not None else None
    return GroupAnswer(asked.rating_group, asked.service_id, Result.SUCCESS, group.measure, granted)


def _price(work: Work, asked: GroupRequest) -> tuple[Group, State, int] | GroupAnswer:
    """(a group for the event, where its price stands: at zero, how much it is), or why it cannot be priced."""
    group = work.new_group(asked)
    segment = group.segment
    if segment is None:
        found = for_measure(work.find_rate(group), group.measure)
        return refuse(group, found.reason if isinstance(found, NotFound) else "no_rate")
    before = work.groups.get((asked.rating_group, asked.service_id))
    if before is not None:
        if before.usage and before.measure is not group.measure:
            return refuse(group, "no_rate")
        # A group named twice in one event: both are charged, and stand in one record.
        group = msgspec.structs.replace(
            group,
            partial=before.partial,
            usage=before.usage,
            unit_usage=before.unit_usage,
            cost_nanos=before.cost_nanos,
        )
    amount = _amount(asked, group.measure, work.request)
    if amount is None:
        return refuse(group, "no_rate")
    choice = work.payer.choice(segment.rate, group.measure, work.at_ns)
    return group, work.payer.state(group, segment, choice, work.at_ns, fee_charged=False), amount


def _reserve(work: Work, group: Group, state: State, amount: int) -> Reserved:
    choice = work.payer.choice(state.meters[0].rate, group.measure, work.at_ns)
    return reserve(work.payer.book, choice, state, amount)


def _amount(asked: GroupRequest, measure: Measure, request: ChargingRequest) -> int | None:
    """What the event is of: the units asked for, else the sum of those reported, else as many as it says, or one.

    Units that can be shared out among several recipients are those of all of them; else each gets as many.
    None where units are named, but none of `measure`.
    """
    recipients = 1 + len(request.more_called)
    for named in ((asked.requested,), asked.used):
        counted = [units for units in named if units is not None and units.measure() is not None]
        if counted:
            amounts = [amount for units in counted if (amount := units.get(measure)) is not None]
            if not amounts:
                return None
            amount = sum(amounts)
            return amount if amount % recipients else amount // recipients
    return request.count


def _for_each_recipient(work: Work) -> Iterator[GroupRequest]:
    """What the event is of, once for each recipient, who is the called party meanwhile."""
    yield from _asked(work)
    for called in work.request.more_called:
        work.call(called)
        yield from _asked(work)


def _check_balance(work: Work) -> Outcome:
    """Check-Balance-Result (RFC 8506 8.6): whether all that is asked could be paid now. Moves nothing."""
    enough = work.usable
    for asked in _for_each_recipient(work):
        priced = _price(work, asked)
        if isinstance(priced, GroupAnswer):
            return Outcome(answer=ChargingAnswer(priced.result, why=priced.why))
        group, state, amount = priced
        enough = enough and _reserve(work, group, state, amount).amount == amount
    return Outcome(answer=ChargingAnswer(Result.SUCCESS, enough_credit=enough))


def _price_enquiry(work: Work) -> Outcome:
    """Cost-Information (RFC 8506 8.7): what it would cost in money, connect fee included. Moves nothing."""
    cost_nanos = 0
    for asked in _for_each_recipient(work):
        priced = _price(work, asked)
        if isinstance(priced, GroupAnswer):
            return Outcome(answer=ChargingAnswer(priced.result, why=priced.why))
        _, state, amount = priced
        cost_nanos += owed(state, amount)[0]
    answer = ChargingAnswer(Result.SUCCESS, cost_nanos=cost_nanos, currency=work.account.currency)
    return Outcome(answer=answer)


_ACTIONS = {
    RequestedAction.DIRECT_DEBITING: _direct_debiting,
    RequestedAction.REFUND_ACCOUNT: refunds.decide_refund,
    RequestedAction.CHECK_BALANCE: _check_balance,
    RequestedAction.PRICE_ENQUIRY: _price_enquiry,
}
