"""Which messages one trace takes, and where they are kept. Pure: the node brings messages with their times.

A request is taken where it is of the session, the peer or the subscriber that was asked for; an answer where its
request was. A subscriber is found by the names in a request and, since not every request of a session has them, by
the Session-Ids that came with them before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from ocs.diameter.wire import Message
from ocs.limits import TRACE_MESSAGES_MAX, TRACE_OCTETS_MAX, TRACE_SESSIONS_MAX, TRACE_UNANSWERED_MAX

_SESSION_ID: Final = 263
_ORIGIN_HOST: Final = 264
_DESTINATION_HOST: Final = 293


class Kind(StrEnum):
    """What a trace asks for."""

    MSISDN = "msisdn"
    IMSI = "imsi"
    SESSION = "session"
    PEER = "peer"


class GroupDecision(msgspec.Struct, frozen=True):
    """What became of one rating group: `granted` in base units of `measure`, None: nothing was to be granted."""

    rating_group: int | None
    result: int
    measure: str
    granted: int | None
    why: str


class Decision(msgspec.Struct, frozen=True):
    """What an application decided on a request.

    costs: (currency, nanos) that it cost each account. repeat: it was served before, the stored answer went out again.
    """

    result: int
    why: str = ""
    repeat: bool = False
    costs: tuple[tuple[str, int], ...] = ()
    groups: tuple[GroupDecision, ...] = ()


class Traced(msgspec.Struct, frozen=True):
    """One message of a trace.

    number: its place in the trace, from 1. at_ns: Unix time. received: whether it came or went. remote, local:
    "host:port". answers: number of the request that it answers, None for requests and where that is not known.
    """

    number: int
    at_ns: int
    received: bool
    peer: str
    transport: str
    remote: str
    local: str
    octets: bytes
    answers: int | None
    decision: Decision | None


class Place(msgspec.Struct, frozen=True):
    """The connection that a message came or went over; `key` tells connections apart."""

    key: int
    peer: str
    transport: str
    remote: str
    local: str


class Trace:
    """One running or ended trace: a ring of messages, bounded in messages and in octets; the oldest make room.

    value: "4917..." of a number, a Session-Id, an Origin-Host. lost: how many messages made room. why: how it ended.
    """

    def __init__(
        self, trace_id: str, kind: Kind, value: str, by: str, began_ns: int, ends_ns: int, sessions: Iterable[str] = ()
    ) -> None:
        self.id = trace_id
        self.kind = kind
        self.value = value
        self.by = by
        self.began_ns = began_ns
        self.ends_ns = ends_ns
        self.running = True
        self.why = ""
        self.count = 0
        self.lost = 0
        self.octets = 0
        self.messages: deque[Traced] = deque()
        self._wanted = value.lower() if kind is Kind.PEER else value
        self._identity = f"{kind}:{value}"
        self._sessions: dict[str, None] = {}
        self._unanswered: dict[tuple[int, int, bool], tuple[int, Decision | None]] = {}
        for session_id in sessions:
            self._remember(session_id)

    def wants(self, message: Message, place: Place, subscribers: Callable[[Message], tuple[str, ...]]) -> bool:
        """Whether a request is one of those asked for."""
        if self.kind is Kind.PEER:
            return self._wanted in {place.peer, _text(message, _ORIGIN_HOST).lower()} or (
                _text(message, _DESTINATION_HOST).lower() == self._wanted
            )
        session_id = _text(message, _SESSION_ID)
        if self.kind is Kind.SESSION:
            return session_id == self._wanted
        if session_id in self._sessions:
            return True
        if self._identity not in subscribers(message):
            return False
        if session_id:
            self._remember(session_id)
        return True

    def take(
        self,
        message: Message,
        octets: bytes,
        place: Place,
        *,
        received: bool,
        at_ns: int,
        subscribers: Callable[[Message], tuple[str, ...]],
    ) -> None:
        """Keep a message, if it is one of those asked for."""
        answers: int | None = None
        decision: Decision | None = None
        if message.is_request:
            if not self.wants(message, place, subscribers):
                return
            self._expect((place.key, message.hop_by_hop_id, received))
        else:
            known = self._unanswered.pop((place.key, message.hop_by_hop_id, not received), None)
            if known is not None:
                answers, decision = known
            elif self.kind is not Kind.PEER or place.peer != self._wanted:
                return
        self._keep(octets, place, received=received, at_ns=at_ns, answers=answers, decision=decision)

    def decided(self, key: int, hop_by_hop_id: int, decision: Decision) -> None:
        """What was decided on a request that came over the connection `key`; its answer is about to go."""
        known = self._unanswered.get((key, hop_by_hop_id, True))
        if known is not None:
            self._unanswered[key, hop_by_hop_id, True] = (known[0], decision)

    def after(self, number: int, limit: int) -> list[Traced]:
        """The messages after that number, `limit` at the most."""
        found = []
        for traced in self.messages:
            if traced.number > number:
                found.append(traced)
                if len(found) == limit:
                    break
        return found

    def end(self, why: str) -> None:
        """Take nothing any more; what was taken stays."""
        self.running = False
        self.why = self.why or why
        self._sessions.clear()
        self._unanswered.clear()

    def _expect(self, key: tuple[int, int, bool]) -> None:
        if len(self._unanswered) >= TRACE_UNANSWERED_MAX:
            del self._unanswered[next(iter(self._unanswered))]
        self._unanswered[key] = (self.count + 1, None)

    def _keep(
        self, octets: bytes, place: Place, *, received: bool, at_ns: int, answers: int | None, decision: Decision | None
    ) -> None:
        self.count += 1
        self.octets += len(octets)
        self.messages.append(
            Traced(
                self.count,
                at_ns,
                received,
                place.peer,
                place.transport,
                place.remote,
                place.local,
                octets,
                answers,
                decision,
            )
        )
        while len(self.messages) > TRACE_MESSAGES_MAX or self.octets > TRACE_OCTETS_MAX:
            self.octets -= len(self.messages.popleft().octets)
            self.lost += 1

    def _remember(self, session_id: str) -> None:
        if len(self._sessions) >= TRACE_SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = None


def _text(message: Message, code: int) -> str:
    found = message.find(code)
    return "" if found is None else found.data.decode("utf-8", "replace")
