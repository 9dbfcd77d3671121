"""A simulation: one seed, so many requests, and what came of it."""

from __future__ import annotations

import random
import sys
import traceback
import zlib
from collections import Counter, deque
from collections.abc import Callable

import msgspec
import structlog

from ocs.nms.metrics import Metrics
from ocs.store.supervisor import BACKOFF_MAX_S
from tests.simulation import place
from tests.simulation.checks import findings
from tests.simulation.gateways import Ask, Gateway
from tests.simulation.loop import NS_PER_S, SimLoop
from tests.simulation.people import People
from tests.simulation.plays import Play
from tests.simulation.stations import Station, no_sockets, with_version
from tests.simulation.store import SimStore
from tests.simulation.watch import Watch

GATEWAYS = 2
MAX_NS = 3_600 * NS_PER_S
LAST_EVENTS = 60
DAY_S = 24 * 3_600

_metrics: list[Metrics] = []


class Finding(msgspec.Struct, frozen=True):
    """What a checker found."""

    checker: str
    text: str


class Report(msgspec.Struct, frozen=True):
    """One run. digest: of all messages in their order; the same for the same seed. events: the last ones."""

    seed: int
    requests: int
    counts: Counter[str]
    findings: tuple[Finding, ...]
    digest: int
    events: tuple[str, ...]
    virtual_s: float


class World:
    """All that there is in a simulation. healing: nothing bad happens any more. closing: nobody asks any more."""

    def __init__(self, seed: int, requests: int, *, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.budget = requests
        self.dice = random.Random(seed)
        self.around = place.circumstances(random.Random(seed * 31 + 7))
        self.loop = SimLoop(random.Random(seed * 17 + 3))
        self.process = self.loop.world
        self.everybody = place.accounts(random.Random(seed * 13 + 1))
        self.healing = False
        self.closing = False
        self.rough = True
        self.ask_again = 0.05
        self.counts: Counter[str] = Counter()
        self.found: list[Finding] = []
        self.digest = 0
        self.trace = trace
        self.events: deque[tuple] = deque(maxlen=LAST_EVENTS)
        self.watch = Watch(self)
        self.store = SimStore(
            self,
            random.Random(seed * 11 + 5),
            remote=self.around.nodes > 1,
            fault=self.around.store_fault,
            committed=self.watch.committed,
        )
        self.inner = self.store.inner
        if not _metrics:
            _metrics.append(Metrics())
        self.metrics = _metrics[0]
        self.version = "v1"
        self.stations = [Station(self, index, self._settings(index)) for index in range(self.around.nodes)]
        self.gateways = [Gateway(self, number) for number in range(1, GATEWAYS + 1)]
        self.people = People(self)
        self.lines = place.lines(list(self.around.names))
        if self.around.reload_s:
            self.lines = [msgspec.structs.replace(line, services=("data", "data", "sms")) for line in self.lines]
        self.plays: dict[str, Play] = {}
        self.asks: list[Ask] = []
        self.playing = 0
        self.state_ids: set[int | None] = set()
        self._number = 0
        self._armed: tuple[str, int, int] | None = None

    def _settings(self, index: int):
        return place.settings(index, self.around, self.version, self.everybody)

    def around_accounts(self) -> list:
        """Balances of the accounts that there are, and whether these may be negative."""
        return [self.everybody[name] for name in self.around.names]

    # What the others tell.

    def next_number(self) -> int:
        """One that nobody had."""
        self._number += 1
        return self._number

    def count(self, what: str) -> None:
        """Something happened that is worth counting."""
        self.counts[what] += 1

    def note(self, text: str, *values) -> None:
        """An event for the trace."""
        event = (self.loop.now_ns, text, values)
        self.events.append(event)
        if self.trace is not None:
            self.trace(_told(event))

    def fail(self, checker: str, text: str) -> None:
        """A checker found something: the simulation ends."""
        self.found.append(Finding(checker, text))

    def written(self, wire, data: bytes) -> None:
        """A node writes an answer to a credit-control request."""
        self.digest = zlib.crc32(data, self.digest ^ (self.loop.now_ns & 0xFFFF_FFFF))
        ask = wire.gateway.pending.get(int.from_bytes(data[12:16], "big"))
        if ask is not None:
            self.watch.written(ask, data)
            self.note("%s answers %s %s", wire.server.name, ask.play.session_id, ask.name)

    def asked(self, ask: Ask) -> None:
        """A client has a request."""
        self.asks.append(ask)
        self.note("asks %s %s %s", ask.play.session_id, ask.name, ask.usage)

    def reached(self, where: str, process) -> None:
        """A process reached a place where one that is to be killed may be killed."""
        if self._armed is not None and self._armed[0] == where and process.station is not None:
            _, index, steps = self._armed
            if process.station.index == index and process.steps_left is None:
                self._armed = None
                process.steps_left = steps

    def ended(self, play: Play) -> None:
        """A session is over, or its client is gone."""
        self.playing -= 1
        if not self.healing:
            self.process.call_later_ns(int(self.dice.random() * 200_000_000), self._play)

    # What happens.

    def run(self) -> Report:
        """All of it."""
        with no_sockets(self.seed), _listening(self):
            try:
                self._run()
            except Exception as error:  # noqa: BLE001 - with the seed that leads there
                self.fail("harness", f"{type(error).__name__}: {error}")
                self.note("%s", _where(error))
            finally:
                self.loop.bury()
        self.found += [Finding("served", f"nobody caught: {text}") for text in self.loop.failures]
        events = tuple(_told(event) for event in self.events)
        return Report(self.seed, self.counts["requests"], self.counts, tuple(self.found), self.digest, events,
                      self.loop.now_ns / NS_PER_S)  # fmt: skip

    def _run(self) -> None:
        for station in self.stations:
            station.start()
        for gateway in self.gateways:
            for station in self.stations:
                gateway.connect(station.index)
        self._until(lambda: any(gateway.open for gateway in self.gateways))
        for _ in range(self.around.at_once):
            self._play()
        self.people.begin()
        self._make_trouble()
        self._until(lambda: self.counts["requests"] >= self.budget)
        self._heal()
        self._until(self._quiet)
        self.closing = True
        self._wait(BACKOFF_MAX_S + 5)  # until supervision looks again, however long the store was down
        self._pass(1_000)
        self._pass(DAY_S + 60)
        if not self.found:
            for checker, text in findings(self):
                self.fail(checker, text)

    def _until(self, done: Callable[[], bool]) -> None:
        if not self.loop.run_until(lambda: bool(self.found) or done(), MAX_NS):
            for play in self.plays.values():
                if not (play.over or play.gone):
                    asks = [ask.name for ask in play.asks if not ask.answered]
                    self.fail("served", f"{play.session_id} waits for ever for {asks}")
            if not self.found:
                self.fail("served", "it takes for ever")

    def _heal(self) -> None:
        """Nothing bad happens from now on; what has begun goes on."""
        self.healing = True
        self.rough = False
        self.store.fault = 0.0
        self._armed = None

    def _quiet(self) -> bool:
        return self.playing == 0 and all(errand.done for errand in self.people.errands)

    def _wait(self, seconds: float) -> None:
        self.loop.run_until(lambda: bool(self.found), self.loop.now_ns + int(seconds * NS_PER_S))

    def _pass(self, seconds: float) -> None:
        """The clocks of the nodes are set right, and go on by so much; and what is due is done."""
        latest_ns = max(station.offset_ns for station in self.stations)
        for station in self.stations:
            station.offset_ns = latest_ns + int(seconds * NS_PER_S)
        self._wait(8)

    def _play(self) -> None:
        if self.healing:
            return
        number = self.next_number()
        self.playing += 1
        self.count("sessions")
        play = Play(self, self.dice.choice(self.gateways), self.dice.choice(self.lines), number)
        self.plays[play.session_id] = play
        play.begin()

    def _make_trouble(self) -> None:
        around = self.around
        self._now_and_then(around.kill_s, self._kill)
        self._now_and_then(around.cut_s, self._cut)
        self._now_and_then(around.drain_s, lambda: self.dice.choice(self.stations).drain())
        self._now_and_then(around.jump_s, self._jump)
        self._now_and_then(around.outage_s, self._outage)
        self._now_and_then(around.reload_s, self._reload)

    def _now_and_then(self, every_s: float, do: Callable[[], None]) -> None:
        if not every_s:
            return

        def again() -> None:
            if not self.healing:
                do()
                self.process.call_later_ns(int(self.dice.random() * 2 * every_s * NS_PER_S), again)

        self.process.call_later_ns(int(self.dice.random() * every_s * NS_PER_S), again)

    def _kill(self) -> None:
        """Somewhere in what it does: after some steps, or within a few of a commit's beginning or end."""
        station = self.dice.choice(self.stations)
        if not station.up or station.process.steps_left is not None:
            return
        self.count("kills")
        where = self.dice.choice(("anywhere", "commit", "answer"))
        if where == "anywhere":
            station.process.steps_left = self.dice.randrange(200)
        else:
            self._armed = (where, station.index, self.dice.randrange(6))

    def _cut(self) -> None:
        wires = [wire for gateway in self.gateways for wire in gateway.wires.values()]
        if wires:
            self.count("connections cut")
            self.dice.choice(wires).cut(half=self.dice.random() < 0.5)

    def _jump(self) -> None:
        station = self.dice.choice(self.stations)
        seconds = self.dice.choice((-0.002, 0.05, -2, 3, 40, -40, 90, 200))
        station.offset_ns = max(-100 * NS_PER_S, station.offset_ns + int(seconds * NS_PER_S))
        self.count("clock jumps")
        self.note("the clock of ocs%s jumps by %s s", station.index, seconds)

    def _outage(self) -> None:
        until_ns = self.loop.now_ns + int(self.dice.random() * 6 * NS_PER_S)
        if self.dice.random() < 0.5:
            self.store.down_until_ns = until_ns
        else:
            self.store.slow_until_ns = until_ns
        self.count("outages of the store")
        self.note("the store does not answer until %s", until_ns / NS_PER_S)

    def _reload(self) -> None:
        station = self.dice.choice(self.stations)
        self.version = self.dice.choice(sorted(place.PER_OCTET))
        tariff = place.tariff(self.version, changing=True, strategy=self.around.strategy)
        station.reload(with_version(station.settings, tariff))
        self.count("reloads")


class _listening:  # noqa: N801 - a context manager
    """The log of the program while a simulation runs: an error in it is a finding."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = structlog.get_config()

    def __enter__(self) -> None:
        structlog.configure(
            processors=[self._hear],
            wrapper_class=structlog.make_filtering_bound_logger(40),
            cache_logger_on_first_use=False,
        )

    def __exit__(self, *_) -> None:
        structlog.configure(**self._before)

    def _hear(self, _logger, method: str, event: dict):
        error = sys.exc_info()[1]
        why = "" if error is None else f": {type(error).__name__}: {error}; {_where(error)}"
        checker = "conserved" if event.get("event") == "ledger_imbalance" else "served"
        self._world.fail(checker, f"{method} {event}{why}")
        raise structlog.DropEvent


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))


def _told(event: tuple) -> str:
    at_ns, text, values = event
    return f"{at_ns / NS_PER_S:12.6f} {text % values}"


def run(seed: int, requests: int, trace: Callable[[str], None] | None = None) -> Report:
    """One simulation."""
    return World(seed, requests, trace=trace).run()
