"""Why usage costs what it costs, from the number as dialled to the last balance. Pure.

Nothing is computed twice: the call is charged on a copy of the account by `whole.charge`, which is watched; rates are
looked up by the look-up of charging, which says what it tried; what a client would get is what `engine.decide` answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import msgspec

from ocs.balances.account import Account
from ocs.balances.choice import Event, ref, shared_with
from ocs.balances.cover import Meter, Step, owed
from ocs.charging import house
from ocs.charging.engine import decide
from ocs.charging.explain_balances import balances_seen
from ocs.charging.explained import (
    Answer,
    Asked,
    Explanation,
    Part,
    Payment,
    PrefixSeen,
    Priced,
    SubjectSeen,
    TierSeen,
    WindowSeen,
)
from ocs.charging.payer import Payer, for_measure
from ocs.charging.reports import Seen
from ocs.charging.requests import ChargingRequest, GroupRequest, RequestedAction, RequestType, Result, Units
from ocs.charging.whole import Call, Charged, begin, charge, max_usage
from ocs.rating.prices import Tier, in_tiers, round_nanos, round_up, unrounded
from ocs.rating.tariff import Found, NotFound, PrefixTried, SubjectTried, Tariff, Window
from ocs.rating.timings import started_at
from ocs.rating.units import Measure

_FIELD = {Measure.TIME: "time_ns", Measure.OCTETS: "octets", Measure.EVENTS: "events"}


def explain(asked: Asked, account: Account | None, tariff: Tariff, others: Sequence[Account] = ()) -> Explanation:
    """The chain for an event, with the account as it is given; None where it is unknown.

    others: the accounts that share balances with it (`choice.shared_with`).
    """
    number = house.called_number(_request(asked, RequestType.EVENT), tariff)
    at_house = house.house_destination(number, tariff)
    payers = house.new_house_account(tariff) if at_house is not None else account
    parts: tuple[Part, ...] = ()
    charged: Charged | NotFound | None = None
    affordable: int | None = None
    if payers is not None:
        call = Call(number, asked.at_ns, asked.usage, asked.rating_group, asked.position, asked.measure)
        parts, charged = _parts(payers, others, tariff, asked, call)
        if isinstance(charged, Charged):
            payable = max_usage(payers, tariff, asked.service, call, others)
            affordable = payable if isinstance(payable, int) and payable < asked.usage else None
    version = tariff.at(asked.at_ns)
    rating_group = asked.rating_group
    done = charged if isinstance(charged, Charged) else None
    return Explanation(
        asked=asked,
        number=number,
        currency=tariff.currency,
        version=version.version,
        valid_from_ns=version.valid_from_ns,
        next_version=version.successor.version if version.successor else "",
        next_from_ns=version.successor.valid_from_ns if version.successor else None,
        account=account,
        usable=account is not None and account.usable(asked.at_ns),
        house=at_house,
        rating_group=asked.service.default_rating_group if rating_group is None else rating_group,
        parts=parts,
        cost_nanos=done.cost_nanos if done else 0,
        fee_nanos=sum(part.fee_nanos for part in parts),
        overdraft_nanos=done.overdraft_nanos if done else 0,
        unit_usage=done.unit_usage if done else 0,
        taken=tuple(done.taken.items()) if done else (),
        event=_answer(asked, RequestType.EVENT, payers, tariff, others),
        initial=_answer(asked, RequestType.INITIAL, payers, tariff, others),
        affordable=affordable,
    )


def sharing_ids(account: Account | None, tariff: Tariff, at_ns: int) -> tuple[str, ...]:
    """Ids of the accounts that `explain` needs beside the own one."""
    return () if account is None else shared_with(account, tariff.at(at_ns))


# --- what a client gets ----------------------------------------------------------------------------------------------


def _request(asked: Asked, kind: RequestType) -> ChargingRequest:
    units = Units(**{_FIELD[asked.measure]: asked.usage})
    return ChargingRequest(
        session_id="explain",
        type=kind,
        number=0,
        service=asked.service.name,
        origin_host="explain",
        action=RequestedAction.DIRECT_DEBITING if kind is RequestType.EVENT else None,
        called=asked.called,
        groups=(GroupRequest(rating_group=asked.rating_group, requested=units),),
    )


def _answer(
    asked: Asked, kind: RequestType, account: Account | None, tariff: Tariff, others: Sequence[Account]
) -> Answer:
    outcome = decide(account, None, _request(asked, kind), tariff, asked.service, asked.at_ns, others)
    answer = outcome.answer
    assert answer is not None
    if answer.result is not Result.SUCCESS or not answer.groups:
        return Answer(answer.result, answer.why)
    group = answer.groups[0]
    sessions = outcome.session.groups if outcome.session else ()
    return Answer(
        group.result,
        group.why,
        group.granted,
        group.validity_time_s,
        group.final_unit,
        group.tariff_change_at_ns,
        sessions[0].holds if sessions else (),
    )


# --- the parts of the usage ------------------------------------------------------------------------------------------


def _parts(
    account: Account, others: Sequence[Account], tariff: Tariff, asked: Asked, call: Call
) -> tuple[tuple[Part, ...], Charged | NotFound]:
    """(parts with one price each, what the call did to the account)."""
    payer, group = begin(account, others, tariff, asked.service, call)
    seen: list[Seen] = []
    charged = charge(account, tariff, asked.service, call, others, seen.append)
    if not seen:
        found, tried = _look_up(payer, call.rating_group, call.at_ns, asked.measure)
        return (_priced_part(Part(call.at_ns, call.usage, call.position, tried), found),), charged
    event = Event(asked.service.kind, asked.service.name, call.number, call.at_ns)
    left = {balance.id: balance.available for balance in account.balances}
    for other in others:
        left.update({ref(other.id, balance.id): balance.available for balance in other.balances})
    parts = []
    for each in seen:
        found, tried = _look_up(payer, call.rating_group, each.at_ns, group.measure)
        part = _priced_part(Part(each.at_ns, each.usage, each.group.position, tried), found)
        parts.append(_paid_part(part, each, account, others, tariff, event._replace(at_ns=each.at_ns), left))
        for balance_id, amount in each.done.taken.items() if each.done else ():
            left[balance_id] = left.get(balance_id, 0) - amount
    return tuple(parts), charged


def _look_up(
    payer: Payer, rating_group: int | None, at_ns: int, measure: Measure
) -> tuple[Found | NotFound, tuple[SubjectSeen, ...]]:
    tried: list[SubjectTried] = []
    found = for_measure(payer.find_rate(rating_group, at_ns, tried), measure)
    return found, tuple(_subject_seen(one, at_ns) for one in tried)


def _subject_seen(tried: SubjectTried, at_ns: int) -> SubjectSeen:
    prefixes = tuple(_prefix_seen(prefix, at_ns) for prefix in tried.prefixes)
    return SubjectSeen(tried.subject, tried.name, tried.activation, prefixes, tried.reason)


def _prefix_seen(tried: PrefixTried, at_ns: int) -> PrefixSeen:
    return PrefixSeen(
        tried.prefix, tuple(_window_seen(window, window is tried.chosen, at_ns) for window in tried.windows)
    )


def _window_seen(window: Window, taken: bool, at_ns: int) -> WindowSeen:
    if window.timing is None:
        return WindowSeen(window, holds=True, since=None, taken=taken)
    since = started_at(window.timing, at_ns)
    return WindowSeen(window, since is not None, since, taken)


def _priced_part(part: Part, found: Found | NotFound) -> Part:
    if isinstance(found, NotFound):
        return msgspec.structs.replace(part, reason=found.reason, until_ns=found.until_ns)
    return msgspec.structs.replace(
        part,
        until_ns=found.until_ns,
        version=found.version,
        prefix=found.prefix,
        destination_id=found.destination_id,
        rate=found.rate,
    )


def _paid_part(
    part: Part,
    seen: Seen,
    account: Account,
    others: Sequence[Account],
    tariff: Tariff,
    event: Event,
    left: dict[str, int],
) -> Part:
    """The part with who paid for it."""
    state, done, choice = seen.state, seen.done, seen.choice
    if state is None or done is None or choice is None:
        return part
    free = state.meters[0].rate.free
    full = None
    if not free:
        due_nanos, after = owed(state.without_fee(), seen.usage)
        full = priced(after.meters[0], seen.usage, due_nanos)
    return msgspec.structs.replace(
        part,
        price=full,
        payments=tuple(_payment(step) for step in seen.steps),
        balances=() if free else balances_seen(seen, account, others, tariff.at(seen.at_ns), event, left),
        cost_nanos=done.cost_nanos,
        fee_nanos=done.fee_nanos,
        overdraft_nanos=done.overdraft_nanos,
        unit_usage=done.by_units,
    )


def _payment(step: Step) -> Payment:
    shown = None if step.meter is None else priced(step.meter, step.usage, step.nanos)
    return Payment(step.kind, step.usage, step.taken, step.nanos, shown)


def priced(after: Meter, usage: int, nanos: int) -> Priced:
    """How `nanos` came about for the last `usage` base units of a meter."""
    rate = after.rate
    numerator, denominator = unrounded(rate, after.priced, after.start)
    numerator += after.before
    common = gcd(numerator, denominator)
    if rate.tiers:
        tiers = tuple(TierSeen(tier, charged) for tier, charged in in_tiers(rate, after.priced, after.start))
    else:
        tier = Tier(0, rate.price_nanos, rate.unit_size, rate.increment)
        tiers = (TierSeen(tier, round_up(after.priced, rate.increment)),)
    return Priced(
        rate,
        after.subject,
        after.start,
        after.priced - usage,
        after.charged_nanos - nanos,
        usage,
        tiers,
        numerator // common,
        denominator // common,
        round_nanos(numerator, denominator, rate.rounding_nanos, rate.rounding),
        nanos,
    )
