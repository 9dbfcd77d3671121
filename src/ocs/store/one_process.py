"""What nodes have between them, where all nodes are in one process: leases, and telling each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ocs.store.interface import Heard, Lease


class OneProcess:
    """Leases and listeners of a store that other processes cannot write to. Leases last as long as the process.

    now_ns: the clock of the leases.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._leases: dict[str, tuple[Lease, int]] = {}  # and until when
        self._listeners: list[Heard] = []

    def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        """`Store.take_lease`."""
        now_ns = self._now_ns()
        before, until_ns = self._leases.get(name, (Lease(holder, wanted=False), 0))
        if before.holder != holder and until_ns > now_ns:
            wanted = Lease(before.holder, wanted=True)
            self._leases[name] = (wanted, until_ns)
            return wanted
        self._leases[name] = (Lease(holder, wanted=False), now_ns + round(ttl_s * 1_000_000_000))
        return before if before.holder == holder else Lease(holder, wanted=False)

    def release_lease(self, name: str, holder: str) -> None:
        """`Store.release_lease`."""
        if name in self._leases and self._leases[name][0].holder == holder:
            del self._leases[name]
            self.tell("lease", name)

    def tell(self, topic: str, text: str) -> None:
        """`Store.tell`; on a running loop."""
        loop = asyncio.get_running_loop()
        for heard in self._listeners:
            loop.call_soon(heard, topic, text)

    def listen(self, heard: Heard) -> None:
        """`Store.listen`."""
        self._listeners.append(heard)
