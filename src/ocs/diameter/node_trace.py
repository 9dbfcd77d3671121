"""Traces of a running node: they are begun by people, see every message of every connection, and end by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ocs.diameter.errors import PeerError
from ocs.diameter.node_ports import Timer
from ocs.diameter.peer_machine import SECOND_NS
from ocs.diameter.trace import Decision, Kind, Place, Trace
from ocs.diameter.wire import Message, decode_message
from ocs.limits import TRACE_KEPT_S, TRACES_MAX

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection


class TooManyTraces(Exception):
    """TRACES_MAX traces are kept already."""


class Tracing:
    """The traces of one node. It is the node's `tap` only while a trace runs, so that otherwise there is no work.

    subscribers: the identities ("msisdn:4917...") that a request names; it does not raise.
    """

    def __init__(self, node: Node, subscribers: Callable[[Message], tuple[str, ...]]) -> None:
        self.traces: dict[str, Trace] = {}
        self._node = node
        self._subscribers = subscribers
        self._timer: Timer | None = None

    def begin(self, kind: Kind, value: str, seconds: int, by: str, sessions: Iterable[str] = ()) -> Trace:
        """Trace for so long. `sessions`: Session-Ids that are known to be of that subscriber. Raises TooManyTraces."""
        if len(self.traces) >= TRACES_MAX:
            self._forget_ended()
        if len(self.traces) >= TRACES_MAX:
            self._node.observer.limit("traces")
            raise TooManyTraces
        now_ns = self._node.clock.wall_ns()
        trace = Trace(secrets.token_hex(4), kind, value, by, now_ns, now_ns + seconds * SECOND_NS, sessions)
        self.traces[trace.id] = trace
        self._node.tap = self
        what = "subscriber" if kind in (Kind.MSISDN, Kind.IMSI) else kind.value
        identity = f"{kind}:{value}" if what == "subscriber" else value
        self._node.log.warning("trace_started", trace=trace.id, by=by, seconds=seconds, **{what: identity})
        self._watch()
        return trace

    def end(self, trace_id: str, by: str = "") -> bool:
        """End a trace and forget what it took; False: there is none."""
        trace = self.traces.pop(trace_id, None)
        if trace is None:
            return False
        self._finish(trace, f"deleted by {by}" if by else "deleted")
        self._watch()
        return True

    def stop(self) -> None:
        """End all; the node stops."""
        for trace_id in list(self.traces):
            self.end(trace_id)

    # What connections tell

    def received(self, connection: Connection, octets: bytes, message: Message) -> None:
        """A whole message came."""
        self._take(connection, octets, message, received=True)

    def sent(self, connection: Connection, octets: bytes) -> None:
        """A message was queued to go."""
        try:
            message = decode_message(octets)
        except PeerError:  # pragma: no cover - what we send can be read
            return
        self._take(connection, octets, message, received=False)

    def wants(self, connection: Connection, message: Message) -> bool:
        """Whether somebody wants to know what is decided on a request."""
        place = _place(connection)
        return any(trace.running and trace.wants(message, place, self._subscribers) for trace in self.traces.values())

    def decided(self, connection: Connection, message: Message, decision: Decision) -> None:
        """What an application decided on a request; its answer is about to go."""
        for trace in self.traces.values():
            if trace.running:
                trace.decided(id(connection), message.hop_by_hop_id, decision)

    # Inside

    def _take(self, connection: Connection, octets: bytes, message: Message, *, received: bool) -> None:
        place, at_ns = _place(connection), self._node.clock.wall_ns()
        for trace in self.traces.values():
            if trace.running:
                lost = trace.lost
                trace.take(message, octets, place, received=received, at_ns=at_ns, subscribers=self._subscribers)
                if trace.lost > lost:
                    self._node.observer.limit("trace_messages")

    def _finish(self, trace: Trace, why: str) -> None:
        if trace.running:
            trace.end(why)
            self._node.log.info("trace_ended", trace=trace.id, why=why, messages=trace.count, lost=trace.lost)

    def _forget_ended(self) -> None:
        for trace in [trace for trace in self.traces.values() if not trace.running]:
            del self.traces[trace.id]

    def _watch(self) -> None:
        """Be the tap while one runs, and look again when the next one ends or is to be forgotten."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        node, kept = self._node, self.traces.values()
        node.tap = self if any(trace.running for trace in kept) else None
        if kept:
            due_ns = min(trace.ends_ns + (0 if trace.running else TRACE_KEPT_S * SECOND_NS) for trace in kept)
            in_ns = max(0, due_ns - node.clock.wall_ns())
            self._timer = node.clock.call_at(node.clock.now_ns() + in_ns, self._due)

    def _due(self) -> None:
        self._timer = None
        now_ns = self._node.clock.wall_ns()
        for trace in list(self.traces.values()):
            if trace.running and now_ns >= trace.ends_ns:
                self._finish(trace, "time")
            elif not trace.running and now_ns >= trace.ends_ns + TRACE_KEPT_S * SECOND_NS:
                del self.traces[trace.id]
        self._watch()


def _place(connection: Connection) -> Place:
    link = connection.link
    return Place(id(connection), connection.name, link.transport, link.remote, link.local)
