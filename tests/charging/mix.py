"""A random mix of sessions on one account: plays requests, and checks after each what must hold after any."""

from __future__ import annotations

import msgspec

from ocs.balances import adjust
from ocs.balances.account import Account, Balance
from ocs.charging import engine
from ocs.charging.memory import recall
from ocs.charging.outcome import Outcome
from ocs.charging.requests import (
    ChargingAnswer,
    ChargingRequest,
    GroupAnswer,
    GroupRequest,
    RequestedAction,
    Result,
    Units,
)
from ocs.charging.session import Group, Session, SessionState
from ocs.rating.prices import Rate
from ocs.rating.tariff import Found, Tariff, find_rate
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.oracle import Bill, Use, may_pay, segment_cost
from tests.charging.world import AUD, DATA, EVENT, INITIAL, MIB, POLICIES, TERMINATION, UPDATE, World, group, request
from tests.charging.world import table as one_rate
from tests.charging.world import tariff as small_tariff

MOVING = (SessionState.OPEN, SessionState.CLOSED, SessionState.EXPIRED)
NUMBERS = {"data": "", "voice": "61491570156", "flat": "61291234567", "minute": "4930123456"}
GROUP_RATES = {
    100: DATA,
    101: Rate("data-fee", Measure.OCTETS, 3 * AUD // 1_000, MIB, 10_000, connect_fee_nanos=AUD // 50),
    102: Rate("data-group-fee", Measure.OCTETS, 7, 1_000, 1, connect_fee_nanos=AUD // 90, fee_per_group=True),
    103: Rate("data-up", Measure.OCTETS, AUD // 3, 3 * MIB, 7, rounding_nanos=10_000, rounding="up"),
}


def mixed_tariff(version: str, factor: int = 1) -> Tariff:
    """Data groups 100..103 with fees and roundings of all kinds, 900 free; voice and sms as in the small tariff."""
    tariff = small_tariff(version)
    data = tariff.plans["standard"].services["data"]
    groups = dict(data.by_group)
    for number, rate in GROUP_RATES.items():
        groups[number] = one_rate({}, msgspec.structs.replace(rate, price_nanos=rate.price_nanos * factor))
    plan = tariff.plans["standard"]
    services = {**plan.services, "data": msgspec.structs.replace(data, by_group=groups)}
    return msgspec.structs.replace(tariff, plans={"standard": msgspec.structs.replace(plan, services=services)})


class Mix(World):
    """World with a bill for each session, and with checks of every outcome against what stood before it."""

    def __init__(self, *balances: Balance) -> None:
        super().__init__(*balances)
        self.tariff = mixed_tariff("v1")
        self.bills: dict[str, Bill] = {}
        self.called: dict[str, str] = {}
        self.sent: list[tuple[ChargingRequest, ChargingAnswer]] = []
        self.credited: dict[str, int] = {}
        self.overdrawn = False

    # What can happen.

    def initial(self, key: str, kind: str, *groups: GroupRequest) -> None:
        """Open a session that was not open before; `kind` is one of NUMBERS."""
        self._play(request(INITIAL, 0, *groups, session_id=key, service=_service(kind), called=NUMBERS[kind]))

    def update(self, key: str, number: int, *groups: GroupRequest) -> None:
        """An UPDATE of a session, open or not, or never heard of."""
        self._play(request(UPDATE, number, *groups, session_id=key, service=self._service(key)))

    def terminate(self, key: str, *groups: GroupRequest) -> None:
        """A TERMINATION of a session, open or not, or never heard of."""
        self._play(request(TERMINATION, 1_000, *groups, session_id=key, service=self._service(key)))

    def event(self, key: str, amount: int) -> None:
        """An SMS or several, debited at once."""
        asked = group(None, Units(events=amount))
        number = NUMBERS["voice"]
        action = RequestedAction.DIRECT_DEBITING
        self._play(request(EVENT, 0, asked, session_id=key, service="sms", called=number, action=action))

    def repeat(self, which: int) -> None:
        """Any request again: the same answer, and nothing moves."""
        if not self.sent:
            return
        sent, answer = self.sent[which % len(self.sent)]
        session = self.sessions[sent.session_key]
        moved = msgspec.structs.replace(sent, origin_host="other.example.com")
        outcome = engine.decide(self.account, session, moved, self.tariff, self.policies[sent.service], self.now_ns)
        assert outcome.repeat is not None
        if outcome.repeat:
            assert msgspec.msgpack.decode(outcome.repeat, type=ChargingAnswer) == answer
        else:
            assert session.pages, "an answer that is not in the row is in a page"
        assert outcome == Outcome(repeat=outcome.repeat, notes=("repeat",))

    def top_up(self, which: int, amount: int) -> None:
        """Add to a balance that is there."""
        assert self.account is not None
        if self.account.balances:
            balance = self.account.balances[which % len(self.account.balances)]
            after, entry = adjust.top_up(self.account, balance, amount, self.now_ns, by="test", reason="more")
            self.account = after
            self.journal.append(entry)
            self.credited[balance.id] = self.credited.get(balance.id, 0) + amount
            self.check()

    def wait(self, seconds: int) -> None:
        """Time passes, and supervision looks at whatever is due."""
        self.now_ns += seconds * NS_PER_S
        for key, session in self.sessions.items():
            if session.is_open and session.due_at_ns <= self.now_ns:
                self.supervise(key)

    def supervise(self, key: str) -> None:
        """What supervision has to do is done in one call: nothing is due before now after it."""
        before = self.sessions[key]
        value = self._values()
        self.expire(key)
        after = self.sessions[key]
        assert self._values() == value
        assert after.due_at_ns > self.now_ns
        for group_before, group_after in zip(before.groups, after.groups, strict=True):
            assert group_before.holds == group_after.holds or not group_after.holds

    # What must hold.

    def _play(self, sent: ChargingRequest) -> None:
        key = sent.session_key
        before, account = self.sessions.get(key), self.account
        assert account is not None
        if before is not None and recall(before, sent.type, sent.number) is not None:
            return
        answer = self.send(sent)
        outcome = self.outcome
        assert outcome.repeat is None
        if outcome.session is not None:
            self.sent.append((sent, answer))
        self._check_answer(sent, answer)
        if not outcome.writes:
            return
        if before is None or before.state not in MOVING:
            before = None
            self.bills[key] = Bill()
            self.called[key] = sent.called
        self._check_money(account, outcome)
        if sent.type is EVENT:
            self._bill_event(sent, answer, outcome)
        elif self.sessions[key].state is SessionState.UNKNOWN:
            assert outcome.writes[0].entry.postings == ()
        else:
            self._bill_groups(sent, before, answer, outcome)
        self._check_grants(sent, account, answer)
        self._check_payers(sent, account, outcome)

    def _check_answer(self, sent: ChargingRequest, answer: ChargingAnswer) -> None:
        assert [(a.rating_group, a.service_id) for a in answer.groups] == [
            (g.rating_group, g.service_id) for g in sent.groups[: len(answer.groups)]
        ]
        for asked, given in zip(sent.groups, answer.groups, strict=False):
            if asked.requested is None or sent.type is TERMINATION:
                assert given.granted is None
            if given.granted is not None and sent.type is not EVENT:
                assert (given.validity_time_s or 0) > 0 or not given.granted
                assert given.measure is not Measure.TIME or given.granted % NS_PER_S == 0
            if given.final_unit is not None:
                assert given.granted
        if answer.result is not Result.SUCCESS:
            assert not any(given.granted for given in answer.groups)

    def _check_money(self, account: Account, outcome: Outcome) -> None:
        """The entry's cost is what money balances lost; nothing else gains or loses; a debt is always flagged."""
        entry = outcome.writes[0].entry
        after = outcome.writes[0].account
        kinds = {balance.id: balance.kind for balance in after.balances}
        spent = -sum(posting.value for posting in entry.postings if kinds[posting.balance_id] is Kind.MONETARY)
        assert spent == entry.cost_nanos
        assert all(posting.value <= 0 for posting in entry.postings)
        assert 0 <= entry.overdraft_nanos <= entry.cost_nanos
        self.overdrawn = self.overdrawn or bool(entry.overdraft_nanos)
        for balance in after.balances:
            if balance.kind is not Kind.MONETARY or not self.overdrawn:
                assert balance.value >= balance.held >= 0

    def _bill_event(self, sent: ChargingRequest, answer: ChargingAnswer, outcome: Outcome) -> None:
        entry = outcome.writes[0].entry
        if answer.result is not Result.SUCCESS:
            assert entry.postings == ()
            return
        units = sum(cdr.unit_usage for cdr in outcome.cdrs)
        asked = sent.groups[0].requested
        assert asked is not None
        assert asked.events is not None
        found = find_rate(self.tariff, "standard", "sms", None, sent.called)
        assert isinstance(found, Found)
        assert entry.cost_nanos == segment_cost(found.rate, asked.events - units)
        bill = self.bills[sent.session_key]
        bill.segment(None, self.tariff.version, found.rate)
        bill.use(None, asked.events, units)

    def _bill_groups(
        self, sent: ChargingRequest, before: Session | None, answer: ChargingAnswer, outcome: Outcome
    ) -> None:
        """Enter what was reported into the bill, by the price that the group had when it was granted."""
        after = self.sessions[sent.session_key]
        bill = self.bills[sent.session_key]
        kinds = {balance.id: balance.kind for balance in outcome.writes[0].account.balances}
        usage_now = units_now = 0
        for asked in sent.groups:
            key = _key(asked, after.service)
            old, new = _group(before, asked), _group(after, asked)
            recorded = [cdr for cdr in outcome.cdrs if (cdr.rating_group, cdr.service_id) == key]
            rate = self._rate(sent.session_key, asked)
            if rate is not None and new is not None and not bill.is_rated(key):
                bill.segment(key, self.tariff.version, rate)
            usage = sum(units.get(_measure(asked, rate)) or 0 for units in asked.used)
            new_usage, new_units = (0, 0) if new is None else (new.usage, new.unit_usage)
            old_usage, old_units = (0, 0) if old is None else (old.usage, old.unit_usage)
            assert new_usage + sum(cdr.usage for cdr in recorded) - old_usage == usage
            by_units = new_units + sum(cdr.unit_usage for cdr in recorded) - old_units
            if usage and bill.is_rated(key):
                self._check_units_first(old, usage, by_units, kinds)
                bill.use(key, usage, by_units)
                usage_now += usage
                units_now += by_units
        entry = outcome.writes[0].entry
        debited = sum(p.value for p in entry.postings if kinds[p.balance_id] is not Kind.MONETARY)
        assert -debited == units_now
        for asked, given in zip(sent.groups, answer.groups, strict=False):
            rate = self._rate(sent.session_key, asked)
            asks = asked.requested is not None and after.state in (SessionState.OPEN, SessionState.REFUSED)
            if asks and rate is not None and given.why in ("", "no_credit", "blocked"):
                bill.segment(_key(asked, after.service), self.tariff.version, rate)
        entries = [entry for entry in self.journal if entry.session_id == sent.session_key]
        assert sum(entry.cost_nanos for entry in entries) == bill.cost()

    def _check_units_first(self, old: Group | None, usage: int, by_units: int, kinds: dict[str, Kind]) -> None:
        """Units that were held for it pay before any money does."""
        held = [] if old is None else [hold.amount for hold in old.holds if kinds[hold.balance_id] is not Kind.MONETARY]
        assert by_units >= min(usage, sum(held))
        assert by_units <= usage

    def _check_grants(self, sent: ChargingRequest, before: Account, answer: ChargingAnswer) -> None:
        """What is granted is held, and was there to hold; with it, the grant can be used without any debt."""
        session, account = self.sessions[sent.session_key], self.account
        assert account is not None
        balances = {balance.id: balance for balance in account.balances}
        granted = [(asked, given) for asked, given in zip(sent.groups, answer.groups, strict=False) if given.granted]
        if sent.type is EVENT:
            return
        for asked, given in granted:
            held = _group(session, asked)
            assert held is not None
            assert held.granted == given.granted
            self._check_hold(session, held, balances)
            for hold in held.holds:
                assert hold.amount > 0
                assert balances[hold.balance_id].available >= 0
            if len(sent.groups) == 1:
                self._check_final_unit(session, held, given, balances)

    def _check_hold(self, session: Session, held: Group, balances: dict[str, Balance]) -> None:
        segment = held.segment
        assert segment is not None
        units = sum(h.amount for h in held.holds if balances[h.balance_id].kind is not Kind.MONETARY)
        money = sum(h.amount for h in held.holds if balances[h.balance_id].kind is Kind.MONETARY)
        priced_now = held.granted - units
        assert priced_now >= 0
        bill = self.bills[session.key]
        key = (held.rating_group, held.service_id)
        number = bill.number(key)
        priced = sum(use.usage - use.by_units for use in bill.uses if (use.group, use.segment) == (key, number))
        more = segment_cost(segment.rate, priced + priced_now) - segment_cost(segment.rate, priced)
        fees = bill.fees()
        bill.uses.append(Use(key, number, segment.rate, held.granted, units))
        fee = bill.fees() - fees
        bill.uses.pop()
        assert money == more + fee

    def _check_final_unit(
        self, session: Session, held: Group, given: GroupAnswer, balances: dict[str, Balance]
    ) -> None:
        """The last of the credit is announced, unless somebody else may still give some of it back."""
        own = {hold.balance_id: hold.amount for hold in held.holds}
        policy = self.policies[session.service]
        others = any(
            balance.held > own.get(balance.id, 0)
            for balance in balances.values()
            if may_pay(balance, policy.kind, session.called, self.now_ns)
        )
        assert (given.final_unit is not None) == (held.granted < policy.grant.slice and not others)

    def _check_payers(self, sent: ChargingRequest, before: Account, outcome: Outcome) -> None:
        """Only balances for this service, number and time are newly held; and only those, own holds and debts pay."""
        after = outcome.writes[0].account
        session = self.sessions[sent.session_key]
        kind = self.policies[session.service].kind
        had = {balance.id: balance for balance in before.balances}
        for balance in after.balances:
            old = had.get(balance.id)
            fits = may_pay(balance, kind, session.called, self.now_ns)
            assert fits or old is None or balance.held <= old.held
            # Octets are taken to have been used at the report before: a balance that was good then may pay for them.
            fitted = may_pay(balance, kind, session.called, session.opened_at_ns)
            if not (fits or fitted or self.overdrawn) and old is not None:
                assert old.value - balance.value <= old.held

    def finish(self) -> None:
        """All sessions end; nothing is held, and the records, the journal and the bills say the same."""
        for key, session in list(self.sessions.items()):
            if session.is_open:
                self.terminate(key)
        assert self.account is not None
        assert all(balance.held == 0 for balance in self.account.balances)
        for key, bill in self.bills.items():
            assert sum(cdr.cost_nanos for cdr in self.cdrs if cdr.session_id == key) == bill.cost()
        records = [(cdr.session_id, cdr.rating_group, cdr.service_id, cdr.partial) for cdr in self.cdrs]
        assert len(records) == len(set(records))
        spent = sum(entry.cost_nanos for entry in self.journal)
        assert spent == sum(bill.cost() for bill in self.bills.values())
        money = [balance for balance in self.account.balances if balance.kind is Kind.MONETARY]
        opening = sum(self.opening.get(balance.id, 0) + self.credited.get(balance.id, 0) for balance in money)
        assert opening - spent == sum(balance.value for balance in money)

    # Small things.

    def _service(self, key: str) -> str:
        return self.sessions[key].service if key in self.sessions else "data"

    def _values(self) -> dict[str, int]:
        assert self.account is not None
        return {balance.id: balance.value for balance in self.account.balances}

    def _rate(self, key: str, asked: GroupRequest) -> Rate | None:
        session = self.sessions[key]
        rating_group = 100 if session.service == "data" and asked.rating_group is None else asked.rating_group
        found = find_rate(self.tariff, "standard", session.service, rating_group, self.called[key])
        return found.rate if isinstance(found, Found) else None


def _service(kind: str) -> str:
    return "data" if kind == "data" else "voice"


def _measure(asked: GroupRequest, rate: Rate | None) -> Measure:
    if rate is not None and rate.price_nanos:
        return rate.measure
    return next((units.measure() or Measure.OCTETS for units in asked.used), Measure.OCTETS)


def _key(asked: GroupRequest, service: str) -> tuple[int | None, int | None]:
    """What a group is known by in its session: one that is not named is the service's default."""
    number = POLICIES[service].default_rating_group if asked.rating_group is None else asked.rating_group
    return number, asked.service_id


def _group(session: Session | None, asked: GroupRequest) -> Group | None:
    groups = () if session is None else session.groups
    key = (None, None) if session is None else _key(asked, session.service)
    return next((group for group in groups if (group.rating_group, group.service_id) == key), None)
