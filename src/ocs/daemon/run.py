"""The process: from its arguments to its exit status, with its signals."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

import structlog

from ocs import __version__, logs
from ocs.config.load import load
from ocs.config.settings import Settings
from ocs.daemon.binding import CannotListen
from ocs.daemon.first_start import CannotOpen
from ocs.daemon.greeting import greeting
from ocs.daemon.notify import notify
from ocs.daemon.server import OcsServer
from ocs.nms.metrics import Metrics
from ocs.store.interface import StoreDown, StoreInUse, WrongStore
from ocs.store.url import shown

FINE, USAGE, KILLED = 0, 2, 128 + signal.SIGTERM

_log = structlog.get_logger("ocs")


def run(folder: Path, log_level: str = "info", log_format: str = "auto") -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status: 0 drained, 2 could not start."""
    settings, diagnostics = load(folder)
    for diagnostic in diagnostics:
        _say(str(diagnostic), sys.stderr)
    if settings is None:
        _say(f"ocs: {folder} cannot be used; nothing was started", sys.stderr)
        return USAGE
    return serve(folder, settings, log_level, log_format)


def serve(folder: Path, settings: Settings, log_level: str, log_format: str) -> int:
    """The same with settings that are read already."""
    logs.set_up(log_level, log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(folder, settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed: half the time per message; asyncio's own loop else."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(folder: Path, settings: Settings) -> int:
    metrics = Metrics(process=True)
    metrics.build_info(__version__, os.environ.get("OCS_REVISION", ""))
    metrics.config_loaded(settings.tariff.version, time.time())
    server = OcsServer(folder, settings, metrics)
    signals = _Signals(server)
    try:
        await server.start()
    except (CannotListen, CannotOpen, StoreInUse, WrongStore, StoreDown, OSError) as error:
        await server.close()
        _say(f"ocs: {_words(error, settings)}", sys.stderr)
        return USAGE
    # What lives as long as the process is not looked at again by the collector.
    gc.collect()
    gc.freeze()
    assert server.node is not None, "it was started"
    _say(greeting(settings, server.node.bound, server.http_address, server.opened), sys.stdout)
    _log.info("ready", diameter=server.node.listening, http=server.http_address, tariff=settings.tariff.version)
    notify("READY=1")
    await signals.stopped.wait()
    _log.info("draining")
    notify("STOPPING=1")
    await server.drain()
    _log.info("drained")
    return FINE


def _say(text: str, stream: TextIO) -> None:
    stream.write(text + "\n")
    stream.flush()


def _words(error: Exception, settings: Settings) -> str:
    if isinstance(error, CannotListen | CannotOpen):
        return str(error)
    return f"the store {shown(settings.store_url)} cannot be used: {error}"


class _Signals:
    """SIGHUP reads the configuration again; SIGTERM and SIGINT drain, the second of them ends at once."""

    STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, server: OcsServer) -> None:
        self.stopped = asyncio.Event()
        self._server = server
        self._reload: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        for number in self.STOPPING:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _stop(self) -> None:
        if self.stopped.is_set():
            # Everything answered is durable already, so there is nothing that must still be done.
            _log.warning("ended_at_once")
            sys.stdout.flush()
            os._exit(KILLED)
        self.stopped.set()

    def _hang_up(self) -> None:
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
        self._reload = asyncio.create_task(self._reload_now())

    async def _reload_now(self) -> None:
        try:
            await self._server.reload()
        except Exception:  # noqa: BLE001 - logged; the server goes on with what it has
            _log.exception("reload_failed")
        notify("READY=1")
