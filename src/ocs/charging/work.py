"""The working state of one decision: session, groups and book as they change, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ocs.balances.account import Account
from ocs.balances.book import Closed
from ocs.balances.choice import Event
from ocs.balances.counters import count
from ocs.balances.journal import Entry
from ocs.balances.reserve import release
from ocs.cdr.records import Cdr
from ocs.charging import fees, house, life
from ocs.charging.circumstances import facts_of
from ocs.charging.groups import measure_of, used_amount
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.payer import Payer
from ocs.charging.policy import ServicePolicy
from ocs.charging.pools import draw
from ocs.charging.refunded import Given
from ocs.charging.reports import FIELD, Reported, report
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupRequest, RequestType, Units
from ocs.charging.session import Charge, Group, GroupKey, Segment, Session, SessionState
from ocs.charging.usage_times import rating_time
from ocs.limits import (
    DURATION_SLACK_S,
    GROUPS_PER_SESSION_MAX,
    PLAUSIBLE_TIME_SLACK_S,
    REFUNDABLE_CHARGES_MAX,
)
from ocs.rating.conditions import merge
from ocs.rating.tariff import Found, NotFound, Tariff
from ocs.rating.units import NS_PER_S, Kind, Measure

"""Attributes of a TERMINATION that CDRs keep."""

SUPERVISION: Final = ChargingRequest(session_id="", type=RequestType.UPDATE, number=0, service="", origin_host="")
"""Stands for the request where supervision decides."""


class Counted(NamedTuple):
    """What counters have to count of one called party; cost_nanos: of all parties up to this one."""

    called: str
    usage: int
    taken: dict[str, int]
    cost_nanos: int


class Work:
    """Lives inside one pure call. Reports, grants and releases change it; `commit` makes the Outcome."""

    def __init__(
        self,
        account: Account,
        session: Session | None,
        request: ChargingRequest,
        tariff: Tariff,
        policy: ServicePolicy,
        now_ns: int,
        others: Sequence[Account] = (),
    ) -> None:
        self.account = account
        self.before = session
        self.request = request
        self.tariff = tariff
        self.policy = policy
        self.now_ns = now_ns
        self.at_ns = rating_time(request.event_at_ns, now_ns)
        self.session = _session_for(account, session, request, tariff, now_ns)
        if tariff.asks:
            self._learn()
        if request.answered_at_ns and not self.session.answered_at_ns and request.type is not RequestType.TERMINATION:
            self.session = msgspec.structs.replace(self.session, answered_at_ns=request.answered_at_ns)
        self.groups: dict[GroupKey, Group] = {
            (group.rating_group, group.service_id): group for group in self.session.groups
        }
        self.fee_charged = self.session.fee_charged
        self.usable = account.usable(now_ns)
        self.payer = Payer(account, others, self.session, tariff, policy)
        if request.more_called:
            self._call_free()
        self.notes: list[str] = []
        self.cdrs: list[Cdr] = []
        self.charges = self.session.charges
        self._cost_nanos = 0
        self._overdraft_nanos = 0
        self._usage: list[str] = []
        self._used = 0
        self._event_fee_charged = False
        self._taken: dict[str, int] = {}
        self._counted: list[Counted] = []
        self._others = others
        self._state = self.session.state
        self._cause = self.session.cause

    @classmethod
    def of_session(
        cls,
        account: Account,
        session: Session,
        tariff: Tariff,
        policy: ServicePolicy,
        now_ns: int,
        others: Sequence[Account] = (),
    ) -> Work:
        """For supervision, which has no request."""
        return cls(account, session, SUPERVISION, tariff, policy, now_ns, others)

    def find_rate(self, group: Group) -> Found | NotFound:
        """The rate of what a group uses next."""
        return self.payer.find_rate(group.rating_group, self.next_ns(group))

    def next_ns(self, group: Group) -> int:
        """When what a group uses next happens: now; but usage of time goes on where the last report of it ended."""
        if group.measure is Measure.TIME and group.answered_at_ns:
            return group.answered_at_ns + group.position
        return self.at_ns

    def close_call(self) -> None:
        """What the last request says of the end goes into the CDRs; and how long the call was, where it is told twice.

        What is charged is what was reported. A duration by the timestamps of the signalling, from answer to end, that
        differs from it by more than limits.DURATION_SLACK_S is noted, for whoever looks into disputes.
        """
        session, request = self.session, self.request
        closing = dict(request.ending)
        ended_ns = request.asked_at_ns or request.event_at_ns
        used_ns = max([group.position for group in self.groups.values() if group.measure is Measure.TIME], default=None)
        if session.answered_at_ns and ended_ns and used_ns is not None:
            duration_ns = ended_ns - session.answered_at_ns
            if abs(duration_ns - used_ns) > DURATION_SLACK_S * NS_PER_S:
                self.notes.append("duration_mismatch")
                closing["signalled_duration_s"] = str(duration_ns // NS_PER_S)
        if closing:
            attributes = tuple({**dict(session.attributes), **closing}.items())
            self.session = msgspec.structs.replace(session, attributes=attributes)

    def _learn(self) -> None:
        """Take note of the circumstances that rates ask for, as far as the request tells of them."""
        session, request, tariff = self.session, self.request, self.tariff
        direction = "terminating" if session.terminating else "originating"
        facts = session.facts
        for attributes in (session.attributes, request.attributes) if not facts else (request.attributes,):
            told = facts_of(dict(attributes), tariff.asks, tariff.home_networks, direction)
            facts = merge(facts, told)
        if facts != session.facts:
            self.session = msgspec.structs.replace(session, facts=facts)

    def call(self, called: str) -> None:
        """Rate by another called party from now on: an event has one more recipient."""
        self._counted.append(Counted(self.session.called, self._used, self._taken, self._cost_nanos))
        self._used, self._taken = 0, {}
        number = house.number_of(called, self.tariff)
        self.session = msgspec.structs.replace(self.session, called=number)
        self.payer.call(self.session)
        self._call_free()
        self._event_fee_charged = False

    def _call_free(self) -> None:
        """One of several recipients may be free for everybody, though the event as a whole is not."""
        free = house.house_destination(self.session.called, self.tariff.at(self.at_ns))
        if free is not None and not self.session.terminating:
            self.payer.call_free(free)

    def anew(self) -> Work:
        """The same request, nothing of it done."""
        return Work(self.account, self.before, self.request, self.tariff, self.policy, self.now_ns, self._others)

    def adopt(self) -> None:
        """Take over a session that was opened elsewhere."""
        self.notes.append("adopted")
        self.session = msgspec.structs.replace(self.session, adopted=True)

    def room_for_group(self) -> bool:
        """Whether the session may have one more group."""
        return len(self.groups) < GROUPS_PER_SESSION_MAX

    def new_group(self, asked: GroupRequest) -> Group:
        """A group that was not in the session before, with a segment that begins now, if it has a rate."""
        found = self.payer.find_rate(asked.rating_group, self.at_ns)
        rate = None if isinstance(found, NotFound) else found.rate
        measure = measure_of(rate, asked.requested, asked.used, self.policy)
        group = Group(
            asked.rating_group, asked.service_id, measure, started_at_ns=self.at_ns, attributes=asked.attributes
        )
        return self.with_segment(group, found)

    def with_segment(self, group: Group, found: Found | NotFound) -> Group:
        """The group with a segment that begins now."""
        return msgspec.structs.replace(group, segment=self.payer.segment(found, group))

    def at_rate(self, group: Group, found: Found) -> Group:
        """The group with a segment of that rate: the one that stands, or, where another price holds, a new one."""
        segment = group.segment
        if (
            segment is not None
            and segment.rate == found.rate
            and segment.facts == self.payer.facts
            and segment.tariff_version == found.version
            and (segment.until_ns is None or self.next_ns(group) < segment.until_ns)
        ):
            if segment.until_ns == found.until_ns:
                return group
            return msgspec.structs.replace(group, segment=msgspec.structs.replace(segment, until_ns=found.until_ns))
        if segment is not None and group.usage:
            if segment.tariff_version != found.version:
                group = self._cut(group, "tariff_change")
            elif segment.facts != self.payer.facts:
                group = self._cut(group, "rating_condition")
        return self.with_segment(group, found)

    def take_report(self, key: GroupKey, asked: GroupRequest, group: Group) -> None:
        """Debit what `asked` reports of the group; without usage only the group's holds are given back."""
        usage = used_amount(asked, group.measure)
        if any(units.measure() is not None and units.get(group.measure) is None for units in asked.used):
            self.notes.append("unrated_usage")  # told in another measure only, in which it has no price
        if usage and not self.fee_charged:
            group = fees.take_hold(self.groups, key, group, self.payer.book)
        if group.pool is not None:
            group = draw(self.groups, key, group, usage)
        self._take(key, group, asked.used, usage, fee_charged=self.fee_charged, plausible=self._plausible(group))

    def take_event(self, key: GroupKey, group: Group, usage: int) -> None:
        """Debit an event: at a price from zero and with one connect fee, whatever the session had before."""
        units = Units(**{FIELD[group.measure]: usage})
        done = self._take(key, group, (units,), usage, fee_charged=self._event_fee_charged, plausible=None)
        self._event_fee_charged = self._event_fee_charged or self.groups[key].fee_charged
        by_kind: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
        for balance_id, amount in done.taken.items():
            by_kind[self.payer.book.kind(balance_id) is Kind.MONETARY].append((balance_id, amount))
        charge = Charge(
            self.request.number,
            *key,
            group.measure,
            usage,
            done.group.unit_usage - group.unit_usage,
            tuple(by_kind[False]),
            tuple(by_kind[True]),
        )
        self.charges = (*self.charges, charge)[-REFUNDABLE_CHARGES_MAX:]

    def take_refund(self, group: Group, given: Given) -> None:
        """Give back a part of what an event charged, and record it."""
        nanos = 0
        for balance_id, amount in given.money:
            nanos += amount
            self._give(balance_id if self._is_money(balance_id) else self.payer.book.debtor(()), amount)
        for balance_id, amount in given.units:
            if self._is_money(balance_id) is False:  # units of a balance that is gone went with it
                self._give(balance_id, amount)
        self._cost_nanos -= nanos
        self._used -= given.usage
        self._note_usage(group, -given.usage)
        group = msgspec.structs.replace(
            group,
            usage=-given.usage,
            unit_usage=-given.unit_usage,
            cost_nanos=-nanos,
            started_at_ns=group.started_at_ns or self.now_ns,
            last_at_ns=self.now_ns,
        )
        self.groups[group.rating_group, group.service_id] = self._cut(group, "refund")

    def _is_money(self, balance_id: str) -> bool | None:
        """Whether there is money in the balance that has that id now, None where there is no such balance."""
        book = self.payer.book
        return book.kind(balance_id) is Kind.MONETARY if book.has(balance_id) else None

    def _give(self, balance_id: str, amount: int) -> None:
        self.payer.book.credit(balance_id, amount)
        self._taken[balance_id] = self._taken.get(balance_id, 0) - amount

    def _take(
        self,
        key: GroupKey,
        group: Group,
        used: Sequence[Units],
        usage: int,
        *,
        fee_charged: bool,
        plausible: int | None,
    ) -> Reported:
        done = report(
            group,
            self.payer,
            used,
            usage,
            lambda before: self._cut(before, "tariff_change"),
            fee_charged=fee_charged,
            opened_at_ns=self.session.opened_at_ns,
            now_ns=self.at_ns,
            plausible=plausible,
        )
        self.groups[key] = done.group
        self.fee_charged = self.fee_charged or done.fee_charged
        self.notes.extend(done.notes)
        self._cost_nanos += done.cost_nanos
        self._overdraft_nanos += done.overdraft_nanos
        self._used += done.usage
        for balance_id, amount in done.taken.items():
            self._taken[balance_id] = self._taken.get(balance_id, 0) + amount
        self._note_usage(group, done.usage)
        return done

    def _note_usage(self, group: Group, usage: int) -> None:
        if usage:
            name = "default" if group.rating_group is None else group.rating_group
            self._usage.append(f"rg {name}: {usage} {group.measure.value}")

    def _plausible(self, group: Group) -> int | None:
        """Nobody can have talked longer than the clock went on since the session began, give or take a day."""
        if group.measure is not Measure.TIME or self.before is None or self.session.adopted:
            return None
        return self.now_ns - self.session.opened_at_ns + PLAUSIBLE_TIME_SLACK_S * NS_PER_S - group.position

    def keep_unrated(self) -> None:
        """Record what is reported of an unknown session: billable, but not rated here."""
        self.notes.append("unknown_session")
        for asked in self.request.groups:
            key = (asked.rating_group, asked.service_id)
            group = self.groups.get(key) or msgspec.structs.replace(self.new_group(asked), segment=None)
            usage = used_amount(asked, group.measure)
            self.groups[key] = msgspec.structs.replace(
                group, usage=group.usage + usage, unrated=group.unrated + usage, last_at_ns=self.now_ns
            )
            self._note_usage(group, usage)
        self.write_cdrs("unknown_session", only_used=True)

    def release(self, key: GroupKey) -> None:
        """Give back what a group holds. How long its quota was good for is kept: the client may still report it."""
        group = self.groups[key]
        release(self.payer.book, [(hold.balance_id, hold.amount) for hold in group.holds])
        self.groups[key] = msgspec.structs.replace(group, holds=(), granted=0, hold_until_ns=0, fee_held=0)

    def end(self, state: SessionState, cause: str, *, only_used: bool = False) -> None:
        """Close the session, with a CDR for each group."""
        self._state = state
        self._cause = cause
        self.write_cdrs(cause, only_used=only_used)

    def write_cdrs(self, cause: str, *, only_used: bool = False) -> None:
        """Record what each group used since its last record."""
        for key, group in self.groups.items():
            if only_used and not group.usage:
                continue
            self.groups[key] = self._cut(group, cause)

    def _cut(self, group: Group, cause: str) -> Group:
        """Record what a group used since its last record, and begin the next one."""
        self.cdrs.append(self._cdr(group, cause))
        return msgspec.structs.replace(
            group, usage=0, unit_usage=0, cost_nanos=0, overrun=0, unrated=0, partial=group.partial + 1
        )

    def _cdr(self, group: Group, cause: str) -> Cdr:
        segment = group.segment
        session = self.session
        return Cdr(
            account_id=self.account.id,
            session_id=session.key,
            service=session.service,
            rating_group=group.rating_group,
            service_id=group.service_id,
            partial=group.partial,
            subscriber=session.subscriber,
            called=session.called,
            destination_id="" if segment is None else segment.destination_id,
            started_at_ns=group.started_at_ns,
            ended_at_ns=group.last_at_ns or group.started_at_ns,
            usage=group.usage,
            measure=group.measure,
            unit_usage=group.unit_usage,
            cost_nanos=group.cost_nanos,
            currency=self.account.currency,
            tariff_version=self.tariff.at(self.at_ns).version if segment is None else segment.tariff_version,
            cause=cause,
            overrun=group.overrun,
            unrated=group.unrated,
            attributes=session.attributes if segment is None else _described(session, group, segment),
        )

    def refuse_session(self, answer: ChargingAnswer, state: SessionState, kind: str = "charge") -> Outcome:
        """A session that is not opened: only its answer is remembered."""
        for key in list(self.groups):
            self.release(key)
        if state is SessionState.REFUSED:
            self.write_cdrs("refused", only_used=True)
            # What was recorded stays counted: no two records of a session may have the same number.
            self.groups = {
                key: Group(group.rating_group, group.service_id, group.measure, partial=group.partial)
                for key, group in self.groups.items()
                if group.partial
            }
        self._state = state
        return self.commit(answer, kind)

    def commit(self, answer: ChargingAnswer | None, kind: str) -> Outcome:
        """The Outcome: new account and session, journal entry, CDRs, answer."""
        own, *others = self.payer.book.close()
        assert self.payer.book.money_taken() == self._cost_nanos, "what is charged is what money balances lose"
        version = self.account.version + 1
        account = own.account
        if account.counters:
            account = self._count(account)
        account = msgspec.structs.replace(account, version=version)
        is_request = self.request is not SUPERVISION
        session = msgspec.structs.replace(
            self.session,
            state=self._state,
            groups=tuple(self.groups.values()),
            fee_charged=self.fee_charged,
            last_at_ns=self.now_ns if is_request or self._state is not SessionState.OPEN else self.session.last_at_ns,
            cause=self._cause,
            charges=self.charges,
            cost_nanos=self.session.cost_nanos + self._cost_nanos,
        )
        session = msgspec.structs.replace(session, due_at_ns=life.due_at_ns(session, self.policy))
        entry = Entry(
            self.account.id,
            version,
            kind,
            self.now_ns,
            session.key,
            self.request.name if is_request else "",
            own.postings,
            own.opened,
            cost_nanos=self._cost_nanos,
            overdraft_nanos=self._overdraft_nanos,
            usage=", ".join(self._usage),
            by=self.request.origin_host,
        )
        writes = (AccountWrite(account, entry), *[self._shared(other, entry) for other in others])
        return Outcome(writes, session, tuple(self.cdrs), answer=answer, notes=tuple(self.notes))

    def _count(self, account: Account) -> Account:
        """The account with its counters moved on, by the usage for each called party."""
        destinations = self.tariff.at(self.at_ns).destinations
        before_nanos = 0
        for counted in (*self._counted, Counted(self.session.called, self._used, self._taken, self._cost_nanos)):
            event = Event(self.policy.kind, self.policy.name, counted.called, self.at_ns)
            cost_nanos = counted.cost_nanos - before_nanos
            account = count(account, event, destinations, counted.usage, counted.taken, cost_nanos)
            before_nanos = counted.cost_nanos
        return account

    def _shared(self, closed: Closed, entry: Entry) -> AccountWrite:
        """What the session did to an account that shares balances with its own."""
        account = msgspec.structs.replace(closed.account, version=closed.account.version + 1)
        return AccountWrite(
            account,
            Entry(
                account.id,
                account.version,
                "shared",
                entry.at_ns,
                entry.session_id,
                entry.request,
                closed.postings,
                by=self.account.id,
            ),
        )


def _described(session: Session, group: Group, segment: Segment) -> tuple[tuple[str, str], ...]:
    """What a CDR tells of the service: of the session, of the group's container, and what decided its price."""
    if not segment.facts and not group.attributes:
        return session.attributes
    return tuple({**dict(session.attributes), **dict(group.attributes), **dict(segment.facts)}.items())


def _session_for(
    account: Account, session: Session | None, request: ChargingRequest, tariff: Tariff, now_ns: int
) -> Session:
    """The stored session, moved to the host that it now comes from; or a new one (which keeps what was remembered).

    An event is a session of its own, also where its Session-Id was used before: it has its own destination.
    """
    if request is SUPERVISION:
        assert session is not None
        return session
    is_event = request.type is RequestType.EVENT
    if is_event and request.is_refund and session is not None:
        return session
    if session is not None and not is_event and session.state not in (SessionState.REFUSED, SessionState.UNKNOWN):
        if session.origin_host == request.origin_host:
            return session
        return msgspec.structs.replace(session, origin_host=request.origin_host)
    fresh = Session(
        account_id=account.id,
        key=request.session_key,
        service=request.service,
        state=SessionState.OPEN,
        opened_at_ns=now_ns,
        last_at_ns=now_ns,
        due_at_ns=now_ns,
        subscriber=request.subscriber[0] if request.subscriber else "",
        called=house.called_number(request, tariff),
        origin_host=request.origin_host,
        attributes=tuple(request.attributes),
        terminating=request.terminating,
    )
    if session is None:
        return fresh
    return msgspec.structs.replace(
        fresh,
        seen=session.seen,
        answers=session.answers,
        pages=session.pages,
        groups=session.groups,
        charges=session.charges,
    )
