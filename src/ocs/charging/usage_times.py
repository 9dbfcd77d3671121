"""When reported usage happened: what is known of it decides which price each part of it has.

Usage of time is contiguous from the answer. Usage of octets: what the client said was before or after the change of
tariff; else spread over the time between its first and last use; else at the time of the report before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ocs.charging.requests import Units
from ocs.charging.session import Group
from ocs.limits import EVENT_TIME_FUTURE_MAX_S, EVENT_TIME_PAST_MAX_S
from ocs.rating.units import NS_PER_S, Measure

AFTER: Final = 1
"""Tariff-Change-Usage UNIT_AFTER_TARIFF_CHANGE (RFC 8506 8.27)."""


def rating_time(event_at_ns: int | None, now_ns: int) -> int:
    """When it happened, by the client's clock where that is believable (Event-Timestamp), else by ours."""
    if event_at_ns is None:
        return now_ns
    ahead_ns = event_at_ns - now_ns
    believable = -EVENT_TIME_PAST_MAX_S * NS_PER_S <= ahead_ns <= EVENT_TIME_FUTURE_MAX_S * NS_PER_S
    return event_at_ns if believable else now_ns


class Stretch(NamedTuple):
    """`amount` base units, used evenly from `from_ns` to `to_ns` (equal: all at once)."""

    amount: int
    from_ns: int
    to_ns: int

    def until(self, change_ns: int | None) -> int:
        """The part of the amount that was used before `change_ns`, None = all of it."""
        if change_ns is None or self.to_ns <= change_ns or self.from_ns >= self.to_ns:
            return self.amount if change_ns is None or self.from_ns < change_ns else 0
        if change_ns <= self.from_ns:
            return 0
        return self.amount * (change_ns - self.from_ns) // (self.to_ns - self.from_ns)

    def after(self, amount: int, change_ns: int) -> Stretch:
        """What is left of it from `change_ns` on, `amount` having been used before."""
        return Stretch(self.amount - amount, max(self.from_ns, change_ns), max(self.to_ns, change_ns))


def answered_at(group: Group, usage: int, opened_at_ns: int, now_ns: int) -> int:
    """When usage of time began: with its first report it must have ended, and not before the session began."""
    return group.answered_at_ns or max(opened_at_ns, now_ns - usage)


def stretches(group: Group, used: Sequence[Units], usage: int, opened_at_ns: int, now_ns: int) -> list[Stretch]:
    """The `usage` base units that `used` reports, in the order of time."""
    if group.measure is Measure.TIME:
        begin_ns = answered_at(group, usage, opened_at_ns, now_ns) + group.position
        return [Stretch(usage, begin_ns, begin_ns + usage)] if usage else []
    before_ns = group.last_at_ns or group.started_at_ns
    parts = [_stretch(units, units.get(group.measure) or 0, group, before_ns, now_ns) for units in used]
    return sorted([part for part in parts if part.amount], key=lambda part: part.from_ns)


def _stretch(units: Units, amount: int, group: Group, before_ns: int, now_ns: int) -> Stretch:
    if units.tariff_change == AFTER and group.change_at_ns:
        return Stretch(amount, group.change_at_ns, group.change_at_ns)
    if units.tariff_change is None and units.first_at_ns is not None and units.last_at_ns is not None:
        first_ns = min(max(units.first_at_ns, before_ns), now_ns)
        return Stretch(amount, first_ns, min(max(units.last_at_ns, first_ns), now_ns))
    return Stretch(amount, before_ns, before_ns)
