"""Connections to PostgreSQL: how they are set up, and what their errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ocs.limits import STORE_OPERATION_TIMEOUT_S

_T = TypeVar("_T")
if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]
else:
    Connection = asyncpg.Connection  # which is no generic class at run time

_IDLE_IN_TRANSACTION_S: Final = 10

SETTINGS: Final = {
    "application_name": "ocs",
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "synchronous_commit": "on",  # a commit that is acknowledged survives the death of the server
    # Statements are prepared once, and their plans must stay good whatever the statistics say of a table that has just
    # grown from nothing: always by index, row by row of the arrays.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # The dead hold no locks for long.
    "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_S}s",
    "tcp_user_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}


class Lost(Exception):
    """The connection is gone or says nothing. What was sent over it may have been done, or may still be."""


class Unwritten(Exception):
    """The server refused for a reason that passes (a deadlock, a lock, a full disk): nothing was done.

    passing: trying again at once may help.
    """

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.passing = passing


_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # it is a standby now: connect again, to the primary
    asyncpg.InternalClientError,
    OSError,
    EOFError,
)
_PASSING: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCachedStatementError,
)
_REFUSED: Final = (
    asyncpg.InsufficientResourcesError,  # a full disk, no memory
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


@asynccontextmanager
async def errors_named() -> AsyncIterator[None]:
    """What asyncpg raises as Lost or Unwritten; what is a mistake in the data or in a statement passes as it is."""
    try:
        yield
    except asyncpg.DataError:
        raise
    except _PASSING as error:
        raise Unwritten(_reason(error), passing=True) from error
    except _LOST as error:
        raise Lost(_reason(error)) from error
    except _REFUSED as error:
        raise Unwritten(_reason(error), passing=False) from error
    except asyncpg.InterfaceError as error:  # "the connection is closed"
        raise Lost(_reason(error)) from error


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


async def connect(url: str, timeout_s: float, settings: dict[str, str] | None = None) -> Connection:
    """A connection to the server that takes writes. Lost or Unwritten where there is none within `timeout_s`."""
    options: dict[str, Any] = {}
    if "target_session_attrs" not in parse_qs(urlsplit(url).query):
        options["target_session_attrs"] = "read-write"
    async with errors_named():
        try:
            connection: Connection = await asyncpg.connect(
                url,
                timeout=timeout_s,
                server_settings=SETTINGS | (settings or {}),
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=0,
                **options,
            )
            return connection
        except TimeoutError as error:
            raise Lost(f"no answer within {timeout_s:.1f} s") from error


async def bounded(connection: Connection, work: Awaitable[_T], timeout_s: float) -> _T:
    """What `work` on `connection` returns; Lost, and the connection gone, where it takes longer.

    A connection that says nothing is cut rather than asked to cancel: who does not answer does not cancel either.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            connection.terminate()
            await asyncio.wait({task})
    if not done:
        if not task.cancelled():
            task.exception()
        raise Lost(f"no answer within {timeout_s:.1f} s")
    async with errors_named():
        return task.result()


class Link:
    """One connection that is made when it is needed, and anew after it was lost; one piece of work at a time."""

    def __init__(self, url: str, settings: dict[str, str] | None = None) -> None:
        self._url = url
        self._settings = settings
        self._connection: Connection | None = None
        self._free = asyncio.Lock()

    async def run(
        self,
        work: Callable[[Connection], Awaitable[_T]],
        timeout_s: float,
        operation_timeout_s: float = STORE_OPERATION_TIMEOUT_S,
    ) -> _T:
        """What `work` returns within `timeout_s`, and within `operation_timeout_s` of its beginning.

        Raises Lost, Unwritten, or what is a mistake of the caller. After Lost the next call connects again.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._free.acquire()
        except TimeoutError:
            raise Lost(f"all connections were busy for {timeout_s:.1f} s") from None
        try:
            connection = self._connection
            if connection is None or connection.is_closed():
                left_s = min(operation_timeout_s, STORE_OPERATION_TIMEOUT_S, deadline_s - loop.time())
                connection = self._connection = await connect(self._url, max(left_s, 0.05), self._settings)
            left_s = min(operation_timeout_s, deadline_s - loop.time())
            try:
                return await bounded(connection, work(connection), max(left_s, 0.05))
            except Lost:
                self._connection = None
                connection.terminate()
                raise
        finally:
            self._free.release()

    async def close(self) -> None:
        """Say goodbye, if the other side listens."""
        async with self._free:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await bounded(connection, connection.close(), STORE_OPERATION_TIMEOUT_S)
                except (Lost, Unwritten):
                    connection.terminate()


class Links:
    """Several of them: work goes to one that is free, to the first ones first."""

    def __init__(self, url: str, number: int, settings: dict[str, str] | None = None) -> None:
        self._links = [Link(url, settings) for _ in range(number)]
        self._free: list[Link] = list(reversed(self._links))
        self._places = asyncio.Semaphore(number)

    async def run(
        self,
        work: Callable[[Connection], Awaitable[_T]],
        timeout_s: float,
        operation_timeout_s: float = STORE_OPERATION_TIMEOUT_S,
    ) -> _T:
        """As `Link.run`."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._places.acquire()
        except TimeoutError:
            raise Lost(f"all connections were busy for {timeout_s:.1f} s") from None
        link = self._free.pop()
        try:
            return await link.run(work, deadline_s - loop.time(), operation_timeout_s)
        finally:
            self._free.append(link)
            self._places.release()

    async def close(self) -> None:
        """All of them."""
        for link in self._links:
            await link.close()
