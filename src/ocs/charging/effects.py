"""What is to be told to clients of open sessions after a change of their account: ask again, or stop. Pure.

A top-up is of use at once only to who waits for it: groups that were granted less than policy for lack of credit,
whether they were told of a final unit (and are redirected or restricted since), were refused, or got a small slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from ocs.charging.house import HOUSE_ACCOUNT
from ocs.charging.outcome import Effect
from ocs.charging.session import Group, Session

REAUTH: Final = "reauth"
ABORT: Final = "abort"


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a Re-Auth-Request names besides its session (RFC 8506 5.5); None or "": nothing of the kind.

    sub_session_id: CC-Sub-Session-Id. pool: G-S-U-Pool-Identifier. cause: why, for the log.
    """

    rating_group: int | None = None
    service_id: int | None = None
    pool: int | None = None
    sub_session_id: int | None = None
    cause: str = ""


def reauths(sessions: Iterable[Session], cause: str) -> tuple[Effect, ...]:
    """After a top-up: sessions in which somebody waits for credit are asked to come again."""
    return _asked(sessions, cause, lambda group: group.short)


def recalls(sessions: Iterable[Session], cause: str) -> tuple[Effect, ...]:
    """After a change of tariff or plan, or to have quotas back: all sessions with a quota are asked to come again."""
    return _asked(sessions, cause, lambda group: group.short or bool(group.granted))


def reauth(session: Session, rating_group: int | None, cause: str) -> Effect:
    """By command: a session, or one rating group of it, is asked to come again, whatever it has."""
    return _effect(REAUTH, session, Detail(rating_group, cause=cause))


def abort(session: Session, cause: str) -> Effect:
    """By command: a session is to end, whatever it is."""
    return _effect(ABORT, session, Detail(cause=cause))


def aborts(sessions: Iterable[Session], cause: str) -> tuple[Effect, ...]:
    """After barring, or for fraud: open sessions are to end. Emergency and free calls go on."""
    return tuple(
        [abort(session, cause) for session in sessions if session.is_open and session.account_id != HOUSE_ACCOUNT]
    )


def read_detail(effect: Effect) -> Detail:
    """The Detail of an effect of ours."""
    return msgspec.json.decode(effect.detail, type=Detail)


def _asked(
    sessions: Iterable[Session],
    cause: str,
    concerned: Callable[[Group], bool],
) -> tuple[Effect, ...]:
    found = []
    for session in sessions:
        groups = [group for group in session.groups if concerned(group)] if session.is_open else []
        if groups and session.account_id != HOUSE_ACCOUNT:
            found.append(_effect(REAUTH, session, _named(groups, cause)))
    return tuple(found)


def _named(groups: list[Group], cause: str) -> Detail:
    """One group is named; several that share a pool by that; else the whole session is meant."""
    pools = {None if group.pool is None else group.pool.pool for group in groups}
    pool = pools.pop() if len(pools) == 1 else None
    if len(groups) > 1:
        return Detail(pool=pool, cause=cause)
    (group,) = groups
    return Detail(group.rating_group, group.service_id, pool, cause=cause)


def _effect(kind: str, session: Session, detail: Detail) -> Effect:
    session_id, mark, number = session.key.rpartition("#")
    if mark and number.isascii() and number.isdigit():
        detail = msgspec.structs.replace(detail, sub_session_id=int(number))
    else:
        session_id = session.key
    return Effect(kind, session.origin_host.lower(), session_id, msgspec.json.encode(detail).decode())
