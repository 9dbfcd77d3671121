"""Which requests are refused when there are more than can be served in time. Pure; docs/adr/0012-overload.md says why.

What is measured is how long requests wait for their answers. Where that stays above the target for
OVERLOAD_INTERVAL_MS, only as many requests are let in as are answered, and somewhat fewer, until the wait is below half
the target; from then on a little more each time. Those to refuse are the lowest by rank: new sessions and events before
updates, within these the lower priorities first (RFC 7944 9). What ends a session is never refused.
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
_KEEP_MOST: Final = 950  # of 1,000 answered, so many are let in at most while the wait is above the target
_KEEP_LEAST: Final = 500
_MORE: Final = 1_050  # of 1,000 let in, so many are let in next time when the wait is short again


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


NEVER: Final = Kind.LAST * _PRIORITIES * 2
"""The rank of what is not refused."""


class Look(msgspec.Struct, frozen=True):
    """What the time between two looks showed: requests that came, were refused, were answered; how long these waited.

    delay_ns: the median, rounded down to an eighth of the target; where nothing was answered, the age of the oldest.
    """

    arrived: int
    refused: int
    answered: int
    delay_ns: int


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
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self.look_at_ns = now_ns + OVERLOAD_LOOK_MS * _MS_NS
        self._arrived = [0] * (NEVER + 1)
        self._refused = 0
        self._answered = 0
        self._waits = [0] * (_LONGEST + 1)

    def admit(self, rank: int) -> bool:
        """Whether a request that has come is let in."""
        self._arrived[rank] += 1
        if rank > self._whole or not self.shedding:
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

    def look(self, now_ns: int, waiting: int, oldest_ns: int) -> Look | None:
        """See what came of it since the last look, and decide how it goes on; None: it is too early to tell.

        waiting: requests that have no answer yet; oldest_ns: when the oldest of them came.

        Answers come in bunches, since a batch is committed at once: a look takes in whole bunches, or a long time
        without any.
        """
        elapsed_ns = now_ns - self._since_ns
        if now_ns < self.look_at_ns:
            return None
        if not self._answered and waiting and elapsed_ns < OVERLOAD_LOOK_MAX_MS * _MS_NS:
            return None
        delay_ns = self._median_ns() if self._answered else max(now_ns - oldest_ns, 0) if waiting else 0
        look = Look(sum(self._arrived), self._refused, self._answered, delay_ns)
        self._decide(look, now_ns, waiting)
        self._begin(now_ns)
        return look

    def _decide(self, look: Look, now_ns: int, waiting: int) -> None:
        if look.delay_ns >= self.target_ns and waiting >= OVERLOAD_WAITING_MIN:
            if self._above_since_ns is None:
                self._above_since_ns = self._since_ns
            if self.shedding or now_ns - self._above_since_ns >= OVERLOAD_INTERVAL_MS * _MS_NS:
                # The longer the wait, the faster it has to become shorter.
                keep = _PERMILLE - (look.delay_ns - self.target_ns) // _MS_NS
                keep = max(_KEEP_LEAST, min(_KEEP_MOST, keep))
                self._let_in(look.answered * keep // _PERMILLE)
            return
        self._above_since_ns = None
        if self.shedding and (look.delay_ns * 2 < self.target_ns or waiting < OVERLOAD_WAITING_MIN):
            self._let_in(max(look.arrived - look.refused, look.answered) * _MORE // _PERMILLE + 1)

    def _let_in(self, number: int) -> None:
        """Let in so many of as many as came, by their ranks."""
        too_many = sum(self._arrived) - number
        self.shedding = too_many > 0
        self._whole = self._permille = 0
        if not self.shedding:
            return
        for rank, came in enumerate(self._arrived[:NEVER]):
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
