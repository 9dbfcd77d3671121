"""Connections of our own: to whom, when, and when again (RFC 6733 2.1, 5.1, 5.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from ocs.config.settings import PeerRule
from ocs.diameter.admission import is_exact
from ocs.diameter.base_messages import BUSY, DO_NOT_WANT_TO_TALK_TO_YOU
from ocs.diameter.node_ports import Timer
from ocs.diameter.peer_machine import PENDING, SECOND_NS, Input, State
from ocs.diameter.transports import Link

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection

BUSY_FACTOR: Final = 10
"""After a DPR that says BUSY the next attempt comes this much later: "not welcomed" before (RFC 6733 5.4.3)."""
_JITTER_DIVISOR: Final = 30
_UNASKED: Final = "the peer said that it does not want to talk to us (DPR); `ocs peers connect` or a reload tries again"
_BY_COMMAND: Final = "disconnected by command; `ocs peers connect` or a reload connects again"


class NoLink:
    """Stands in a connection of our own until it is there; to close it is to give the attempt up."""

    transport = ""
    certificate_names: frozenset[str] | None = None
    local = ""
    remote_address: IPv4Address | IPv6Address = IPv4Address(0)
    local_address: IPv4Address | IPv6Address = IPv4Address(0)
    local_others: tuple[IPv4Address | IPv6Address, ...] = ()

    def __init__(self, remote: str) -> None:
        self.remote = remote
        self.task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> bool:  # noqa: ARG002 - a Link
        return False

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def abort(self) -> None:
        self.close()

    def hold_reading(self, held: bool) -> None:
        """Nothing is read yet."""

    def unread(self) -> int:
        return 0


class Dialer:
    """Keeps a connection to the peer of one rule: connects, and connects again after Tc.

    host: the peer's identity in lower case, "" until a CEA told the one of a pattern. connection: the one that is
    there or on its way. reconnect_at_ns: monotonic time of the next attempt, None: none is planned. trouble: why there
    is no connection.

    A peer that has all its connections, opened by itself, is left alone; when they are gone it is tried after Tc.
    """

    def __init__(self, node: Node, rule: PeerRule) -> None:
        assert rule.connect is not None
        self.rule = rule
        self.host = rule.host.lower() if is_exact(rule) else ""
        self.connection: Connection | None = None
        self.reconnect_at_ns: int | None = None
        self.trouble = ""
        self.connect = rule.connect
        self._node = node
        self._timer: Timer | None = None
        self._stopped = False

    @property
    def pending(self) -> bool:
        """A connection is on its way."""
        return self.connection is not None and self.connection.machine.state in PENDING

    def follow(self, rule: PeerRule) -> None:
        """Go on by a rule that differs in nothing but how the peer is treated."""
        self.rule = rule
        if self.connection is not None:
            self.connection.follow(rule)

    def start(self) -> None:
        """Connect now, whatever stood against it. A connection that is there stays."""
        self._stopped = False
        if self.connection is None:
            self.trouble = ""
            self._attempt()

    def stop(self, trouble: str = _BY_COMMAND) -> None:
        """Make no more attempts; a connection that is there is its owner's to end."""
        self._stopped = True
        self.trouble = trouble
        self._disarm()
        if self.connection is not None and self.connection.machine.state is State.CONNECTING:
            self.connection.drop("stopped")

    def dial(self, connection: Connection) -> None:
        """The machine's CONNECT."""
        link = connection.link
        assert isinstance(link, NoLink)
        link.task = asyncio.get_running_loop().create_task(self._dial(connection))
        # Not at the end of the task: one that is cancelled before it began has none.
        link.task.add_done_callback(lambda _task: _unless_linked(connection))

    def ended(self, connection: Connection) -> None:
        """A connection of ours is gone."""
        if self.connection is connection:
            self.connection = None
        if connection.goodbye == DO_NOT_WANT_TO_TALK_TO_YOU:
            self.stop(_UNASKED)
        self._again(BUSY_FACTOR if connection.goodbye == BUSY else 1)

    def peer_closed(self) -> None:
        """The peer has no connection any more, whoever had opened it."""
        if self.connection is None and self._timer is None:
            self._again(1)

    async def _dial(self, connection: Connection) -> None:
        def accept(link: Link) -> Connection | None:
            return connection if connection.linked(link) else None

        try:
            connector = self._node.connector(self.connect, self.rule.host if is_exact(self.rule) else "")
            await connector(self.connect.hosts, self.connect.port, accept)
        except OSError as error:
            self.trouble = str(error)
            wait_s = self.connect.reconnect_s
            self._node.log.warning("connect_failed", peer=self.rule.host, why=self.trouble, again_in_s=wait_s)

    def _again(self, factor: int) -> None:
        if self._stopped or self._node.draining:
            return
        reconnect_s = self.connect.reconnect_s
        wait_ns = factor * reconnect_s * SECOND_NS + self._node.jitter_ns() * reconnect_s // _JITTER_DIVISOR
        self._disarm()
        self.reconnect_at_ns = self._node.clock.now_ns() + wait_ns
        self._timer = self._node.clock.call_at(self.reconnect_at_ns, self._attempt)

    def _attempt(self) -> None:
        self._disarm()
        peer = self._node.known.get(self.host)
        served = peer is not None and len(peer.connections) >= self.rule.connections
        if self._stopped or self._node.draining or self.connection is not None or served:
            return
        self.connection = self._node.own_connection(self)
        self.connection.feed(Input.START)

    def _disarm(self) -> None:
        self.reconnect_at_ns = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _unless_linked(connection: Connection) -> None:
    if isinstance(connection.link, NoLink):
        connection.disconnected()


class Dialers:
    """Those of all rules that say where to connect."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._dialers: list[Dialer] = []

    def follow(self, rules: Sequence[PeerRule]) -> None:
        """Connect to where `rules` say; what they do not say any more is disconnected (DPR)."""
        before = {(dialer.rule.host, dialer.connect): dialer for dialer in self._dialers}
        self._dialers = []
        for rule in rules:
            if rule.connect is None:
                continue
            dialer = before.pop((rule.host, rule.connect), None) or Dialer(self._node, rule)
            dialer.follow(rule)
            self._dialers.append(dialer)
        for dialer in before.values():
            self._leave(dialer)
        for dialer in self._dialers:
            if dialer.host:
                self._node.peer_of(dialer)
            dialer.start()

    def stop(self) -> None:
        """Make no more attempts."""
        for dialer in self._dialers:
            dialer.stop("shutting down")

    def pending(self, key: str) -> Connection | None:
        """The connection to the peer of this name that is on its way."""
        found = (dialer.connection for dialer in self._dialers if dialer.host == key and dialer.pending)
        return next(found, None)

    def command(self, host: str, *, connect: bool) -> bool:
        """Begin or end to connect to a peer; False: there is no such peer."""
        found = [dialer for dialer in self._dialers if host.lower() in (dialer.host, dialer.rule.host.lower())]
        for dialer in found:
            if connect:
                dialer.start()
            else:
                dialer.stop()
        return bool(found)

    def _leave(self, dialer: Dialer) -> None:
        dialer.stop("not in the configuration any more")
        if dialer.connection is not None:
            dialer.connection.stop(DO_NOT_WANT_TO_TALK_TO_YOU, "unknown_peer")
        peer = self._node.known.get(dialer.host)
        if peer is not None and peer.dialer is dialer:
            peer.dialer = None
