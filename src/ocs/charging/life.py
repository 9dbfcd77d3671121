"""How long sessions and holds live."""

from __future__ import annotations

from collections.abc import Iterable

from ocs.charging.policy import ServicePolicy
from ocs.charging.session import Group, Session
from ocs.limits import REPEAT_MEMORY_S
from ocs.rating.units import NS_PER_S


def deadline_ns(session: Session, policy: ServicePolicy) -> int:
    """When an open session is given up: max(2 x Validity-Time, idle limit) after it was last heard of.

    The idle limit alone counts when no quota is open. A quota whose hold has ended, but which was not reported,
    still counts: twice the validity time would be longer than any hold lives, otherwise never.
    """
    return _deadline_of(session.groups, session.last_at_ns, policy)


def due_at_ns(session: Session, policy: ServicePolicy) -> int:
    """When supervision has to look at a session next: a hold ends, the session is given up, or its memory ends."""
    if not session.is_open:
        return session.last_at_ns + REPEAT_MEMORY_S * NS_PER_S
    return due_of(session.groups, session.last_at_ns, policy)


def due_of(groups: Iterable[Group], last_at_ns: int, policy: ServicePolicy) -> int:
    """`due_at_ns` of an open session with those groups, last heard of then."""
    soonest_ns = _deadline_of(groups, last_at_ns, policy)
    for group in groups:
        if group.hold_until_ns and group.hold_until_ns < soonest_ns:
            soonest_ns = group.hold_until_ns
    return soonest_ns


def _deadline_of(groups: Iterable[Group], last_at_ns: int, policy: ServicePolicy) -> int:
    longest_ns = policy.idle_limit_s * NS_PER_S
    for group in groups:
        if group.valid_until_ns:
            longest_ns = max(longest_ns, 2 * (group.valid_until_ns - last_at_ns))
    return last_at_ns + longest_ns
