"""What one of several nodes does for all, and begins when it leads and ends when it leads no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from ocs.store.background import Background
from ocs.store.interface import StoreDown
from ocs.store.leading import Leading

_log = structlog.get_logger("ocs")

PERIOD_S: Final = 2.0
"""How often the lease is renewed, or asked for."""


class Duty(Protocol):
    """Something that runs in the background."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Duties:
    """Starts and stops `duties` with the lease."""

    def __init__(self, leading: Leading, duties: Sequence[Duty]) -> None:
        self._leading = leading
        self._duties = duties
        self._at_work = False
        self._background = Background()

    def start(self) -> None:
        """Ask for the lease from now on."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """End the duties, and leave them to another node at once."""
        if not self._background.running:
            return
        await self._background.end()
        await self._set(at_work=False)
        with contextlib.suppress(StoreDown):  # then the lease runs out
            await self._leading.resign()

    async def _run(self) -> None:
        while True:
            try:
                leads = await self._leading.leads()
            except StoreDown:
                leads = False
            await self._set(at_work=leads)
            await asyncio.sleep(PERIOD_S)

    async def _set(self, *, at_work: bool) -> None:
        if at_work == self._at_work:
            return
        self._at_work = at_work
        _log.info("duties_taken" if at_work else "duties_left")
        for duty in self._duties:
            if at_work:
                duty.start()
            else:
                await duty.stop()


class Repeated:
    """Does something at once and then every `period_s`; what it returns is logged under `name`."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], period_s: float) -> None:
        self._name = name
        self._work = work
        self._period_s = period_s
        self._background = Background()

    def start(self) -> None:
        """Begin."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """End, also in the middle of it."""
        await self._background.end()

    async def _run(self) -> None:
        while True:
            try:
                done = await self._work()
            except StoreDown as error:
                _log.warning(f"{self._name}_waits", why=str(error))
            except Exception:  # noqa: BLE001 - the next time may be better
                _log.exception(f"{self._name}_failed")
            else:
                if done:
                    _log.info(self._name, done=str(done))
            await asyncio.sleep(self._period_s)
