"""The load client as a child process: started, told what to do, asked what came of it."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from ocs.bench.compiling import compiled_client
from ocs.bench.histogram import Histogram
from ocs.bench.plan import Plan
from ocs.bench.templates import TYPE_NAMES

_PATIENCE_S: Final = 60
_MEASURED_MS: Final = 1_000


class CannotRun(Exception):
    """The benchmark cannot be run; the message says why, and what to do."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one phase gave. Latencies count from when a request was due.

    answered: answers that came within the measured time. sent, unanswered: of the requests that were due in it.
    late: answers that came too late or to nothing. ungranted: answers of success without a grant for each rating group.
    behind_max: so many requests were due, at worst, and could not be sent because all sessions waited for answers.
    results: by request type, Result-Code -> how many. of_groups: Result-Codes of rating groups.
    """

    seconds: float
    sent: int
    answered: int
    unanswered: int
    late: int
    ungranted: int
    behind_max: int
    results: dict[str, dict[int, int]]
    of_groups: dict[int, int]
    latency: Histogram
    client_cpu_us: int

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds

    def problems(self) -> list[str]:
        """What was not as it should be: a benchmark of refusals measures nothing."""
        found = []
        refused = Counter[int]()
        for by_code in self.results.values():
            refused.update({code: count for code, count in by_code.items() if code // 1_000 != 2})
        found += [f"{count} requests were answered {code}" for code, count in sorted(refused.items())]
        found += [
            f"{count} rating groups were answered {code}"
            for code, count in sorted(self.of_groups.items())
            if code // 1_000 != 2
        ]
        if self.ungranted:
            found.append(f"{self.ungranted} answers lacked a grant")
        if self.unanswered:
            found.append(f"{self.unanswered} requests got no answer")
        if not self.answered:
            found.append("nothing was answered")
        return found

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seconds": round(self.seconds, 3),
            "requests_per_s": round(self.per_s, 1),
            **latency_figures(self.latency),
            "sent": self.sent,
            "answered": self.answered,
            "unanswered": self.unanswered,
            "late": self.late,
            "ungranted": self.ungranted,
            "behind_max": self.behind_max,
            "results": {kind: {str(code): n for code, n in codes.items()} for kind, codes in self.results.items()},
        }


def latency_figures(latency: Histogram) -> dict[str, float]:
    """Milliseconds."""
    return {
        "p50_ms": latency.percentile_us(50) / 1_000,
        "p99_ms": latency.percentile_us(99) / 1_000,
        "p99_9_ms": latency.percentile_us(Fraction(999, 10)) / 1_000,
        "max_ms": latency.max_us / 1_000,
        "mean_ms": round(latency.sum_us / max(1, latency.count) / 1_000, 3),
    }


def result_of(said: dict[str, Any]) -> Result:
    """The result line of a client."""
    results: dict[str, dict[int, int]] = {}
    of_groups: dict[int, int] = {}
    for kind, code, count in said["results"]:
        if kind:
            results.setdefault(TYPE_NAMES[kind], {})[code] = count
        else:
            of_groups[code] = count
    latency = Histogram(((index, count) for index, count in said["histogram"]), said["max_us"], said["sum_us"])
    names = ("seconds", "sent", "answered", "unanswered", "late", "ungranted", "behind_max", "client_cpu_us")
    return Result(results=results, of_groups=of_groups, latency=latency, **{name: said[name] for name in names})


class Load:
    """`with Load(plan, folder) as load:`, its plan is written into `folder`. kind: "auto", "c" or "python".

    Raises CannotRun, also from its methods, when the client fails.
    """

    def __init__(self, plan: Plan, folder: Path, kind: str = "auto") -> None:
        program, why_not = (None, "Python was asked for") if kind == "python" else compiled_client()
        if program is None and kind == "c":
            raise CannotRun(f"the client in C cannot be had: {why_not}")
        self.client = "c" if program is not None else "python"
        self.why_not_c = why_not
        self._command = [str(program)] if program is not None else [sys.executable, "-m", "ocs.bench.client_loop"]
        self._plan = folder / f"plan-{time.monotonic_ns()}"
        plan.write(self._plan)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*self._command, str(self._plan)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._until("ready", _PATIENCE_S)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None, "it was asked for"
        try:
            if error is None:
                self._process.stdin.write("quit\n")
                self._process.stdin.close()
                self._process.wait(_PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired):
            pass  # what was measured is measured
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def phase(
        self,
        mode: str,
        amount: int,
        warm_up_s: float,
        seconds: float,
        mark: Callable[[str], None] = lambda _: None,
        tick: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> Result:
        """Run one phase. mode: "open" (amount: requests per second) or "closed" (amount: in flight per connection).

        mark: told "begin" and "end" of the measured time, when they are. tick: once a second, how the client stands.
        """
        assert self._process.stdin is not None, "it was asked for"
        command = f"{mode} {amount} {int(warm_up_s * _MEASURED_MS)} {int(seconds * _MEASURED_MS)}\n"
        with contextlib.suppress(OSError):  # what it said last says why
            self._process.stdin.write(command)
        patience_s = warm_up_s + seconds + _PATIENCE_S
        for event in ("begin", "end"):
            self._until(event, patience_s, tick)
            mark(event)
        return result_of(self._until("result", _PATIENCE_S))

    def _until(
        self, event: str, patience_s: float, tick: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise CannotRun(
                    f"the load client was silent for {patience_s:.0f} s: is the server overloaded?"
                ) from None
            if not line:
                raise CannotRun(f"the load client ended with {self._process.wait()}")
            said: dict[str, Any] = json.loads(line)
            match said["event"]:
                case "error":
                    raise CannotRun(f"load client: {said['why']}")
                case "tick":
                    tick(said)
                case name if name == event:
                    return said

    def _read(self) -> None:
        assert self._process.stdout is not None, "it was asked for"
        with self._process.stdout as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put("")
