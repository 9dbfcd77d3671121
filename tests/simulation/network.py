"""Connections between gateways and nodes: octets that take their time, and agents between that lose and double them."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

from tests.simulation.loop import Process
from tests.simulation.messages import CREDIT_CONTROL

LOOPBACK = IPv4Address("127.0.0.1")


def is_credit_control(frame: bytes) -> bool:
    """Whether a frame may be lost on its way: the messages of the connection itself are not."""
    return int.from_bytes(frame[5:8], "big") == CREDIT_CONTROL


class Wire:
    """One connection: the `Link` of a node, and the gateway's end.

    Each end learns later than the other that it is over, or never, where the other machine is gone.
    """

    transport = "tcp"
    certificate_names = None
    remote_others = ()
    local_others = ()
    local = "127.0.0.1:3868"
    remote_address = local_address = LOOPBACK

    def __init__(self, world, number: int, gateway, server: Process) -> None:
        self._world = world
        self._loop = world.loop
        self._around = world.around
        self._dice = random.Random(world.seed * 1_000_003 + number)
        self.number = number
        self.remote = f"127.0.0.1:{30_000 + number}"
        self.gateway = gateway
        self.server = server
        self.handler = None
        self.server_open = True
        self.client_open = True
        self._queue: list[bytes] = []
        self._held = False
        self._unread: list[bytes] = []
        self._last_ns = {True: 0, False: 0}

    # The end of the node (`ocs.diameter.transports.Link`).

    def write(self, data: bytes) -> bool:
        if not self.server_open:
            return False
        self._queue.append(data)
        if is_credit_control(data):
            self._world.written(self, data)
        if len(self._queue) == 1:
            self.server.call(self._flush)
        return True

    def close(self) -> None:
        self._flush()
        self.abort()

    def abort(self) -> None:
        if self.server_open:
            self.server_open = False
            self.server.call(self._disconnected)
            self._later(self._world.process, self._client_lost, data=None)

    def hold_reading(self, held: bool) -> None:
        self._held = held
        if not held and self._unread:
            frames, self._unread = self._unread, []
            self.server.call(self._to_server, frames)

    def unread(self) -> int:
        return 0

    def _flush(self) -> None:
        """What was written in one turn leaves together, unless the node died in it."""
        frames, self._queue = self._queue, []
        for data in frames:
            self._send(self._world.process, self._to_client, data, to_server=False)

    def _disconnected(self) -> None:
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.disconnected()

    # The end of the gateway.

    def send(self, data: bytes) -> None:
        """A message of the gateway."""
        if self.client_open:
            self._send(self.server, self._to_server, [data], to_server=True)

    def hang_up(self) -> None:
        """The gateway ends the connection."""
        if self.client_open:
            self.client_open = False
            self._later(self.server, self._server_lost, data=None)

    # What happens between and to them.

    def cut(self, *, half: bool) -> None:
        """It breaks; `half`: the node does not learn of it until it asks."""
        if not half:
            self._later(self.server, self._server_lost, data=None)
        self._later(self._world.process, self._client_lost, data=None)
        self.handler = self.handler if not half else _Deaf.around(self)
        self.client_open = False

    def died(self) -> None:
        """The node is gone; what was on its way from it may get lost with it."""
        self.server_open = False
        if self._dice.random() < 0.5:
            self.client_open = False
        self._later(self._world.process, self._client_lost, data=None)

    def _send(self, process: Process, receive, data, *, to_server: bool) -> None:
        dice, around = self._dice, self._around
        frame = data[0] if to_server else data
        delay_ns = 100_000 + int(dice.random() ** 3 * 20_000_000)
        if is_credit_control(frame) and self._world.rough:
            roll = dice.random()
            if roll < around.dropped:
                self._world.count("messages lost")
                return
            if roll < around.dropped + around.doubled:
                self._world.count("messages doubled")
                again_ns = delay_ns + int(dice.random() * 2_000_000_000)
                process.call_later_ns(again_ns, receive, data)
            if not around.in_order and dice.random() < 0.1:
                delay_ns += int(dice.random() * 300_000_000)
        at_ns = self._loop.now_ns + delay_ns
        if around.in_order or not is_credit_control(frame):
            at_ns = self._last_ns[to_server] = max(at_ns, self._last_ns[to_server])
        process.call_later_ns(at_ns - self._loop.now_ns, receive, data)

    def _later(self, process: Process, callback, data) -> None:
        process.call_later_ns(200_000 + int(self._dice.random() * 50_000_000), callback)

    def _to_server(self, frames: list[bytes]) -> None:
        if not self.server_open or self.handler is None:
            return
        if self._held:
            self._unread += frames
            return
        self.handler.frames_received(frames)

    def _to_client(self, data: bytes) -> None:
        if self.client_open:
            self.gateway.received(self, data)

    def _server_lost(self) -> None:
        if self.server_open:
            self.server_open = False
            self._disconnected()

    def _client_lost(self) -> None:
        self.client_open = False
        self.gateway.lost(self)


class _Deaf:
    """What stands between a node and a client that is gone: nothing comes, and it will be told when it closes."""

    def __init__(self, handler) -> None:
        self._handler = handler

    @classmethod
    def around(cls, wire: Wire):
        return None if wire.handler is None else cls(wire.handler)

    def frames_received(self, frames: list[bytes]) -> None:
        """Nothing comes."""

    def disconnected(self) -> None:
        self._handler.disconnected()
