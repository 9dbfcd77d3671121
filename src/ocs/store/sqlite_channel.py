"""One SQLite connection with a thread of its own, and the lock that keeps a file to one process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from ocs.store.interface import StoreDown, StoreInUse, WrongStore

_T = TypeVar("_T")

BUSY_TIMEOUT_S: Final = 1.0
"""How long a statement waits for another process that looks into the file."""

_PRAGMAS: Final = ("synchronous = FULL", "temp_store = MEMORY", "trusted_schema = OFF")


_HOP_MAX: Final = 64
"""How many works go to the thread at once: a hop there and back costs more than most of them."""


class Channel:
    """A connection that only its own thread touches. `call` runs work there, one after another, in order.

    What is asked while the thread is busy goes there together, and comes back together.
    """

    def __init__(self, path: str, *, cache_kib: int, read_only: bool) -> None:
        self._path = path
        self._pragmas = (*_PRAGMAS, f"cache_size = -{cache_kib}", *(("query_only = ON",) if read_only else ()))
        self._name = "store-read" if read_only else "store-write"
        self._pool: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._busy = False

    async def open(self) -> None:
        """Connect; StoreDown if that cannot be, WrongStore if the file is something else."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        await self._run(self._connect)

    async def close(self) -> None:
        """Finish what was asked before, then disconnect."""
        if self._pool is not None:
            await self._run(self._disconnect)
            self._pool.shutdown(wait=True)
            self._pool = None

    async def call(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What `work` returns or raises. An unfinished transaction is rolled back; SQLite's refusals are StoreDown."""
        return await self._run(lambda: self._work(work))

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._pool is None:
            raise StoreDown("the store is not open")
        result: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, result))
        if not self._busy:
            self._hop()
        return await result

    def _hop(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _HOP_MAX))]
        self._busy = True
        hop = asyncio.get_running_loop().run_in_executor(self._pool, _do_all, [work for work, _ in taken])
        hop.add_done_callback(partial(self._landed, [result for _, result in taken]))

    def _landed(
        self, results: list[asyncio.Future[Any]], hop: asyncio.Future[list[tuple[Any, Exception | None]]]
    ) -> None:
        self._busy = False
        if self._waiting:
            self._hop()
        for result, (value, error) in zip(results, hop.result(), strict=True):
            if result.done():  # who asked was cancelled
                continue
            if error is None:
                result.set_result(value)
            else:
                result.set_exception(error)

    def _connect(self) -> None:
        try:
            self._connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            for pragma in self._pragmas:
                self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise WrongStore(f"{self._path} is not an SQLite file") from error
            raise StoreDown(f"{self._path}: {error}") from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _work(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            raise StoreDown("the store is not open")
        try:
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            # SQLite's own kinds are bugs of ours, but for these two: it cannot be done now; the file is damaged.
            if type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
                raise StoreDown(str(error)) from error
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()


def _do_all(works: list[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
    """What each of them returned or raised."""
    done: list[tuple[Any, Exception | None]] = []
    for work in works:
        try:
            done.append((work(), None))
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            done.append((None, error))
    return done


class FileLock:
    """Held by the one process that serves from a file; the kernel lets go of it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """StoreInUse if another process, or another store of this one, has it; StoreDown where it cannot be made."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreDown(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise StoreInUse(
                f"{self._path} is locked by process {holder or 'unknown'}: another ocs serves from this store"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
