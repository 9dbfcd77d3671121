"""The memory of repeats: which requests of a session were processed, and what they were answered.

The key of a request is (session with its sub-session, CC-Request-Type, CC-Request-Number). Origin-Host is no part of
it, since a session may move to another host, and the T bit is never evidence by itself (RFC 8506 5.1.2, 8.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ocs.charging.session import Answered, AnswerPage, Session
from ocs.limits import ANSWERS_INLINE_MAX, NUMBER_GAPS_PER_SESSION_MAX

ANSWERS_KEPT: Final = 2
"""How many answers stay in the row when the others leave it."""

Ranges = tuple[tuple[int, int], ...]


class Seen(NamedTuple):
    """What is remembered of a request that was processed before; None where its answer left the session row."""

    content: bytes | None


def recall(session: Session, request_type: int, number: int) -> Seen | None:
    """The earlier processing of this request, None if there was none."""
    for answered in reversed(session.answers):
        if answered.number == number and answered.type == request_type:
            return Seen(answered.content)
    if contains(session.seen.get(request_type, ()), number):
        return Seen(None)
    return None


def remember(session: Session, request_type: int, number: int, content: bytes) -> tuple[Session, AnswerPage | None]:
    """The session with the request noted as processed and its answer kept; and the page of answers that leave the row.

    A row keeps at most ANSWERS_INLINE_MAX answers. When one more comes, all but the last ANSWERS_KEPT leave as a page,
    so that a long session costs a page every few requests and a row of constant size. What is repeated is nearly
    always the last request.
    """
    seen = {**session.seen, request_type: insert(session.seen.get(request_type, ()), number)}
    answers = (*session.answers, Answered(request_type, number, content))
    if len(answers) <= ANSWERS_INLINE_MAX:
        return msgspec.structs.replace(session, seen=seen, answers=answers), None
    leaving = len(answers) - ANSWERS_KEPT
    page = AnswerPage(session.account_id, session.key, session.pages, answers[:leaving])
    return (
        msgspec.structs.replace(session, seen=seen, answers=answers[leaving:], pages=session.pages + 1),
        page,
    )


def room_for(session: Session, request_type: int, number: int) -> bool:
    """Whether the request can still be noted: numbers with too many gaps are a client gone wrong."""
    return len(insert(session.seen.get(request_type, ()), number)) <= NUMBER_GAPS_PER_SESSION_MAX


def highest_number(session: Session) -> int:
    """The highest CC-Request-Number seen in the session, -1 if none."""
    return max((ranges[-1][1] for ranges in session.seen.values() if ranges), default=-1)


def contains(ranges: Sequence[tuple[int, int]], number: int) -> bool:
    """Whether `number` lies in one of the inclusive ranges."""
    return any(low <= number <= high for low, high in ranges)


def insert(ranges: Ranges, number: int) -> Ranges:
    """The ranges with `number` in them: sorted, disjoint, neighbours joined."""
    if ranges and number == ranges[-1][1] + 1:  # the usual case: the next number
        return (*ranges[:-1], (ranges[-1][0], number))
    if contains(ranges, number):
        return ranges
    joined: list[tuple[int, int]] = []
    for low, high in sorted((*ranges, (number, number))):
        if joined and low == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)
