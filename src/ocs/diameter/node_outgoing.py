"""Requests of our own: choice of a peer, ids, deadline, failover with the T bit, redirects (RFC 6733 5.5.4, 6.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from ocs.diameter.base_answers import RESULT_CODE, SESSION_ID
from ocs.diameter.errors import PeerError
from ocs.diameter.node_ports import Timer
from ocs.diameter.overload_avps import FEATURES
from ocs.diameter.peer_machine import SECOND_NS, State
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.routes import OwnRequest, RedirectCache, reach, redirect_of
from ocs.diameter.routing import DESTINATION_HOST, DESTINATION_REALM
from ocs.diameter.types import pack_diameter_identity
from ocs.diameter.wire import (
    FLAG_PROXIABLE,
    FLAG_REQUEST,
    FLAG_RETRANSMISSION,
    Message,
    encode_avp,
    message_bytes,
)
from ocs.limits import OWN_REQUESTS_MAX, PEER_OWN_REQUESTS_MAX, REDIRECTS_PER_REQUEST_MAX, SENDS_PER_REQUEST_MAX

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection

# What the peer did not do, but another one may (RFC 6733 7.1.3).
_ELSEWHERE: Final = frozenset({ResultCode.UNABLE_TO_DELIVER, ResultCode.TOO_BUSY})


class NotDelivered(Exception):
    """A request of ours has no answer.

    reason: "no_peer", "no_answer", "lost", "too_many", "held_back" or "unreadable".
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Pending:
    """A request on its way: who waits, where it was sent, what was said to it so far."""

    def __init__(self, request: OwnRequest, body: bytes, end_to_end_id: int, future: asyncio.Future[Message]) -> None:
        self.request = request
        self.body = body
        self.end_to_end_id = end_to_end_id
        self.future = future
        self.timer: Timer | None = None
        self.places: dict[Connection, int] = {}
        self.tried: set[str] = set()
        self.hosts: tuple[str, ...] = ()
        self.retransmission = False
        self.redirects = 0
        self.said: Message | None = None


class Outgoing:
    """All requests of one node that wait for an answer."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._redirects = RedirectCache()
        self.count = 0

    async def send(self, request: OwnRequest) -> Message:
        """See `Node.send`."""
        node = self._node
        if self.count >= OWN_REQUESTS_MAX:
            node.observer.limit("own_requests")
            raise NotDelivered("too_many", f"{self.count} requests wait for answers")
        if node.overload.abatement.holds_back(request, node.clock.now_ns()):
            raise NotDelivered("held_back", f"{_destination(request)} is overloaded, and asked for fewer requests")
        _, end_to_end_id = node.next_ids()
        pending = Pending(request, self._body(request), end_to_end_id, asyncio.get_running_loop().create_future())
        self.count += 1
        try:
            if not self._dispatch(pending):
                raise NotDelivered("no_peer", f"no open peer reaches {_destination(request)}")
            due_ns = node.clock.now_ns() + request.timeout_s * SECOND_NS
            pending.timer = node.clock.call_at(due_ns, lambda: self._overdue(pending))
            return await pending.future
        finally:
            self.count -= 1
            if pending.timer is not None:
                pending.timer.cancel()
            for connection, hop_by_hop_id in pending.places.items():
                connection.pending.pop(hop_by_hop_id, None)

    def reaches(self, request: OwnRequest) -> bool:
        """Whether an open peer reaches its destination."""
        return any(_reach(connection, request) is not None for connection in self._usable(()))

    # What connections tell

    def answered(self, connection: Connection, message: Message, fault: PeerError | None) -> None:
        """The answer to one of `connection.pending` came."""
        pending = connection.pending.pop(message.hop_by_hop_id)
        pending.places.pop(connection, None)
        if message.command_code != pending.request.command_code or message.end_to_end_id != pending.end_to_end_id:
            fault = PeerError(ResultCode.INVALID_AVP_VALUE, reason="an answer to another request")
        if fault is not None:
            self._node.log.warning("answer_unreadable", peer=connection.name, reason=fault.reason)
            self._fail(pending, NotDelivered("unreadable", f"{connection.name} answered what cannot be read: {fault}"))
            return
        self._node.overload.learn(pending.request, message, self._node.clock.now_ns())
        found = message.find(RESULT_CODE)
        result = int.from_bytes(found.data) if found is not None else 0
        if result == ResultCode.REDIRECT_INDICATION:
            self._redirected(pending, connection, message)
        elif result in _ELSEWHERE:
            pending.said = message
            self._go_on(pending)
        else:
            _settle(pending, message)

    def suspected(self, connection: Connection) -> None:
        """A watchdog is unanswered: what waits goes to another peer as well; the first answer counts (RFC 3539 3.4)."""
        for pending in list(connection.pending.values()):
            pending.retransmission = True
            self._dispatch(pending)

    def lost(self, connection: Connection) -> None:
        """A connection is gone: what waited on it alone goes to another peer."""
        for pending in list(connection.pending.values()):
            pending.retransmission = True
            pending.places.pop(connection, None)
            self._go_on(pending)
        connection.pending.clear()

    # Inside

    def _body(self, request: OwnRequest) -> bytes:
        parts = [self._node.origin.avps]
        if request.session_id is not None:
            parts.insert(0, encode_avp(SESSION_ID, request.session_id.encode()))
        parts.append(encode_avp(DESTINATION_REALM, pack_diameter_identity(request.destination_realm)))
        if request.destination_host is not None:
            parts.append(encode_avp(DESTINATION_HOST, pack_diameter_identity(request.destination_host)))
        return b"".join([*parts, request.avps, FEATURES])

    def _dispatch(self, pending: Pending) -> bool:
        """Send to the best peer that was not tried yet; False where there is none."""
        if pending.future.done() or len(pending.tried) >= SENDS_PER_REQUEST_MAX:
            return False
        connection = self._choose(pending)
        if connection is None:
            return False
        hop_by_hop_id, _ = self._node.next_ids()
        flags = FLAG_REQUEST | FLAG_PROXIABLE | (FLAG_RETRANSMISSION if pending.retransmission else 0)
        request = pending.request
        data = message_bytes(
            flags, request.command_code, request.application_id, hop_by_hop_id, pending.end_to_end_id, pending.body
        )
        pending.tried.add(connection.name)
        connection.pending[hop_by_hop_id] = pending
        connection.sent += 1
        pending.places[connection] = hop_by_hop_id
        if not connection.send(data, request.command_code, request.application_id):
            connection.pending.pop(hop_by_hop_id, None)
            pending.places.pop(connection, None)
            return self._dispatch(pending)
        return True

    def _choose(self, pending: Pending) -> Connection | None:
        usable = list(self._usable(pending.tried))
        if pending.hosts:
            return _least([each for each in usable if each.name in pending.hosts])
        request = pending.request
        ranked = [(rank, each) for each, rank in ((each, _reach(each, request)) for each in usable) if rank is not None]
        best = min((rank for rank, _ in ranked), default=None)
        chosen = _least([each for rank, each in ranked if rank == best])
        if chosen is None or best == 0:
            return chosen
        via = request.via.lower()
        if via:
            chosen = _least([each for _, each in ranked if each.name == via]) or chosen
        hosts = self._redirects.find(request, chosen.name, self._node.clock.now_ns())
        if hosts:
            redirected = _least([each for each in usable if each.name in hosts])
            if redirected is not None:
                return redirected
            self._redirects.forget(hosts)
        return chosen

    def _usable(self, tried: Collection[str]) -> Iterator[Connection]:
        """Open connections with room, of peers that were not tried."""
        for peer in self._node.known.values():
            if peer.key in tried:
                continue
            for connection in peer.connections:
                if connection.machine.state is not State.OPEN:
                    continue
                if len(connection.pending) >= PEER_OWN_REQUESTS_MAX:
                    self._node.observer.limit("peer_own_requests")
                    continue
                yield connection

    def _redirected(self, pending: Pending, connection: Connection, message: Message) -> None:
        redirect = redirect_of(message)
        self._redirects.put(redirect, pending.request, connection.name, self._node.clock.now_ns())
        pending.said = message
        pending.redirects += 1
        if not redirect.hosts or pending.redirects > REDIRECTS_PER_REQUEST_MAX:
            _settle(pending, message)
            return
        before, pending.hosts = pending.hosts, redirect.hosts
        if not self._dispatch(pending):
            self._node.log.warning("redirect_not_followed", peer=connection.name, to=redirect.hosts)
            pending.hosts = before
            self._go_on(pending)

    def _go_on(self, pending: Pending) -> None:
        """Try the next peer; where there is none, what was said last is the answer, unless another may still come."""
        if pending.future.done() or self._dispatch(pending) or pending.places:
            return
        if pending.said is not None:
            _settle(pending, pending.said)
        else:
            where = _destination(pending.request)
            self._fail(pending, NotDelivered("lost", f"the connection ended, and no other peer reaches {where}"))

    def _overdue(self, pending: Pending) -> None:
        self._node.observer.limit("own_answer_timeout_s")
        text = f"no answer from {', '.join(sorted(pending.tried))} in {pending.request.timeout_s} s"
        self._fail(pending, NotDelivered("no_answer", text))

    def _fail(self, pending: Pending, error: NotDelivered) -> None:
        if not pending.future.done():
            pending.future.set_exception(error)


def _settle(pending: Pending, message: Message) -> None:
    if not pending.future.done():
        pending.future.set_result(message)


def _reach(connection: Connection, request: OwnRequest) -> int | None:
    return None if connection.capabilities is None else reach(connection.capabilities, request)


def _least(connections: list[Connection]) -> Connection | None:
    """The one that waits for the fewest answers; of those the one that was sent the fewest requests."""
    return min(connections, key=lambda each: (len(each.pending), each.sent), default=None)


def _destination(request: OwnRequest) -> str:
    host = f"{request.destination_host} in " if request.destination_host else ""
    return f"{host}{request.destination_realm} for application {request.application_id}"
