"""A way to PostgreSQL that breaks where a test wants it to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import Enum
from urllib.parse import urlsplit


class Fault(Enum):
    """What happens to the next message that carries the marker."""

    BEFORE = "the connection is cut before the message reaches the server"
    AFTER = "the server carries it out, and the connection is cut before its answer comes back"
    HELD = "the connection is cut, and the message reaches the server when the test lets it"
    SILENT = "the message is swallowed, and the connection stays open"


class Proxy:
    """Between a client and the server at `url`.

    faults: what is to happen to the next messages that contain `marker`, in that order. meanwhile: awaited at a fault,
    before the client notices. replies: what the server said to those that were held.
    """

    def __init__(self, url, marker=b"pgw.example.com"):
        self._target = urlsplit(url)
        self._marker = marker
        self.faults: list[Fault] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.replies: list[bytes] = []
        self._held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]] = []
        self._tasks: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.refusing = False

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        for _, writer, _ in self._held:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self):
        """All connections, now."""
        for writer in self._writers:
            writer.transport.abort()

    async def release(self):
        """What was held reaches the server now; returns when it has answered."""
        held, self._held = self._held, []
        for reader, writer, message in held:
            writer.write(message)
            reply = b""
            while b"Z\x00\x00\x00\x05" not in reply:  # ready for the next query
                got = await asyncio.wait_for(reader.read(65_536), 10)
                assert got, "the server ends the answer before it hangs up"
                reply += got
            self.replies.append(reply)
            writer.close()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refusing:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, back}
        with contextlib.suppress(ConnectionError):
            state = {"swallow": False}
            down = asyncio.create_task(self._down(there, writer, state))
            try:
                await self._up(reader, writer, there, back, state)
            finally:
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)

    async def _up(self, reader, writer, there, back, state):
        while data := await reader.read(1 << 20):
            if not (self.faults and self._marker in data):
                back.write(data)
                continue
            fault = self.faults.pop(0)
            state["swallow"] = True
            if fault is Fault.SILENT:
                continue
            if fault is Fault.AFTER:
                state["answered"] = asyncio.get_running_loop().create_future()
                back.write(data)
                await state["answered"]
            if self.meanwhile is not None:
                await self.meanwhile()
            if fault is Fault.HELD:
                self._held.append((there, back, data))
                self._writers.discard(back)
                writer.transport.abort()
                return
            break
        self._writers -= {writer, back}
        writer.transport.abort()
        back.transport.abort()

    async def _down(self, there, writer, state):
        while data := await there.read(1 << 20):
            if state["swallow"]:
                if not state["answered"].done():
                    state["answered"].set_result(data)
                continue
            writer.write(data)
        writer.close()
