"""One store for all nodes, in memory, that takes its time, fails, and does what it was asked without saying so.

Calls travel there and back, each for a while. What a node that is killed had under way is done or is not, as the dice
say; a store over the network may even do it later. Nobody ever sees half of a commit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from ocs.store.interface import Applied, Heard, Lease, StoreDown
from ocs.store.memory import MemoryStore
from tests.simulation.loop import NS_PER_S, Process

ORIGIN_STATE_ID = 1_795_000_000
COMMIT = "commit"
CALLS = [name for name, made in vars(MemoryStore).items() if inspect.iscoroutinefunction(made)]
SLOW_NS = 7 * NS_PER_S


class Call:
    """One call on its way."""

    __slots__ = ("connection", "dropped", "executed", "future", "make", "name")

    def __init__(self, connection: Connection, name: str, make: Callable, future) -> None:
        self.connection = connection
        self.name = name
        self.make = make
        self.future = future
        self.executed = False
        self.dropped = False


class Connection:
    """The store as one process has it: `ocs.store.interface.Store`."""

    def __init__(self, store: SimStore, process: Process) -> None:
        self._store = store
        self.process = process
        self.commits: list[Call] = []

    @property
    def shared(self) -> bool:
        return self._store.remote

    def listen(self, heard: Heard) -> None:
        self._store.listeners.append((self, heard))


def _forward(name: str):
    async def call(self, *args, **kwargs):
        return await self._store.ask(self, name, args, kwargs)

    call.__name__ = name
    return call


for _name in CALLS:
    setattr(Connection, _name, _forward(_name))


class SimStore:
    """See above.

    remote: over the network, for several nodes; else in the process that uses it. share: of the calls that fail.
    down_until_ns, slow_until_ns: nobody gets an answer until then, or only then. committed: is told each outcome.
    """

    def __init__(self, world, dice, *, remote: bool, fault: float, committed: Callable) -> None:
        self.world = world
        self.loop = world.loop
        self.inner = MemoryStore(shared=remote, now_ns=lambda: self.loop.now_ns)
        self.inner._origin_state_id = ORIGIN_STATE_ID
        self.remote = remote
        self.fault = fault
        self.down_until_ns = 0
        self.slow_until_ns = 0
        self.listeners: list[tuple[Connection, Heard]] = []
        self._dice = dice
        self._committed = committed

    def connect(self, process: Process) -> Connection:
        """The store for a process that begins."""
        self.listeners = [one for one in self.listeners if one[0].process.alive]
        return Connection(self, process)

    async def ask(self, connection: Connection, name: str, args: tuple, kwargs: dict):
        """Carry out a call of a node."""
        if name == "close":
            return None
        world, roll = self.world, self._dice.random
        call = Call(connection, name, lambda: getattr(self, name)(*args, **kwargs), self.loop.create_future())
        delay_ns = int(roll() * roll() * 3_000_000)
        if name == COMMIT:
            delay_ns += 300_000
            connection.commits.append(call)
            world.reached("commit", connection.process)
        if self.loop.now_ns < self.down_until_ns:
            world.count("store calls refused")
            self._later(call, delay_ns, StoreDown("the store is down"))
            return await call.future
        if self.loop.now_ns < self.slow_until_ns:
            delay_ns += self.slow_until_ns - self.loop.now_ns
        fate = roll()
        if fate >= self.fault:
            self._execute_later(call, delay_ns)
        else:
            self._go_wrong(call, delay_ns, fate / self.fault)
        return await call.future

    def _go_wrong(self, call: Call, delay_ns: int, how: float) -> None:
        world, dice = self.world, self._dice
        if how < 0.2:
            world.count("store calls that took long")
            self._execute_later(call, delay_ns + int(dice.random() * SLOW_NS))
        elif how < 0.6 or call.name != COMMIT:
            world.count("store calls failed")
            call.dropped = True
            self._later(call, delay_ns, StoreDown("not done"))
        elif how < 0.9 or not self.remote:
            world.count("commits done, and not told")
            self._execute_later(call, delay_ns, StoreDown("done, but nobody knows"))
        else:
            world.count("commits done after the failure was told")
            self._later(call, delay_ns, StoreDown("perhaps done later"))
            self._execute_later(call, delay_ns + int(dice.random() * NS_PER_S // 10), answer=False)

    def _execute_later(self, call: Call, delay_ns: int, error: Exception | None = None, *, answer: bool = True) -> None:
        self.world.process.call_later_ns(delay_ns, self._execute, call, error, answer)

    def _execute(self, call: Call, error: Exception | None, answer: bool) -> None:
        if call.dropped or call.executed:
            return
        call.executed = True
        result = None
        try:
            coroutine = call.make()
            coroutine.send(None)
            raise AssertionError(f"{call.name} waits for something")
        except StopIteration as done:
            result = done.value
        except Exception as raised:  # noqa: BLE001 - it is for whoever asked
            error = error or raised
        if answer:
            self._later(call, int(self._dice.random() * 500_000), error or result)

    def _later(self, call: Call, delay_ns: int, result: object) -> None:
        """Tell the process the result; it may not live to hear it."""
        if call.name == COMMIT:
            self.world.process.call_later_ns(delay_ns, self._told, call)
        call.connection.process.call_later_ns(delay_ns, _settle, call.future, result)

    def _told(self, call: Call) -> None:
        commits = call.connection.commits
        if call in commits:
            commits.remove(call)
        self.world.reached("answer", call.connection.process)

    def lost(self, connection: Connection) -> None:
        """The process of a connection is gone: what it had under way is done now, later, or never."""
        for call in connection.commits:
            if call.executed or call.dropped:
                continue
            if self._dice.random() < 0.5:
                call.dropped = True
                self.world.count("commits lost with their node")
            else:
                self.world.count("commits that outlived their node")
                if not self.remote:
                    self._execute(call, None, answer=False)
        connection.commits.clear()

    # What the calls do, at one moment.

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    async def commit(self, outcomes):
        applied = await self.inner.commit(outcomes)
        for outcome, fate in zip(outcomes, applied, strict=True):
            if fate is Applied.DONE:
                self._committed(outcome)
            else:
                self.world.count("conflicts")
        return applied

    async def tell(self, topic: str, text: str) -> None:
        """Those who are connected hear it, or that they missed something."""
        for connection, heard in self.listeners:
            missed = self._dice.random() < self.fault
            said = ("", "") if missed else (topic, text)
            connection.process.call_later_ns(int(self._dice.random() * 2_000_000), heard, *said)

    async def release_lease(self, name: str, holder: str) -> None:
        before = self.inner._nodes._leases.get(name)
        if before is not None and before[0].holder == holder:
            del self.inner._nodes._leases[name]
            await self.tell("lease", name)

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        return self.inner._nodes.take_lease(name, holder, ttl_s)


def _settle(future, result: object) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
