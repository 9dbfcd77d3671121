"""Overload reports (RFC 7683): those that we send while requests are refused here, and those that we obey. Pure."""

from __future__ import annotations

from typing import Final

from ocs.diameter.overload import Look
from ocs.diameter.overload_avps import FEATURES, Report, reports_of
from ocs.diameter.routes import OwnRequest
from ocs.diameter.wire import Message
from ocs.limits import OVERLOAD_REPORTS_MAX, OVERLOAD_VALIDITY_S

_SECOND_NS: Final = 1_000_000_000
_STEP: Final = 5
"""Percent: what is reported rises to the next multiple of it, and falls by so much each second."""


class Reporting:
    """What those who obey reports are told. percent: by how much they should send less at this moment.

    It rises at once to what is refused here. It falls only in seconds in which nothing was: who obeys sends less,
    then less is refused here, and that is no reason to send more again.

    sequence: above all that were sent before, also by an earlier process (RFC 7683 7.4).
    """

    def __init__(self, sequence: int, now_ns: int = 0) -> None:
        self.percent = 0
        self._sequence = sequence
        self._until_ns = now_ns
        self._told_at_ns = now_ns
        self._since_ns = now_ns
        self._arrived = self._refused = 0
        self._features = FEATURES

    def note(self, look: Look, now_ns: int) -> None:
        """Take what a look showed into account."""
        self._arrived += look.arrived
        self._refused += look.refused
        if now_ns - self._since_ns < _SECOND_NS:
            return
        percent = self.percent
        refused = -(-self._refused * 100 // max(self._arrived, 1) // _STEP) * _STEP
        if refused > percent:
            percent = refused
        elif not refused:
            percent = max(percent - _STEP, 0)
        self._since_ns, self._arrived, self._refused = now_ns, 0, 0
        aged = now_ns - self._told_at_ns >= OVERLOAD_VALIDITY_S * _SECOND_NS // 2
        if percent != self.percent or (percent and aged):
            self._tell(percent, now_ns)

    def avps(self, now_ns: int) -> bytes:
        """What an answer says to who offered DOIC; the end of an overload is told as long as its last report holds."""
        return self._features if self.percent or now_ns < self._until_ns else FEATURES

    def _tell(self, percent: int, now_ns: int) -> None:
        """A new number for whatever is new, also for a longer validity: the same one would be ignored."""
        self.percent = percent
        self._sequence += 1
        self._told_at_ns = now_ns
        self._until_ns = now_ns + OVERLOAD_VALIDITY_S * _SECOND_NS
        report = Report(self._sequence, percent, OVERLOAD_VALIDITY_S if percent else 0)
        self._features = FEATURES + report.encode()


class _Entry:
    """A report that holds. owed: how much of a request is still to be left out, in percent."""

    __slots__ = ("owed", "report", "until_ns")

    def __init__(self, report: Report, until_ns: int) -> None:
        self.report = report
        self.until_ns = until_ns
        self.owed = 0


class Abatement:
    """Reports of others about requests of ours, OVERLOAD_REPORTS_MAX at most; the oldest goes first."""

    def __init__(self) -> None:
        self._entries: dict[tuple[bool, str, int], _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def learn(self, request: OwnRequest, answered_by: str, answer: Message, now_ns: int) -> bool:
        """Take the reports in the answer to `request`; `answered_by` is its Origin-Host. True: too many are known."""
        full = False
        for report in reports_of(answer):
            name = request.destination_realm if report.of_realm else answered_by
            key = report.of_realm, name.lower(), request.application_id
            known = self._entries.get(key)
            if known is not None and known.until_ns > now_ns and report.sequence <= known.report.sequence:
                continue  # the same one again, or one that was overtaken
            self._entries.pop(key, None)
            if not report.percent or not report.validity_s:
                continue
            if len(self._entries) >= OVERLOAD_REPORTS_MAX:
                del self._entries[next(iter(self._entries))]
                full = True
            entry = self._entries[key] = _Entry(report, now_ns + report.validity_s * _SECOND_NS)
            entry.owed = 0 if known is None else known.owed
        return full

    def holds_back(self, request: OwnRequest, now_ns: int) -> bool:
        """Whether `request` is one of those that are left out. A host's report is about requests that name it."""
        of_realm = request.destination_host is None
        name = request.destination_realm if request.destination_host is None else request.destination_host
        key = of_realm, name.lower(), request.application_id
        entry = self._entries.get(key)
        if entry is None:
            return False
        if entry.until_ns <= now_ns:
            del self._entries[key]
            return False
        entry.owed += entry.report.percent
        if entry.owed < 100:
            return False
        entry.owed -= 100
        return True
