"""How long sessions and holds live."""

from __future__ import annotations

from ocs.charging.policy import ServicePolicy
from ocs.charging.session import Session
from ocs.limits import REPEAT_MEMORY_S
from ocs.rating.units import NS_PER_S


def deadline_ns(session: Session, policy: ServicePolicy) -> int:
    """When an open session is given up: max(2 x Validity-Time, idle limit) after it was last heard of.

    The idle limit alone counts when no quota is open. A quota whose hold has ended, but which was not reported,
    still counts: twice the validity time would be longer than any hold lives, otherwise never.
    """
    idle_ns = policy.idle_limit_s * NS_PER_S
    open_ns = [group.valid_until_ns - session.last_at_ns for group in session.groups if group.valid_until_ns]
    validity_ns = max(open_ns, default=0)
    return session.last_at_ns + max(2 * validity_ns, idle_ns)


def due_at_ns(session: Session, policy: ServicePolicy) -> int:
    """When supervision has to look at a session next: a hold ends, the session is given up, or its memory ends."""
    if not session.is_open:
        return session.last_at_ns + REPEAT_MEMORY_S * NS_PER_S
    holds_end = [group.hold_until_ns for group in session.groups if group.hold_until_ns]
    return min([deadline_ns(session, policy), *holds_end])
