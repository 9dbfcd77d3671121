"""`ocs serve` as a child that is killed without warning."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path


class Child:
    """A server on the configuration folder `config` of `folder`; its log goes to a file there.

    store_url: of its store, for whoever looks into that afterwards. command: what runs it somewhere else, such as
    `ip netns exec NAME`.
    """

    def __init__(self, folder: Path, store_url: str, command: Sequence[str] = ()):
        self.store_url = store_url
        self._folder = folder
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self.diameter = ("", 0)

    async def start(self, on: tuple[str, int] | None = None) -> None:
        """Returns when it is ready; on: the address that it has to have again."""
        if on is not None:
            config = self._folder / "config" / "server.yaml"
            config.write_text(config.read_text().replace("port: 0", f"port: {on[1]}"))
        with (self._folder / "stderr.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._command, sys.executable, "-m", "ocs", "serve", "--config", "config", "--log-format", "json"),
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        said = []
        while (line := await self._process.stdout.readline()) != b"ready\n":
            said.append(line.decode())
            assert line, "the server did not start:\n" + "".join(said) + self.log()
        found = re.search(r"^Diameter on (\S+):(\d+) \(tcp\)$", "".join(said), re.MULTILINE)
        self.diameter = (found[1], int(found[2]))

    async def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        await self._gone()

    async def end(self) -> int:
        """SIGTERM, a drain, the exit status."""
        self._process.terminate()
        return await self._gone()

    async def _gone(self) -> int:
        await self._process.stdout.read()
        status = await self._process.wait()
        self._process = None
        return status

    async def close(self) -> None:
        """Leave nothing running."""
        if self._process is not None:
            await self.kill()

    async def logged(self, event: str) -> None:
        """Returns when a line of that event is in the log."""
        async with asyncio.timeout(30):
            while f'"event": "{event}"' not in self.log():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)

    def log(self) -> str:
        """What it said on stderr, in all its lives."""
        return (self._folder / "stderr.log").read_text()
