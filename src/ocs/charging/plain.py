"""The usual UPDATE, decided in one go: groups with an open quota report within it, and ask for as much again.

    decide_plainly(account, session, request, tariff, policy, now_ns) -> Outcome | None

It only saves time. Whatever is out of the ordinary (a change of price, credit that is short, usage beyond the grant, a
balance with conditions that time changes, ...) gives None, and is decided in full: `engine.decide_in_full`. What is
decided here is, to the last field, what would be decided there; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.choice import NEVER_NS, OWNER_SEPARATOR, Choice
from ocs.balances.cover import Meter, is_priced
from ocs.balances.journal import Entry, Posting
from ocs.charging import house
from ocs.charging.grants import wanted_amount
from ocs.charging.life import due_of
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupAnswer, GroupRequest, RequestType, Result
from ocs.charging.session import Group, GroupKey, Hold, Segment, Session, SessionState
from ocs.charging.usage_times import rating_time
from ocs.limits import REPORT_COST_MAX_NANOS
from ocs.rating.memo import steady_rate
from ocs.rating.prices import Rate, round_nanos
from ocs.rating.tariff import Found, Tariff
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure

replace: Final = msgspec.structs.replace

_UPDATE: Final = int(RequestType.UPDATE)
_SUCCESS: Final = Result.SUCCESS


class _Unusual(Exception):
    """Something that is decided in full. It is raised before anything has been changed that anybody sees."""


def decide_plainly(
    account: Account,
    session: Session,
    request: ChargingRequest,
    tariff: Tariff,
    policy: ServicePolicy,
    now_ns: int,
) -> Outcome | None:
    """The Outcome of an UPDATE of the usual kind, None for all others."""
    groups = _groups_asked(session, request)
    if (
        groups is None
        or tariff.asks
        or policy.pooled
        or policy.answers.told
        or session.state is not SessionState.OPEN
        or session.origin_host != request.origin_host
        or session.terminating
        or session.charges
        or session.facts
        or request.more_called
        or (request.answered_at_ns and not session.answered_at_ns)
        or account.counters
        or account.allow_negative
        or account.id == house.HOUSE_ACCOUNT
        or not account.usable(now_ns)
    ):
        return None
    try:
        return _Plain(account, session, request, tariff, policy, now_ns).decide(groups)
    except _Unusual:
        return None


def _groups_asked(session: Session, request: ChargingRequest) -> list[tuple[GroupRequest, Group]] | None:
    """The groups of a request with those of the session; None where the request is a repeat, or not of the usual kind.

    Usual is one with the number after the last one (or the first of its type), for groups that have a quota and want
    the next, each named once.
    """
    ranges = session.seen.get(_UPDATE)
    number = request.number
    if ranges:
        if number != ranges[-1][1] + 1:
            return None
    elif number != 1:
        return None
    asked_groups = request.groups
    known = session.groups
    if len(asked_groups) == 1 and len(known) == 1:
        asked, group = asked_groups[0], known[0]
        if not _is_usual(asked, group) or (asked.rating_group, asked.service_id) != (
            group.rating_group,
            group.service_id,
        ):
            return None
        return [(asked, group)]
    by_key: dict[GroupKey, Group] = {}
    for group in known:
        if group.fee_held:
            return None
        for hold in group.holds:
            if OWNER_SEPARATOR in hold.balance_id:
                return None
        by_key[group.rating_group, group.service_id] = group
    pairs = []
    for asked in asked_groups:
        named = by_key.pop((asked.rating_group, asked.service_id), None)
        if named is None or not _is_usual(asked, named):
            return None
        pairs.append((asked, named))
    return pairs or None


def _is_usual(asked: GroupRequest, group: Group) -> bool:
    """One report at the most, without times of its own, and a wish in the measure that the group is priced in."""
    wish, used, measure = asked.requested, asked.used, group.measure
    if wish is None or asked.rating_group is None or group.segment is None or measure is Measure.TIME:
        return False
    if group.pool is not None or group.fee_held or group.change_at_ns or len(used) > 1:
        return False
    if wish.get(measure) is None and wish.measure() is not None:
        return False
    if not used:
        return True
    units = used[0]
    return (
        units.first_at_ns is None
        and units.tariff_change is None
        and (units.get(measure) is not None or units.measure() is None)
    )


class _Plain:
    """Lives inside one pure call. changes: by balance, what is added to its value and to what is held of it."""

    __slots__ = ("account", "at_ns", "changes", "cost_nanos", "now_ns", "policy", "request", "session", "tariff")

    def __init__(
        self,
        account: Account,
        session: Session,
        request: ChargingRequest,
        tariff: Tariff,
        policy: ServicePolicy,
        now_ns: int,
    ) -> None:
        self.account = account
        self.session = session
        self.request = request
        self.tariff = tariff
        self.policy = policy
        self.now_ns = now_ns
        self.at_ns = rating_time(request.event_at_ns, now_ns)
        self.changes: dict[str, list[int]] = {balance.id: [0, 0] for balance in account.balances}
        self.cost_nanos = 0

    def decide(self, asked: Sequence[tuple[GroupRequest, Group]]) -> Outcome:
        """Debit all that is reported, then grant what is asked for."""
        choice = self._choice(asked)
        reported: list[tuple[Group, Found, dict[str, Rate], dict[str, Meter], int]] = []
        usage_told: list[str] = []
        for request, group in asked:
            found, rates = self._rates(group, choice)
            usage = request.used[0].get(group.measure) or 0 if request.used else 0
            after, meters = self._reported(group, choice, rates, usage)
            reported.append((after, found, rates, meters, usage))
            if usage:
                usage_told.append(f"rg {group.rating_group}: {usage} {group.measure.value}")
        for balance in self.account.balances:
            if balance.held + self.changes[balance.id][1] < 0:
                raise _Unusual  # more was given back than was held: somebody has to be told
        groups: dict[GroupKey, Group] = {(group.rating_group, group.service_id): group for group in self.session.groups}
        answers: list[GroupAnswer] = []
        for (request, _), (group, found, rates, meters, usage) in zip(asked, reported, strict=True):
            key = (group.rating_group, group.service_id)
            groups[key] = self._granted(request, group, choice, found, rates, meters, usage)
            answers.append(
                GroupAnswer(*key, _SUCCESS, group.measure, groups[key].granted, self.policy.grant.validity_time_s)
            )
        return self._outcome(tuple(groups.values()), tuple(answers), ", ".join(usage_told))

    def _choice(self, asked: Sequence[tuple[GroupRequest, Group]]) -> Choice:
        """The balances for all groups, whether at the time of a report or now: nothing changes between the two."""
        at_ns = self.at_ns
        first_ns = last_ns = at_ns
        measure = MEASURE_OF_KIND[self.policy.kind]
        for _, group in asked:
            if group.measure is not measure:
                raise _Unusual
            before_ns = group.last_at_ns or group.started_at_ns
            first_ns, last_ns = min(first_ns, before_ns), max(last_ns, before_ns)
        units: list[Balance] = []
        money: list[Balance] = []
        for balance in self.account.balances:
            kind = balance.kind
            if balance.shared_group:
                raise _Unusual
            if kind is Kind.MONETARY:
                if balance.rating_subject:
                    raise _Unusual
                payers = money
            elif kind is self.policy.kind or kind is Kind.GENERIC:
                payers = units
            else:
                continue
            if _may_pay(balance, self.policy.name, at_ns, first_ns, last_ns):
                payers.append(balance)
        if len(units) > 1:
            units.sort(key=_order)
        if len(money) > 1:
            money.sort(key=_order)
        return Choice(tuple(units), tuple(money))

    def _rates(self, group: Group, choice: Choice) -> tuple[Found, dict[str, Rate]]:
        """What the group's segment goes on with, and the prices of units that cost money besides."""
        segment, at_ns = group.segment, self.at_ns
        assert segment is not None
        found = self._rate(self.account.plan, group, at_ns, at_ns)
        before_ns = group.last_at_ns or group.started_at_ns
        rate = segment.meters[0].rate
        if (
            (found.rate is not rate and found.rate != rate)
            or found.version != segment.tariff_version
            or segment.facts
            or segment.sliced
            or rate.free
            or (rate.connect_fee_nanos and not (group.position and (rate.fee_per_group or self.session.fee_charged)))
        ):
            raise _Unusual
        limits = self.policy.grant
        ahead_ns = at_ns + (limits.validity_time_s + limits.grace_s) * NS_PER_S
        for until_ns in (segment.until_ns, found.until_ns):
            if until_ns is not None and (until_ns <= before_ns or until_ns < ahead_ns):
                raise _Unusual
        rates: dict[str, Rate] = {}
        for balance in choice.units:
            subject = balance.rating_subject
            if subject and subject not in rates and is_priced(balance):
                rates[subject] = self._rate(subject, group, before_ns, at_ns).rate
        return found, rates

    def _rate(self, subject: str, group: Group, first_ns: int, last_ns: int) -> Found:
        """The price of a subject that holds from one time to another."""
        found = steady_rate(
            self.tariff, subject, self.policy.name, group.rating_group, self.session.called, first_ns, last_ns
        )
        if not isinstance(found, Found) or (found.rate.price_nanos and found.rate.measure is not group.measure):
            raise _Unusual
        return found

    def _reported(
        self, group: Group, choice: Choice, rates: Mapping[str, Rate], usage: int
    ) -> tuple[Group, dict[str, Meter]]:
        """The group after its report, with its sums only; and its meters. All of it is paid by what the group held."""
        assert group.segment is not None
        meters = {meter.subject: meter for meter in group.segment.meters}
        own: dict[str, int] = {}
        for hold in group.holds:
            change = self.changes.get(hold.balance_id)
            if change is None or hold.balance_id in own:
                raise _Unusual
            own[hold.balance_id] = hold.amount
            change[1] -= hold.amount
        if not usage:
            return group, meters
        rate = meters[""].rate
        if (
            usage > group.granted
            or 2 * (usage + rate.increment) * rate.price_nanos >= REPORT_COST_MAX_NANOS * rate.unit_size
        ):
            raise _Unusual
        money = sum([own.get(balance.id, 0) for balance in choice.money])
        units = sum([own.get(balance.id, 0) for balance in choice.units])
        if money + units != sum(own.values()) or not money + units:
            raise _Unusual  # a hold on a balance that is no longer used; or none at all
        taken, by_units, nanos = _walk(choice, own, rates, meters, group.position, usage)
        for balance_id, amount in taken.items():
            self.changes[balance_id][0] -= amount
        self.cost_nanos += nanos
        return (
            replace(
                group,
                usage=group.usage + usage,
                unit_usage=group.unit_usage + by_units,
                cost_nanos=group.cost_nanos + nanos,
                position=group.position + usage,
                spent_nanos=group.spent_nanos + nanos,
                last_at_ns=self.at_ns,
            ),
            meters,
        )

    def _granted(
        self,
        asked: GroupRequest,
        group: Group,
        choice: Choice,
        found: Found,
        rates: Mapping[str, Rate],
        meters: dict[str, Meter],
        usage: int,
    ) -> Group:
        """The group with the grant that its policy says, and what that may cost held."""
        segment, limits = group.segment, self.policy.grant
        assert segment is not None
        assert asked.requested is not None
        wanted = wanted_amount(asked.requested, group.measure, found.rate, self.policy)
        if wanted <= 0:
            raise _Unusual
        left: dict[str, int] = {}
        for balances in choice:
            for balance in balances:
                value, held = self.changes[balance.id]
                left[balance.id] = available = balance.value + value - balance.held - held
                if available < 0 and balance.kind is Kind.MONETARY:
                    raise _Unusual
        metered = tuple(meters.values())
        taken, _, _ = _walk(choice, left, rates, meters, group.position, wanted)
        for balance_id, amount in taken.items():
            self.changes[balance_id][1] += amount
        if usage or segment.until_ns != found.until_ns:
            segment = Segment(
                segment.tariff_version, segment.destination_id, segment.prefix, metered, (), found.until_ns
            )
        valid_until_ns = self.now_ns + limits.validity_time_s * NS_PER_S
        return replace(
            group,
            segment=segment,
            holds=tuple([Hold(balance_id, amount) for balance_id, amount in taken.items()]),
            granted=wanted,
            valid_until_ns=valid_until_ns,
            hold_until_ns=valid_until_ns + limits.grace_s * NS_PER_S,
            short=False,
        )

    def _outcome(self, groups: tuple[Group, ...], answers: tuple[GroupAnswer, ...], usage: str) -> Outcome:
        account, session, request, now_ns = self.account, self.session, self.request, self.now_ns
        balances: list[Balance] = []
        postings: list[Posting] = []
        money_nanos = 0
        for balance in account.balances:
            value, held = self.changes[balance.id]
            if value or held:
                if balance.kind is Kind.MONETARY:
                    money_nanos -= value
                postings.append(Posting(balance.id, value, held))
                balance = replace(balance, value=balance.value + value, held=balance.held + held)
            balances.append(balance)
        assert money_nanos == self.cost_nanos, "what is charged is what money balances lose"
        version = account.version + 1
        entry = Entry(
            account.id,
            version,
            "charge",
            now_ns,
            session.key,
            f"U/{request.number}",
            tuple(postings),
            cost_nanos=self.cost_nanos,
            usage=usage,
            by=request.origin_host,
        )
        after = replace(
            session,
            groups=groups,
            last_at_ns=now_ns,
            cost_nanos=session.cost_nanos + self.cost_nanos,
            due_at_ns=due_of(groups, now_ns, self.policy),
        )
        return Outcome(
            (AccountWrite(replace(account, balances=tuple(balances), version=version), entry),),
            after,
            answer=ChargingAnswer(_SUCCESS, answers),
            notes=_notes(session, request.number),
        )


def _may_pay(balance: Balance, service: str, at_ns: int, first_ns: int, last_ns: int) -> bool:
    """Whether a balance of a fitting kind is used at `at_ns`, as it is from `first_ns` to `last_ns`."""
    expires_ns = balance.expires_at_ns
    if (
        balance.blocker
        or balance.timings
        or balance.destinations
        or balance.factors
        or balance.rating_subject.startswith("*zero")
        or (expires_ns is not None and first_ns < expires_ns <= last_ns)
    ):
        raise _Unusual
    return not (
        balance.disabled
        or (expires_ns is not None and expires_ns <= at_ns)
        or (balance.categories and service not in balance.categories)
    )


def _order(balance: Balance) -> tuple[bool, int, int, str]:
    """`choice.look` for balances of one class, none of which is for certain destinations only."""
    expires_ns = balance.expires_at_ns
    return balance.kind is Kind.GENERIC, -balance.weight, NEVER_NS if expires_ns is None else expires_ns, balance.id


def _notes(session: Session, number: int) -> tuple[str, ...]:
    highest = max([ranges[-1][1] for ranges in session.seen.values() if ranges], default=-1)
    if highest < number <= highest + 1:
        return ()
    return ("late_number",) if number < highest else ("number_gap",) if number > highest + 1 else ()


def _walk(
    choice: Choice,
    left: Mapping[str, int],
    rates: Mapping[str, Rate],
    meters: dict[str, Meter],
    position: int,
    usage: int,
) -> tuple[dict[str, int], int, int]:
    """(what is taken off each balance, usage covered by units, nanos in it) where `left` pays all of `usage`.

    `cover.cover` for balances without slices, factors and blockers, and rates without tiers and bounds. The meters are
    moved on.
    """
    taken: dict[str, int] = {}
    rest, nanos = usage, 0
    purse = sum([left.get(balance.id, 0) for balance in choice.money])
    for balance in choice.units:
        part = min(rest, left.get(balance.id, 0))
        if part <= 0:
            continue
        subject = balance.rating_subject
        if subject in rates:
            meter = meters.get(subject) or Meter(rates[subject], subject, position + usage - rest)
            due_nanos = _charge(meters, meter, part)
            nanos += due_nanos
            if nanos > purse:
                raise _Unusual
            _pay(choice.money, left, taken, due_nanos)
        taken[balance.id] = part
        rest -= part
        if not rest:
            return taken, usage, nanos
    by_units = usage - rest
    due_nanos = _charge(meters, meters[""], rest)
    nanos += due_nanos
    if nanos > purse:
        raise _Unusual
    _pay(choice.money, left, taken, due_nanos)
    return taken, by_units, nanos


def _charge(meters: dict[str, Meter], meter: Meter, usage: int) -> int:
    """What `usage` more costs on a meter, which is moved on."""
    rate = meter.rate
    if rate.tiers or rate.max_cost_nanos is not None or meter.before:
        raise _Unusual
    priced = meter.priced + usage
    exact = -(-priced // rate.increment) * rate.increment * rate.price_nanos
    due_nanos = max(0, round_nanos(exact, rate.unit_size, rate.rounding_nanos, rate.rounding) - meter.charged_nanos)
    meters[meter.subject] = Meter(rate, meter.subject, meter.start, priced, meter.charged_nanos + due_nanos)
    return due_nanos


def _pay(money: Sequence[Balance], left: Mapping[str, int], taken: dict[str, int], nanos: int) -> None:
    """Take `nanos` off money balances in their order; they have them."""
    for balance in money:
        if not nanos:
            return
        name = balance.id
        before = taken.get(name, 0)
        part = min(nanos, left.get(name, 0) - before)
        if part > 0:
            taken[name] = before + part
            nanos -= part
