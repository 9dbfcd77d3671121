"""What the Diameter node tells about itself, counted. Takes the events of `ocs.diameter.observer.Observer`."""

from __future__ import annotations

import math
import time
from enum import Enum
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from ocs.limits import LIMITS
from ocs.nms import labels
from ocs.nms.labels import APPLICATIONS, COMMANDS, NO_REQUEST_TYPE, OTHER, REQUEST_TYPES, RESULT_CODES
from ocs.nms.making import Maker, children, count

_RTT_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_CREDIT_CONTROL: Final = 4


class DiameterMetrics:
    """Peers, connections, messages, and what requests were answered with."""

    def __init__(self, make: Maker) -> None:
        self._certificate = make.gauge(
            "tls_certificate_expires_in_seconds", "Until our own TLS certificate is no longer valid; +Inf without one."
        )
        self._certificate.set(math.inf)
        self._peers = _Peers(make)
        self._requests = _Requests(make)
        self._inflight = 0
        inflight = make.gauge("diameter_inflight_requests", "Requests taken and not answered yet.")
        inflight.set_function(lambda: self._inflight)
        self._connections = make.gauge("diameter_connections", "Transport connections, admitted or not.")
        self._connections_closed = children(
            make.counter("diameter_connections_closed", "Connections of admitted peers that ended.", "reason"),
            labels.CLOSE_REASONS,
        )
        self._unmatched_closed = children(
            make.counter(
                "unmatched_connections_closed", "Connections that ended before they belonged to a peer.", "reason"
            ),
            labels.CLOSE_REASONS,
        )
        own = make.counter("diameter_own_requests", "Requests of our own, by what came of them.", "command", "result")
        self._own = {
            (command, result): own.labels(labels.COMMANDS[command], result)
            for command in labels.OWN_COMMANDS
            for result in (*map(str, RESULT_CODES), *labels.NOT_DELIVERED, OTHER)
        }
        self._dropped = children(
            make.counter("diameter_dropped_messages", "Messages that went nowhere.", "reason"), labels.DROP_REASONS
        )
        self._listeners = make.gauge("diameter_listener_up", "1 where a listener listens.", "transport", "address")
        self._paths = children(
            make.counter("sctp_path_changes", "Changes of paths of SCTP associations.", "state"), labels.PATH_STATES
        )
        self._limits = children(make.counter("limit_hits", "How often a bound was hit.", "limit"), (*LIMITS, OTHER))

        shed = make.counter("overload_refused", "Requests refused since there were too many.", "kind", "priority")
        self._shed = {
            (kind, priority): shed.labels(kind, str(priority)) for kind in labels.SHED for priority in labels.PRIORITIES
        }
        self._delay = make.gauge("overload_delay_seconds", "How long the median request waited for its answer.")
        self._reduction = make.gauge("overload_reduction_percent", "By how much peers are asked to send less.")

    # The node

    def message(self, peer: str, direction: str, command: int, application: int) -> None:
        """A message came ("in") or went ("out")."""
        self._peers.message(peer, direction, command, application)

    def answered(self, peer: str, command: int, application: int, seconds: float) -> None:  # noqa: ARG002 - the observer protocol says more
        """An application's answer was handed to the connection, `seconds` after its request had come."""
        self._requests.took(application, seconds)

    def refused(self, peer: str, command: int, application: int, result_code: int) -> None:  # noqa: ARG002 - the observer protocol says more
        """A request was answered with an error before any application saw it."""
        self._requests.add(application, command, 0, result_code)

    def peer_state(self, peer: str, state: Enum) -> None:
        """`peer` is in `state` now, and in no other."""
        self._peers.state(peer, state)

    def failover(self, peer: str) -> None:
        """A watchdog expired with a DWR pending."""
        self._peers.failover(peer)

    def watchdog_rtt(self, peer: str, seconds: float) -> None:
        """A DWR was answered after `seconds`."""
        self._peers.watchdog(peer, seconds)

    def connections(self, number: int) -> None:
        """Transport connections at this moment."""
        self._connections.set(number)

    def inflight(self, number: int) -> None:
        """Requests that wait for an application at this moment."""
        self._inflight = number

    def closed(self, peer: str, reason: str) -> None:
        """A connection ended; `peer` is "" where it belonged to none."""
        count(self._connections_closed if peer else self._unmatched_closed, reason)

    def shed(self, kind: str, priority: int) -> None:
        """A request was refused since there were too many."""
        self._shed[kind, priority].inc()

    def overload(self, seconds: float, percent: int) -> None:
        """How long requests wait, and what overload reports ask for."""
        self._delay.set(seconds)
        self._reduction.set(percent)

    def dropped(self, peer: str, what: str) -> None:  # noqa: ARG002 - the observer protocol says more
        """A message went nowhere."""
        count(self._dropped, what)

    def limit(self, name: str) -> None:
        """A bound of `ocs.limits.LIMITS` was hit."""
        count(self._limits, name)

    def listener(self, transport: str, address: str, up: bool) -> None:
        """A listener of the configuration listens, or cannot."""
        self._listeners.labels(transport, address).set(int(up))

    def path(self, peer: str, state: str) -> None:  # noqa: ARG002 - the observer protocol says more
        """A path of an association changed."""
        count(self._paths, state)

    def certificate(self, expires_at_s: int) -> None:
        """Our certificate was read; it is shown how long it is still valid."""
        self._certificate.set_function(lambda: expires_at_s - time.time())

    def own_request(self, command: int, result: str) -> None:
        """A RAR or ASR was answered with a Result-Code, or has no answer: one of labels.NOT_DELIVERED."""
        key = command, result
        self._own[key if key in self._own else (command, OTHER)].inc()

    # Applications

    def retransmission(self, peer: str) -> None:
        """A request came with the T bit."""
        self._peers.retransmission(peer)

    def request(self, application: int, command: int, request_type: int, result_code: int) -> None:
        """An application answered a request; `request_type` is CC-Request-Type, 0 where the command has none."""
        self._requests.add(application, command, request_type, result_code)


class _Peers:
    """Children of the metrics that have a peer in a label, made when a peer is first seen."""

    def __init__(self, make: Maker) -> None:
        self._state_metric = make.gauge("diameter_peer_state", "1 for the state a peer is in, else 0.", "peer", "state")
        self._message_metric = make.counter(
            "diameter_messages", "Diameter messages.", "peer", "direction", "command", "application"
        )
        self._retransmissions = make.counter("diameter_retransmissions", "Requests received with the T bit.", "peer")
        self._failovers = make.counter("diameter_failovers", "Watchdogs that expired with a DWR pending.", "peer")
        self._watchdog: Histogram = make.histogram(
            "diameter_watchdog_rtt_seconds", "Time from a DWR to its DWA.", "peer", buckets=_RTT_BUCKETS_S
        )
        self._known: set[str] = set()
        self._states: dict[str, dict[str, Gauge]] = {}
        self._messages: dict[tuple[str, str, int, int], Counter] = {}

    def _label(self, peer: str) -> str:
        if peer in self._known:
            return peer
        if not peer or len(self._known) >= labels.PEER_LABELS_MAX:
            return OTHER
        self._known.add(peer)
        for metric in (self._retransmissions, self._failovers, self._watchdog):
            metric.labels(peer)
        for direction in labels.DIRECTIONS:
            for command, application in ((257, 0), (280, 0), (282, 0), (272, _CREDIT_CONTROL)):
                self._message(peer, direction, command, application)
        return peer

    def _message(self, label: str, direction: str, command: int, application: int) -> Counter:
        return self._message_metric.labels(
            label, direction, COMMANDS.get(command, OTHER), APPLICATIONS.get(application, OTHER)
        )

    def message(self, peer: str, direction: str, command: int, application: int) -> None:
        key = (peer, direction, command, application)
        child = self._messages.get(key)
        if child is None:
            child = self._message(self._label(peer), direction, command, application)
            if command in COMMANDS and application in APPLICATIONS and peer in self._known:
                self._messages[key] = child
        child.inc()

    def state(self, peer: str, state: Enum) -> None:
        label = self._label(peer)
        if label == OTHER:
            return  # one state of many peers says nothing
        states = self._states.get(label)
        if states is None:
            states = {s.name.lower(): self._state_metric.labels(label, s.name.lower()) for s in type(state)}
            self._states[label] = states
        for name, child in states.items():
            child.set(1 if name == state.name.lower() else 0)

    def retransmission(self, peer: str) -> None:
        self._retransmissions.labels(self._label(peer)).inc()

    def failover(self, peer: str) -> None:
        self._failovers.labels(self._label(peer)).inc()

    def watchdog(self, peer: str, rtt_s: float) -> None:
        self._watchdog.labels(self._label(peer)).observe(rtt_s)


class _Requests:
    """Requests by what they were answered with, and how long it took; children by what the wire says."""

    def __init__(self, make: Maker) -> None:
        self._metric = make.counter(
            "diameter_requests", "Requests answered.", "application", "command", "request_type", "result_code"
        )
        durations = make.histogram(
            "diameter_request_duration_seconds", "Time from a request read to its answer handed over.", "application"
        )
        self._durations = {key: durations.labels(label) for key, label in APPLICATIONS.items()}
        self._other_durations = durations.labels(OTHER)
        self._children: dict[tuple[int, int, int, int], Counter] = {}
        for request_type in (*REQUEST_TYPES, 0):
            for result_code in (*RESULT_CODES, 0):
                self._child(_CREDIT_CONTROL, 272, request_type, result_code)
        for command in (257, 280, 282):
            for result_code in labels.CONNECTION_RESULT_CODES:
                self._child(0, command, 0, result_code)

    def _child(self, application: int, command: int, request_type: int, result_code: int) -> Counter:
        return self._metric.labels(
            APPLICATIONS.get(application, OTHER),
            COMMANDS.get(command, OTHER),
            REQUEST_TYPES.get(request_type, NO_REQUEST_TYPE),
            str(result_code) if result_code in RESULT_CODES else OTHER,
        )

    def add(self, application: int, command: int, request_type: int, result_code: int) -> None:
        key = (application, command, request_type, result_code)
        child = self._children.get(key)
        if child is None:
            child = self._child(*key)
            known_type = request_type in REQUEST_TYPES or request_type == 0
            if application in APPLICATIONS and command in COMMANDS and known_type and result_code in RESULT_CODES:
                self._children[key] = child
        child.inc()

    def took(self, application: int, seconds: float) -> None:
        self._durations.get(application, self._other_durations).observe(seconds)
