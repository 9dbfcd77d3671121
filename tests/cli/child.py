"""`ocs serve` as a child of a test: on free ports, in a folder of its own, its output read line by line."""

import json
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.interop.client import Client

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 30
"""Nothing here takes a second; what takes this long never comes."""


def make_config(folder: Path, *, diameter_port: int = 0, http_port: int = 0) -> Path:
    """A copy of the sample configuration in `folder`, on the ports given, 0 = any free one."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    edit(config / "server.yaml", ("port: 3868", f"port: {diameter_port}"), ("127.0.0.1:2080", f"127.0.0.1:{http_port}"))
    return config


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace texts that stand in the file."""
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)


class Lines:
    """The lines of a stream, read by a thread, kept, and waited for."""

    def __init__(self, stream: IO[str]):
        self.seen: list[str] = []
        self._ended = False
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def _next(self) -> str | None:
        if self._ended:
            return None
        line = self._queue.get(timeout=LIMIT_S)
        if line is None:
            self._ended = True
        else:
            self.seen.append(line)
        return line

    def until(self, fits: Callable[[str], bool]) -> str:
        """The next line that fits; the end of the stream is an error that shows what came."""
        while (line := self._next()) is not None:
            if fits(line):
                return line
        raise AssertionError("the stream ended:\n" + "\n".join(self.seen))

    def rest(self) -> str:
        """Everything that came, to the end of the stream."""
        while self._next() is not None:
            pass
        self._thread.join(LIMIT_S)
        return "\n".join(self.seen)


class Child:
    """`with Child(folder) as child:` runs a server that is ready; its end kills what is left of it."""

    def __init__(self, folder: Path, *, ready: bool = True, environment: dict[str, str] | None = None):
        self.folder = folder
        self._ready = ready
        self._environment = environment

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ocs", "serve", "--config", "config", "--log-format", "json"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)
        if self._ready:
            try:
                self.out.until(lambda line: line == "ready")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.err.rest()}") from None
            greeting = "\n".join(self.out.seen)
            host, port = re.search(r"^Diameter on (\S+):(\d+) \(tcp\)$", greeting, re.MULTILINE).groups()
            self.diameter = (host, int(port))
            self.url = re.search(r"^HTTP on (\S+)$", greeting, re.MULTILINE)[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT_S)
        self.out.rest()
        self.err.rest()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(LIMIT_S)

    def event(self, name: str) -> dict[str, Any]:
        """The next log line of that event."""
        found: dict[str, Any] = {}

        def fits(line: str) -> bool:
            found.clear()
            if line.startswith("{"):
                found.update(json.loads(line))
            return found.get("event") == name

        self.err.until(fits)
        return found

    def client(self, name: str = "pgw.example.net") -> Client:
        """A Diameter client, capabilities exchanged."""
        client = Client(socket.create_connection(self.diameter, LIMIT_S), name, "example.net")
        assert client.connect().result_code == 2001
        return client

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=LIMIT_S) as answer:
            content = answer.read()
        return content.decode() if path == "/metrics" else json.loads(content)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def balances(self, account_id: str) -> dict[str, dict[str, Any]]:
        return {balance["id"]: balance for balance in self.get(f"/v1/accounts/{account_id}")["balances"]}
