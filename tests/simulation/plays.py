"""Sessions of subscribers, as the dice write them while they are played."""

from __future__ import annotations

import random

from tests.charging.world import MIB
from tests.simulation.gateways import MS, Ask, Gateway
from tests.simulation.loop import NS_PER_S
from tests.simulation.messages import EVENT, INITIAL, TERMINATION, UPDATE, body
from tests.simulation.place import CALLS, Line

MOST = {"data": 9 * MIB, "voice": 200, "sms": 4}
ASKED = {"data": (0, 0, MIB, 30 * MIB), "voice": (0, 30, 500), "sms": (0, 1, 2)}


class Play:
    """One session of a subscriber.

    obedient: it uses what it was granted and no more, so that it never makes debts. gone: its client vanished, or it
    is over. granted: units by rating group that may be used; busy: groups with a report that is not yet answered.
    """

    def __init__(self, world, gateway: Gateway, line: Line, number: int) -> None:
        around = world.around
        self.dice = dice = random.Random(world.seed * 104_729 + number)
        self.world = world
        self.gateway = gateway
        self.line = line
        self.session_id = f"sim;{world.seed};{number}"
        self.service = dice.choice(line.services)
        self.called = dice.choice(sorted(CALLS)) if self.service == "voice" else ""
        self.obedient = dice.random() < around.obedient
        self.window = 1 if self.obedient and dice.random() < 0.5 else dice.choice((1, 1, 2, 4))
        self.home = dice.randrange(around.nodes)
        groups = line.groups if self.service == "data" else (None,)
        self.groups = dice.sample(groups, dice.randrange(1, min(3, len(groups)) + 1))
        if None in self.groups and 100 in self.groups:
            self.groups.remove(None)  # they are one and the same to the server
        self.updates = dice.choice((0, 1, 2, 4, 8, 14))
        self.vanishes_after = dice.randrange(6) if dice.random() < around.vanishing else -1
        self.asks: list[Ask] = []
        self.granted: dict[int | None, int] = {}
        self.busy: set[int | None] = set()
        self.waiting = 0
        self.thinks = False
        self.opened = False
        self.ending = False
        self.gone = False
        self.over = False

    def begin(self) -> None:
        """The first request."""
        if self.service == "sms":
            units = self.dice.choice(ASKED["sms"])
            self.ending = True
            self._ask(EVENT, {None: (units, None)}, {None: units or 1})
            return
        asked = self.dice.choice(ASKED[self.service])
        self._ask(INITIAL, dict.fromkeys(self.groups, (asked, None)), {})
        if not self.obedient and self.window > 1:
            self._think()

    def _think(self) -> None:
        """Go on after a while."""
        if not (self.thinks or self.gone or self.over):
            self.thinks = True
            dice = self.dice
            pause_ns = int(dice.random() ** 2 * 400 * MS)
            if dice.random() < 0.006:
                pause_ns = int(dice.random() * (40 if self.obedient else 100) * NS_PER_S)
            self.world.process.call_later_ns(pause_ns, self._go_on)

    def _go_on(self) -> None:
        self.thinks = False
        if self.gone or self.over or self.ending:
            return
        if self.vanishes_after == len(self.asks):
            self._vanish()
        elif self.updates > 0:
            self.updates -= 1
            self._update()
        elif not (self.obedient and self.waiting):
            self.ending = True
            usage = {group: self._usage(group) for group in self.groups if not self.obedient or self.granted.get(group)}
            self._ask(TERMINATION, {group: (None, used) for group, used in usage.items()}, usage)
        if not self.ending and self.waiting < self.window:
            self._think()

    def _vanish(self) -> None:
        self.world.count("clients vanished")
        self.gone = True
        self.world.ended(self)

    def _update(self) -> None:
        free = [group for group in self.groups if group not in self.busy]
        if self.obedient:
            free = [group for group in free if self.granted.get(group)] or free[:1]
        if not free:
            return
        some = self.dice.sample(free, self.dice.randrange(1, len(free) + 1))
        usage = {group: self._usage(group) for group in some}
        asked = self.dice.choice(ASKED[self.service]) if self.dice.random() < 0.9 else None
        self._ask(UPDATE, {group: (asked, used) for group, used in usage.items()}, usage)

    def _usage(self, group: int | None) -> int:
        """Units that were used since the last report; what was granted is used up with it."""
        granted = self.granted.pop(group, 0)
        if self.obedient:
            return granted if self.dice.random() < 0.5 else self.dice.randrange(granted + 1)
        return self.dice.randrange(MOST[self.service])

    def _ask(self, kind: int, blocks: dict, usage: dict) -> None:
        number = len(self.asks)
        told = [(group, asked, used) for group, (asked, used) in blocks.items()]
        content = body(self.gateway.origin.host, self.session_id, self.service, self.line.msisdn, self.called, kind,
                       number, told)  # fmt: skip
        ask = Ask(self, kind, number, content, self.gateway.next_end_to_end_id(), usage)
        self.asks.append(ask)
        self.world.asked(ask)
        self.busy.update(usage)
        self.waiting += 1
        self.gateway.ask(ask)

    def answered(self, ask: Ask, result: int, given: dict) -> None:
        """The first answer to a request came."""
        self.waiting -= 1
        self.busy.difference_update(ask.usage)
        if result == 2001:
            for group, said in given.items():
                if said.granted is not None and ask.kind in (INITIAL, UPDATE):
                    self.granted[group] = said.granted
        elif not self.ending:
            # A session that was refused, or that the server ended, is over once all is answered.
            self.ending = ask.kind == INITIAL or result == 5002
        if self.ending and not self.waiting:
            self.over = True
            self.world.ended(self)
        elif not self.ending:
            self._think()
