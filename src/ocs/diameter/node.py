"""The Diameter node: listeners, the peers that are connected, what is in flight, drain (RFC 6733 2, 5)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from ocs.config.settings import Settings, Transport
from ocs.diameter.admission import Capabilities, find_rule
from ocs.diameter.application import Application, RequestContext
from ocs.diameter.base_answers import make_origin
from ocs.diameter.base_messages import DO_NOT_WANT_TO_TALK_TO_YOU, REBOOTING
from ocs.diameter.node_ports import Clock, PeerSnapshot, Timer
from ocs.diameter.observer import NullObserver, Observer
from ocs.diameter.peer import Connection, Peer
from ocs.diameter.peer_machine import SECOND_NS, WATCHDOG_JITTER_S
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.routing import Local, make_local
from ocs.diameter.transports import Connect, Link, Listen, Server, TransportMissing, sctp, tcp
from ocs.limits import ANSWER_DEADLINE_S, CONNECTIONS_MAX, DRAIN_TIMEOUT_S, INFLIGHT_MAX, PEER_INFLIGHT_MAX

_LISTEN: Final[Mapping[Transport, Listen]] = {
    Transport.TCP: tcp.listen,
    Transport.SCTP: sctp.listen,
}
_CONNECT: Final[Mapping[Transport, Connect]] = {
    Transport.TCP: tcp.connect,
    Transport.SCTP: sctp.connect,
}
# Applications keep ANSWER_DEADLINE_S themselves, and know best what to say then; this is for what they forget.
_OVERDUE_NS: Final = (ANSWER_DEADLINE_S + 2) * SECOND_NS
# Reading goes on when this much of what was too much is left.
_RESUME_NUMERATOR: Final = 3
_RESUME_DENOMINATOR: Final = 4


class LoopClock:
    """The running loop's own time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now_ns(self) -> int:
        """Monotonic time."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Unix time."""
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        """Call back on the loop."""
        return self._loop.call_later((when_ns - time.monotonic_ns()) / SECOND_NS, callback)


class Node:
    """One Diameter identity, its peers and applications. Made, started and used on one loop.

    applications: one for each application id. origin_state_id rises only when the store loses state (RFC 6733 8.16).
    known: peers admitted since the start, by name in lower case. inflight: requests that wait for an answer, oldest
    first.
    """

    def __init__(
        self,
        settings: Settings,
        applications: Sequence[Application],
        observer: Observer | None = None,
        *,
        origin_state_id: int,
        clock: Clock | None = None,
        jitter_ns: Callable[[], int] | None = None,
    ) -> None:
        self.settings = settings
        self.applications = {application.application_id: application for application in applications}
        self.application_ids = frozenset(self.applications)
        self.observer: Observer = NullObserver() if observer is None else observer
        self.clock: Clock = LoopClock() if clock is None else clock
        self.log: Any = structlog.get_logger("ocs.diameter")
        self.origin = make_origin(settings.identity, settings.realms[0], origin_state_id)
        self.local = self._local()
        self.known: dict[str, Peer] = {}
        self.connections: set[Connection] = set()
        self.inflight: dict[RequestContext, None] = {}
        self.draining = False
        self.jitter_ns = jitter_ns or _jitter_ns
        self._held: set[Connection] = set()
        self._servers: list[Server] = []
        self._deadline: Timer | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._hop_by_hop_id = random.getrandbits(32)
        self._end_to_end_id = (int(self.clock.wall_ns() // SECOND_NS) & 0xFFF) << 20 | random.getrandbits(20)

    # Life

    async def start(self) -> None:
        """Listen. Raises OSError, which names the address, where that cannot be."""
        for listener in self.settings.listeners:
            where = f"{'+'.join(listener.hosts)}:{listener.port}"
            transport = listener.transport.value
            try:
                server = await _LISTEN[listener.transport](listener.hosts, listener.port, self._accept)
            except OSError as error:
                if listener.optional and isinstance(error, TransportMissing):
                    self.observer.listener(transport, where, up=False)
                    self.log.warning("listener_missing", transport=transport, address=where, reason=error.strerror)
                    continue
                self._close_servers()
                reason = f"Diameter cannot listen on {where}/{transport}: {error.strerror}"
                raise OSError(error.errno, reason) from error
            self.observer.listener(transport, where, up=True)
            self._servers.append(server)
        for host, port in self.listening:
            self.log.info("listening", host=host, port=port)

    @property
    def listening(self) -> list[tuple[str, int]]:
        """(address, port) of each listening socket, as bound."""
        return [name for server in self._servers for name in tcp.bound_to(server)]

    def reload(self, settings: Settings) -> None:
        """Treat peers by new rules and realms from now on; one that no rule admits any more is disconnected.

        Identity and listeners stay as they are until a restart.
        """
        self.settings = settings
        self.origin = make_origin(self.origin.host, settings.realms[0], self.origin.state_id)
        self.local = self._local()
        for connection in list(self.connections):
            if connection.peer is None:
                continue
            rule = find_rule(settings.peers, connection.peer.host, connection.link.remote_address)
            if rule is None:
                connection.stop(DO_NOT_WANT_TO_TALK_TO_YOU, "unknown_peer")
            else:
                connection.follow(rule)

    async def drain(self) -> None:
        """Take no connection and nothing new, let what is in flight finish, send DPR, close.

        Applications see `draining` and refuse what begins something new. Ends when no connection is left, after
        twice DRAIN_TIMEOUT_S at the latest.
        """
        self.draining = True
        self._close_servers()
        await self._until(lambda: not self.inflight)
        for connection in list(self.connections):
            connection.stop(REBOOTING, "drained")
        await self._until(lambda: not self.connections)
        await self.stop()

    async def stop(self) -> None:
        """End at once: no DPR, no answer to what is in flight."""
        self.draining = True
        self._close_servers()
        for connection in list(self.connections):
            connection.drop("stopped")
            connection.link.abort()
        await self._until(lambda: not self.connections)
        if self._deadline is not None:
            self._deadline.cancel()

    def peers(self) -> tuple[PeerSnapshot, ...]:
        """Peers that are connected, or were since the start."""
        return tuple(peer.snapshot() for peer in self.known.values())

    # What connections tell and ask

    def next_ids(self) -> tuple[int, int]:
        """(Hop-by-Hop, End-to-End) identifiers of a request of our own (RFC 6733 3)."""
        self._hop_by_hop_id = self._hop_by_hop_id + 1 & 0xFFFF_FFFF
        self._end_to_end_id = self._end_to_end_id + 1 & 0xFFFF_FFFF
        return self._hop_by_hop_id, self._end_to_end_id

    def register(self, connection: Connection, capabilities: Capabilities) -> Peer:
        """The peer of a connection that was let in; it counts among the peer's connections from now on."""
        key = capabilities.host.lower()
        peer = self.known.get(key)
        if peer is None:
            self._make_room()
            peer = self.known[key] = Peer(capabilities.host, capabilities.realm)
        peer.host, peer.realm = capabilities.host, capabilities.realm
        peer.connections.append(connection)
        return peer

    def peer_moved(self, peer: Peer) -> None:
        """A connection of `peer` changed its state."""
        state = peer.best_state()
        if state is not peer.state:
            peer.state = state
            self.observer.peer_state(peer.key, state)

    def took(self, context: RequestContext) -> None:
        """A request goes to its application, which has ANSWER_DEADLINE_S to answer, and a little more."""
        self.inflight[context] = None
        if self._deadline is None:
            self._deadline = self.clock.call_at(context.received_ns + _OVERDUE_NS, self._overdue)

    def answered(self, context: RequestContext) -> None:
        """A request is out of its application's hands."""
        self.inflight.pop(context, None)
        self.observer.inflight(len(self.inflight))
        if self._held:
            self._resume()
        if self._waiting:
            self._wake()

    def batch_done(self) -> None:
        """All messages of one read are through."""
        self.observer.inflight(len(self.inflight))

    def hold(self, connection: Connection) -> None:
        """Too much is in flight: what the peer sends stays with it until there is room."""
        if connection not in self._held:
            self._held.add(connection)
            connection.hold(held=True)

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._held.discard(connection)
        self.observer.connections(len(self.connections))
        if self._waiting:
            self._wake()

    # Inside

    def _accept(self, link: Link) -> Connection | None:
        if len(self.connections) >= CONNECTIONS_MAX:
            self.observer.limit("connections")
            self.log.warning("too_many_connections", remote=link.remote)
            return None
        connection = Connection(self, link)
        self.connections.add(connection)
        self.observer.connections(len(self.connections))
        return connection

    def _local(self) -> Local:
        commands = {number: application.commands for number, application in self.applications.items()}
        return make_local(self.origin.host, self.settings.realms, commands)

    def _make_room(self) -> None:
        """Forget the oldest peer without a connection where more are remembered than could be connected."""
        if len(self.known) >= CONNECTIONS_MAX:
            gone = next((key for key, peer in self.known.items() if not peer.connections and peer.inflight == 0), None)
            if gone is not None:
                del self.known[gone]

    def _overdue(self) -> None:
        """Answer 3004 for what took too long, and come back when the next one would."""
        self._deadline = None
        now_ns = self.clock.now_ns()
        while self.inflight:
            context = next(iter(self.inflight))
            due_ns = context.received_ns + _OVERDUE_NS
            if due_ns > now_ns:
                self._deadline = self.clock.call_at(due_ns, self._overdue)
                return
            self.observer.limit("answer_deadline_s")
            self.log.error("answer_overdue", peer=context.peer_host, application=context.message.application_id)
            context.error(ResultCode.TOO_BUSY, message="no answer in time")

    def _resume(self) -> None:
        if len(self.inflight) * _RESUME_DENOMINATOR > INFLIGHT_MAX * _RESUME_NUMERATOR:
            return
        for connection in list(self._held):
            peer = connection.peer
            if peer is None or peer.inflight * _RESUME_DENOMINATOR <= PEER_INFLIGHT_MAX * _RESUME_NUMERATOR:
                self._held.discard(connection)
                connection.hold(held=False)

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _until(self, done: Callable[[], bool]) -> None:
        """Wait until `done`, or DRAIN_TIMEOUT_S."""
        if done():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.clock.call_at(self.clock.now_ns() + DRAIN_TIMEOUT_S * SECOND_NS, lambda: _settle(future))
        self._waiting.append((done, future))
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.remove((done, future))

    def _wake(self) -> None:
        for done, future in self._waiting:
            if done():
                _settle(future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _jitter_ns() -> int:
    """Uniform over plus and minus two seconds (RFC 3539 3.4.1)."""
    return random.randint(-WATCHDOG_JITTER_S * SECOND_NS, WATCHDOG_JITTER_S * SECOND_NS)  # noqa: S311 - no secret
