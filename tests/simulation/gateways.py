"""Gateways: Diameter clients with connections to all nodes, that send again what got no answer."""

from __future__ import annotations

import random

from ocs.diameter import base_messages
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import result_of as base_result
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.wire import decode_message
from tests.simulation.loop import NS_PER_S
from tests.simulation.messages import PROXIABLE, REQUEST, RETRANSMISSION, frame, grants_of, result_of
from tests.simulation.network import LOOPBACK, Wire, is_credit_control

MS = 1_000_000
SUCCESS = 2001
TRANSIENT = (3002, 3004)


class Ask:
    """One request. usage: what it reports by rating group. stored: the first answer that came after it was stored.

    opened: it was made when the session's first answer had come, and had been a good one.
    """

    __slots__ = (
        *("answered", "body", "end_to_end_id", "kind", "name", "opened", "play"),
        *("result", "sends", "stored", "timer", "usage"),
    )

    def __init__(self, play, kind: int, number: int, body: bytes, end_to_end_id: int, usage: dict) -> None:
        self.play = play
        self.kind = kind
        self.name = f"{'-IUTE'[kind]}/{number}"
        self.body = body
        self.end_to_end_id = end_to_end_id
        self.usage = usage
        self.opened = bool(play.asks) and play.asks[0].answered and play.asks[0].result == SUCCESS
        self.sends = 0
        self.answered = False
        self.result = 0
        self.stored = b""
        self.timer = None


class Gateway:
    """One Diameter client."""

    def __init__(self, world, number: int) -> None:
        self.world = world
        self.origin = make_origin(f"pgw{number}.sim.example", "sim.example", 1)
        self.dice = random.Random(world.seed * 7_919 + number)
        self.wires: dict[int, Wire] = {}
        self.open: dict[int, Wire] = {}
        self.pending: dict[int, Ask] = {}
        self._hop_by_hop_id = number << 28
        self._end_to_end_id = number << 28

    def connect(self, index: int) -> None:
        """Connect to a node, again and again until it listens."""
        world = self.world
        station = world.stations[index]
        if index in self.wires:
            return
        wire = Wire(world, world.next_number(), self, station.process)
        if not station.accept(wire):
            world.process.call_later_ns(int((0.2 + self.dice.random()) * NS_PER_S), self.connect, index)
            return
        self.wires[index] = wire
        self._hop_by_hop_id += 1
        wire.send(base_messages.cer(self.origin, LOOPBACK, (4,), self._hop_by_hop_id, self._hop_by_hop_id))

    def lost(self, wire: Wire) -> None:
        """A connection is over."""
        for index, mine in list(self.wires.items()):
            if mine is wire:
                del self.wires[index]
                self.open.pop(index, None)
                self.world.process.call_later_ns(int(self.dice.random() * NS_PER_S), self.connect, index)

    def received(self, wire: Wire, data: bytes) -> None:
        """A message of a node."""
        if is_credit_control(data):
            ask = self.pending.get(int.from_bytes(data[12:16], "big"))
            if ask is not None:
                self._answered(ask, data)
            return
        message = decode_message(data)
        command = message.command_code
        if not message.is_request:
            if command == base_messages.CAPABILITIES_EXCHANGE:
                self._capabilities(wire, message)
        elif command == base_messages.DEVICE_WATCHDOG:
            wire.send(base_messages.dwa(message, self.origin))
        elif command == base_messages.DISCONNECT_PEER:
            wire.send(base_messages.dpa(message, self.origin))
            wire.hang_up()
            self.lost(wire)
        else:
            wire.send(base_answer(message, ResultCode.COMMAND_UNSUPPORTED, self.origin))

    def _capabilities(self, wire: Wire, message) -> None:
        for index, mine in self.wires.items():
            if mine is wire and base_result(message) == ResultCode.SUCCESS:
                self.open[index] = wire
                self.world.state_ids.add(base_messages.origin_state_of(message))
        if wire not in self.open.values():  # an older connection is still thought to live
            wire.hang_up()
            self.lost(wire)

    def ask(self, ask: Ask) -> None:
        """Send a request until it is answered."""
        self.send(ask, again=ask.sends > 0)
        if ask.timer is not None:
            ask.timer.cancel()
        wait_ns = int((2 + 3 * self.dice.random()) * NS_PER_S) if ask.sends else int(self.dice.random() * 500 * MS)
        ask.timer = self.world.process.call_later_ns(wait_ns, self._unanswered, ask)

    def _unanswered(self, ask: Ask) -> None:
        if not ask.answered and not ask.play.gone:
            self.ask(ask)

    def send(self, ask: Ask, *, again: bool) -> None:
        """Send a request once; `again`: perhaps with the T bit, and perhaps to the other node."""
        dice, indexes = self.dice, sorted(self.open)
        if not indexes:
            return
        home = ask.play.home
        index = home if home in self.open and not (again and dice.random() < 0.5) else dice.choice(indexes)
        flags = REQUEST | PROXIABLE
        if again:
            self.world.count("requests sent again")
            flags |= RETRANSMISSION if dice.random() < 0.7 else 0
        ask.sends += 1
        self._hop_by_hop_id += 1
        self.pending[self._hop_by_hop_id] = ask
        self.world.count("requests")
        self.open[index].send(frame(flags, self._hop_by_hop_id, ask.end_to_end_id, ask.body))

    def next_end_to_end_id(self) -> int:
        """One for a new request."""
        self._end_to_end_id += 1
        return self._end_to_end_id

    def _answered(self, ask: Ask, data: bytes) -> None:
        if ask.answered or ask.play.gone:
            return
        result = result_of(data)
        if result in TRANSIENT:
            self.world.count("answers 3004")
            ask.timer.cancel()
            ask.timer = self.world.process.call_later_ns(int(self.dice.random() * NS_PER_S), self._unanswered, ask)
            return
        ask.answered = True
        ask.timer.cancel()
        if self.dice.random() < self.world.ask_again:
            later_ns = int(self.dice.random() ** 2 * 30 * NS_PER_S)
            self.world.process.call_later_ns(later_ns, self._ask_again, ask)
        ask.play.answered(ask, result, grants_of(data))

    def _ask_again(self, ask: Ask) -> None:
        if self.world.closing:
            return
        self.world.count("asked again after the answer")
        self.send(ask, again=True)
