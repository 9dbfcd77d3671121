"""Questions that come while one is being answered go together in the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ocs.limits import BATCH_OUTCOMES_MAX
from ocs.store.interface import StoreDown
from ocs.store.postgres_reach import Reach

_K = TypeVar("_K")
_V = TypeVar("_V")


class _Asked(NamedTuple, Generic[_K, _V]):
    key: _K
    answer: asyncio.Future[_V]
    deadline_s: float


class Gather(Generic[_K, _V]):
    """Asks one set of questions at a time.

    ask: answers a set of different keys within the seconds given; every key is in what it returns.
    The number that waits is bounded by those who ask: a command has at most one question.
    """

    def __init__(
        self,
        reach: Reach,
        ask: Callable[[Sequence[_K], float], Awaitable[Mapping[_K, _V]]],
        most: int = BATCH_OUTCOMES_MAX,
    ) -> None:
        self._reach = reach
        self._ask = ask
        self._most = most
        self._waiting: deque[_Asked[_K, _V]] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def get(self, key: _K) -> _V:
        """The answer to one question; StoreDown where there is none in time."""
        loop = asyncio.get_running_loop()
        asked: _Asked[_K, _V] = _Asked(key, loop.create_future(), loop.time() + self._reach.patience_s)
        self._waiting.append(asked)
        if self._pump is None:
            self._pump = loop.create_task(self._answer_all())
        return await asked.answer

    async def drain(self) -> None:
        """Until nothing is asked any more."""
        while self._pump is not None:
            await asyncio.wait({self._pump})

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer([self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))])
        finally:
            self._pump = None

    async def _answer(self, asked: Sequence[_Asked[_K, _V]]) -> None:
        loop = asyncio.get_running_loop()
        keys = list(dict.fromkeys(one.key for one in asked))
        left_s = asked[0].deadline_s - loop.time()  # of the one that has waited longest
        try:
            answers = await self._reach.hold(lambda seconds: self._ask(keys, seconds), max(left_s, 0.0))
        except StoreDown as error:
            # Where time was up for the first, those who came later hold on as long as it did.
            now_s = loop.time()
            over = [one for one in asked if one.deadline_s <= now_s]
            if not over or self._reach.is_given_up:
                over = list(asked)
            self._waiting.extendleft(reversed(asked[len(over) :]))
            _fail(over, error)
        except Exception as error:  # noqa: BLE001
            _fail(asked, error)
        else:
            for one in asked:
                if not one.answer.done():
                    one.answer.set_result(answers[one.key])


def _fail(asked: Sequence[_Asked[_K, _V]], error: Exception) -> None:
    for one in asked:
        if not one.answer.done():
            one.answer.set_exception(error)
