"""All metrics of the program, and nothing but metrics: whoever sees something happen calls a method here.

Names follow prometheus.io/docs/practices/naming: prefix `ocs_`, base units, `_total`. Every child that can be known
before it counts is made at 0, so that a rate() sees its first increment. A label never holds a subscriber, a
session or anything else that a client chooses; peers are bounded (`labels.PEER_LABELS_MAX`).
Numbers here are statistics (binary floats, as Prometheus has them); the ledger is elsewhere and exact.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ocs.nms.charging_metrics import ChargingMetrics
from ocs.nms.diameter_metrics import DiameterMetrics
from ocs.nms.ledger_metrics import LedgerMetrics
from ocs.nms.making import Maker
from ocs.nms.store_metrics import StoreMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One registry: the program's own metrics here, those of the rooms in `diameter`, `charging`, `store`, `ledger`."""

    def __init__(self, *, process: bool = False) -> None:
        """`process`: also the metrics of the interpreter and the process."""
        self.registry = CollectorRegistry()
        if process:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self.registry)
        make = Maker(self.registry)
        self._build_info = make.gauge("build_info", "Always 1; the labels say what runs.", "version", "revision")
        self._config_hash = make.gauge(
            "config_hash_info", "Always 1; the version of the tariff in use, as CDRs carry it.", "tariff_version"
        )
        self._reload_at = make.gauge(
            "config_last_reload_success_timestamp_seconds", "Unix time when a configuration was last taken over."
        )
        self._reload_ok = make.gauge(
            "config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."
        )
        self._loop_lag = make.histogram("event_loop_lag_seconds", "How much later than due the event loop ran a timer.")
        self._draining = make.gauge("draining", "1 while what is in flight is finished and nothing new is taken.")
        self.diameter = DiameterMetrics(make)
        self.charging = ChargingMetrics(make)
        self.store = StoreMetrics(make)
        self.ledger = LedgerMetrics(make)

    def render(self) -> bytes:
        """The text exposition of all metrics, of CONTENT_TYPE."""
        return generate_latest(self.registry)

    def build_info(self, version: str, revision: str) -> None:
        """What runs: version of the program and revision of its source, "" where unknown."""
        self._build_info.labels(version, revision).set(1)

    def config_loaded(self, tariff_version: str, at_s: float) -> None:
        """A configuration was taken over at Unix time `at_s`."""
        self._config_hash.clear()
        self._config_hash.labels(tariff_version).set(1)
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
