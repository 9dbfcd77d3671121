"""Refunds asked for by clients (REFUND_ACCOUNT, RFC 8506 6.4): of what an event charged, and of no more than that.

A refund is decided in the session of its charge, which is remembered for a day. It names it by the Refund-Information
of the answer to the event, or comes with the event's own Session-Id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ocs.balances.choice import owner_of
from ocs.charging.groups import refuse
from ocs.charging.outcome import Outcome
from ocs.charging.refunded import give
from ocs.charging.requests import ChargingAnswer, GroupAnswer, GroupRequest, Result
from ocs.charging.session import Charge, Group, Session
from ocs.charging.work import Work
from ocs.rating.units import Measure


def owners(session: Session) -> tuple[str, ...]:
    """Ids of other accounts whose balances paid for charges of the session."""
    names = {balance_id for charge in session.charges for balance_id, _ in (*charge.units, *charge.money)}
    return tuple(sorted({owner_of(name) for name in names} - {""}))


def decide_refund(work: Work) -> Outcome:
    """Give back what is asked for, as far as it was charged and not given back before; journal kind "refund".

    Whatever becomes of the account, what it is owed it gets: a refund is no service, and needs no credit.
    """
    request, session = work.request, work.before
    number = request.refund_number
    charges = [] if session is None or session.is_open else list(session.charges)
    named = [index for index, charge in enumerate(charges) if number in (None, charge.number)]
    if not named:
        return Outcome(answer=ChargingAnswer(Result.UNABLE_TO_COMPLY, why="unknown_charge"))
    answers = [_refund(work, asked, charges, named) for asked in request.groups]
    if all(answer.result is not Result.SUCCESS for answer in answers):
        shown = tuple(answers) if request.refuse_in_group else ()
        return Outcome(answer=ChargingAnswer(answers[0].result, shown, why=answers[0].why))
    work.charges = tuple(charges)
    return work.commit(ChargingAnswer(Result.SUCCESS, tuple(answers)), "refund")


def _refund(work: Work, asked: GroupRequest, charges: list[Charge], named: Sequence[int]) -> GroupAnswer:
    """Refund one group of a request, the latest charges first; a command's own units name no group."""
    key = (asked.rating_group, asked.service_id)
    mine = [index for index in named if _key(charges[index]) == key]
    if not mine and work.request.command_level:
        mine = list(named)
    measure = charges[mine[0]].measure if mine else Measure.EVENTS
    group = Group(asked.rating_group, asked.service_id, measure)
    if not mine:
        return refuse(group, "unknown_charge")
    wanted, readable = _wanted(asked, measure)
    if not readable:
        return refuse(group, "no_rate")
    rest = wanted
    done = False
    for index in reversed(mine):
        charge = charges[index]
        left = charge.usage - charge.refunded
        usage = left if rest is None else min(rest, left)
        if not usage or charge.measure is not measure:
            continue
        of_charge = work.groups.get(_key(charge)) or Group(*_key(charge), measure)
        work.take_refund(of_charge, give(charge, usage))
        charges[index] = msgspec.structs.replace(charge, refunded=charge.refunded + usage)
        rest = None if rest is None else rest - usage
        done = True
    if not done:
        return refuse(group, "nothing_to_refund")
    return GroupAnswer(asked.rating_group, asked.service_id, Result.SUCCESS, measure)


def _key(charge: Charge) -> tuple[int | None, int | None]:
    return charge.rating_group, charge.service_id


def _wanted(asked: GroupRequest, measure: Measure) -> tuple[int | None, bool]:
    """(base units to give back, None = all; whether the units that are named can be read so)."""
    for containers in (() if asked.requested is None else (asked.requested,), asked.used):
        named: Iterable[int | None] = [units.get(measure) for units in containers if units.measure() is not None]
        if named:
            amounts = [amount for amount in named if amount is not None]
            return (sum(amounts), True) if amounts else (0, False)
    return None, True
