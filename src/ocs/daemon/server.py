"""The rooms of a running server, put together; started and stopped in their order."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ocs.api.app import make_app
from ocs.api.listener import HttpListener
from ocs.api.ports import PeerView, Reloaded
from ocs.api.views import time_or_null
from ocs.config.settings import Settings
from ocs.daemon.binding import CannotListen, bind_tcp, explain
from ocs.daemon.commands import DispatchedCommands
from ocs.daemon.duties import Duties, Duty, Repeated
from ocs.daemon.first_start import open_accounts
from ocs.daemon.initiative import Initiative
from ocs.daemon.reloading import reload_folder
from ocs.daemon.timers import Timers
from ocs.daemon.tracing import NodeTracer
from ocs.daemon.watching import Watch
from ocs.diameter.applications.credit_control import CreditControl
from ocs.diameter.applications.observers import Refusal
from ocs.diameter.node import Node
from ocs.nms.metrics import Metrics
from ocs.rating.units import MEASURE_OF_KIND
from ocs.store.choose import store_of
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from ocs.store.leading import Leading
from ocs.store.ledger_watch import LedgerWatch
from ocs.store.spool import Spool
from ocs.store.supervisor import Supervisor
from ocs.store.url import kind_of

STORE_PROBE_TIMEOUT_S: Final = 1
PARTITIONS_PERIOD_S: Final = 3_600

_log = structlog.get_logger("ocs")


class OcsServer:
    """`ocs.api.ports.Server`, and the life of the process. Made on the loop that it runs on."""

    def __init__(self, folder: Path, settings: Settings, metrics: Metrics) -> None:
        self.folder = folder
        self.settings = settings
        self.metrics = metrics
        self.store = store_of(settings.store_url)
        self.spool = _spool_of(settings)
        holder = f"{settings.identity}:{os.getpid()}"
        self.dispatcher = Dispatcher(self.store, metrics, self.spool, holder=holder)
        self.commands = DispatchedCommands(self.dispatcher)
        self.credit_control = CreditControl(
            settings, self.dispatcher.charge, metrics.diameter, metrics.charging, log_refusal, time.time_ns
        )
        timers = Timers(lambda: self.settings, self.dispatcher)
        self.initiative = Initiative(self.store, self.dispatcher, timers, lambda: self.settings, metrics)
        self.supervisor = Supervisor(
            self.store,
            self.dispatcher,
            timers.expire,
            time.time_ns,
            metrics,
            leading=Leading(self.store, "supervision", holder),
            spool=self.spool,
            charge_spooled=timers.charge_spooled,
        )
        self.duties = Duties(Leading(self.store, "duties", holder), self._duties())
        self.watch = Watch(self.store, metrics)
        self.node: Node | None = None
        self.tracer: NodeTracer | None = None
        self.http: HttpListener | None = None
        self.http_address = ("", 0)
        self.opened = 0
        self.draining = False
        self._reloading = asyncio.Lock()

    # Life

    async def start(self) -> None:
        """Listen and serve. CannotListen, CannotOpen, OSError, or what the store raises where that cannot be."""
        settings = self.settings
        # Ports first: what is wrong with them is no reason to touch the store.
        bound = bind_tcp("HTTP", settings.http_host, settings.http_port)
        self.http_address = bound.getsockname()[:2]
        name_services(self.metrics, settings)
        await self.store.open()
        if self.spool is not None:
            await self.spool.open()
        self.opened = await open_accounts(self.store, settings, self.now_ns())
        self.node = Node(
            settings,
            [self.credit_control],
            self.metrics.diameter,
            origin_state_id=await self.store.origin_state_id(),
        )
        self.node.overload.urgent = self.credit_control.is_urgent
        try:
            await self.node.start()
        except OSError as error:
            raise _cannot_listen(error, settings) from error
        self.tracer = NodeTracer(self.node, lambda: self.credit_control.setup.rules.order)
        self.initiative.start(self.node)
        self.supervisor.start()
        self.duties.start()
        self.watch.start()
        self.http = HttpListener(make_app(self), bound)
        await self.http.start()

    async def drain(self) -> None:
        """Take nothing new, finish what is in flight, say goodbye to the peers, close."""
        self.draining = True
        self.metrics.draining()
        await self.initiative.stop()
        if self.node is not None:
            await self.node.drain()
        await self.supervisor.stop()
        await self.duties.stop()
        await self.dispatcher.stop()
        await self.close()

    async def close(self) -> None:
        """Close what is open, in the reverse order of the start."""
        self.watch.stop()
        if self.tracer is not None:
            self.tracer.stop()
        if self.http is not None:
            await self.http.stop()
        if self.spool is not None:
            await self.spool.close()
        await self.store.close()

    def _duties(self) -> list[Duty]:
        """What one node does for all."""
        duties: list[Duty] = [LedgerWatch(self.store, time.time_ns, self.metrics), self.initiative.tariff_change]
        if kind_of(self.settings.store_url) == "postgresql":
            duties.append(Repeated("partitions_tended", self._tend_partitions, PARTITIONS_PERIOD_S))
        return duties

    async def _tend_partitions(self) -> object:
        from ocs.store.postgres_partitions import Care, PartitionReport, maintain  # noqa: PLC0415 - only where there is a PostgreSQL

        settings = self.settings
        care = Care(settings.store_partitions_ahead_months, settings.store_keep_months)
        report = await maintain(settings.store_url, care)
        return report if report is not None and report != PartitionReport() else None

    # What the API asks

    def now_ns(self) -> int:
        return time.time_ns()

    def peers(self) -> Sequence[PeerView]:
        if self.node is None:
            return ()
        return [
            PeerView(
                host=peer.host,
                realm=peer.realm,
                state=peer.state,
                connections=len(peer.connections),
                addresses=tuple(connection.remote for connection in peer.connections),
                directions=tuple(connection.direction for connection in peer.connections),
                transports=tuple(connection.transport for connection in peer.connections),
                reconnect_at=time_or_null(peer.reconnect_at_ns),
                trouble=peer.trouble,
            )
            for peer in self.node.peers()
        ]

    def steer_peer(self, host: str, *, connect: bool) -> bool:
        if self.node is None:
            return False
        return self.node.connect_peer(host) if connect else self.node.disconnect_peer(host)

    async def end_session(self, account_id: str, session_key: str, cause: str) -> bool:
        try:
            return await self.initiative.endings.end(account_id, session_key, cause)
        except Failed as error:
            raise StoreDown(error.why) from None

    async def unready(self) -> Sequence[str]:
        reasons = []
        if self.draining:
            reasons.append("draining")
        if self.node is None or not self.node.listening:
            reasons.append("Diameter is not listened for")
        try:
            async with asyncio.timeout(STORE_PROBE_TIMEOUT_S):
                await self.store.find_account(("ready?",))
        except (StoreDown, TimeoutError) as error:
            reasons.append(f"the store does not answer: {error}" if str(error) else "the store does not answer")
        return reasons

    async def reload(self) -> Reloaded:
        async with self._reloading:
            reloaded, settings = await reload_folder(self.folder, self.settings)
            if settings is None:
                self.metrics.config_refused()
            else:
                troubles = self._take_over(settings)
                reloaded = msgspec.structs.replace(reloaded, problems=(*reloaded.problems, *troubles))
        _log.info("reloaded" if reloaded.done else "reload_refused", **_fields(reloaded))
        return reloaded

    def _take_over(self, settings: Settings) -> tuple[str, ...]:
        """In one turn of the loop, so that no request sees half of it; what may fail comes first.

        Returns what of it could not be taken over.
        """
        self.credit_control.reconfigure(settings)
        troubles = () if self.node is None else self.node.reload(settings)
        name_services(self.metrics, settings)
        before, self.settings = self.settings, settings
        if settings.tariff.version != before.tariff.version:
            self.initiative.tariff_change.changed()
        self.metrics.config_loaded(settings.tariff.version, time.time())
        return troubles


def name_services(metrics: Metrics, settings: Settings) -> None:
    """Make the metrics of the services of a configuration."""
    units = {name: MEASURE_OF_KIND[policy.kind].value for name, policy in settings.services.items()}
    metrics.charging.services(units, settings.tariff.currency)


def log_refusal(refusal: Refusal) -> None:
    """One line for a request, or a rating group of it, that was not served."""
    _log.info(
        "refused",
        session_id=refusal.session_id,
        request=refusal.request,
        service=refusal.service,
        subscriber=refusal.subscriber,
        peer=refusal.peer,
        result_code=refusal.result_code,
        why=refusal.why,
        rating_group=refusal.rating_group,
    )


def _spool_of(settings: Settings) -> Spool | None:
    """Beside the file of the store, or in `var/` for a store elsewhere; one in memory has nothing to fall back from."""
    scheme, _, path = settings.store_url.partition(":")
    if scheme == "memory":
        return None
    if scheme != "sqlite":
        path = f"var/{settings.identity}"
    return Spool(f"{path}.emergency", time.time_ns)


def _cannot_listen(error: OSError, settings: Settings) -> CannotListen:
    for listener in settings.listeners:
        if f"{listener.host}:{listener.port}/" in str(error):
            return explain("Diameter", listener.host, listener.port, error)
    return CannotListen(str(error))


def _fields(reloaded: Reloaded) -> dict[str, object]:
    fields: dict[str, object] = {"tariff": reloaded.tariff_version}
    if reloaded.problems:
        fields["problems"] = reloaded.problems
    if reloaded.restart_needed:
        fields["restart_needed"] = reloaded.restart_needed
    return fields
