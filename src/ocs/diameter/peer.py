"""One connection, and the peer it belongs to: runs the machine, answers what is its own, hands on the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from ocs.config.settings import PeerRule
from ocs.diameter import base_messages, node_capabilities, node_requests
from ocs.diameter.admission import Capabilities
from ocs.diameter.application import RequestContext
from ocs.diameter.errors import FramingLost, PeerError
from ocs.diameter.grammar import check_request
from ocs.diameter.node_dial import Dialer, NoLink
from ocs.diameter.node_ports import ConnectionSnapshot, PeerSnapshot, Timer
from ocs.diameter.peer_machine import SECOND_NS, WATCHED, Action, Input, PeerMachine, State
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.transports import Link
from ocs.diameter.wire import Message, decode_message
from ocs.limits import WATCHDOG_S

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.node_outgoing import Pending

# Why a connection was closed, by the state that it was in, where nothing more is known.
_REASONS: Final = {
    State.CONNECTING: "connect",
    State.WAIT_CEA: "no_cea",
    State.WAIT_CER: "no_cer",
    State.ELECTING: "election",
    State.WAIT_RETURNS: "election",
    State.RIVAL: "rival",
    State.SUSPECT: "watchdog",
    State.REOPEN: "watchdog",
    State.CLOSING: "drained",
}
# Of several connections the best counts.
_RANK: Final = (State.OPEN, State.REOPEN, State.SUSPECT, State.CLOSING, State.LEAVING)


class Peer:
    """A peer that was admitted at least once, or that we connect to: its connections and counters.

    key: its name in lower case. dialer: where we connect to it. lost: a connection ended without DPR, and it has not
    proved itself since. rival: the connection that asks whether the others live.
    """

    def __init__(self, host: str, realm: str) -> None:
        self.key = host.lower()
        self.host = host
        self.realm = realm
        self.connections: list[Connection] = []
        self.rival: Connection | None = None
        self.dialer: Dialer | None = None
        self.state = State.CLOSED
        self.lost = False
        self.inflight = 0
        self.messages_in = 0
        self.messages_out = 0
        self.refused = 0
        self.watchdog_rtt_ns: int | None = None

    def best_state(self) -> State:
        """The state that counts for the peer as a whole."""
        states = {connection.machine.state for connection in self.connections}
        return next((state for state in _RANK if state in states), State.CLOSED)

    def snapshot(self, since_ns: int = 0) -> PeerSnapshot:
        """What is shown to operators; `since_ns` is the Unix time at which the monotonic clock was 0."""
        dialer, state = self.dialer, self.state
        again_ns = None if dialer is None else dialer.reconnect_at_ns
        if dialer is not None and dialer.connection is not None and state is State.CLOSED:
            state = dialer.connection.machine.state
        return PeerSnapshot(
            host=self.host,
            realm=self.realm,
            state=state.value,
            connections=tuple(connection.snapshot() for connection in self.connections),
            watchdog_rtt_ns=self.watchdog_rtt_ns,
            messages_in=self.messages_in,
            messages_out=self.messages_out,
            refused=self.refused,
            inflight=self.inflight,
            reconnect_at_ns=None if again_ns is None else since_ns + again_ns,
            trouble="" if dialer is None or self.connections else dialer.trouble,
        )


class Connection:
    """The Handler of one Link, and the Sender of the answers to what came over it.

    dialer: of a connection of our own. elector: the one that the peer opened while this one of our own was on its way,
    own: the other way round. goodbye: the Disconnect-Cause of the peer's DPR. pending: requests of our own that wait
    for an answer here, by Hop-by-Hop id; sent: how many there were. cea, cer: the last CER and the answer prepared for
    it; capabilities: who it said it is. rivals: the older connections that have not shown yet that they live,
    challenger: the newer one that asks. reason: why it ends, once that is known.
    """

    def __init__(self, node: Node, link: Link, dialer: Dialer | None = None) -> None:
        self.link = link
        self.dialer = dialer
        self.elector: Connection | None = None
        self.own: Connection | None = None
        self.goodbye: int | None = None
        self.pending: dict[int, Pending] = {}
        self.sent = 0
        self.machine = PeerMachine(WATCHDOG_S)
        self.peer: Peer | None = None
        self.rule: PeerRule | None = None
        self.capabilities: Capabilities | None = None
        self.cer: Message | None = None
        self.cea = b""
        self.rivals: set[Connection] = set()
        self.reason = ""
        self.inflight = 0
        self.now_ns = 0
        self.since_ns = node.clock.wall_ns()
        self._node = node
        self._held = False
        self._timer: Timer | None = None
        self._armed_ns = 0
        self._jitter_ns = node.jitter_ns()
        self.challenger: Connection | None = None
        self._cer_id: int | None = None
        self._dwr_id: int | None = None
        self._dpr_id: int | None = None
        self._dpa_waits = False
        self._cause = base_messages.REBOOTING
        if dialer is None:
            self.feed(Input.CONNECTED)
        else:
            self.follow(dialer.rule)

    @property
    def name(self) -> str:
        """The peer's name for metrics and logs, "" before it is admitted."""
        return "" if self.peer is None else self.peer.key

    @property
    def draining(self) -> bool:
        """The node shuts down."""
        return self._node.draining

    def snapshot(self) -> ConnectionSnapshot:
        """What is shown to operators."""
        return ConnectionSnapshot(
            self.link.remote,
            self.link.local,
            self.machine.state.value,
            self.since_ns,
            "in" if self.dialer is None else "out",
            self.link.transport,
            len(self.pending),
        )

    # What the transport tells

    def linked(self, link: Link) -> bool:
        """A connection of our own is there; False where it is not wanted any more."""
        if self.machine.state is not State.CONNECTING:
            return False
        self.link = link
        self.since_ns = self._node.clock.wall_ns()
        self.feed(Input.CONNECTED)
        return True

    def frames_received(self, frames: list[bytes]) -> None:
        """Whole messages; those after the end of the connection are not looked at."""
        self.now_ns = self._node.clock.now_ns()
        self._node.overload.look(self.now_ns, sum(map(len, frames)))
        for frame in frames:
            if self.machine.state is State.CLOSED:
                break
            try:
                message, fault = decode_message(frame), None
            except PeerError as error:
                message, fault = _readable(error), error
            if self._node.tap is not None:
                self._node.tap.received(self, frame, message)
            try:
                self._take(message, fault)
            except Exception:
                self._node.log.exception("message_failed", peer=self.name, command=message.command_code)
                self.drop("internal")
        self._arm()
        self._node.batch_done()

    def framing_lost(self, lost: FramingLost) -> None:
        """Answer once, where we know each other, then close (RFC 6733 7.1.5)."""
        if self.machine.state is State.CLOSED:
            return
        self._node.log.warning("framing_lost", peer=self.name, remote=self.link.remote, reason=lost.reason)
        error = PeerError(lost.result_code, reason=lost.reason, limit=lost.limit)
        error.header = _header(lost.header)
        if self.peer is not None and error.header.is_request:
            node_requests.refuse(self._node, self, error.header, error)
        elif lost.limit:
            self._node.observer.limit(lost.limit)
        self.drop("framing_lost")

    def path_changed(self, address: str, state: str) -> None:
        """One of several paths of the connection; the connection goes on over the others."""
        self._node.observer.path(self.name, state)
        log = self._node.log.warning if state == "unreachable" else self._node.log.info
        log("path_changed", peer=self.name, remote=self.link.remote, address=address, state=state)

    def unsendable(self, octets: int) -> None:
        """A message is longer than the transport can send."""
        self._node.observer.dropped(self.name, "too_long")
        self._node.log.error("message_too_long", peer=self.name, remote=self.link.remote, octets=octets)

    def overflowed(self) -> None:
        """The peer does not take its answers."""
        self.reason = self.reason or "output"
        self._node.observer.limit("peer_output_octets")
        self._node.log.warning("output_overflow", peer=self.name, remote=self.link.remote)

    def disconnected(self) -> None:
        """The connection is gone."""
        self.feed(Input.DISCONNECTED)
        reason = self.reason or ("connect" if isinstance(self.link, NoLink) else "peer")
        self._node.observer.closed(self.name, reason)
        if not isinstance(self.link, NoLink):
            self._node.log.info("connection_closed", peer=self.name, remote=self.link.remote, reason=reason)
        self._node.forget(self)

    # What the node asks for

    def stop(self, cause: int, reason: str) -> None:
        """End in good order, by a DPR with `cause`; `reason` is what the end is counted as."""
        if self.machine.state is State.CLOSED:
            return
        self._cause = cause
        self.reason = self.reason or reason
        self.feed(Input.STOP)

    def drop(self, reason: str) -> None:
        """End without DPR; what is queued is still sent."""
        self.reason = self.reason or reason
        self.feed(Input.DISCONNECTED)
        self.link.close()

    def follow(self, rule: PeerRule) -> None:
        """Be treated by `rule` from now on."""
        self.rule = rule
        self.machine.set_watchdog(rule.watchdog_s)

    def hold(self, held: bool) -> None:
        """Stop or go on reading; a watchdog does not expire while it is us who do not read."""
        self._held = held
        self.link.hold_reading(held)

    # Sending

    def send(self, data: bytes, command: int, application: int) -> bool:
        """Queue one message; False where the connection is gone."""
        if not self.link.write(data):
            return False
        if self._node.tap is not None:
            self._node.tap.sent(self, data)
        if self.peer is not None:
            self.peer.messages_out += 1
        self._node.observer.message(self.name, "out", command, application)
        return True

    def send_answer(self, context: RequestContext, data: bytes) -> None:
        """An application's answer."""
        node, peer, request = self._node, self.peer, context.message
        assert peer is not None, "requests are delivered from admitted peers only"
        peer.inflight -= 1
        self.inflight -= 1
        if context.decision is not None and node.tap is not None:
            node.tap.decided(self, request, context.decision)
        now_ns = node.clock.now_ns()
        data = node.overload.answered(context, data, now_ns)
        if self.send(data, request.command_code, request.application_id):
            seconds = (now_ns - context.received_ns) / SECOND_NS
            node.observer.answered(peer.key, request.command_code, request.application_id, seconds)
        else:
            node.observer.dropped(peer.key, "connection_gone")
        if self._dpa_waits and not self.inflight:
            self._dpa_waits = False
            self.feed(Input.DPA)
        node.answered(context)

    # One message

    def _take(self, message: Message, fault: PeerError | None) -> None:
        self._node.observer.message(self.name, "in", message.command_code, message.application_id)
        if self.peer is not None:
            self.peer.messages_in += 1
        try:
            event = self._classify(message, fault)
        except PeerError as error:
            event, fault = Input.REQUEST, error
        if event is Input.DPA and self.inflight:
            self._dpa_waits = True  # the connection ends when the last answer is on its way
            return
        rtt_since_ns = self.machine.dwr_sent_ns if event is Input.DWA else None
        admitted = self.peer is not None
        if admitted:  # before it is served: what it begins is newer than the restart that it tells of
            self._node.origin_states.note(self, message)
        self.feed(event, message, fault)
        if self.peer is not None and not admitted:
            self._node.origin_states.note(self, message)
        if rtt_since_ns is not None:
            self._alive(self.now_ns - rtt_since_ns)

    def _classify(self, message: Message, fault: PeerError | None) -> Input:
        """Which input a message is. Raises PeerError where a DWR or DPR breaks its grammar."""
        command = message.command_code
        if not message.is_request:
            if command == base_messages.DEVICE_WATCHDOG and message.hop_by_hop_id == self._dwr_id:
                self._dwr_id = None
                return Input.DWA
            if command == base_messages.DISCONNECT_PEER and message.hop_by_hop_id == self._dpr_id:
                self._dpr_id = None
                return Input.DPA
            if command == base_messages.CAPABILITIES_EXCHANGE and message.hop_by_hop_id == self._cer_id:
                self._cer_id = None
                if self.machine.state is State.WAIT_CEA:
                    return node_capabilities.examine_answer(self._node, self, message, fault)
            return Input.ANSWERED if message.hop_by_hop_id in self.pending else Input.ANSWER
        if message.application_id != base_messages.BASE_APPLICATION or command not in base_messages.BASE_COMMANDS:
            return Input.REQUEST
        if command == base_messages.CAPABILITIES_EXCHANGE:
            return node_capabilities.examine(self._node, self, message, fault)
        if fault is not None:
            return Input.REQUEST
        check_request(message)
        return Input.DWR if command == base_messages.DEVICE_WATCHDOG else Input.DPR

    def _alive(self, rtt_ns: int) -> None:
        """A DWA came: note how long it took, and tell the connection that wanted to know."""
        assert self.peer is not None, "DWRs are sent to admitted peers only"
        self.peer.watchdog_rtt_ns = rtt_ns
        self._node.observer.watchdog_rtt(self.peer.key, rtt_ns / SECOND_NS)
        challenger, self.challenger = self.challenger, None
        if challenger is None:
            return
        challenger.rivals.discard(self)
        if not challenger.rivals:
            assert challenger.cer is not None
            node_capabilities.refuse(self._node, challenger, challenger.cer, node_capabilities.occupied())
            challenger.feed(Input.RIVAL_LIVES)

    # The machine and its timer

    def feed(self, event: Input, message: Message | None = None, fault: PeerError | None = None) -> None:
        """Feed the machine, then do what it says, in its order."""
        machine = self.machine
        before = machine.state
        if message is None:
            self.now_ns = self._node.clock.now_ns()
        actions = machine.step(event, self.now_ns, self._jitter_ns)
        if machine.state is not before:
            self._moved(before, event)
        for action in actions:
            self._do[action](self, message, fault)
        if message is None:
            self._arm()

    def _moved(self, before: State, event: Input) -> None:
        after = self.machine.state
        node = self._node
        if after is State.CLOSED:
            self._dpa_waits = False
            if event is not Input.DISCONNECTED:
                self.reason = self.reason or _REASONS.get(before, "")
        if before is State.RIVAL:
            self._leave_rivalry(after)
        if after is State.CLOSED and (self.own or self.elector):
            self._leave_election()
        if self.peer is None and after in WATCHED:
            assert self.capabilities is not None, "only a CER leads there"
            self.peer = node.register(self, self.capabilities)
            node.log.info("peer_open", peer=self.name, remote=self.link.remote, state=after.value)
        if self.peer is None:
            return
        if after is State.CLOSED:
            self.peer.connections.remove(self)
        elif after is State.LEAVING:
            self.peer.lost = False
        if after not in WATCHED:
            challenger, self.challenger = self.challenger, None
            if challenger is not None:
                challenger.feed(Input.RIVAL_GONE)
        node.peer_moved(self.peer)
        if after is State.CLOSED and self.pending:
            node.outgoing.lost(self)

    def _leave_election(self) -> None:
        """This connection is out of it: whoever waits for what becomes of it need not wait any longer."""
        own, self.own = self.own, None
        if own is not None:
            own.elector = None
        elector, self.elector = self.elector, None
        if elector is not None:
            elector.own = None
            elector.feed(Input.OWN_GONE)

    def _leave_rivalry(self, after: State) -> None:
        for rival in self.rivals:
            rival.challenger = None
        if after is not State.REOPEN:
            self.rivals.clear()
        assert self.capabilities is not None
        peer = self._node.known.get(self.capabilities.host.lower())
        if peer is not None and peer.rival is self:
            peer.rival = None

    def _arm(self) -> None:
        """Have a timer that comes no later than the machine's deadline; one that comes too early is set again."""
        deadline_ns = self.machine.deadline_ns
        if deadline_ns is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None or deadline_ns < self._armed_ns:
            if self._timer is not None:
                self._timer.cancel()
            self._armed_ns = deadline_ns
            self._timer = self._node.clock.call_at(deadline_ns, self._expired)

    def _expired(self) -> None:
        self._timer = None
        deadline_ns = self.machine.deadline_ns
        now_ns = self._node.clock.now_ns()
        if deadline_ns is not None and now_ns >= deadline_ns:
            if self._held and self.machine.state in WATCHED:
                self.machine.postpone(now_ns)
            else:
                self._jitter_ns = self._node.jitter_ns()
                self.feed(Input.EXPIRED)
        self._arm()

    # Actions of the machine's table

    def _connect(self, _message: Message | None, _fault: PeerError | None) -> None:
        assert self.dialer is not None, "only our own connections are started"
        self.dialer.dial(self)

    def _send_cer(self, _message: Message | None, _fault: PeerError | None) -> None:
        node = self._node
        self._cer_id, end_to_end_id = node.next_ids()
        address, others = self.link.local_address, self.link.local_others
        data = base_messages.cer(node.origin, address, node.application_ids, self._cer_id, end_to_end_id, others)
        self.send(data, base_messages.CAPABILITIES_EXCHANGE, base_messages.BASE_APPLICATION)

    def _tell_election(self, _message: Message | None, _fault: PeerError | None) -> None:
        elector = self.elector
        if elector is None:
            return
        if self.machine.state is State.WAIT_CEA:
            elector.feed(Input.OWN_CONNECTED)
        else:
            self.elector = elector.own = None
            node_capabilities.lose(self._node, elector)
            elector.feed(Input.OWN_OPEN)

    def _elect(self, _message: Message | None, _fault: PeerError | None) -> None:
        if node_capabilities.wins(self._node, self):
            self.feed(Input.WON)

    def _yield_own(self, _message: Message | None, _fault: PeerError | None) -> None:
        own, self.own = self.own, None
        if own is not None:
            own.elector = None
            own.reason = "election"
            own.feed(Input.YIELD)

    def _send_cea(self, _message: Message | None, _fault: PeerError | None) -> None:
        self.send(self.cea, base_messages.CAPABILITIES_EXCHANGE, base_messages.BASE_APPLICATION)

    def _send_dwr(self, _message: Message | None, _fault: PeerError | None) -> None:
        self._dwr_id, end_to_end_id = self._node.next_ids()
        data = base_messages.dwr(self._node.origin, self._dwr_id, end_to_end_id)
        self.send(data, base_messages.DEVICE_WATCHDOG, base_messages.BASE_APPLICATION)

    def _send_dwa(self, message: Message | None, _fault: PeerError | None) -> None:
        assert message is not None
        data = base_messages.dwa(message, self._node.origin)
        self.send(data, base_messages.DEVICE_WATCHDOG, base_messages.BASE_APPLICATION)

    def _send_dpr(self, _message: Message | None, _fault: PeerError | None) -> None:
        self._dpr_id, end_to_end_id = self._node.next_ids()
        data = base_messages.dpr(self._node.origin, self._cause, self._dpr_id, end_to_end_id)
        self.send(data, base_messages.DISCONNECT_PEER, base_messages.BASE_APPLICATION)

    def _send_dpa(self, message: Message | None, _fault: PeerError | None) -> None:
        assert message is not None
        self.goodbye = base_messages.disconnect_cause_of(message)
        data = base_messages.dpa(message, self._node.origin)
        self.send(data, base_messages.DISCONNECT_PEER, base_messages.BASE_APPLICATION)

    def _deliver(self, message: Message | None, fault: PeerError | None) -> None:
        assert message is not None
        node_requests.deliver(self._node, self, message, fault)

    def _resolve(self, message: Message | None, fault: PeerError | None) -> None:
        assert message is not None
        self._node.outgoing.answered(self, message, fault)

    def _refuse(self, message: Message | None, fault: PeerError | None) -> None:
        assert message is not None
        error = fault or PeerError(ResultCode.TOO_BUSY, reason="the connection is being closed")
        node_requests.refuse(self._node, self, message, error)

    def _drop_message(self, message: Message | None, _fault: PeerError | None) -> None:
        answer = message is not None and not message.is_request
        self._node.observer.dropped(self.name, "unknown_answer" if answer else "closing")

    def _probe_rivals(self, _message: Message | None, _fault: PeerError | None) -> None:
        for rival in tuple(self.rivals):
            rival.challenger = self
            rival.feed(Input.PROBE)

    def _replace_rivals(self, _message: Message | None, _fault: PeerError | None) -> None:
        for rival in tuple(self.rivals):
            rival.drop("replaced")
            rival.link.abort()
        self.rivals.clear()

    def _failover(self, _message: Message | None, _fault: PeerError | None) -> None:
        self._node.observer.failover(self.name)
        self._node.log.warning("peer_suspect", peer=self.name, remote=self.link.remote)
        self._node.outgoing.suspected(self)

    def _failback(self, _message: Message | None, _fault: PeerError | None) -> None:
        assert self.peer is not None
        self.peer.lost = False
        self._node.log.info("peer_back", peer=self.name, remote=self.link.remote)

    def _lost(self, _message: Message | None, _fault: PeerError | None) -> None:
        assert self.peer is not None
        self.peer.lost = True

    def _close(self, _message: Message | None, _fault: PeerError | None) -> None:
        self.link.close()

    _do: ClassVar[dict[Action, Callable[[Connection, Message | None, PeerError | None], None]]] = {
        Action.CONNECT: _connect,
        Action.SEND_CER: _send_cer,
        Action.TELL_ELECTION: _tell_election,
        Action.ELECT: _elect,
        Action.YIELD_OWN: _yield_own,
        Action.RESOLVE: _resolve,
        Action.SEND_CEA: _send_cea,
        Action.SEND_DWR: _send_dwr,
        Action.SEND_DWA: _send_dwa,
        Action.SEND_DPR: _send_dpr,
        Action.SEND_DPA: _send_dpa,
        Action.DELIVER: _deliver,
        Action.REFUSE: _refuse,
        Action.DROP: _drop_message,
        Action.PROBE_RIVALS: _probe_rivals,
        Action.REPLACE_RIVALS: _replace_rivals,
        Action.FAILOVER: _failover,
        Action.FAILBACK: _failback,
        Action.LOST: _lost,
        Action.CLOSE: _close,
    }


def _header(octets: bytes) -> Message:
    """The header at which a stream broke, as far as it means anything."""
    try:
        return decode_message(octets)
    except PeerError as error:
        return _readable(error)


def _readable(error: PeerError) -> Message:
    """What could be read of a message that cannot be cut into AVPs."""
    assert error.header is not None, "the transport brings whole headers"
    return msgspec.structs.replace(error.header, avps=error.avps)
