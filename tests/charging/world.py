"""A small tariff, policies and a driver that keeps account and session between requests, for tests of the engine."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ocs.balances import adjust
from ocs.balances.account import Account, Balance, Status
from ocs.balances.journal import Entry, fold
from ocs.cdr.records import Cdr
from ocs.charging import engine
from ocs.charging.ledger import imbalances
from ocs.charging.memory import remember
from ocs.charging.outcome import Outcome
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupRequest, RequestType, Units
from ocs.charging.session import Session
from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate
from ocs.rating.tariff import Plan, RateTable, ServicePlan, Tariff, Window
from ocs.rating.units import NS_PER_S, Kind, Measure
from ocs.store.interface import Audit

AUD = 1_000_000_000
MIB = 1_048_576
MIN = 60 * NS_PER_S
START_NS = 1_795_000_000 * NS_PER_S

DATA = Rate("data", Measure.OCTETS, AUD // 100, MIB, 1_024)
MOBILE = Rate("mobile", Measure.TIME, 22 * AUD // 100, MIN, NS_PER_S)
FLAT = Rate("flat", Measure.TIME, connect_fee_nanos=20 * AUD // 100)
BY_MINUTE = Rate("by-minute", Measure.TIME, AUD // 10, MIN, MIN)
SMS = Rate("sms", Measure.EVENTS, 5 * AUD // 100)
ZERO = Rate("zero", Measure.OCTETS, free=True)


def table(rates: dict[str, Rate], default: Rate | None = None) -> RateTable:
    """Prefix -> rate, the prefix being its destination's id as well."""
    return PrefixTable(
        {prefix: (Window(prefix, rate),) for prefix, rate in rates.items()},
        None if default is None else (Window("*any", default),),
    )


def tariff(version: str = "v1", data: Rate = DATA) -> Tariff:
    """Voice to 614, 612 and 49; data for groups 100..199, 900 free; SMS to all."""
    groups = {group: table({}, data) for group in range(100, 200)}
    groups[900] = table({}, ZERO)
    return Tariff(
        version=version,
        currency="AUD",
        destinations={
            "mobile": Destination("mobile", ("614",)),
            "fixed": Destination("fixed", ("612",)),
            "helpline": Destination("helpline", ("61180",), free=True),
        },
        plans={
            "standard": Plan(
                "standard",
                {
                    "data": ServicePlan(groups, None),
                    "voice": ServicePlan({}, table({"614": MOBILE, "612": FLAT, "49": BY_MINUTE})),
                    "sms": ServicePlan({}, table({}, SMS)),
                },
            )
        },
        numbering=Numbering(),
        emergency_numbers=frozenset({"000", "112"}),
        free_prefixes=PrefixTable({"61180": "helpline"}),
    )


POLICIES = {
    "data": ServicePolicy(
        "data",
        Kind.DATA,
        ("32251",),
        GrantPolicy(10 * MIB, 64 * 1_024, 100 * MIB, MIB),
        default_rating_group=100,
    ),
    "voice": ServicePolicy(
        "voice", Kind.VOICE, ("32260",), GrantPolicy(60 * NS_PER_S, NS_PER_S, 600 * NS_PER_S, 30 * NS_PER_S)
    ),
    "sms": ServicePolicy("sms", Kind.SMS, ("32274",), GrantPolicy(1, 1, 100, 1)),
}


def money(nanos: int, balance_id: str = "money", **terms: object) -> Balance:
    """A monetary balance."""
    return msgspec.structs.replace(Balance(balance_id, Kind.MONETARY, nanos), **terms)


class World:
    """One account and its sessions; each request is decided, checked against the invariants, and applied."""

    def __init__(self, *balances: Balance, plan: str = "standard", status: Status = Status.ACTIVE) -> None:
        new = Account("a", 0, "AUD", plan, status, balances)
        account, entry = adjust.open_account(new, START_NS, by="test", reason="opening")
        self.account: Account | None = account
        self.opening = {balance.id: balance.value for balance in balances}
        self.journal: list[Entry] = [entry]
        self.cdrs: list[Cdr] = []
        self.sessions: dict[str, Session] = {}
        self.now_ns = START_NS
        self.tariff = tariff()
        self.policies = dict(POLICIES)
        self.outcome = Outcome()

    def send(self, request: ChargingRequest) -> ChargingAnswer:
        """Decide on a request and keep what it writes; a repeat gives the answer that was kept."""
        session = self.sessions.get(request.session_key)
        policy = self.policies[request.service]
        state = (self.account, session, request, self.tariff, policy, self.now_ns)
        outcome = engine.decide(*state)
        assert outcome == engine.decide_in_full(*state), "the quick way comes to the same"
        if outcome.repeat is not None:
            self.outcome = outcome
            return msgspec.msgpack.decode(outcome.repeat, type=ChargingAnswer)
        assert outcome.answer is not None
        self.apply(outcome, request)
        return outcome.answer

    def apply(self, outcome: Outcome, request: ChargingRequest | None = None) -> None:
        """Keep what an outcome writes, and check what must always hold."""
        self.outcome = outcome
        for write in outcome.writes:
            assert self.account is None or write.account.version == self.account.version + 1
            self.account = write.account
            self.journal.append(write.entry)
        self.cdrs.extend(outcome.cdrs)
        if outcome.session is not None:
            session = outcome.session
            if request is not None and outcome.answer is not None:
                content = msgspec.msgpack.encode(outcome.answer)
                session, _ = remember(session, *request.memory_key, content)
            self.sessions[session.key] = session
        self.check()

    def expire(self, key: str = "s") -> Outcome:
        """Let supervision look at a session."""
        session = self.sessions[key]
        assert self.account is not None
        outcome = engine.expire(self.account, session, self.policies[session.service], self.tariff, self.now_ns)
        self.apply(outcome)
        return outcome

    def check(self) -> None:
        """Money is conserved, holds are those of the open sessions, nothing available was oversold."""
        account = self.account
        assert account is not None
        if account.id == "a":
            assert imbalances(self.audit()) == []
        held: dict[str, int] = {}
        for session in self.sessions.values():
            for group in session.groups:
                assert session.is_open or not group.holds
                for hold in group.holds:
                    held[hold.balance_id] = held.get(hold.balance_id, 0) + hold.amount
        for balance in account.balances:
            assert balance.held == held.get(balance.id, 0)

    def audit(self) -> Audit:
        """What a store would have of the account."""
        assert self.account is not None
        opened = tuple(session for session in self.sessions.values() if session.is_open)
        return Audit(self.account, fold(self.journal), opened, sum(cdr.cost_nanos for cdr in self.cdrs))

    def balance(self, balance_id: str = "money") -> Balance:
        """One balance as it is now."""
        assert self.account is not None
        return next(balance for balance in self.account.balances if balance.id == balance_id)

    def spent(self) -> dict[str, int]:
        """What each balance has less than at the beginning, where it has."""
        assert self.account is not None
        values = {balance.id: balance.value for balance in self.account.balances}
        less = {name: opening - values[name] for name, opening in self.opening.items()}
        return {name: amount for name, amount in less.items() if amount}


def octets(amount: int) -> Units:
    """CC-Total-Octets."""
    return Units(octets=amount)


def seconds(amount: int) -> Units:
    """CC-Time."""
    return Units(time_ns=amount * NS_PER_S)


def group(
    rating_group: int | None = 100,
    ask: Units | None = None,
    used: Iterable[Units] = (),
    *,
    final: bool = False,
) -> GroupRequest:
    """One MSCC."""
    return GroupRequest(rating_group, None, ask, tuple(used), final)


def request(
    kind: RequestType, number: int, *groups: GroupRequest, service: str = "data", **more: object
) -> ChargingRequest:
    """A request of session "s" unless said otherwise."""
    fields: dict[str, object] = {
        "session_id": "s",
        "type": kind,
        "number": number,
        "service": service,
        "origin_host": "pgw.example.com",
        "subscriber": ("msisdn:491700000002",),
        "groups": groups,
        **more,
    }
    return ChargingRequest(**fields)  # type: ignore[arg-type]


INITIAL, UPDATE, TERMINATION, EVENT = RequestType
