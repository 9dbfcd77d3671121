"""Checkers while a simulation runs: of every commit at its moment, and of every answer when a node writes it."""

from __future__ import annotations

from ocs.balances.choice import OWNER_SEPARATOR
from ocs.charging.outcome import Outcome
from ocs.charging.session import Session
from tests.simulation.gateways import TRANSIENT, Ask
from tests.simulation.messages import result_of

UNKNOWN_SESSION = 5002
STORED = (2001, 4010, 4011, 4012, 5031)
"""Results of requests that are processed: nothing else may be told before it is in the store."""


class Watch:
    """What is committed, as the simulation sees it. fail: takes the name of a checker and what it found.

    processed: kind and usage text of the journal entry of each (session, request). held: by (account, balance), the sum
    over open sessions.
    """

    def __init__(self, world) -> None:
        self.world = world
        self.processed: dict[tuple[str, str], tuple[str, str]] = {}
        self.held: dict[tuple[str, str], int] = {}
        self._holds: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
        self._released: set[str] = set()
        self._open: dict[str, Session] = {}

    def committed(self, outcome: Outcome) -> None:
        """An outcome is in the store from now on."""
        session = outcome.session
        if session is not None:
            self._count_holds(session)
            self._held_long_enough(session, outcome)
        for write in outcome.writes:
            entry = write.entry
            if entry.session_id and entry.request and entry.kind != "shared":
                self._charged_once(entry)
            if entry.kind == "expire":
                self._released.add(entry.session_id)
            self._no_oversell(write.account, entry)

    def _count_holds(self, session) -> None:
        key = (session.account_id, session.key)
        holds: dict[tuple[str, str], int] = {}
        if session.is_open:
            for group in session.groups:
                for hold in group.holds:
                    owner, _, name = hold.balance_id.rpartition(OWNER_SEPARATOR)
                    place = (owner or session.account_id, name)
                    holds[place] = holds.get(place, 0) + hold.amount
        for place, amount in self._holds.pop(key, {}).items():
            self.held[place] -= amount
        for place, amount in holds.items():
            self.held[place] = self.held.get(place, 0) + amount
        if holds:
            self._holds[key] = holds

    def _held_long_enough(self, session: Session, outcome: Outcome) -> None:
        """A timer gives back what nobody can use any more."""
        before = self._open.get(session.key)
        entry = outcome.writes[0].entry
        if before is not None and entry.kind == "expire":
            after = {(group.rating_group, group.service_id): group for group in session.groups}
            for group in before.groups:
                kept = after[group.rating_group, group.service_id].holds
                if group.holds and not kept and group.valid_until_ns > entry.at_ns:
                    self.world.fail("no_oversell", f"{session.key} lost its holds before its grants were over")
        if session.is_open:
            self._open[session.key] = session
        else:
            self._open.pop(session.key, None)

    def _charged_once(self, entry) -> None:
        key = (entry.session_id, entry.request)
        if key in self.processed:
            self.world.fail("charged_once", f"{entry.session_id} {entry.request} was processed twice")
        self.processed[key] = (entry.kind, entry.usage)

    def _no_oversell(self, account, entry) -> None:
        moved = {posting.balance_id: posting for posting in entry.postings}
        for balance in account.balances:
            held = self.held.get((account.id, balance.id), 0)
            if balance.held != held:
                self.world.fail(
                    "no_oversell",
                    f"{account.id} {balance.id} holds {balance.held} after {entry.kind} {entry.session_id} "
                    f"{entry.request}, its open sessions hold {held}",
                )
            posting = moved.get(balance.id)
            if posting is None or account.allow_negative or entry.overdraft_nanos:
                continue
            if balance.available < 0 and posting.value < posting.held:
                what = f"{entry.kind} {entry.session_id} {entry.request}"
                left = f"{balance.available} of {account.id} {balance.id}"
                self.world.fail("no_oversell", f"{left} is available after {what}")
        play = self.world.plays.get(entry.session_id)
        obedient = play is not None and play.obedient and entry.session_id not in self._released
        if entry.overdraft_nanos and entry.kind == "charge" and obedient and not account.allow_negative:
            what = f"{entry.session_id} {entry.request}"
            self.world.fail("no_oversell", f"{what} owes {entry.overdraft_nanos} nanos for what it was granted")

    def written(self, ask: Ask, data: bytes) -> None:
        """A node writes an answer."""
        result = result_of(data)
        if result in TRANSIENT:
            return
        play = ask.play
        key = (play.session_id, ask.name)
        if key not in self.processed:
            if result in STORED:
                self.world.fail("durable_before_answer", f"{key} is answered {result}, and is not in the store")
            elif result != UNKNOWN_SESSION or ask.opened:
                self.world.fail("served", f"{key} is answered {result}")
            return
        content = data[20:]
        if not ask.stored:
            ask.stored = content
            ask.result = result
        elif ask.stored != content:
            self.world.fail("answers_equal", f"{key} is answered {result}, differently from before: {ask.result}")
