"""Effects of what was committed: each is done at least once, by the node that can reach the peer it is meant for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import structlog

from ocs.limits import EFFECT_ATTEMPTS_MAX, EFFECTS_PER_ROUND_MAX
from ocs.nms.store_metrics import StoreMetrics
from ocs.store.background import Background
from ocs.store.interface import DueEffect, Store, StoreDown

_log = structlog.get_logger()

PERIOD_S: Final = 5.0
"""How often it looks without being told that there is something."""
CLAIM_S: Final = 30
"""How long an effect is left to the node that took it on; then it is due again."""
STRAY_S: Final = 60
"""After that time an effect for a peer that nobody reaches is tried by any node, and so given up in the end."""

_S: Final = 1_000_000_000

Do = Callable[[DueEffect], Awaitable[bool]]
"""Does one effect. True: it is done, or there is no sense in it any more; False: again later."""


class Outbox:
    """Does the effects that are due. handlers: by kind.

    peers: Origin-Hosts, in lower case, of the peers that this node can reach now. Somebody has to call `wake` when one
    comes.
    """

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Do],
        peers: Callable[[], Collection[str]],
        now_ns: Callable[[], int],
        metrics: StoreMetrics,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._peers = peers
        self._now_ns = now_ns
        self._metrics = metrics
        self._told = asyncio.Event()
        self._background = Background()
        self._doing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Look from now on."""
        self._store.listen(self._heard)
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Take on nothing more; what was begun and is not finished is due again after a while."""
        await self._background.end()
        for task in self._doing:
            task.cancel()
        await asyncio.gather(*self._doing, return_exceptions=True)

    def wake(self) -> None:
        """There may be something to do."""
        self._told.set()

    def _heard(self, topic: str, _text: str) -> None:
        if topic in {"effects", ""}:
            self.wake()

    async def _run(self) -> None:
        while True:
            self._told.clear()
            try:
                full = await self._take_on()
            except StoreDown:
                self._metrics.down()
                full = False
            except Exception:  # noqa: BLE001 - the next round may do better
                _log.exception("outbox_failed")
                full = False
            if not full:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_S):
                        await self._told.wait()

    async def round(self) -> bool:
        """Do what is due now, to its end; returns whether there may be more. Raises StoreDown."""
        full = await self._take_on()
        while self._doing:
            await asyncio.wait(self._doing)
        return full

    async def _take_on(self) -> bool:
        """Begin what is due, as far as there is room beside what is being done: one slow peer must not stop all."""
        room = EFFECTS_PER_ROUND_MAX - len(self._doing)
        if not room:
            return False
        now_ns = self._now_ns()
        until_ns, stray_ns = now_ns + CLAIM_S * _S, now_ns - STRAY_S * _S
        claimed = await self._store.claim_effects(self._peers(), now_ns, until_ns, room, stray_ns)
        for due in claimed:
            task = asyncio.get_running_loop().create_task(self._do(due))
            self._doing.add(task)
            task.add_done_callback(self._done)
        return len(claimed) >= room

    def _done(self, task: asyncio.Task[None]) -> None:
        if len(self._doing) >= EFFECTS_PER_ROUND_MAX:
            self.wake()
        self._doing.discard(task)

    async def _do(self, due: DueEffect) -> None:
        try:
            await self._see_to(due)
        except StoreDown:  # then it is due again after a while
            self._metrics.down()
        except Exception:  # noqa: BLE001
            _log.exception("outbox_failed")

    async def _see_to(self, due: DueEffect) -> None:
        kind = due.effect.kind
        handler = self._handlers.get(kind)
        done = False
        try:
            if handler is not None:
                done = await handler(due)
        except Exception:  # noqa: BLE001 - one effect must not keep the others from being done
            _log.exception("effect_failed", kind=kind, account_id=due.account_id, session_id=due.effect.session_id)
        if done:
            self._metrics.effect("done")
        elif due.attempts + 1 >= EFFECT_ATTEMPTS_MAX:
            self._metrics.effect("given_up")
            _log.error(
                "effect_given_up",
                kind=kind,
                account_id=due.account_id,
                session_id=due.effect.session_id,
                peer=due.effect.peer,
                attempts=due.attempts + 1,
            )
        else:
            self._metrics.effect("later")
            return
        await self._store.finish_effect(due)
