"""All metrics of the program, and nothing but metrics: whoever sees something happen calls a method here.

Names follow prometheus.io/docs/practices/naming: prefix `ocs_`, base units, `_total`. Every child that can be known
before it counts is made at 0, so that a rate() sees its first increment. A label never holds a subscriber, a
session or anything else that a client chooses; peers are bounded (`labels.PEER_LABELS_MAX`).
Numbers here are statistics (binary floats, as Prometheus has them); the ledger is elsewhere and exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ocs.limits import LIMITS
from ocs.nms import labels
from ocs.nms.labels import APPLICATIONS, COMMANDS, NO_REQUEST_TYPE, OTHER, REQUEST_TYPES, RESULT_CODES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NANOS: Final = 1_000_000_000

_DURATION_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_RTT_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class Metrics:
    """One registry with every metric. Cheap on the hot path: children are looked up in dicts, never by label names."""

    def __init__(self, *, process: bool = False) -> None:
        """`process`: also the metrics of the interpreter and the process (once per process)."""
        self.registry = CollectorRegistry()
        if process:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self.registry)
        self._make_configuration()
        self._make_diameter()
        self._make_charging()
        self._make_store()

    def render(self) -> bytes:
        """The text exposition of all metrics."""
        return generate_latest(self.registry)

    # Program and configuration

    def _make_configuration(self) -> None:
        self._build_info = self._gauge("build_info", "Always 1; the labels say what runs.", "version", "revision")
        self._config_hash = self._gauge(
            "config_hash_info", "Always 1; the digest of the configuration in use and the version of its tariff.",
            "hash", "tariff_version",
        )  # fmt: skip
        self._reload_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "Unix time of the last configuration that was taken over."
        )
        self._reload_ok = self._gauge(
            "config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."
        )
        self._loop_lag = Histogram(
            "ocs_event_loop_lag_seconds", "How much later than due the event loop ran a timer.",
            registry=self.registry, buckets=_DURATION_BUCKETS,
        )  # fmt: skip
        self._draining = self._gauge("draining", "1 while the server finishes what is in flight and takes nothing new.")

    def build_info(self, version: str, revision: str) -> None:
        """What runs: version of the program and revision of its source, "" where unknown."""
        self._build_info.labels(version, revision).set(1)

    def config_loaded(self, digest: str, tariff_version: str, at_s: float) -> None:
        """A configuration was taken over at Unix time `at_s`."""
        self._config_hash.clear()
        self._config_hash.labels(digest, tariff_version).set(1)
        self._reload_at.set(at_s)
        self._reload_ok.set(1)

    def config_refused(self) -> None:
        """A configuration was not taken over; the old one stays."""
        self._reload_ok.set(0)

    def loop_lag(self, lag_s: float) -> None:
        """The event loop was `lag_s` late."""
        self._loop_lag.observe(lag_s)

    def draining(self) -> None:
        """The server drains from now on."""
        self._draining.set(1)

    # Diameter

    def _make_diameter(self) -> None:
        peer_state = self._gauge("diameter_peer_state", "1 for the state that a peer is in, else 0.", "peer", "state")
        messages = self._counter(
            "diameter_messages", "Diameter messages.", "peer", "direction", "command", "application"
        )
        retransmissions = self._counter("diameter_retransmissions", "Requests received with the T bit.", "peer")
        watchdog = Histogram(
            "ocs_diameter_watchdog_rtt_seconds", "Time from a DWR to its DWA.", ("peer",),
            registry=self.registry, buckets=_RTT_BUCKETS,
        )  # fmt: skip
        self._peers = _Peers(peer_state, messages, retransmissions, watchdog)

        requests = self._counter(
            "diameter_requests", "Requests answered, by Result-Code.",
            "application", "command", "request_type", "result_code",
        )  # fmt: skip
        self._requests = _Requests(requests)
        durations = Histogram(
            "ocs_diameter_request_duration_seconds", "Time from a whole request read to its answer written.",
            ("application", "request_type"), registry=self.registry, buckets=_DURATION_BUCKETS,
        )  # fmt: skip
        self._durations = {
            kind: durations.labels("credit_control", name)
            for kind, name in ((0, NO_REQUEST_TYPE), *REQUEST_TYPES.items())
        }
        self._inflight = self._gauge("diameter_inflight_requests", "Requests taken and not answered yet.")
        self._connections = self._gauge("diameter_connections", "Transport connections, admitted or not.")
        closed = self._counter(
            "unmatched_connections_closed", "Connections closed that belong to no admitted peer.", "reason"
        )
        self._closed = _children(closed, labels.CLOSE_REASONS)
        self._parse_errors = self._counter("diameter_parse_errors", "Messages that could not be read.")
        self._ignored_avps = self._counter("diameter_ignored_avps", "Unknown AVPs with the M bit that were ignored.")

    def peer_state(self, peer: str, state: str) -> None:
        """`peer` is in `state` now, and in no other."""
        self._peers.state(peer, state)

    def message(self, peer: str, direction: str, command_code: int, application_id: int) -> None:
        """A message came ("in") or went ("out")."""
        self._peers.message(peer, direction, command_code, application_id)

    def retransmission(self, peer: str) -> None:
        """A request came with the T bit."""
        self._peers.retransmission(peer)

    def watchdog_rtt(self, peer: str, rtt_s: float) -> None:
        """A DWR was answered after `rtt_s`."""
        self._peers.watchdog(peer, rtt_s)

    def request(
        self, application_id: int, command_code: int, request_type: int, result_code: int, duration_s: float
    ) -> None:
        """A request was answered. `request_type`: CC-Request-Type, 0 where the command has none."""
        self._requests.add(application_id, command_code, request_type, result_code)
        if application_id == 4:
            self._durations[request_type if request_type in self._durations else 0].observe(duration_s)

    def inflight(self, change: int) -> None:
        """So many more (or fewer) requests are being served."""
        self._inflight.inc(change)

    def connections(self, count: int) -> None:
        """Transport connections at this moment."""
        self._connections.set(count)

    def connection_closed(self, reason: str) -> None:
        """A connection that belongs to no admitted peer was closed; `reason` is one of labels.CLOSE_REASONS."""
        _count(self._closed, reason)

    def parse_error(self) -> None:
        """A message could not be read."""
        self._parse_errors.inc()

    def ignored_avps(self, count: int = 1) -> None:
        """So many unknown AVPs with the M bit were ignored."""
        self._ignored_avps.inc(count)

    # Charging

    def _make_charging(self) -> None:
        self._sessions = self._gauge("sessions_active", "Open charging sessions.", "service")
        expired = self._counter("sessions_expired", "Sessions ended by a timer.", "reason")
        self._expired = _children(expired, labels.EXPIRIES)
        self._granted = self._counter("quota_granted", "Units granted.", "service", "unit")
        self._used = self._counter("quota_used", "Units reported as used.", "service", "unit")
        self._denied = self._counter("quota_denied", "Refusals of a rating group or a request.", "service", "reason")
        self._rating_failures = _children(
            self._counter("rating_failures", "Usage or requests for which there was no price.", "reason"),
            labels.RATING_FAILURES,
        )
        self._repeats = self._counter("repeats", "Requests answered with the stored answer of an earlier one.")
        self._gaps = self._counter("number_gaps", "Requests with a CC-Request-Number lower than one already seen.")
        self._late = self._counter("late_usage", "Reports that came after their session had ended.", "service")
        self._overrun = self._counter("overrun", "Units delivered beyond what was granted.", "service", "unit")
        self._revenue = self._counter("revenue", "Money charged, in units of the currency.", "currency", "service")
        self._limits = _children(
            self._counter("limit_hits", "How often a bound was hit.", "limit"), (*LIMITS.keys(), OTHER)
        )
        self._services: dict[str, str] = {}

    def services(self, unit_of_service: Mapping[str, str], currency: str) -> None:
        """The services of the configuration, each with the base unit of its measure ("ns", "octets", "units").

        Their children are made here. A service that is not named counts as "other".
        """
        self._services = {**unit_of_service, OTHER: "units"}
        for service, base_unit in self._services.items():
            unit = labels.UNITS[base_unit]
            for metric in (self._granted, self._used, self._overrun):
                metric.labels(service, unit)
            for reason in labels.DENIALS:
                self._denied.labels(service, reason)
            self._sessions.labels(service)
            self._late.labels(service)
            self._revenue.labels(currency, service)

    def _service(self, service: str) -> str:
        return service if service in self._services else OTHER

    def sessions_active(self, by_service: Mapping[str, int]) -> None:
        """Open sessions at this moment."""
        for service in self._services:
            self._sessions.labels(service).set(by_service.get(service, 0))

    def session_expired(self, reason: str) -> None:
        """A timer ended a session; `reason` is one of labels.EXPIRIES."""
        _count(self._expired, reason)

    def granted(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were granted."""
        self._granted.labels(self._service(service), labels.UNITS[base_unit]).inc(amount / labels.PER_UNIT[base_unit])

    def used(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were reported as used."""
        self._used.labels(self._service(service), labels.UNITS[base_unit]).inc(amount / labels.PER_UNIT[base_unit])

    def overrun(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were used beyond the grant."""
        self._overrun.labels(self._service(service), labels.UNITS[base_unit]).inc(amount / labels.PER_UNIT[base_unit])

    def denied(self, service: str, reason: str) -> None:
        """A rating group, or a whole request, was refused; `reason` is one of labels.DENIALS."""
        self._denied.labels(self._service(service), reason if reason in labels.DENIALS else OTHER).inc()
        if reason in labels.RATING_FAILURES:
            _count(self._rating_failures, reason)

    def repeat(self) -> None:
        """A request was answered with a stored answer."""
        self._repeats.inc()

    def number_gap(self) -> None:
        """A request had a lower number than one seen before, and was not a repeat."""
        self._gaps.inc()

    def late_usage(self, service: str) -> None:
        """A report came after the end of its session."""
        self._late.labels(self._service(service)).inc()

    def revenue(self, currency: str, service: str, nanos: int) -> None:
        """`nanos` were charged."""
        if nanos > 0:
            self._revenue.labels(currency, self._service(service)).inc(nanos / NANOS)

    def limit_hit(self, limit: str) -> None:
        """A bound of `ocs.limits.LIMITS` was hit."""
        _count(self._limits, limit)

    # Store

    def _make_store(self) -> None:
        commands = self._counter("balance_commands", "Account writes, by journal kind.", "kind", "outcome")
        self._commands = {
            (kind, outcome): commands.labels(kind, outcome)
            for kind in labels.COMMAND_KINDS
            for outcome in labels.COMMAND_OUTCOMES
        }
        self._batch_size = Histogram(
            "ocs_balance_batch_size", "Outcomes committed in one transaction.",
            registry=self.registry, buckets=_BATCH_BUCKETS,
        )  # fmt: skip
        self._commit_duration = Histogram(
            "ocs_balance_commit_duration_seconds", "Time of one transaction.",
            registry=self.registry, buckets=_DURATION_BUCKETS,
        )  # fmt: skip
        self._cdrs = self._counter("cdr_written", "CDRs written.", "sink")
        self._cdr_store = self._cdrs.labels("store")
        self._multi = self._counter("multi_account_outcomes", "Outcomes that wrote more than one account.")
        self._store_up = self._gauge("store_up", "Whether the last use of the store succeeded.")
        self._store_failures = self._counter("store_failures", "Transactions that the store could not do.")
        self._spooled = self._counter("emergency_spooled", "Emergency requests answered while the store was down.")

    def batch_committed(self, size: int, duration_s: float) -> None:
        """One transaction with `size` outcomes took `duration_s`."""
        self._batch_size.observe(size)
        self._commit_duration.observe(duration_s)
        self._store_up.set(1)

    def command(self, kind: str, outcome: str) -> None:
        """An account write of that journal kind was "done", met a "conflict", or "failed"."""
        self._commands[kind if kind in labels.COMMAND_KINDS else OTHER, outcome].inc()

    def cdr_written(self, count: int = 1) -> None:
        """So many CDRs are durable in the store."""
        self._cdr_store.inc(count)

    def multi_account(self) -> None:
        """An outcome wrote more than one account."""
        self._multi.inc()

    def store_up(self) -> None:
        """The store answered."""
        self._store_up.set(1)

    def store_down(self) -> None:
        """The store could not do what was asked."""
        self._store_up.set(0)
        self._store_failures.inc()

    def emergency_spooled(self) -> None:
        """An emergency request was answered from the spool."""
        self._spooled.inc()

    # Making

    def _counter(self, name: str, documentation: str, *names: str) -> Counter:
        return Counter(f"ocs_{name}", documentation, names, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *names: str) -> Gauge:
        return Gauge(f"ocs_{name}", documentation, names, registry=self.registry)


class _Peers:
    """Children of the metrics that have a peer in a label, made when a peer is first seen."""

    def __init__(self, states: Gauge, messages: Counter, retransmissions: Counter, watchdog: Histogram) -> None:
        self._state_metric, self._message_metric = states, messages
        self._retransmission_metric, self._watchdog_metric = retransmissions, watchdog
        self._label_of: dict[str, str] = {}
        self._states: dict[str, dict[str, Gauge]] = {}
        self._messages: dict[tuple[str, str, int, int], Counter] = {}

    def _label(self, peer: str) -> str:
        label = self._label_of.get(peer)
        if label is None:
            if len(self._label_of) >= labels.PEER_LABELS_MAX:
                return OTHER
            label = self._label_of[peer] = peer
            self._retransmission_metric.labels(label)
            self._watchdog_metric.labels(label)
            for direction in labels.DIRECTIONS:
                for command_code, application_id in ((257, 0), (280, 0), (282, 0), (272, 4)):
                    self._message(label, direction, command_code, application_id)
        return label

    def _message(self, label: str, direction: str, command_code: int, application_id: int) -> Counter:
        return self._message_metric.labels(
            label, direction, COMMANDS.get(command_code, OTHER), APPLICATIONS.get(application_id, OTHER)
        )

    def message(self, peer: str, direction: str, command_code: int, application_id: int) -> None:
        key = (peer, direction, command_code, application_id)
        child = self._messages.get(key)
        if child is None:
            child = self._message(self._label(peer), direction, command_code, application_id)
            if command_code in COMMANDS and application_id in APPLICATIONS and peer in self._label_of:
                self._messages[key] = child
        child.inc()

    def state(self, peer: str, state: str) -> None:
        label = self._label(peer)
        if label == OTHER:
            return  # a state of many peers at once says nothing
        states = self._states.setdefault(label, {})
        if state not in states:
            states[state] = self._state_metric.labels(label, state)
        for name, child in states.items():
            child.set(1 if name == state else 0)

    def retransmission(self, peer: str) -> None:
        self._retransmission_metric.labels(self._label(peer)).inc()

    def watchdog(self, peer: str, rtt_s: float) -> None:
        self._watchdog_metric.labels(self._label(peer)).observe(rtt_s)


class _Requests:
    """Children of `ocs_diameter_requests_total`, by what the wire says."""

    def __init__(self, metric: Counter) -> None:
        self._metric = metric
        self._children: dict[tuple[int, int, int, int], Counter] = {}
        for request_type in REQUEST_TYPES:
            for result_code in (*RESULT_CODES, 0):
                self._child(4, 272, request_type, result_code)
        for command_code in (257, 280, 282):
            for result_code in labels.CONNECTION_RESULT_CODES:
                self._child(0, command_code, 0, result_code)

    def _child(self, application_id: int, command_code: int, request_type: int, result_code: int) -> Counter:
        return self._metric.labels(
            APPLICATIONS.get(application_id, OTHER),
            COMMANDS.get(command_code, OTHER),
            REQUEST_TYPES.get(request_type, NO_REQUEST_TYPE),
            str(result_code) if result_code in RESULT_CODES else OTHER,
        )

    def add(self, application_id: int, command_code: int, request_type: int, result_code: int) -> None:
        key = (application_id, command_code, request_type, result_code)
        child = self._children.get(key)
        if child is None:
            child = self._child(*key)
            if application_id in APPLICATIONS and command_code in COMMANDS and result_code in RESULT_CODES:
                self._children[key] = child
        child.inc()


def _children(metric: Counter, values: Iterable[str]) -> dict[str, Counter]:
    return {value: metric.labels(value) for value in values}


def _count(children: Mapping[str, Counter], value: str) -> None:
    (children.get(value) or children[OTHER]).inc()
