"""A charging engine of a few lines, and a client that keeps what it is told: enough to see what the dispatcher does."""

from __future__ import annotations

import msgspec

from ocs.balances.account import Account
from ocs.charging.memory import recall
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, ChargingRequest, RequestType, Result
from ocs.charging.session import Session, SessionState
from tests.store.controlled import credited
from tests.store.making import request

COST = 7
I, U, T, EVENT = RequestType  # noqa: E741


def charge_of(asked: ChargingRequest, cost: int = COST):
    """A decision that charges `cost` for any request of an existing account, and knows repeats."""

    def decide(account: Account | None, session: Session | None) -> Outcome:
        if account is None:
            return Outcome(answer=ChargingAnswer(Result.USER_UNKNOWN))
        if session is not None:
            seen = recall(session, asked.type, asked.number)
            if seen is not None:
                return Outcome(repeat=seen.content if seen.content is not None else b"")
        elif asked.type is U:
            return Outcome(answer=ChargingAnswer(Result.UNKNOWN_SESSION_ID))
        opened = session or Session(account.id, asked.session_key, asked.service, SessionState.OPEN, 0, 0, 10**9)
        state = SessionState.CLOSED if asked.type in {T, EVENT} else SessionState.OPEN
        write = credited(account, -cost, asked.name)
        left = write.account.balances[0].value
        return Outcome(
            writes=(write,),
            session=msgspec.structs.replace(opened, state=state),
            answer=ChargingAnswer(Result.SUCCESS, why=f"{asked.session_key} {asked.name} left {left}"),
        )

    return decide


def look(account: Account | None, session: Session | None) -> Outcome:
    """A decision that moves nothing, and tells what it saw."""
    value = None if account is None else account.balances[0].value
    return Outcome(answer=ChargingAnswer(Result.SUCCESS, why=f"saw {value}"))


def render(answer: ChargingAnswer) -> bytes:
    return f"{int(answer.result)} {answer.why}".strip().encode()


class Client:
    """Sends through a dispatcher and keeps what it is told, in the order in which it is told."""

    def __init__(self, dispatcher) -> None:
        self.dispatcher = dispatcher
        self.told: list[str] = []
        self.failed: list[tuple[str, int, str]] = []

    def send(self, asked: ChargingRequest, decide=None, **options) -> None:
        self.dispatcher.charge(
            asked,
            decide or charge_of(asked),
            render,
            lambda content: self.told.append(content.decode()),
            lambda result, why: self.failed.append((asked.name, int(result), why)),
            **options,
        )

    def initial(self, key: str = "s", number: int = 0, **options) -> None:
        self.send(request(number, key=key, of=I), **options)

    def update(self, number: int, key: str = "s", **options) -> None:
        self.send(request(number, key=key, of=U), **options)

    def end(self, number: int, key: str = "s", **options) -> None:
        self.send(request(number, key=key, of=T), **options)

    def look(self, key: str = "s", **options) -> None:
        self.send(request(0, key=key, of=EVENT), look, **options)
