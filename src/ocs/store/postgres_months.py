"""Partitions of the journal and of the CDRs: which there are, and how one is made while others write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg

from ocs.store.postgres_schema import PARTITIONED

if TYPE_CHECKING:
    from ocs.store.postgres_admin import Connection

LOCK_TIMEOUT_MS: Final = 500
"""Commits wait behind who waits for a table: so long at the most."""
LOCK_ATTEMPTS: Final = 5
LOCK_PAUSE_S: Final = 1.0

TABLES: Final = tuple(table.name for table in PARTITIONED)
LOCKED: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

_Result = TypeVar("_Result")


def month_after(month: int, months: int) -> int:
    """The month (yyyymm) that many months later, or earlier where it is negative."""
    number = month // 100 * 12 + month % 100 - 1 + months
    return number // 12 * 100 + number % 12 + 1


def is_month(number: int) -> bool:
    """Whether it is one, as yyyymm."""
    return 1 <= number % 100 <= 12 and 100_000 <= number <= 999_999


async def months_there(connection: Connection) -> dict[str, set[int]]:
    """By table: the months that have a partition."""
    rows = await connection.fetch(
        "SELECT p.relname, substring(c.relname FROM '_([0-9]{6})$')::int FROM pg_inherits i"
        " JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE p.oid = ANY(SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND c.relname ~ '_[0-9]{6}$'",
        TABLES,
    )
    return {table: {month for name, month in rows if name == table} for table in TABLES}


async def rows_beside(connection: Connection) -> dict[str, dict[int, int]]:
    """By table and month: how many rows are in the default partition."""
    found: dict[str, dict[int, int]] = {}
    for table in TABLES:
        rows = await connection.fetch(f"SELECT month, count(*) FROM {table}_default GROUP BY month")  # noqa: S608
        found[table] = {row[0]: row[1] for row in rows}
    return found


async def patiently(work: Callable[[], Awaitable[_Result]], attempts: int = LOCK_ATTEMPTS) -> _Result:
    """Do it, again where somebody has a lock; in the end what says so is raised, one of LOCKED."""
    for _ in range(attempts - 1):
        try:
            return await work()
        except LOCKED:
            await asyncio.sleep(LOCK_PAUSE_S)
    return await work()


async def lock(connection: Connection, tables: str, mode: str) -> None:
    """Lock them in the transaction; one of LOCKED where that takes too long."""
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; LOCK TABLE {tables} IN {mode} MODE")


async def make_month(connection: Connection, table: str, month: int) -> int:
    """Make the partition, with the rows of that month that fell into the default one; returns how many.

    Who writes to the table waits until it is there: nobody then goes by partitions as they were.
    """
    name = f"{table}_{month}"
    async with connection.transaction():
        await lock(connection, table, "SHARE ROW EXCLUSIVE")
        await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        moved = await connection.execute(
            f"WITH moved AS (DELETE FROM {table}_default WHERE month = {month} RETURNING *)"  # noqa: S608
            f" INSERT INTO {name} SELECT * FROM moved"
        )
        await connection.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({month}) TO ({month + 1})"
        )
    return int(moved.rpartition(" ")[2])
