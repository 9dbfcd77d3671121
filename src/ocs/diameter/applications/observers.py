"""What credit control tells about itself: counts for metrics, refusals for the log."""

from __future__ import annotations

from typing import Protocol

import msgspec


class RequestCounts(Protocol):
    """Counts by what the wire says. No argument names a subscriber or a session."""

    def request(self, application: int, command: int, request_type: int, result_code: int) -> None:
        """A request was answered; `request_type` is CC-Request-Type, 0 where it could not be read."""

    def retransmission(self, peer: str) -> None:
        """A request came with the T bit."""

    def limit(self, name: str) -> None:
        """A bound of `ocs.limits.LIMITS` was hit."""


class ChargingCounts(Protocol):
    """Counts by service. Amounts are in `base_unit`, the value of a Measure."""

    def granted(self, service: str, base_unit: str, amount: int) -> None:
        """So much was granted."""

    def used(self, service: str, base_unit: str, amount: int) -> None:
        """So much was reported as used."""

    def overrun(self, service: str, base_unit: str, amount: int) -> None:
        """So much was used beyond the grants, told with the record of a rating group."""

    def denied(self, service: str, reason: str) -> None:
        """A rating group, or a whole request, was refused."""

    def repeat(self) -> None:
        """A request was answered with the stored answer of an earlier one."""

    def number_gap(self) -> None:
        """A request had a lower number than one seen before, and was no repeat."""

    def late_usage(self, service: str) -> None:
        """A report came after the end of its session."""

    def revenue(self, currency: str, service: str, nanos: int) -> None:
        """So much money was charged."""

    def ignored_avps(self, number: int) -> None:
        """So many unknown AVPs with the M bit were passed over in one request."""


class Refusal(msgspec.Struct, frozen=True):
    """A request, or a rating group of it, that was not served: one line of the log.

    request: "I/0", "U/3" ..., "" where it could not be read; subscriber: its first identity, to be masked by whoever
    writes it down; result_code: what the client was told; why: a word of the reasons of charging, or a sentence where
    the message itself was wrong.
    """

    session_id: str
    request: str
    service: str
    subscriber: str
    peer: str
    result_code: int
    why: str
    rating_group: int | None = None
