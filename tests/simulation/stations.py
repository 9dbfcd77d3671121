"""The machines that nodes run on: started, killed at any step, drained, started again; with clocks that jump."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import msgspec

import ocs.daemon.server as server_room
import ocs.diameter.node as node_room
from ocs.api.ports import Reloaded
from ocs.daemon.server import OcsServer
from ocs.diameter.peer import Connection
from ocs.store.interface import StoreDown
from tests.charging.world import START_NS
from tests.simulation.loop import NS_PER_S, Process, here


def _wall_ns() -> int:
    process = here()
    offset_ns = process.station.offset_ns if process.station is not None else 0
    return START_NS + process.loop.now_ns + offset_ns


class _Time:
    """Stands for the module `time`."""

    time_ns = staticmethod(_wall_ns)

    @staticmethod
    def time() -> float:
        return _wall_ns() / NS_PER_S

    @staticmethod
    def monotonic_ns() -> int:
        return here().loop.now_ns


class _Bound:
    """Stands for a listening socket."""

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 2080)


class _Http:
    """Stands for the HTTP listener: requests come from `people`."""

    def __init__(self, app, bound) -> None:
        here().station.app = app

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        here().station.app = None


def _number(connection: Connection) -> int:
    """Instead of a place in memory: sets of connections have one order, whenever and wherever a seed is run."""
    return connection.link.number


async def _reload(folder: Path, in_use):
    settings = here().station.next_settings
    return Reloaded(True, settings.tariff.version), settings


@contextlib.contextmanager
def no_sockets(seed: int):
    """The rooms get the time of the simulation, no sockets, no files and no chance but the seed's."""
    dice = random.Random(seed)
    with contextlib.ExitStack() as stack:
        for room, name, stand_in in (
            (server_room, "time", _Time),
            (server_room, "os", SimpleNamespace(getpid=lambda: here().station.births)),
            (server_room, "store_of", lambda _url: here().station.connect()),
            (server_room, "bind_tcp", lambda *_: _Bound()),
            (server_room, "HttpListener", _Http),
            (server_room, "reload_folder", _reload),
            (node_room, "time", _Time),
            (node_room, "random", dice),
            (Connection, "__hash__", _number),
        ):
            stack.enter_context(patch.object(room, name, stand_in))
        yield


class Station:
    """One machine. up: its node serves. births: how many processes it had. offset_ns: how far its clock is off."""

    def __init__(self, world, index: int, settings) -> None:
        self.world = world
        self.index = index
        self.settings = settings
        self.next_settings = settings
        self.offset_ns = 0
        self.births = 0
        self.up = False
        self.leaving = False
        self.app = None
        self.process: Process | None = None
        self.server: OcsServer | None = None
        self.connection = None
        self.wires: list = []

    def start(self) -> None:
        """A new process."""
        self.births += 1
        self.leaving = False
        self.process = Process(self.world.loop, f"ocs{self.index}.{self.births}")
        self.process.station = self
        self.process.killed = self._died
        self.world.note("%s starts", self.process.name)
        self.process.spawn(self._serve())

    def connect(self):
        """The store of the process that begins."""
        self.connection = self.world.store.connect(self.process)
        return self.connection

    async def _serve(self) -> None:
        self.server = OcsServer(Path(), self.settings, self.world.metrics)
        try:
            await self.server.start()
        except StoreDown:
            self.world.process.call(self.process.kill)
            return
        self.up = True

    def kill(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()

    def _died(self) -> None:
        world = self.world
        world.note("%s died", self.process.name)
        self.up = False
        self.app = None
        if self.connection is not None:
            world.store.lost(self.connection)
        wires, self.wires = self.wires, []
        for wire in wires:
            wire.died()
        delay_ns = 50_000_000 + int(world.dice.random() ** 3 * 4 * NS_PER_S)
        world.process.call_later_ns(delay_ns, self.start)

    def drain(self) -> None:
        """Leave in good order, and come back."""
        if self.up and not self.leaving:
            self.leaving = True
            self.world.count("drains")
            self.world.note("%s drains", self.process.name)
            self.process.spawn(self._drain())

    async def _drain(self) -> None:
        try:
            await self.server.drain()
        finally:
            self.world.process.call(self.process.kill)

    def reload(self, settings) -> None:
        """Read the configuration again."""
        self.next_settings = settings
        if self.up:
            self.process.spawn(self._reload(settings))

    async def _reload(self, settings) -> None:
        await self.server.reload()
        self.settings = settings

    def accept(self, wire) -> bool:
        """A connection; False where nobody listens."""
        if not self.up or self.leaving:
            return False
        self.wires = [one for one in self.wires if one.server_open]
        self.wires.append(wire)
        wire.handler = self.process.context.run(self.server.node._accept, wire)
        return wire.handler is not None


def with_version(settings, tariff):
    """The settings with another tariff."""
    return msgspec.structs.replace(settings, tariff=tariff)
