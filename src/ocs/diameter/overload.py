"""Which requests are refused when there are more than can be served in time. Pure; docs/adr/0012-overload.md says why.

What is measured is how long requests wait for their answers. Where that stays above the target for
OVERLOAD_INTERVAL_MS, only so many are let in as are served, and fewer as long as there is a backlog; when the wait is
below half the target, a little more at each look. Those to refuse are the lowest by rank: new sessions and events
before updates, within these the lower priorities first (RFC 7944 9). What ends a session is never refused.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from ocs.limits import (
    OVERLOAD_INTERVAL_MS,
    OVERLOAD_LOOK_MAX_MS,
    OVERLOAD_LOOK_MS,
    OVERLOAD_WAITING_MIN,
)

PRIORITY_LOWEST: Final = 15
PRIORITY_DEFAULT: Final = 10
_PRIORITIES: Final = PRIORITY_LOWEST + 1

_MS_NS: Final = 1_000_000
_PERMILLE: Final = 1_000
_STEPS: Final = 8  # of the target: how exactly waits are told apart
_LONGEST: Final = 8 * _STEPS
# All of 1,000: what is let in, of what can be served; how that changes from look to look, and within which bounds.
_SHARE_FIRST: Final = 950
_SHARE_LEAST: Final = 200
_SHARE_MOST: Final = 4_000  # what can be served is known from what was served, which may have been too little
_SHARE_LESS: Final = 950  # times
_SHARE_MORE: Final = 50  # plus
_SHARE_LESS_PER_MS: Final = 2  # for one look, by how long the wait is
_ROOM: Final = 2  # times what is served within the target, may wait at the most before new ones are refused
_FORGET: Final = 980  # times: how fast a server may become slower

_PER_S: Final = 1_000_000_000


class Kind(IntEnum):
    """What a request is about, in the order in which requests are refused."""

    NEW = 0
    """A session or event that has not begun: it can begin elsewhere or later."""
    UPDATE = 1
    """It goes on: a refusal may cut it off."""
    LAST = 2
    """It ends, or may not be refused at all: an end that is lost leaves money reserved and usage unpaid."""


def rank_of(kind: Kind, priority: int, abates: bool) -> int:
    """The higher, the later it is refused; NEVER at the most.

    priority: DRMP, 0 the highest to 15. abates: who sent it obeys overload reports, and has sent less already; of equal
    requests the others are refused first.
    """
    if kind is Kind.LAST:
        return NEVER
    return (kind * _PRIORITIES + PRIORITY_LOWEST - priority) * 2 + abates


_FIRST_UPDATE: Final = Kind.UPDATE * _PRIORITIES * 2
NEVER: Final = Kind.LAST * _PRIORITIES * 2
"""The rank of what is not refused."""


class Look(msgspec.Struct, frozen=True):
    """What the time between two looks showed: requests that came, were refused, were answered; how long these waited.

    delay_ns: the median, rounded down to an eighth of the target; where nothing was answered, the age of the oldest.
    ahead_ns: how long it takes to answer those that wait now, as fast as the others were answered.
    unread_ns: how long it takes to read what has come since and could not be read yet.
    """

    arrived: int
    refused: int
    answered: int
    delay_ns: int
    ahead_ns: int
    unread_ns: int = 0

    @property
    def waits_ns(self) -> int:
        """How long requests that were answered have waited, as far as it can be known."""
        return self.delay_ns + self.unread_ns

    @property
    def pressure_ns(self) -> int:
        """How long requests that come now will wait.

        The median is late: what waited long is still answered when the queue is worked off. And many that wait for one
        account are ahead of nobody else. So the lesser of the two counts.
        """
        return min(self.delay_ns, self.ahead_ns) + self.unread_ns


class Controller:
    """Lets requests in or does not. The same calls give the same answers.

    target_ns: how long requests may wait for their answers. shedding: whether some are refused at this moment.
    look_at_ns: when `look` is worth calling.
    """

    def __init__(self, target_ns: int, now_ns: int = 0) -> None:
        self.target_ns = target_ns
        self.shedding = False
        self._above_since_ns: int | None = None
        self._whole = 0  # ranks below are refused
        self._permille = 0  # of the rank itself, so many are
        self._owed = 0
        self._served_per_s = 0  # in thousandths: the most that was known, forgotten slowly
        self._share = _SHARE_FIRST
        self._room = 0
        self._came = [0] * NEVER  # by rank, in thousandths, within the last second or so
        self._came_all = 0
        self._served = 0
        self._span_ns = 0
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self.look_at_ns = now_ns + OVERLOAD_LOOK_MS * _MS_NS
        self._arrived = [0] * (NEVER + 1)
        self._refused = 0
        self._answered = 0
        self._waits = [0] * (_LONGEST + 1)

    def admit(self, rank: int, waiting: int = 0) -> bool:
        """Whether a request that has come is let in; `waiting` requests have no answer yet.

        A turn of the loop may bring more than can be served until the next look. In an overload the speed is known, so
        no more are let in than are served in a few times the target.
        """
        self._arrived[rank] += 1
        if not self.shedding or rank == NEVER:
            return True
        if waiting >= (self._room if rank < _FIRST_UPDATE else 2 * self._room):
            self._refused += 1
            return False
        if rank > self._whole:
            return True
        if rank == self._whole:
            self._owed += self._permille
            if self._owed < _PERMILLE:
                return True
            self._owed -= _PERMILLE
        self._refused += 1
        return False

    def readmit(self) -> None:
        """The request that was turned away last is let in all the same."""
        self._refused -= 1

    def answered(self, waited_ns: int) -> None:
        """A request that was let in has its answer."""
        self._answered += 1
        self._waits[min(waited_ns * _STEPS // self.target_ns, _LONGEST)] += 1

    def look(self, now_ns: int, waiting: int, oldest_ns: int, unread_permille: int = 0) -> Look | None:
        """See what came of it since the last look, and decide how it goes on; None: it is too early to tell.

        waiting: requests that have no answer yet; oldest_ns: when the oldest of them came. unread_permille: how much
        waits to be read, of what was read since the last look.

        Answers come in bunches, since a batch is committed at once: a look takes in whole bunches, or a long time
        without any.
        """
        elapsed_ns = now_ns - self._since_ns
        if now_ns < self.look_at_ns:
            return None
        if not self._answered and waiting and elapsed_ns < OVERLOAD_LOOK_MAX_MS * _MS_NS:
            return None
        if self._answered:
            delay_ns, ahead_ns = self._median_ns(), waiting * elapsed_ns // self._answered
        else:
            delay_ns = ahead_ns = max(now_ns - oldest_ns, 0) if waiting else 0
        unread_ns = min(elapsed_ns * unread_permille // _PERMILLE, OVERLOAD_LOOK_MAX_MS * _MS_NS)
        arrived = sum(self._arrived)
        look = Look(arrived, self._refused, self._answered, delay_ns, ahead_ns, unread_ns)
        self._decide(look, now_ns, waiting + arrived * unread_permille // _PERMILLE)
        self._begin(now_ns)
        return look

    def _count(self, look: Look, elapsed_ns: int) -> None:
        """Note what comes and what is served, within the last second or so.

        Both are bunched: one turn of the loop reads all there is, and what it lets in may be answered in the next look.
        """
        kept_ns = max(_PER_S - elapsed_ns, 0)
        self._came = [
            before * kept_ns // _PER_S + now * _PERMILLE for before, now in zip(self._came, self._arrived, strict=False)
        ]
        self._came_all = self._came_all * kept_ns // _PER_S + look.arrived * _PERMILLE
        self._served = self._served * kept_ns // _PER_S + look.answered * _PERMILLE
        self._span_ns = self._span_ns * kept_ns // _PER_S + elapsed_ns
        self._served_per_s = max(self._served * _PER_S // self._span_ns, self._served_per_s * _FORGET // _PERMILLE)
        room = _ROOM * self._served_per_s * self.target_ns // _PER_S // _PERMILLE
        self._room = max(room, OVERLOAD_WAITING_MIN)

    def _decide(self, look: Look, now_ns: int, waiting: int) -> None:
        self._count(look, now_ns - self._since_ns)
        pressure_ns = look.pressure_ns if waiting >= OVERLOAD_WAITING_MIN else 0
        if pressure_ns < self.target_ns:
            self._above_since_ns = None
            if self.shedding:
                if pressure_ns * 2 < self.target_ns:
                    self._share = min(self._share + _SHARE_MORE, _SHARE_MOST)
                self._let_in(self._share)
            return
        if self._above_since_ns is None:
            self._above_since_ns = self._since_ns
        # What has piled up is worked off: the more it is, the less is let in meanwhile. That says nothing of the share.
        at_once = max(_PERMILLE - _SHARE_LESS_PER_MS * (pressure_ns - self.target_ns) // _MS_NS, 0)
        if self.shedding:
            if at_once >= self._share:
                self._share = max(self._share * _SHARE_LESS // _PERMILLE, _SHARE_LEAST)
        elif now_ns - self._above_since_ns >= OVERLOAD_INTERVAL_MS * _MS_NS:
            self._share = _SHARE_FIRST
        else:
            return
        self._let_in(min(self._share, at_once))

    def _let_in(self, share: int) -> None:
        """Let in, by their ranks, so much of what can be served."""
        too_many = self._came_all - self._served_per_s * self._span_ns // _PER_S * share // _PERMILLE
        self.shedding = too_many > 0
        self._whole = self._permille = 0
        if not self.shedding:
            return
        for rank, came in enumerate(self._came):
            if came > too_many:
                self._whole, self._permille = rank, too_many * _PERMILLE // came
                return
            too_many -= came
        self._whole = NEVER

    def _median_ns(self) -> int:
        below = 0
        for step, number in enumerate(self._waits):
            below += number
            if below * 2 > self._answered:
                return step * self.target_ns // _STEPS
        return 0
