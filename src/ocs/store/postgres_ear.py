"""What nodes tell each other: NOTIFY and LISTEN on one channel, over a connection of its own.

What is told goes over the same connection as what is heard, so the order stays. After the connection was lost the
listeners are told that something may have been missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import structlog

from ocs.limits import ANSWER_DEADLINE_S, STORE_OPERATION_TIMEOUT_S
from ocs.store.interface import Heard, StoreDown
from ocs.store.postgres_connection import Connection, Lost, Unwritten, bounded, connect
from ocs.store.postgres_statements import TELL

_log = structlog.get_logger()

CHANNEL: Final = "ocs"
_CHECK_S: Final = 5.0
_PAUSE_S: Final = 0.25
_SEPARATOR: Final = "\n"


class Ear:
    """Connected from `open` to `close`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listeners: list[Heard] = []
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._speaking = asyncio.Lock()

    def listen(self, heard: Heard) -> None:
        """`Store.listen`."""
        self._listeners.append(heard)

    async def open(self) -> None:
        """Listen. Lost or Unwritten where that cannot be."""
        await self._connect()
        self._task = asyncio.get_running_loop().create_task(self._stay())

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        async with self._speaking:
            connection, self._connection = self._connection, None
            self._connected.clear()
            if connection is not None and not connection.is_closed():
                with contextlib.suppress(Lost, Unwritten):
                    await bounded(connection, connection.close(), STORE_OPERATION_TIMEOUT_S)

    async def tell(self, topic: str, text: str) -> None:
        """`Store.tell`."""
        assert _SEPARATOR not in topic, "a topic is a word"
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                await self._connected.wait()
                await self._speak(TELL.sql, CHANNEL, f"{topic}{_SEPARATOR}{text}")
        except (Lost, Unwritten) as error:
            raise StoreDown(str(error)) from error
        except TimeoutError:
            raise StoreDown("no connection to tell the other nodes over") from None

    async def _speak(self, statement: str, *values: str) -> None:
        async with self._speaking:
            connection = self._connection
            if connection is None:
                raise Lost("no connection to tell the other nodes over")
            try:
                await bounded(connection, connection.execute(statement, *values), STORE_OPERATION_TIMEOUT_S)
            except Lost:
                connection.terminate()
                raise

    async def _connect(self) -> None:
        connection = await connect(self._url, STORE_OPERATION_TIMEOUT_S)
        await bounded(connection, connection.add_listener(CHANNEL, self._hear), STORE_OPERATION_TIMEOUT_S)
        self._connection = connection
        self._connected.set()

    async def _stay(self) -> None:
        """Connected, or on the way to be."""
        while True:
            gone = asyncio.Event()
            connection = self._connection
            if connection is not None:
                connection.add_termination_listener(lambda _, gone=gone: gone.set())
                await self._watch(connection, gone)
                self._connection = None
                self._connected.clear()
                _log.warning("store_listener_lost")
            try:
                await self._connect()
            except (Lost, Unwritten):
                await asyncio.sleep(_PAUSE_S)
            else:
                self._pass_on("", "")

    async def _watch(self, connection: Connection, gone: asyncio.Event) -> None:
        """Until the connection is gone; a quiet one is asked now and then whether it still is there."""
        while not connection.is_closed():
            try:
                async with asyncio.timeout(_CHECK_S):
                    await gone.wait()
            except TimeoutError:
                with contextlib.suppress(Lost, Unwritten):
                    await self._speak("SELECT 1")

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        topic, _, text = str(payload).partition(_SEPARATOR)
        self._pass_on(topic, text)

    def _pass_on(self, topic: str, text: str) -> None:
        for heard in self._listeners:
            try:
                heard(topic, text)
            except Exception:  # noqa: BLE001
                _log.exception("listener_failed", topic=topic)
