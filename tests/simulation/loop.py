"""An event loop of its own time: it never waits, does no I/O, and runs processes that can be killed at any step.

Time is an int of nanoseconds. Each step takes a little of it; when nothing is ready, it goes straight to the next
timer. Each callback belongs to the process in whose context it was made. A process runs as a loop runs: what is ready
when its turn begins, first in, first out; which process has the next turn is for the dice. What belongs to a process
that was killed never runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import traceback
from asyncio import events
from contextvars import Context, ContextVar, copy_context
from itertools import count
from math import ceil

NS_PER_S = 1_000_000_000
STEP_NS = 10_000
"""What one step takes: who goes round and round until something happens does not stop the clock."""
STEPS_MAX = 20_000_000
"""More steps than any simulation takes."""

_process: ContextVar[Process] = ContextVar("process")


class Stuck(Exception):
    """Nothing happens any more, or the same for ever."""


class Process:
    """Something that runs by itself, until it is killed.

    station: the machine that it runs on, None where that is nobody's business.
    steps_left: how many more of its steps run before it is killed, None = it lives on.
    """

    def __init__(self, loop: SimLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.station = None
        self.alive = True
        self.steps_left: int | None = None
        self.killed = lambda: None
        self.ready: list[events.Handle] = []
        self.queued = False
        self.context = copy_context()
        self.context.run(_process.set, self)

    def call(self, callback, *args) -> None:
        """Call back in this process, as soon as it has a turn."""
        self.loop.call_soon(callback, *args, context=self.context)

    def call_later_ns(self, delay_ns: int, callback, *args) -> events.Handle:
        """Call back in this process after `delay_ns`."""
        return self.loop.call_at_ns(self.loop.now_ns + delay_ns, callback, *args, context=self.context)

    def spawn(self, coroutine) -> asyncio.Task:
        """Run a coroutine in this process."""
        return self.context.run(self.loop.create_task, coroutine)

    def kill(self) -> None:
        """Never again."""
        if self.alive:
            self.alive = False
            self.ready.clear()
            self.steps_left = None
            self.killed()


class SimLoop(asyncio.BaseEventLoop):
    """See above. dice: decides which process runs next where several could."""

    def __init__(self, dice) -> None:
        super().__init__()
        self.now_ns = 0
        self._dice = dice
        self._runnable: list[Process] = []
        self._timers: list[tuple[int, int, events.Handle]] = []
        self._numbers = count()
        self.steps = 0
        self.failures: list[str] = []
        self._buried: list[asyncio.Task] = []
        self.world = Process(self, "world")
        self.set_task_factory(_task)
        self.set_exception_handler(_note)

    # What asyncio asks.

    def time(self) -> float:
        return self.now_ns / NS_PER_S

    def call_soon(self, callback, *args, context: Context | None = None) -> events.Handle:
        if context is None:
            context = copy_context()
        handle = events.Handle(callback, args, self, context)
        process = context.get(_process) or self.world
        if process.alive:
            process.ready.append(handle)
            if not process.queued:
                process.queued = True
                self._runnable.append(process)
        return handle

    def call_at(self, when, callback, *args, context: Context | None = None) -> events.TimerHandle:
        when_ns = ceil(when * NS_PER_S)
        while when_ns / NS_PER_S < when:  # never before its time, to the last bit of a float
            when_ns += 1
        return self.call_at_ns(when_ns, callback, *args, context=context)

    def call_later(self, delay, callback, *args, context: Context | None = None) -> events.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at_ns(self, when_ns: int, callback, *args, context: Context | None = None) -> events.TimerHandle:
        handle = events.TimerHandle(when_ns / NS_PER_S, callback, args, self, context)
        heapq.heappush(self._timers, (max(when_ns, self.now_ns), next(self._numbers), handle))
        return handle

    def call_soon_threadsafe(self, *args, **kwargs):
        raise AssertionError("there are no threads in here")

    run_in_executor = call_soon_threadsafe

    def _timer_handle_cancelled(self, handle) -> None:
        """It is thrown away when its time comes."""

    # Running.

    def run_until(self, done, limit_ns: int) -> bool:
        """Run until `done()`, asked between turns, or until `limit_ns`; returns whether it is done. Stuck."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        timers = self._timers
        try:
            while not done():
                overdue = timers and timers[0][0] <= self.now_ns
                if (overdue or not self._runnable) and not self._wake(limit_ns):
                    return False
                self._turn()
        finally:
            events._set_running_loop(before)
        return True

    def _wake(self, limit_ns: int) -> bool:
        """Go to the next timers; False where those come after `limit_ns`."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Stuck("nothing is ready, and nothing ever will be")
        if self.steps > STEPS_MAX:
            raise Stuck("it goes round and round")
        if max(self.now_ns, timers[0][0]) > limit_ns:
            self.now_ns = max(self.now_ns, limit_ns)
            return False
        self.now_ns = now_ns = max(self.now_ns, timers[0][0])
        while timers and timers[0][0] <= now_ns:
            handle = heapq.heappop(timers)[2]
            if handle._cancelled:
                continue
            process = handle._context.get(_process) or self.world
            if process.alive:
                process.ready.append(handle)
                if not process.queued:
                    process.queued = True
                    self._runnable.append(process)
        return True

    def _turn(self) -> None:
        """One process runs what is ready now."""
        runnable = self._runnable
        if len(runnable) == 1:
            process = runnable.pop()
        elif runnable:
            process = runnable.pop(int(self._dice.random() * len(runnable)))
        else:
            return
        process.queued = False
        handles, process.ready = process.ready, []
        for handle in handles:
            if handle._cancelled:
                continue
            if process.steps_left is not None:
                if process.steps_left == 0:
                    process.kill()
                    return
                process.steps_left -= 1
            self.steps += 1
            self.now_ns += STEP_NS
            handle._run()
            if not process.alive:
                return
        if process.ready and not process.queued:
            process.queued = True
            runnable.append(process)

    def bury(self) -> None:
        """End what was killed or left: no task warns of its end, and nothing that it says then counts."""
        self.world.alive = False
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._buried:
                task = self._buried.pop()
                if not task.done():
                    task._log_destroy_pending = False
                    with contextlib.suppress(Exception):
                        task.get_coro().close()
        finally:
            events._set_running_loop(before)
        self._timers.clear()
        self.close()


def _task(loop: SimLoop, coroutine, **more) -> asyncio.Task:
    task = asyncio.Task(coroutine, loop=loop, **more)
    loop._buried.append(task)
    if len(loop._buried) > 20_000:
        loop._buried = [one for one in loop._buried if not one.done()]
    return task


def _note(loop: SimLoop, context: dict) -> None:
    """What asyncio would print: a callback or a task that failed, and nobody looked."""
    if isinstance(context.get("future"), asyncio.Future) and not isinstance(context["future"], asyncio.Task):
        return  # whoever waited for it was killed
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    where = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    loop.failures.append(f"{context.get('message')}: {error!r}; {where}")


def here() -> Process:
    """The process that runs now."""
    return _process.get()
