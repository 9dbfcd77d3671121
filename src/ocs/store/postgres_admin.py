"""Connections for the work on a PostgreSQL database that is not charging, with errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import asyncpg

from ocs.store.interface import StoreDown, WrongStore
from ocs.store.postgres_schema import REVISION, REVISIONS, VERSION_TABLE
from ocs.store.url import shown

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CONNECT_TIMEOUT_S: Final = 10
VERSION_MIN: Final = 15
ADMIN_LOCK: Final = 0x0C5_ADB
"""Key of the advisory lock that whoever changes tables holds: one at a time, whatever the node."""

Tell = Callable[[str], None]
"""Takes a line about how far the work is."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection to the database; StoreDown where there is none, WrongStore where the work is not allowed."""
    try:
        connection = await connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise _explained(error, url) from error
    try:
        yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _explained(error, url) from error
    finally:
        if not connection.is_closed():
            await connection.close(timeout=CONNECT_TIMEOUT_S)


async def connect(url: str) -> Connection:
    """A connection to the host that takes writes, or to any where none does; with the errors of asyncpg."""
    make = partial(asyncpg.connect, url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "ocs db"})
    if "target_session_attrs" in url:
        return await make()
    try:
        return await make(target_session_attrs="read-write")
    except asyncpg.TargetServerAttributeNotMatched:
        return await make()


def _explained(error: Exception, url: str) -> StoreDown | WrongStore:
    """What happened, and what to do, without the password."""
    match error:
        case asyncpg.InvalidCatalogNameError():
            return WrongStore(f"{error}: make it, as in docs/operations.md: createdb --template=template0 -E UTF8 ...")
        case asyncpg.InvalidAuthorizationSpecificationError():
            return WrongStore(f"PostgreSQL does not let in who {shown(url)} names: {error}")
        case asyncpg.InsufficientPrivilegeError():
            return WrongStore(f"{error}: the role of ocs has to own the database, or its schema")
        case asyncpg.PostgresConnectionError() | asyncpg.InterfaceError() | asyncpg.OperatorInterventionError():
            return StoreDown(f"PostgreSQL at {shown(url)} does not answer: {error}")
        case asyncpg.PostgresError():
            return StoreDown(f"PostgreSQL at {shown(url)}: {error}")
    return StoreDown(f"PostgreSQL at {shown(url)} does not answer: {error or type(error).__name__}")


async def revision_of(connection: Connection) -> str | None:
    """The revision of the tables, None where there are none of ours."""
    if await connection.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return None
    found: str | None = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return found


def misfit(revision: str | None) -> str:
    """Why a database of that revision is not for this program, and what to do; "" where it is."""
    if revision == REVISION:
        return ""
    if revision is None:
        return "the database has no tables of ocs: run ocs db upgrade"
    if revision in REVISIONS:
        return f"the database has schema {revision}, this program needs {REVISION}: run ocs db upgrade"
    return f"the database has schema {revision}, this program knows {REVISION} and older ones: a newer ocs made it"


async def require_schema(connection: Connection) -> None:
    """WrongStore where the tables are not those of this program."""
    why = misfit(await revision_of(connection))
    if why:
        raise WrongStore(why)


async def clock_skew_s(connection: Connection, now_ns: Callable[[], int]) -> float:
    """How far the clock here is ahead of the database's, in seconds; below zero: behind."""
    before_ns = now_ns()
    there_ns: int = await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint")
    return (before_ns + now_ns() - 2 * there_ns) / 2_000_000_000


async def raise_origin_state(url: str, now_s: int) -> tuple[int, int]:
    """(before, now): the Origin-State-Id says that state was lost (RFC 6733 8.16). StoreDown, WrongStore."""
    async with connected(url) as connection:
        await require_schema(connection)
        async with connection.transaction():
            before = int(await connection.fetchval("SELECT value FROM meta WHERE key = 'origin_state_id' FOR UPDATE"))
            now = max(before + 1, now_s)
            await connection.execute("UPDATE meta SET value = $1 WHERE key = 'origin_state_id'", str(now))
    return before, now
