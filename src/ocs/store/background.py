"""Something that goes on until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


class Background:
    """One task at the most, begun and ended any number of times."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was begun, and not ended since."""
        return self._task is not None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run from now on."""
        assert self._task is None, "it runs already"
        self._task = asyncio.get_running_loop().create_task(work)

    async def end(self) -> None:
        """Cancel it, and wait until it is over."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
