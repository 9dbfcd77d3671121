"""A network namespace of a test's own: loopback up, one more address on it, names from its own hosts file."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

CLONE_NEWNET = 0x40000000
NAMES = Path("/etc/netns")

_numbers = count(1)
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """`with Namespace("10.44.0.1", {"ocs.example.com": "127.0.0.1"}) as ns: ...`

    It is removed on the way out, whatever happens. The name carries the pid of the test run, so that runs side by side
    never meet.
    """

    def __init__(self, address: str, hosts: dict[str, str]):
        self.name = f"ocs-{os.getpid()}-{next(_numbers)}"
        self.address = address
        self.hosts = hosts

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        try:
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "address", "add", f"{self.address}/32", "dev", "lo")
            folder = NAMES / self.name
            folder.mkdir(parents=True)
            lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.hosts.items())]
            (folder / "hosts").write_text("\n".join(lines) + "\n")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        shutil.rmtree(NAMES / self.name, ignore_errors=True)
        _ip("netns", "delete", self.name)

    def command(self, *argv: str | Path) -> list[str]:
        """The argument vector that runs `argv` inside. `ip netns exec` execs: the process is the program itself."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def connect(self, host: str, port: int, timeout_s: float = 10) -> socket.socket:
        """A TCP connection made inside; the socket stays there, whoever uses it."""
        return self.inside(lambda: socket.create_connection((host, port), timeout_s))

    def datagram_socket(self) -> socket.socket:
        """A UDP socket inside."""
        return self.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        """The socket that `make()` opens, as it would inside."""

        def enter() -> None:
            with Path(f"/run/netns/{self.name}").open() as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter the namespace {self.name}")

        # A namespace is a property of the thread: one enters it, makes the socket and ends.
        with ThreadPoolExecutor(max_workers=1, initializer=enter) as thread:
            return thread.submit(make).result()


def _ip(*argv: str) -> None:
    done = subprocess.run(["ip", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(argv)}: {done.stderr.strip()}")
