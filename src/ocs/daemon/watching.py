"""What is measured by looking, not by counting: the lag of the event loop, and open sessions."""

from __future__ import annotations

import asyncio
from typing import Final

from ocs.nms.metrics import Metrics
from ocs.store.interface import Store, StoreDown

LAG_PERIOD_S: Final = 0.5
SESSIONS_PERIOD_S: Final = 15


class Watch:
    """Two small tasks."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Look from now on."""
        self._tasks = [asyncio.create_task(self._lag()), asyncio.create_task(self._sessions())]

    def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    async def _lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self._metrics.loop_lag(max(0.0, loop.time() - due_s))

    async def _sessions(self) -> None:
        while True:
            try:
                self._metrics.charging.sessions_active(await self._store.count_open_sessions())
                self._metrics.store.up()
            except StoreDown:
                self._metrics.store.down()
            await asyncio.sleep(SESSIONS_PERIOD_S)
