"""A program under test or beside it: started with a log of its own, waited for, stopped by its own process group."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.05


def wait_until(what: str, found: Callable[[], object], limit_s: float = 30) -> None:
    """Returns when `found()` is true; what does not come within the limit is an error that names it."""
    deadline = time.monotonic() + limit_s
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: nothing within {limit_s} s")
        time.sleep(POLL_S)


class Service:
    """`with Service(argv, log) as service: service.wait_for_log("ready")`.

    On the way out the process group gets `stop_signal`, then SIGKILL after `stop_s`.
    """

    def __init__(
        self,
        argv: list[str],
        log: Path,
        *,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_s: float = 20,
    ):
        self.argv = argv
        self.log = log
        self.cwd = cwd
        self.stop_signal = stop_signal
        self.stop_s = stop_s
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Starts the program; its log goes on where it was."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                start_new_session=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill(self) -> None:
        """Ends the program at once, as a loss of power would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ends the program and returns its exit status; the log stays."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, self.stop_signal)
        try:
            return self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            # Children of a program that ended or hangs; the group lives as long as one of them does.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def check_alive(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.argv} ended with {self.process.returncode}:\n{self.text()[-4000:]}")

    def wait_for(self, what: str, found: Callable[[], object], limit_s: float = 30) -> None:
        """Waits for something that this program is to bring about; its end or the limit is an error with its log."""

        def look() -> bool:
            self.check_alive()
            return bool(found())

        try:
            wait_until(what, look, limit_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the log of {self.log.name}:\n{self.text()[-4000:]}") from None

    def wait_for_log(self, text: str, limit_s: float = 30) -> None:
        self.wait_for(f"{text!r} in {self.log.name}", lambda: text in self.text(), limit_s)
