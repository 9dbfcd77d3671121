"""What the server begins by itself: the outbox with its handlers, endings, looks, the change of tariff."""

from __future__ import annotations

import time
from collections.abc import Callable

from ocs.charging.asking import LOOK
from ocs.charging.effects import ABORT, REAUTH
from ocs.config.settings import Settings
from ocs.daemon.endings import Endings
from ocs.daemon.looking import Looks, TariffChange
from ocs.daemon.server_requests import ServerRequests
from ocs.daemon.timers import Timers
from ocs.diameter.node import Node
from ocs.nms.metrics import Metrics
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import Store
from ocs.store.outbox import Outbox


class Initiative:
    """tariff_change is a duty that one node has for all; the rest runs on every node."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        timers: Timers,
        settings: Callable[[], Settings],
        metrics: Metrics,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.endings = Endings(store, dispatcher, timers.end, now_ns, metrics)
        self.looks = Looks(store, dispatcher, settings, now_ns)
        self.tariff_change = TariffChange(store, self.looks, settings, now_ns)
        self._store = store
        self._metrics = metrics
        self._now_ns = now_ns
        self._outbox: Outbox | None = None

    def start(self, node: Node) -> None:
        """Do what is in the outbox through `node`, and listen to what it tells."""
        requests = ServerRequests(node, self._store, self.endings, self._now_ns, self._metrics)
        handlers = {REAUTH: requests.reauth, ABORT: requests.abort, LOOK: self.looks.look}
        self._outbox = Outbox(self._store, handlers, node.reachable, self._now_ns, self._metrics.store)
        node.peer_opened = self._outbox.wake
        node.peer_restarted = self.endings.peer_restarted
        self._outbox.start()

    async def stop(self) -> None:
        """Begin nothing more; what was begun and has no answer yet is done again by whoever reaches the peer."""
        if self._outbox is not None:
            await self._outbox.stop()
        await self.endings.stop()
