"""Sessions as clients have them, against `engine.decide`: what it writes is kept from one request to the next."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import msgspec

from ocs.balances import adjust
from ocs.balances.account import Account
from ocs.balances.journal import Entry, differences, fold
from ocs.cdr.records import Cdr
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.outcome import Outcome
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupRequest, RequestedAction, RequestType, Units
from ocs.charging.session import Session
from ocs.rating.tariff import Tariff
from ocs.rating.units import Kind, Measure

FIELD = {Measure.TIME: "time_ns", Measure.OCTETS: "octets", Measure.EVENTS: "events"}


def units(measure: Measure, amount: int) -> Units:
    """A container of that many base units."""
    return Units(**{FIELD[measure]: amount})


def group(
    measure: Measure, ask: int | None = None, used: int | None = None, rating_group: int | None = None
) -> GroupRequest:
    """One MSCC: what is asked for, what was used."""
    return GroupRequest(
        rating_group,
        requested=None if ask is None else units(measure, ask),
        used=() if used is None else (units(measure, used),),
    )


class Driver:
    """One account, those that share with it, and its sessions. The ledger is checked after each request."""

    def __init__(self, accounts: Sequence[Account], tariff: Tariff, policy: ServicePolicy, now_ns: int) -> None:
        self.accounts: dict[str, Account] = {}
        self.journal: list[Entry] = []
        for new in accounts:
            # One vector has 114,000 years of seconds: more nanoseconds than a store takes, which is no matter here.
            with mock.patch.object(adjust, "BALANCE_MAX", 2**80):
                account, entry = adjust.open_account(new, now_ns, by="test", reason="opening")
            self.accounts[new.id] = account
            self.journal.append(entry)
        self.own = accounts[0].id
        self.tariff = tariff
        self.policy = policy
        self.now_ns = now_ns
        self.sessions: dict[str, Session] = {}
        self.cdrs: list[Cdr] = []
        self._numbers: dict[str, int] = {}
        self.outcome = Outcome()

    def send(
        self,
        kind: RequestType,
        *groups: GroupRequest,
        session: str = "s",
        called: str = "",
        terminating: bool = False,
        command_level: bool = False,
    ) -> ChargingAnswer:
        """The next request of a session; each has another number."""
        number = self._numbers.get(session, -1) + 1
        self._numbers[session] = number
        request = ChargingRequest(
            session,
            kind,
            number,
            self.policy.name,
            "pgw.example.com",
            subscriber=("msisdn:491700000001",),
            action=RequestedAction.DIRECT_DEBITING if kind is RequestType.EVENT else None,
            called=called,
            terminating=terminating,
            groups=groups,
            command_level=command_level,
            event_at_ns=None,
        )
        outcome = engine.decide(
            self.accounts[self.own],
            self.sessions.get(session),
            request,
            self.tariff,
            self.policy,
            self.now_ns,
            self._others(),
        )
        assert outcome.answer is not None
        self._apply(outcome, request)
        return outcome.answer

    def expire(self, session: str = "s") -> None:
        """Let supervision look at a session that is not heard of, until it has ended."""
        while self.sessions[session].is_open:
            found = self.sessions[session]
            self.now_ns = max(self.now_ns, found.due_at_ns)
            own = self.accounts[self.own]
            self._apply(engine.expire(own, found, self.policy, self.tariff, self.now_ns, self._others()), None)

    def _others(self) -> list[Account]:
        return [account for name, account in self.accounts.items() if name != self.own]

    def _apply(self, outcome: Outcome, request: ChargingRequest | None) -> None:
        self.outcome = outcome
        for write in outcome.writes:
            self.accounts[write.account.id] = write.account
            self.journal.append(write.entry)
        self.cdrs.extend(outcome.cdrs)
        if outcome.session is not None:
            kept = outcome.session
            if request is not None:
                kept, _ = remember(kept, request.type, request.number, msgspec.msgpack.encode(outcome.answer))
            self.sessions[kept.key] = kept
        for account in self.accounts.values():
            of_account = [entry for entry in self.journal if entry.account_id == account.id]
            assert differences(account, fold(of_account)) == []

    def available(self, kind: Kind) -> int:
        """What all own balances of a kind have that no session holds."""
        return sum(balance.available for balance in self.accounts[self.own].balances if balance.kind is kind)

    def granted(self, session: str = "s") -> int:
        """What the groups of a session are granted at the moment."""
        found = self.sessions.get(session)
        return sum(group.granted for group in found.groups) if found is not None else 0

    def used(self, session: str = "s") -> int:
        """What a session has reported so far."""
        found = self.sessions.get(session)
        return sum(group.position for group in found.groups) if found is not None else 0
