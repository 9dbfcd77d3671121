"""Children that are measured: the server, the echo."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from ocs.bench.load import CannotRun

_STOP_PATIENCE_S: Final = 60


class Batches(msgspec.Struct, frozen=True):
    """How many transactions there were, and outcomes in them; how long they took."""

    batches: float = 0
    outcomes: float = 0
    seconds: float = 0

    def since(self, before: Batches) -> Batches:
        """What came after `before`."""
        return Batches(self.batches - before.batches, self.outcomes - before.outcomes, self.seconds - before.seconds)

    @property
    def size(self) -> float:
        """Outcomes in a transaction."""
        return self.outcomes / self.batches if self.batches else 0.0


class Child:
    """A process of ours that says on stdout where it listens. Its stderr goes to a file in `folder`."""

    def __init__(self, folder: Path, module: str, *arguments: str) -> None:
        self._log = folder / f"{module}.log"
        self._command = [sys.executable, "-m", f"ocs.bench.{module}", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.address = ("", 0)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            self._process.stdin.close()  # type: ignore[union-attr]
            self._process = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process, which runs."""
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def output(self) -> IO[str]:
        """Its stdout."""
        stream = self.process.stdout
        assert stream is not None, "it was asked for"
        return stream

    def wait_ready(self) -> None:
        """Read where it listens; CannotRun where it does not."""
        for line in self.output:
            found = re.fullmatch(r"listening on (\d+)\n", line)
            if found:
                self.address = ("127.0.0.1", int(found[1]))
                return
        raise CannotRun(f"{self._command[2]} did not start:\n{self.log()}")

    def log(self) -> str:
        """What it said on stderr."""
        return self._log.read_text(errors="replace")


class Served(Child):
    """The server under test, on a configuration folder."""

    def __init__(self, folder: Path, config: Path, *arguments: str) -> None:
        super().__init__(folder, "child", str(config), *arguments)
        self._http = ("", 0)

    def wait_ready(self) -> None:
        """Read the greeting."""
        for line in self.output:
            diameter = re.fullmatch(r"Diameter on (\S+):(\d+) \(tcp\)\n", line)
            served = re.fullmatch(r"HTTP on (\S+)\n", line)
            if diameter:
                self.address = (diameter[1], int(diameter[2]))
            elif served:
                parts = urlsplit(served[1])
                self._http = (parts.hostname or "", parts.port or 0)
            elif line == "ready\n":
                return
        raise CannotRun(f"the server did not start:\n{self.log()}")

    def metrics(self) -> dict[str, float]:
        """Values without labels, and sums over labels, by name of the sample."""
        connection = http.client.HTTPConnection(*self._http, timeout=_STOP_PATIENCE_S)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise CannotRun(f"the server does not show its metrics: {error}") from error
        finally:
            connection.close()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
        return found

    def batches(self) -> Batches:
        """Since its start."""
        found = self.metrics()
        return Batches(
            found.get("ocs_balance_batch_size_count", 0),
            found.get("ocs_balance_batch_size_sum", 0),
            found.get("ocs_balance_commit_duration_seconds_sum", 0),
        )

    def stop(self) -> dict[str, Any]:
        """Drain it; returns what it says at its end. CannotRun where it does not end well."""
        self.process.terminate()
        try:
            output, _ = self.process.communicate(timeout=_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise CannotRun(f"the server did not drain within {_STOP_PATIENCE_S} s") from None
        if self.process.returncode:
            raise CannotRun(f"the server ended with {self.process.returncode}:\n{self.log()}")
        last = output.splitlines()[-1:]
        said: dict[str, Any] = json.loads(last[0]) if last and last[0].startswith("{") else {}
        return said


def pauses_in(said: dict[str, Any], begin_ns: int, end_ns: int) -> dict[str, float]:
    """Of what a server says at its end: pauses of its garbage collector that began between the two moments."""
    took_ns = [took for began, took, _ in said.get("gc", ()) if begin_ns <= began < end_ns]
    return {
        "count": len(took_ns),
        "total_ms": round(sum(took_ns) / 1e6, 3),
        "max_ms": round(max(took_ns, default=0) / 1e6, 3),
    }


def monotonic_ns() -> int:
    """The clock that pauses are told in: one for all processes."""
    return time.monotonic_ns()
