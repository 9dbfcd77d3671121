"""What the dispatcher is asked to do: charge a request of a client, or change an account for people and timers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast

import msgspec

from ocs.balances.account import Account
from ocs.charging.memory import remember
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, ChargingRequest, Result
from ocs.charging.session import Session
from ocs.store.committer import Ticket

if TYPE_CHECKING:
    from ocs.store.lane import Lane

Decide = Callable[[Account | None, Session | None], Outcome]
"""The decision on a command, from its account and session as they are; pure, since it may be made more than once.

One whose outcome says that it `needs` other accounts takes them as a third argument (`DecideWithOthers`).
"""


class DecideWithOthers(Protocol):
    """A decision that may need other accounts: `others` are those of them that there are, None before it asked."""

    def __call__(
        self, account: Account | None, session: Session | None, others: Sequence[Account] | None = None
    ) -> Outcome: ...


Render = Callable[[ChargingAnswer], bytes]
"""The content of an answer as it is stored and sent; pure."""

NEVER: Final = -1


class Failed(Exception):
    """A command that was not carried out, or not in time: `result` is for the client, `why` for the log."""

    def __init__(self, result: Result, why: str) -> None:
        super().__init__(f"{result}: {why}")
        self.result = result
        self.why = why


class Command(ABC):
    """One command on its way through the lane of an account.

    outcome: what was decided last; ticket: its place in the committer, None where nothing is to be written.
    over: whoever waits has been told, whatever becomes of the command. deadline_s: in the event loop's time.
    lanes: those of the accounts that it was decided on, its own first; none while it waits for a decision.
    place: its number in the order of decisions. entered_tick: when it came; NEVER: not yet.
    conflicts: how often it met one. absent_tick: when the store was asked for the session and had none, or NEVER.
    """

    __slots__ = (
        "absent_tick",
        "conflicts",
        "deadline_s",
        "decide",
        "entered_tick",
        "lanes",
        "outcome",
        "over",
        "place",
        "session_key",
        "ticket",
        "torn",
    )

    def __init__(self, session_key: str | None, decide: Decide) -> None:
        self.session_key = session_key
        self.decide = decide
        self.lanes: tuple[Lane, ...] = ()
        self.place = 0
        self.entered_tick = NEVER
        self.outcome = _NOTHING
        self.ticket: Ticket | None = None
        self.over = False
        self.deadline_s = 0.0
        self.conflicts = 0
        self.torn = 0
        self.absent_tick = NEVER

    def decide_with(self, account: Account | None, session: Session | None, others: Sequence[Account]) -> Outcome:
        """What is decided on that state and the other accounts that it asked for: those of them that there are."""
        return cast("DecideWithOthers", self.decide)(account, session, others)

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with what has to be stored besides."""
        return outcome

    @abstractmethod
    def succeed(self) -> None:
        """Tell who waits: `outcome` is durable, or moves nothing."""

    @abstractmethod
    def fail(self, result: Result, why: str, cause: Exception | None) -> None:
        """Tell who waits that there is no answer."""


class Charge(Command):
    """A request of a client.

    account_id: where a session that nobody knows belongs, None: where the subscriber leads.
    emergency: what is answered even without the store, None where nothing is.
    content: the answer, rendered, or the stored one of a repeat.
    """

    __slots__ = ("account_id", "content", "done", "emergency", "failed", "render", "request")

    def __init__(
        self,
        request: ChargingRequest,
        decide: Decide,
        render: Render,
        done: Callable[[bytes], None],
        failed: Callable[[Result, str], None],
        account_id: str | None,
        emergency: ChargingAnswer | None,
    ) -> None:
        super().__init__(request.session_key, decide)
        self.request = request
        self.render = render
        self.done = done
        self.failed = failed
        self.account_id = account_id
        self.emergency = emergency
        self.content = b""

    def complete(self, outcome: Outcome) -> Outcome:
        """Render the answer, and keep it in the session for a repeat of the request."""
        if outcome.answer is None:
            assert outcome.repeat is not None, "a request gets an answer"
            self.content = outcome.repeat
            return outcome
        self.content = self.render(outcome.answer)
        if outcome.session is None:
            return outcome
        session, page = remember(outcome.session, *self.request.memory_key, self.content)
        return msgspec.structs.replace(outcome, session=session, page=page)

    def succeed(self) -> None:
        self.done(self.content)

    def fail(self, result: Result, why: str, cause: Exception | None) -> None:  # noqa: ARG002
        self.failed(result, why)


class Run(Command):
    """A change by people or timers."""

    __slots__ = ("done", "failed")

    def __init__(
        self,
        session_key: str | None,
        decide: Decide,
        done: Callable[[Outcome], None],
        failed: Callable[[Exception], None],
    ) -> None:
        super().__init__(session_key, decide)
        self.done = done
        self.failed = failed

    def succeed(self) -> None:
        self.done(self.outcome)

    def fail(self, result: Result, why: str, cause: Exception | None) -> None:
        error = Failed(result, why)
        error.__cause__ = cause
        self.failed(error)


_NOTHING: Final = Outcome()
