"""The charging data record: one per session, rating group and partial."""

from __future__ import annotations

import msgspec

from ocs.rating.units import Measure


class Cdr(msgspec.Struct, frozen=True):
    """What a rating group of a session used and cost.

    times are Unix nanoseconds; usage in base units of `measure`; cost in nanos of `currency`.
    partial: 0, 1, ... in the order of writing within (session, rating group, service identifier).
    cause: why the record was closed: "normal", "event", "timeout", "late", "unknown_session", "refused",
        "tariff_change", "rating_condition" (the circumstances changed), "refund" (usage and cost below zero).
    subscriber: the identity that was charged (also on the house account of emergency calls).
    attributes: what the client sent besides, for exports.
    """

    account_id: str
    session_id: str
    service: str
    rating_group: int | None
    service_id: int | None
    partial: int
    subscriber: str
    called: str
    destination_id: str
    started_at_ns: int
    ended_at_ns: int
    usage: int
    measure: Measure
    unit_usage: int
    cost_nanos: int
    currency: str
    tariff_version: str
    cause: str
    overrun: int = 0
    unrated: int = 0
    attributes: tuple[tuple[str, str], ...] = ()
