"""Emergency requests that were answered while the store was down, on the local disk until they can be charged.

One JSON line per request, on the disk before the request is answered. A replay that is interrupted begins again: a
request that was charged before is a repeat, and moves nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from ocs.charging.requests import ChargingRequest, Result
from ocs.limits import SPOOL_OCTETS_MAX
from ocs.store.commands import Failed

_log = structlog.get_logger()
_T = TypeVar("_T")


class SpoolFull(Exception):
    """The spool holds as much as it may."""


class Spooled(msgspec.Struct, frozen=True):
    """A request that was answered with `content` at Unix time `at_ns`."""

    at_ns: int
    request: ChargingRequest
    content: bytes


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Spooled).decode


class Spool:
    """The spool in the file at `path`. now_ns: Unix time. What cannot be charged at all goes to `path`.rejected."""

    def __init__(
        self, path: str | os.PathLike[str], now_ns: Callable[[], int], octets_max: int = SPOOL_OCTETS_MAX
    ) -> None:
        self._path = Path(path)
        self._now_ns = now_ns
        self._octets_max = octets_max
        self._octets = 0
        self._records: deque[Spooled] = deque()
        self._keys: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._descriptor = -1

    def __len__(self) -> int:
        return len(self._records)

    def holds(self, session_key: str) -> bool:
        """Whether a request of that session is still to be charged: later ones have to come after it."""
        return session_key in self._keys

    async def open(self) -> None:
        """Read what an earlier process left. OSError where that cannot be."""
        for record in await self._in_thread(self._open):
            self._remember(record)

    async def close(self) -> None:
        """Finish what is being written."""
        await self._in_thread(self._close)
        self._thread.shutdown(wait=True)

    async def append(self, request: ChargingRequest, content: bytes) -> None:
        """Returns when the request is on the disk; SpoolFull, or OSError, if it cannot be."""
        record = Spooled(self._now_ns(), request, content)
        line = _encode(record) + b"\n"
        if self._octets + len(line) > self._octets_max:
            raise SpoolFull
        self._octets += len(line)
        self._remember(record)
        try:
            await self._in_thread(partial(self._write, line))
        except OSError:
            if record in self._records:
                self._records.remove(record)
                self._forget(record)
            raise

    async def replay(self, charge: Callable[[Spooled], Awaitable[object]]) -> int:
        """Charge what is there, oldest first, with `charge`, until it raises Failed TOO_BUSY; returns how many."""
        replayed = 0
        while self._records:
            record = self._records[0]
            try:
                await charge(record)
            except Failed as error:
                if error.result is Result.TOO_BUSY:
                    return replayed
                _log.error("spooled_request_rejected", session_id=record.request.session_id, why=error.why)
                await self._in_thread(partial(self._reject, _encode(record) + b"\n"))
            self._records.popleft()
            self._forget(record)
            replayed += 1
        if replayed:
            self._octets = 0
            await self._in_thread(self._empty)
        return replayed

    def _remember(self, record: Spooled) -> None:
        self._records.append(record)
        self._keys[record.request.session_key] += 1

    def _forget(self, record: Spooled) -> None:
        key = record.request.session_key
        self._keys[key] -= 1
        if not self._keys[key]:
            del self._keys[key]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # In the thread, one after another.

    def _open(self) -> list[Spooled]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        whole, newline, torn = self._path.read_bytes().rpartition(b"\n")
        if torn:  # it was never answered
            os.ftruncate(self._descriptor, len(whole) + len(newline))
        self._octets = len(whole) + len(newline)
        records = []
        for line in whole.splitlines():
            try:
                records.append(_decode(line))
            except msgspec.MsgspecError as error:
                _log.error("spooled_line_rejected", path=str(self._path), why=str(error))
                self._reject(line + b"\n")
        return records

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: bytes) -> None:
        octets = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("no room for a whole line")
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, octets)
            raise

    def _empty(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.fdatasync(self._descriptor)

    def _reject(self, line: bytes) -> None:
        with self._path.with_name(self._path.name + ".rejected").open("ab") as rejected:
            rejected.write(line)
            rejected.flush()
            os.fsync(rejected.fileno())
