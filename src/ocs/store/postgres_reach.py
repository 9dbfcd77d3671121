"""Whether the database can be reached, and for how long what needs it holds on.

An operation that finds no database waits until there is one again, but not longer than a client waits for its answer.
Once the database has been away for as long as that, the next ones fail at once: who has a way without it (emergency
calls) takes it without delay. Meanwhile one task of its own tries to connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from ocs.limits import ANSWER_DEADLINE_S
from ocs.store.interface import StoreDown
from ocs.store.postgres_connection import Lost, Unwritten

_log = structlog.get_logger()
_T = TypeVar("_T")

_PAUSE_MIN_S: Final = 0.02
_PAUSE_MAX_S: Final = 1.0


class Reach:
    """probe: connects and asks something; raises Lost or Unwritten where it cannot."""

    def __init__(self, probe: Callable[[], Awaitable[None]], patience_s: float = ANSWER_DEADLINE_S) -> None:
        self._probe = probe
        self.patience_s = patience_s
        self._up = asyncio.Event()
        self._up.set()
        self._down_since_s: float | None = None
        self._reason = ""
        self._pauses = 0
        self._prober: asyncio.Task[None] | None = None

    async def hold(self, attempt: Callable[[float], Awaitable[_T]], patience_s: float | None = None) -> _T:
        """What `attempt` returns, tried again while the database is away; StoreDown after `patience_s`.

        attempt: takes the seconds that are left.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        deadline_s = began_s + (self.patience_s if patience_s is None else patience_s)
        tries = 0
        while True:
            await self._wait(deadline_s)
            tried_s = loop.time()
            try:
                result = await attempt(deadline_s - tried_s)
            except Lost as lost:
                self._lost(str(lost), tried_s)
                if loop.time() >= deadline_s:
                    raise StoreDown(str(lost)) from lost
            except Unwritten as refused:
                tries += 1
                pause_s = _pause(tries)
                if not refused.passing or loop.time() + pause_s >= deadline_s:
                    raise StoreDown(str(refused)) from refused
                await asyncio.sleep(pause_s)
            else:
                self._down_since_s = None
                self._pauses = 0
                return result

    @property
    def is_given_up(self) -> bool:
        """Whether the database has been away for longer than anybody waits."""
        if self._up.is_set() or self._down_since_s is None:
            return False
        return asyncio.get_running_loop().time() - self._down_since_s >= self.patience_s

    async def close(self) -> None:
        """Stop trying to connect."""
        if self._prober is not None:
            self._prober.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._prober
            self._prober = None
        self._up.set()
        self._down_since_s = None

    async def _wait(self, deadline_s: float) -> None:
        if self._up.is_set():
            return
        if self.is_given_up:
            raise StoreDown(self._reason)
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._up.wait()
        except TimeoutError:
            raise StoreDown(self._reason) from None

    def _lost(self, reason: str, tried_s: float) -> None:
        """An operation that began at `tried_s` found nobody."""
        self._reason = reason
        if self._down_since_s is None:
            self._down_since_s = tried_s
            _log.warning("store_lost", why=reason)
        if self._prober is None:
            self._up.clear()
            self._prober = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """Until it works: first at once, then with growing pauses; they go on growing where a success did not last."""
        while True:
            if self._pauses:
                await asyncio.sleep(_pause(self._pauses))
            self._pauses += 1
            try:
                await self._probe()
            except (Lost, Unwritten) as error:
                self._reason = str(error)
                continue
            except Exception:  # noqa: BLE001
                _log.exception("store_probe_failed")
                continue
            _log.info("store_reached_again")
            self._prober = None
            self._up.set()
            return


def _pause(tries: int) -> float:
    """Doubled each time up to a bound, and somewhere below, so that many nodes do not come at the same moment."""
    longest_s: float = min(_PAUSE_MAX_S, _PAUSE_MIN_S * 2 ** min(tries - 1, 10))
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311
