"""Hot accounts that several nodes write at once: each node waits for its turn instead of meeting conflicts.

An account where writes from here were refused several times within a second is pinned: from then on it is decided on
only while this node has the lease on it. Whoever has the lease keeps it for a turn, commits as many commands as there
are in large batches, and hands it on where another node wants it. The lease is no lock: what is written is guarded by
versions as ever, so a node that lost its lease without noticing does no harm, it only meets conflicts again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ocs.limits import HOT_CONFLICTS, PINNED_ACCOUNTS_MAX
from ocs.nms.metrics import Metrics
from ocs.store.interface import Store, StoreDown

TURN_S: Final = 0.05
"""How long a node keeps a lease that others want."""
YIELD_S: Final = 0.02
"""How long it then leaves the lease to the others before it asks again."""
POLL_S: Final = 0.1
"""How long it waits for word that a lease is free, before it asks unasked."""
IDLE_S: Final = 1.0
"""An account that had no command for so long is no longer hot."""
TTL_S: Final = 2.0
"""After this the lease of a node that died is free."""
WINDOW_S: Final = 1.0
"""Conflicts within this count together."""

_log = structlog.get_logger()


class Pin:
    """One hot account. held: this node has the lease. used_s: when a command last asked, in the loop's time."""

    __slots__ = ("account_id", "freed", "held", "used_s")

    def __init__(self, account_id: str, now_s: float) -> None:
        self.account_id = account_id
        self.held = False
        self.used_s = now_s
        self.freed = asyncio.Event()


class Pins:
    """The hot accounts of this node.

    holder: the name of this process among all that share the store. mine: called when an account may be decided on
    again, on a state that has to be read anew. quiet: waits until nothing of an account is on its way to the store.
    in_use: whether an account has commands here: then it is pinned when another node pins it, since whoever always
    wins meets no conflict.
    """

    def __init__(
        self,
        store: Store,
        holder: str,
        metrics: Metrics,
        mine: Callable[[str], None],
        quiet: Callable[[str], Awaitable[None]],
        in_use: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._holder = holder
        self._metrics = metrics
        self._mine = mine
        self._quiet = quiet
        self._in_use = in_use
        self._suspects: dict[str, int] = {}
        self._conflicts: dict[str, list[float]] = {}
        self._pins: dict[str, Pin] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        if store.shared:
            store.listen(self._heard)

    def may_decide(self, account_id: str) -> bool:
        """False: not now; `mine` tells when."""
        pin = self._pins.get(account_id)
        if pin is None:
            return True
        pin.used_s = asyncio.get_running_loop().time()
        return pin.held

    def suspect(self, account_id: str, version: int) -> None:
        """A write of the account was refused, perhaps for another's sake; the store had it in that version last."""
        if self._store.shared:
            self._suspects[account_id] = version
            while len(self._suspects) > PINNED_ACCOUNTS_MAX:
                del self._suspects[next(iter(self._suspects))]

    def was_read(self, account_id: str, version: int) -> None:
        """What the store has of the account now: whether another node has written it shows here."""
        if self._suspects and self._suspects.pop(account_id, version) != version:
            self.conflict(account_id)

    def conflict(self, account_id: str) -> None:
        """Another node wrote the account first."""
        if account_id in self._pins:
            return
        now_s = asyncio.get_running_loop().time()
        recent = [at_s for at_s in self._conflicts.pop(account_id, ()) if now_s - at_s < WINDOW_S]
        recent.append(now_s)
        if len(recent) < HOT_CONFLICTS:
            self._conflicts[account_id] = recent
            while len(self._conflicts) > PINNED_ACCOUNTS_MAX:
                del self._conflicts[next(iter(self._conflicts))]
        else:
            self._pin(account_id)

    def _pin(self, account_id: str) -> None:
        if account_id in self._pins:
            return
        if len(self._pins) >= PINNED_ACCOUNTS_MAX:
            self._metrics.diameter.limit("pinned_accounts")
            return
        loop = asyncio.get_running_loop()
        self._pins[account_id] = pin = Pin(account_id, loop.time())
        self._tasks[account_id] = loop.create_task(self._take_turns(pin))
        self._metrics.store.pinned(len(self._pins))

    async def stop(self) -> None:
        """Give all leases back."""
        held = [pin.account_id for pin in self._pins.values() if pin.held]
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(StoreDown):  # then they run out
            for account_id in held:
                await self._store.release_lease(f"account:{account_id}", self._holder)

    async def _take_turns(self, pin: Pin) -> None:
        name = f"account:{pin.account_id}"
        loop = asyncio.get_running_loop()
        _log.info("account_pinned", account_id=pin.account_id)
        try:
            while loop.time() - pin.used_s < IDLE_S:
                pin.freed.clear()
                lease = await self._store.take_lease(name, self._holder, TTL_S)
                if lease.holder == self._holder:
                    await self._turn(pin, name)
                else:
                    await _wait(pin.freed, POLL_S)
        except StoreDown as error:
            _log.warning("account_unpinned", account_id=pin.account_id, why=str(error))
        finally:
            del self._pins[pin.account_id], self._tasks[pin.account_id]
            self._metrics.store.pinned(len(self._pins))
            self._mine(pin.account_id)

    async def _turn(self, pin: Pin, name: str) -> None:
        """Decide until another node wants to, or nothing comes any more."""
        loop = asyncio.get_running_loop()
        await self._store.tell("pin", pin.account_id)
        pin.held = True
        self._mine(pin.account_id)
        wanted = False
        try:
            while not wanted and loop.time() - pin.used_s < IDLE_S:
                await asyncio.sleep(TURN_S)
                lease = await self._store.take_lease(name, self._holder, TTL_S)
                if lease.holder != self._holder:  # it ran out while this process stood still
                    return
                wanted = lease.wanted
            pin.held = False
            await self._quiet(pin.account_id)
        finally:
            pin.held = False
        await self._store.release_lease(name, self._holder)
        if wanted:
            await asyncio.sleep(YIELD_S)

    def _heard(self, topic: str, text: str) -> None:
        if topic == "lease":
            pin = self._pins.get(text.removeprefix("account:"))
            if pin is not None:
                pin.freed.set()
        elif topic == "pin" and self._in_use(text):
            self._pin(text)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
