"""The Diameter node: listeners, the peers that are connected, what is in flight, drain (RFC 6733 2, 5)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import structlog

from ocs.config.settings import Connect as ConnectSettings
from ocs.config.settings import Listener, Settings, Tls, Transport
from ocs.diameter.admission import Capabilities, find_rule
from ocs.diameter.application import Application, RequestContext
from ocs.diameter.base_answers import make_origin
from ocs.diameter.base_messages import DO_NOT_WANT_TO_TALK_TO_YOU, REBOOTING
from ocs.diameter.node_dial import Dialer, Dialers, NoLink
from ocs.diameter.node_origin_state import OriginStates
from ocs.diameter.node_outgoing import Outgoing
from ocs.diameter.node_overload import Overload
from ocs.diameter.node_ports import Clock, PeerSnapshot, Timer
from ocs.diameter.node_trace import Tracing
from ocs.diameter.observer import NullObserver, Observer
from ocs.diameter.paths import Paths
from ocs.diameter.peer import Connection, Peer
from ocs.diameter.peer_machine import SECOND_NS, WATCHDOG_JITTER_S, State
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.routes import OwnRequest
from ocs.diameter.routing import Local, make_local
from ocs.diameter.transports import Connect, Link, Listen, Server, TransportMissing, sctp, tcp, tls
from ocs.diameter.wire import Message
from ocs.limits import ANSWER_DEADLINE_S, CONNECTIONS_MAX, DRAIN_TIMEOUT_S, INFLIGHT_MAX, PEER_INFLIGHT_MAX

_LISTEN: Final[Mapping[Transport, Listen]] = {
    Transport.TCP: tcp.listen,
    Transport.SCTP: sctp.listen,
}
_CONNECT: Final[Mapping[Transport, Connect]] = {
    Transport.TCP: tcp.connect,
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
    known: peers admitted since the start or to be connected to, by name in lower case. inflight: requests that wait
    for an answer, oldest first. peer_restarted: called with the name, in lower case, of a host whose Origin-State-Id
    rose, where the rule of its peer has `release_on_restart`; to be set by whoever ends its sessions. peer_opened:
    called when a peer can be sent requests again. paths: through which peer each host was heard of last.
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
        self.overload = Overload(self)
        self.outgoing = Outgoing(self)
        self.dialers = Dialers(self)
        self.origin_states = OriginStates(self)
        self.tap: Tracing | None = None  # sees every message, while somebody traces
        self.peer_restarted: Callable[[str], None] = _ignore
        self.peer_opened: Callable[[], None] = _nothing
        self.paths = Paths()
        self._contexts: tls.Contexts | None = None
        self._held: set[Connection] = set()
        self._servers: list[tuple[str, Server]] = []
        self._deadline: Timer | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._hop_by_hop_id = random.getrandbits(32)
        self._end_to_end_id = (int(self.clock.wall_ns() // SECOND_NS) & 0xFFF) << 20 | random.getrandbits(20)

    # Life

    async def start(self) -> None:
        """Listen, and begin to connect to where the configuration says; a peer that is not there is tried again.

        Raises OSError, which names the address or the file, where that cannot be.
        """
        if self.settings.tls is not None:
            self._take_certificates(self.settings.tls)
        for listener in self.settings.listeners:
            where = f"{'+'.join(listener.hosts)}:{listener.port}"
            transport = "tls" if listener.tls else listener.transport.value
            try:
                server = await self._listen(listener)
            except OSError as error:
                if listener.optional and isinstance(error, TransportMissing):
                    self.observer.listener(transport, where, up=False)
                    self.log.warning("listener_missing", transport=transport, address=where, reason=error.strerror)
                    continue
                self._close_servers()
                reason = f"Diameter cannot listen on {where}/{transport}: {error.strerror}"
                raise OSError(error.errno, reason) from error
            self.observer.listener(transport, where, up=True)
            self._servers.append((transport, server))
        for transport, host, port in self.bound:
            self.log.info("listening", transport=transport, host=host, port=port)
        self.dialers.follow(self.settings.peers)

    @property
    def listening(self) -> list[tuple[str, int]]:
        """(address, port) of each listening socket, as bound."""
        return [(host, port) for _, host, port in self.bound]

    @property
    def bound(self) -> list[tuple[str, str, int]]:
        """(transport, address, port) of each listening socket; of several addresses of an SCTP socket the first."""
        return [(transport, *name) for transport, server in self._servers for name in tcp.bound_to(server)]

    def reload(self, settings: Settings) -> tuple[str, ...]:
        """Treat peers by new rules and realms from now on; one that no rule admits any more is disconnected.

        Identity and listeners stay as they are until a restart. New connections have the certificates that are in the
        files now; where they cannot be used the old ones stay, and what is returned says why.
        """
        troubles = []
        if settings.tls is not None:
            try:
                self._take_certificates(settings.tls)
            except OSError as error:
                self.log.warning("certificates_not_taken", reason=str(error))
                troubles.append(f"{error}; the certificates that were in use stay in use")
        self.settings = settings
        self.origin = make_origin(self.origin.host, settings.realms[0], self.origin.state_id)
        self.local = self._local()
        self.overload.follow(settings.overload_delay_ms)
        for connection in list(self.connections):
            if connection.peer is None or connection.dialer is not None:
                continue
            rule = find_rule(settings.peers, connection.peer.host, connection.link.remote_address)
            if rule is None:
                connection.stop(DO_NOT_WANT_TO_TALK_TO_YOU, "unknown_peer")
            else:
                connection.follow(rule)
        self.dialers.follow(settings.peers)
        return tuple(troubles)

    async def drain(self) -> None:
        """Take no connection and nothing new, let what is in flight finish, send DPR, close.

        Applications see `draining` and refuse what begins something new. Ends when no connection is left, after
        twice DRAIN_TIMEOUT_S at the latest.
        """
        self.draining = True
        self._close_servers()
        self.dialers.stop()
        await self._until(lambda: not self.inflight)
        for connection in list(self.connections):
            connection.stop(REBOOTING, "drained")
        await self._until(lambda: not self.connections)
        await self.stop()

    async def stop(self) -> None:
        """End at once: no DPR, no answer to what is in flight."""
        self.draining = True
        self._close_servers()
        self.dialers.stop()
        for connection in list(self.connections):
            connection.drop("stopped")
            connection.link.abort()
        await self._until(lambda: not self.connections)
        self.overload.stop()
        if self._deadline is not None:
            self._deadline.cancel()

    def peers(self) -> tuple[PeerSnapshot, ...]:
        """Peers that are connected, or were since the start, or are to be connected to."""
        since_ns = self.clock.wall_ns() - self.clock.now_ns()
        return tuple(peer.snapshot(since_ns) for peer in self.known.values())

    # What applications ask

    async def send(self, request: OwnRequest) -> Message:
        """Send a request of our own and wait for its answer, `request.timeout_s` at most.

        The peer is the destination host itself where it is connected, else an agent or a peer for the realm; of several
        the one that waits for the fewest answers. Who connected to whom does not matter. When its connection is lost or
        suspected, the request goes to the next peer with the T bit and the same End-to-End id; 3002 and 3004 send it to
        the next one, too, and 3006 to the hosts that it names, as far as they are peers (RFC 6733 5.5.4, 6.1.8, 6.12).

        Returns the answer, whatever its Result-Code: 3002, 3004 or 3006 where nobody else could be asked. Its grammar
        is not checked. Raises NotDelivered, whose `reason` is "no_peer" (nothing was sent), "no_answer", "lost" (the
        connection ended before the answer; the request may have been served), "too_many", "held_back" (nothing was
        sent: the destination reported an overload, RFC 7683) or "unreadable".

            answer = await node.send(OwnRequest(258, 4, realm, avps, host, session_id, via=agent))
        """
        return await self.outgoing.send(request)

    def reaches(self, host: str, realm: str, application_id: int) -> bool:
        """Whether a request of ours to `host` in `realm` would be sent anywhere at this moment."""
        return self.outgoing.reaches(OwnRequest(0, application_id, realm, b"", host))

    def reachable(self) -> set[str]:
        """Hosts, in lower case, that requests of ours get to: open peers, and who was heard of through one last."""
        peers = {peer.key for peer in self.known.values() if peer.state is State.OPEN}
        return peers | self.paths.hosts(peers)

    def connect_peer(self, host: str) -> bool:
        """Connect now to a peer of the configuration, whatever stood against it; False: we connect to no such peer."""
        return self.dialers.command(host, connect=True)

    def disconnect_peer(self, host: str) -> bool:
        """Say goodbye to a peer (DPR, DO_NOT_WANT_TO_TALK_TO_YOU), and do not connect to it; False: no such peer."""
        peer = self.known.get(host.lower())
        found = self.dialers.command(host, connect=False)
        for connection in list(peer.connections) if peer is not None else ():
            connection.stop(DO_NOT_WANT_TO_TALK_TO_YOU, "command")
        return found or peer is not None

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
        if connection.dialer is not None:
            peer.dialer = connection.dialer
        return peer

    def own_connection(self, dialer: Dialer) -> Connection:
        """A connection to where `dialer` connects, on its way from now on."""
        connection = Connection(self, NoLink(", ".join(dialer.connect.hosts)), dialer)
        self.connections.add(connection)
        self.observer.connections(len(self.connections))
        return connection

    def peer_of(self, dialer: Dialer) -> Peer:
        """The peer that `dialer` connects to by its name."""
        peer = self.known.get(dialer.host)
        if peer is None:
            self._make_room()
            peer = self.known[dialer.host] = Peer(dialer.rule.host, "")
            self.observer.peer_state(peer.key, peer.state)
        peer.dialer = dialer
        return peer

    def own_pending(self, key: str) -> Connection | None:
        """Our connection to the peer of this name that is on its way."""
        return self.dialers.pending(key)

    def connector(self, target: ConnectSettings, server_name: str) -> Connect:
        """What connects to `target`. Raises OSError where there are no certificates for it."""
        if target.transport is Transport.SCTP:
            # From where it listens: the peer knows these addresses, and no other ones of this host need be told.
            hosts = (listener.hosts for listener in self.settings.listeners if listener.transport is Transport.SCTP)
            return partial(sctp.connect, sources=next(hosts, ()))
        if not target.tls:
            return _CONNECT[target.transport]
        if self._contexts is None:
            raise OSError("there are no certificates: `tls:` is missing in server.yaml")
        return partial(tls.connect, contexts=self._contexts, server_name=server_name)

    def peer_moved(self, peer: Peer) -> None:
        """A connection of `peer` changed its state."""
        state = peer.best_state()
        if state is not peer.state:
            peer.state = state
            self.observer.peer_state(peer.key, state)
            if state is State.OPEN:
                self.peer_opened()
            if state is State.CLOSED and peer.dialer is not None:
                peer.dialer.peer_closed()

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
        if connection.dialer is not None:
            connection.dialer.ended(connection)
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

    async def _listen(self, listener: Listener) -> Server:
        if listener.tls:
            return await tls.listen(
                listener.hosts, listener.port, self._accept, lambda: self._certificates, self._handshake_failed
            )
        return await _LISTEN[listener.transport](listener.hosts, listener.port, self._accept)

    @property
    def _certificates(self) -> tls.Contexts:
        if self._contexts is None:
            raise OSError("there are no certificates: `tls:` is missing in server.yaml")
        return self._contexts

    def _take_certificates(self, settings: Tls) -> None:
        self._contexts = tls.load(settings)
        self.observer.certificate(self._contexts.expires_at_s)

    def _handshake_failed(self, remote: str, why: str) -> None:
        if why == tls.TOO_MANY:
            self.observer.limit("tls_handshakes")
        self.observer.closed("", "tls")
        self.log.warning("tls_refused", remote=remote, why=why)

    def _local(self) -> Local:
        commands = {number: application.commands for number, application in self.applications.items()}
        return make_local(self.origin.host, self.settings.realms, commands, self.settings.cluster)

    def _make_room(self) -> None:
        """Forget the oldest peer without a connection where more are remembered than could be connected."""
        if len(self.known) >= CONNECTIONS_MAX:
            idle = (peer for peer in self.known.values() if not peer.connections and not peer.dialer)
            gone = next((peer.key for peer in idle if peer.inflight == 0), None)
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
        for _, server in self._servers:
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


def _ignore(_host: str) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """Nobody wants to know."""


def _jitter_ns() -> int:
    """Uniform over plus and minus two seconds (RFC 3539 3.4.1)."""
    return random.randint(-WATCHDOG_JITTER_S * SECOND_NS, WATCHDOG_JITTER_S * SECOND_NS)  # noqa: S311 - no secret
