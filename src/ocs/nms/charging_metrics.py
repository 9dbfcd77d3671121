"""What charging did, counted: grants, usage, refusals, money. Amounts come in base units (ns, octets, units)."""

from __future__ import annotations

from collections.abc import Mapping

from ocs.nms import labels
from ocs.nms.labels import NANOS_PER_UNIT, OTHER, PER_UNIT, UNITS
from ocs.nms.making import Bound, Maker, children, count


class ChargingMetrics:
    """Services are those of the configuration; one that it does not name counts as "other"."""

    def __init__(self, make: Maker) -> None:
        self._sessions = make.gauge("sessions_active", "Open charging sessions.", "service")
        self._expired = children(
            make.counter("sessions_expired", "Sessions ended by a timer.", "reason"), labels.EXPIRIES
        )
        self._ended = children(
            make.counter("sessions_ended", "Sessions ended from here, by no request or timer.", "reason"),
            labels.ENDINGS,
        )
        self._granted = Bound(make.counter("quota_granted", "Units granted.", "service", "unit"))
        self._used = Bound(make.counter("quota_used", "Units reported as used.", "service", "unit"))
        self._denied = Bound(
            make.counter("quota_denied", "Refusals of a rating group or a request.", "service", "reason")
        )
        self._rating_failures = children(
            make.counter("rating_failures", "Requests for which there was no price.", "reason"), labels.RATING_FAILURES
        )
        self._repeats = make.counter("repeats", "Requests answered with the stored answer of an earlier one.")
        self._gaps = make.counter("number_gaps", "Requests with a lower CC-Request-Number than one already seen.")
        self._late = Bound(make.counter("late_usage", "Reports that came after their session had ended.", "service"))
        self._overrun = Bound(make.counter("overrun", "Units delivered beyond what was granted.", "service", "unit"))
        self._revenue = Bound(
            make.counter("revenue", "Money charged, in units of the currency.", "currency", "service")
        )
        self._services: frozenset[str] = frozenset()
        self._ignored_avps = make.counter("diameter_ignored_avps", "Unknown AVPs with the M bit that were ignored.")
        self._spooled = make.counter("emergency_spooled", "Emergency requests answered while the store was down.")

    def services(self, unit_of_service: Mapping[str, str], currency: str) -> None:
        """The services of the configuration, each with the base unit of its measure; their children are made here."""
        named = {**unit_of_service, OTHER: "units"}
        self._services = frozenset(named)
        for service, base_unit in named.items():
            for metric in (self._granted, self._used, self._overrun):
                metric.child(service, UNITS[base_unit])
            for reason in labels.DENIALS:
                self._denied.child(service, reason)
            self._sessions.labels(service)
            self._late.child(service)
            self._revenue.child(currency, service)

    def _service(self, service: str) -> str:
        return service if service in self._services else OTHER

    def sessions_active(self, by_service: Mapping[str, int]) -> None:
        """Open sessions at this moment."""
        for service in self._services:
            self._sessions.labels(service).set(by_service.get(service, 0))

    def session_expired(self, reason: str) -> None:
        """A timer ended a session; `reason` is one of labels.EXPIRIES."""
        count(self._expired, reason)

    def session_ended(self, reason: str) -> None:
        """A session was ended from here; `reason` is one of labels.ENDINGS."""
        count(self._ended, reason)

    def granted(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were granted."""
        self._granted.child(self._service(service), UNITS[base_unit]).inc(amount / PER_UNIT[base_unit])

    def used(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were reported as used."""
        self._used.child(self._service(service), UNITS[base_unit]).inc(amount / PER_UNIT[base_unit])

    def overrun(self, service: str, base_unit: str, amount: int) -> None:
        """`amount` base units were used beyond the grant."""
        self._overrun.child(self._service(service), UNITS[base_unit]).inc(amount / PER_UNIT[base_unit])

    def denied(self, service: str, reason: str) -> None:
        """A rating group, or a whole request, was refused; `reason` is one of labels.DENIALS."""
        self._denied.child(self._service(service), reason if reason in labels.DENIALS else OTHER).inc()
        if reason in labels.RATING_FAILURES:
            count(self._rating_failures, reason)

    def repeat(self) -> None:
        """A request was answered with a stored answer."""
        self._repeats.inc()

    def number_gap(self) -> None:
        """A request had a lower number than one seen before, and was not a repeat."""
        self._gaps.inc()

    def late_usage(self, service: str) -> None:
        """A report came after the end of its session."""
        self._late.child(self._service(service)).inc()

    def revenue(self, currency: str, service: str, nanos: int) -> None:
        """`nanos` were charged."""
        if nanos > 0:
            self._revenue.child(currency, self._service(service)).inc(nanos / NANOS_PER_UNIT)

    def ignored_avps(self, number: int) -> None:
        """So many unknown AVPs with the M bit were ignored in one request."""
        self._ignored_avps.inc(number)

    def emergency_spooled(self) -> None:
        """An emergency request was answered from the spool."""
        self._spooled.inc()
