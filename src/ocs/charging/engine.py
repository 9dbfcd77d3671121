"""The decision on one charging request: what is debited, held, answered, recorded. Pure.

    decide(account, session, request, tariff, policy, now_ns) -> Outcome

Everything that an Outcome wants written is committed together, and the answer leaves after that. Where two nodes
decide on the same account at once, the later one is decided again on what the first has written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ocs.balances.account import Account
from ocs.balances.choice import owner_of, shared_with
from ocs.charging import events, fees, house, life, refunds
from ocs.charging.grants import grant
from ocs.charging.groups import RESULT_OF_REASON, refuse
from ocs.charging.memory import highest_number, recall, room_for
from ocs.charging.outcome import Outcome
from ocs.charging.payer import for_measure
from ocs.charging.plain import decide_plainly
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import (
    ChargingAnswer,
    ChargingRequest,
    GroupAnswer,
    GroupRequest,
    RequestType,
    Result,
    Units,
    UnknownSession,
)
from ocs.charging.session import Session, SessionState
from ocs.charging.telling import told
from ocs.charging.work import Work
from ocs.rating.tariff import NotFound, Tariff


def decide(
    account: Account | None,
    session: Session | None,
    request: ChargingRequest,
    tariff: Tariff,
    policy: ServicePolicy,
    now_ns: int,
    others: Sequence[Account] | None = None,
) -> Outcome:
    """Decide on one request.

    account: None where no identity of the request is known; session: the one of `request.session_key`, None if there
    is none. An emergency or free call comes with the house account, or None before its first entry.
    others: the accounts that share balances with it, None where they were not looked up: the outcome may say then that
        it needs them.
    """
    if request.type is RequestType.UPDATE and session is not None and account is not None and not others:
        outcome = decide_plainly(account, session, request, tariff, policy, now_ns)
        if outcome is not None:
            return outcome
    return decide_in_full(account, session, request, tariff, policy, now_ns, others)


def decide_in_full(
    account: Account | None,
    session: Session | None,
    request: ChargingRequest,
    tariff: Tariff,
    policy: ServicePolicy,
    now_ns: int,
    others: Sequence[Account] | None = None,
) -> Outcome:
    """`decide`, step by step, whatever the request is."""
    if account is None:
        if not house.is_house_call(request, tariff):
            return Outcome(answer=ChargingAnswer(Result.USER_UNKNOWN, why="unknown_account"))
        account = house.new_house_account(tariff)
    remembered = None if session is None else _remembered(session, request)
    if remembered is not None:
        return remembered
    if others is None and (needed := _needed(account, session, tariff, now_ns)):
        return Outcome(needs=needed)
    work = Work(account, session, _with_groups(request, policy), tariff, policy, now_ns, others or ())
    outcome = _procedure(session, request)(work)
    if policy.answers.told and outcome.answer is not None:
        outcome = msgspec.structs.replace(outcome, answer=told(outcome.answer, outcome, work))
    return _as_asked(outcome, request)


def _with_groups(request: ChargingRequest, policy: ServicePolicy) -> ChargingRequest:
    """The request with the service's default group where the client names none: it is rated and recorded as that."""
    if all(asked.rating_group is not None for asked in request.groups):
        return request
    groups = tuple(
        msgspec.structs.replace(
            asked, rating_group=policy.default_rating_group if asked.rated_as is None else asked.rated_as
        )
        if asked.rating_group is None
        else asked
        for asked in request.groups
    )
    return msgspec.structs.replace(request, groups=groups)


def _as_asked(outcome: Outcome, request: ChargingRequest) -> Outcome:
    """The outcome with answers that name a group only where the client did."""
    answer = outcome.answer
    if answer is None or all(asked.rating_group is not None for asked in request.groups):
        return outcome
    groups = tuple(
        msgspec.structs.replace(group, rating_group=asked.rating_group)
        for group, asked in zip(answer.groups, request.groups, strict=False)
    )
    return msgspec.structs.replace(outcome, answer=msgspec.structs.replace(answer, groups=groups))


def _remembered(session: Session, request: ChargingRequest) -> Outcome | None:
    """The outcome of a request that was processed before; of one that can no longer be noted; None for all others."""
    kind, number = request.memory_key
    seen = recall(session, kind, number)
    if seen is not None:
        return Outcome(repeat=seen.content or b"", notes=("repeat",))
    if not room_for(session, kind, number):
        return _refused(Result.UNABLE_TO_COMPLY, "number_gaps")
    return None


def _procedure(session: Session | None, request: ChargingRequest) -> Callable[[Work], Outcome]:
    """What is done with a request, by its type and the state of its session."""
    if request.type is RequestType.EVENT:
        return events.decide_event
    if request.type is RequestType.INITIAL:
        return _initial
    if session is None or session.state in (SessionState.UNKNOWN, SessionState.REFUSED):
        return _unknown
    if not session.is_open:
        return _late
    return _update if request.type is RequestType.UPDATE else _termination


def _needed(account: Account, session: Session | None, tariff: Tariff, now_ns: int) -> tuple[str, ...]:
    """Ids of the accounts that share balances with this one, on whose balances the session holds something, or did."""
    sharing = shared_with(account, tariff.at(now_ns))
    groups = () if session is None else session.groups
    held = {owner_of(hold.balance_id) for group in groups for hold in group.holds}
    if session is not None and session.charges:  # for a refund
        held.update(refunds.owners(session))
    return tuple(sorted(held.union(sharing) - {""})) if sharing or held else ()


def _refused(result: Result, why: str, *notes: str) -> Outcome:
    """An answer that moves nothing, and is not stored."""
    return Outcome(answer=ChargingAnswer(result, why=why), notes=notes)


def _initial(work: Work) -> Outcome:
    before = work.before
    if before is not None and before.state not in (SessionState.REFUSED, SessionState.UNKNOWN):
        return _refused(Result.UNABLE_TO_COMPLY, "session_id_in_use", "reused_session_id")
    if not work.usable:
        return work.refuse_session(
            ChargingAnswer(RESULT_OF_REASON["disabled_account"], why="disabled_account"), SessionState.REFUSED
        )
    answer = _serve(work)
    if answer.result is Result.SUCCESS:
        if work.account.id == house.HOUSE_ACCOUNT:
            work.notes.append("emergency")
        return work.commit(answer, "charge")
    return work.refuse_session(answer, SessionState.REFUSED)


def _update(work: Work) -> Outcome:
    if work.request.number < highest_number(work.session):
        work.notes.append("late_number")
    elif work.request.number > highest_number(work.session) + 1:
        work.notes.append("number_gap")
    return work.commit(_serve(work), "charge")


def _termination(work: Work) -> Outcome:
    answers = _report_all(work)
    for key in list(work.groups):
        work.release(key)
    work.close_call()
    work.end(SessionState.CLOSED, "normal")
    return work.commit(ChargingAnswer(Result.SUCCESS, tuple(answers)), "charge")


def _serve(work: Work) -> ChargingAnswer:
    """Debit all that is reported, then grant what is asked for, group by group in the order of the request."""
    reported = _report_all(work)
    answers = [
        _grant(work, asked, answer) if _wants(work, asked) and answer.result is Result.SUCCESS else answer
        for asked, answer in zip(work.request.groups, reported, strict=True)
    ]
    answers = _last_of_each(answers)
    wanted = [answer for asked, answer in zip(work.request.groups, answers, strict=True) if _wants(work, asked)]
    refusals = [answer for answer in wanted if answer.result is not Result.SUCCESS]
    if (
        refusals
        and len(refusals) == len(wanted)
        and (work.request.command_level or not work.request.refuse_in_group or not work.usable)
        and not any(group.granted for group in work.groups.values())
    ):
        return ChargingAnswer(refusals[0].result, tuple(answers), why=refusals[0].why)
    return ChargingAnswer(Result.SUCCESS, tuple(answers))


def _last_of_each(answers: list[GroupAnswer]) -> list[GroupAnswer]:
    """A group named twice has one grant: only its last answer tells it, or a client would count it twice."""
    seen: set[tuple[int | None, int | None]] = set()
    for index in range(len(answers) - 1, -1, -1):
        answer = answers[index]
        key = (answer.rating_group, answer.service_id)
        if key in seen and answer.granted is not None:
            answers[index] = msgspec.structs.replace(answer, granted=None, validity_time_s=None, final_unit=None)
        seen.add(key)
    return answers


def _wants(work: Work, asked: GroupRequest) -> bool:
    return asked.requested is not None or (work.request.grant_unasked and work.request.type is RequestType.INITIAL)


def _report_all(work: Work) -> list[GroupAnswer]:
    """Debit the usage of each group of the request; the answers stand for groups that ask for nothing more."""
    return [_report(work, asked) for asked in work.request.groups]


def _report(work: Work, asked: GroupRequest) -> GroupAnswer:
    key = (asked.rating_group, asked.service_id)
    group = work.groups.get(key)
    if group is None:
        if not work.room_for_group():
            work.notes.append("too_many_groups")
            return refuse(work.new_group(asked), "too_many_groups")
        group = work.new_group(asked)
    elif group.segment is None:
        group = work.with_segment(group, work.find_rate(group))
        group = msgspec.structs.replace(group, started_at_ns=group.started_at_ns or work.at_ns)
    if asked.used or asked.requested is not None or asked.final:
        work.take_report(key, asked, group)
    elif key not in work.groups and work.request.type is not RequestType.TERMINATION:
        work.groups[key] = group
    return GroupAnswer(asked.rating_group, asked.service_id, Result.SUCCESS, group.measure)


def _grant(work: Work, asked: GroupRequest, answer: GroupAnswer) -> GroupAnswer:
    key = (asked.rating_group, asked.service_id)
    group = work.groups[key]
    if not work.usable:
        return refuse(group, "disabled_account")
    found = for_measure(work.find_rate(group), group.measure)
    if isinstance(found, NotFound):
        return refuse(group, found.reason)
    if group.granted:  # a group named twice in one request: the later wish counts
        work.release(key)
        group = work.groups[key]
    work.groups[key], answer = grant(
        work.at_rate(group, found),
        asked.requested or Units(),
        work.payer,
        fee_charged=work.fee_charged or fees.held_elsewhere(work.groups, key),
        now_ns=work.now_ns,
        at_ns=work.next_ns(group),
    )
    if answer.granted and not work.fee_charged:
        work.groups[key] = fees.noted(work.groups, key)
    return answer


def _unknown(work: Work) -> Outcome:
    """An UPDATE or TERMINATION of a session that was never opened here.

    What it reports was delivered and is billable: it is kept in the journal and as a CDR even though the client is
    told 5002, unless the service adopts such sessions after a failover.
    """
    request, session = work.request, work.before
    if (
        work.policy.unknown_session is UnknownSession.ADOPT
        and request.type is RequestType.UPDATE
        and request.subscriber
    ):
        work.adopt()
        return _update(work)
    known = session is not None and session.state is SessionState.UNKNOWN
    result = Result.SUCCESS if known and request.type is RequestType.TERMINATION else Result.UNKNOWN_SESSION_ID
    answer = ChargingAnswer(result, why="" if result is Result.SUCCESS else "unknown_session")
    if not known and not any(units.measure() for asked in request.groups for units in asked.used):
        return _refused(Result.UNKNOWN_SESSION_ID, "unknown_session", "unknown_session")
    work.keep_unrated()
    return work.refuse_session(answer, SessionState.UNKNOWN, "unknown_session")


def _late(work: Work) -> Outcome:
    """A report after the end of the session: what was delivered is debited and recorded, nothing is granted."""
    result = Result.SUCCESS if work.request.type is RequestType.TERMINATION else Result.UNKNOWN_SESSION_ID
    if any(units.measure() for asked in work.request.groups for units in asked.used):
        work.notes.append("late_usage")
        _report_all(work)
        work.write_cdrs("late", only_used=True)
    return work.commit(ChargingAnswer(result, why="" if result is Result.SUCCESS else "session_ended"), "late")


def expire(
    account: Account,
    session: Session,
    policy: ServicePolicy,
    tariff: Tariff,
    now_ns: int,
    others: Sequence[Account] | None = None,
) -> Outcome:
    """Supervision: release the holds whose time is over, and close a session that was not heard of for too long.

    An Outcome without writes means that there is nothing to do yet.
    """
    if not session.is_open or session.due_at_ns > now_ns:
        return Outcome()
    if others is None and (needed := _needed(account, session, tariff, now_ns)):
        return Outcome(needs=needed)
    work = Work.of_session(account, session, tariff, policy, now_ns, others or ())
    for key, group in list(work.groups.items()):
        if group.hold_until_ns and group.hold_until_ns <= now_ns:
            work.release(key)
    if life.deadline_ns(session, policy) <= now_ns:
        for key in list(work.groups):
            work.release(key)
        work.notes.append("expired")
        work.end(SessionState.EXPIRED, "timeout")
    return work.commit(None, "expire")


def end(
    account: Account,
    session: Session,
    policy: ServicePolicy,
    tariff: Tariff,
    now_ns: int,
    cause: str,
    others: Sequence[Account] | None = None,
) -> Outcome:
    """End a session now, without a request of its client: what it holds is released, its CDRs have `cause`.

    What the client still reports is debited: a late TERMINATION is answered 2001, a late UPDATE 5002. An Outcome
    without writes means that the session was over already.
    """
    if not session.is_open:
        return Outcome()
    if others is None and (needed := _needed(account, session, tariff, now_ns)):
        return Outcome(needs=needed)
    work = Work.of_session(account, session, tariff, policy, now_ns, others or ())
    for key in list(work.groups):
        work.release(key)
    work.end(SessionState.EXPIRED, cause)
    return work.commit(None, "end")
