"""Months that are too old: added up per account into `carried`, and dropped.

The audit adds what was carried to what is left, so the ledger is proved as before. A month may have more entries than
can be added up in an hour, and a transaction that lasts so long keeps PostgreSQL from cleaning up behind all others. So
accounts are added up range by range, in short transactions, as the next generation of `carried`, which nobody looks at
yet; the last transaction sees that nothing came to the month meanwhile, puts the generation in use, and drops the
month. What an interrupted run left behind is removed by the next one.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from ocs.balances.journal import Folded, fold
from ocs.store.postgres_admin import Tell
from ocs.store.postgres_months import LOCKED, lock, patiently
from ocs.store.rows import encode, entry_of

if TYPE_CHECKING:
    from ocs.store.postgres_admin import Connection

RANGE_ROWS: Final = 2_000
"""Journal entries of a range, more where one account has more."""
ROWS_AT_ONCE: Final = 250
"""Read and added up in one go: a server that does this charges in between."""
TOLD_EVERY_ROWS: Final = 100_000
DROP_ATTEMPTS: Final = 60
"""What was added up may have taken long: it is worth waiting for the moment to drop the month."""

_NOTHING: Final = encode(Folded())


class Kept(msgspec.Struct, frozen=True):
    """What became of a month: dropped, with so many entries and CDRs carried; or kept, and `why`."""

    month: int
    entries: int = 0
    cdrs: int = 0
    why: str = ""


class _Keep(Exception):
    """Why the month is kept."""


async def drop_month(connection: Connection, month: int, tell: Tell) -> Kept:
    """Carry and drop the partitions of a month, both of them; all of it, or nothing that counts."""
    try:
        await _no_sessions(connection, month)
        generation = int(await connection.fetchval("SELECT value FROM meta WHERE key = 'carried'")) + 1
        await connection.execute("DELETE FROM carried WHERE generation >= $1", generation)
        entries, cdrs = await _add_up(connection, month, generation, tell)
        await patiently(partial(_finish, connection, month, generation, entries, cdrs))
    except LOCKED:
        return Kept(month, why=f"{month} is kept: others hold its tables")
    except (msgspec.MsgspecError, OverflowError, asyncpg.NumericValueOutOfRangeError) as error:
        return Kept(month, why=f"{month} is kept: it cannot be added up: {error}")
    except _Keep as error:
        return Kept(month, why=f"{month} is kept: {error}")
    tell(f"{month} is dropped: {entries} journal entries and {cdrs} CDRs were added up")
    return Kept(month, entries, cdrs)


async def _no_sessions(connection: Connection, month: int) -> None:
    """Sessions write to the month that they began in, so none of them may be left."""
    sessions = await connection.fetchval("SELECT count(*) FROM session WHERE month = $1", month)
    if sessions:
        raise _Keep(f"{sessions} sessions that began in it are open or not forgotten")


async def _add_up(connection: Connection, month: int, generation: int, tell: Tell) -> tuple[int, int]:
    """(journal entries, CDRs) that are in that generation now."""
    about = await connection.fetchval(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)", f"journal_{month}"
    )
    entries = cdrs = 0
    first: str | None = ""
    while first is not None:
        last = await connection.fetchval(
            f"SELECT account_id FROM journal_{month} WHERE account_id > $1"  # noqa: S608
            f" ORDER BY account_id OFFSET {RANGE_ROWS - 1} LIMIT 1",
            first,
        )
        async with connection.transaction():
            # The last transaction waits for the disk, and with it for all before.
            await connection.execute("SET LOCAL synchronous_commit = off")
            its_entries, folded = await _fold(connection, month, first, last)
            cdrs += await _carry(connection, month, generation, folded)
        if (entries + its_entries) // TOLD_EVERY_ROWS > entries // TOLD_EVERY_ROWS:
            tell(f"{month}: {entries + its_entries} of about {max(about, entries + its_entries)} entries are added up")
        entries += its_entries
        first = last
    return entries, cdrs + await _carry_rest(connection, month, generation)


async def _fold(connection: Connection, month: int, first: str, last: str | None) -> tuple[int, dict[str, Folded]]:
    """(how many entries, by account what they add up to) after the account `first` up to `last`, None: to the end."""
    bounds, values = "account_id > $1", [first]
    if last is not None:
        bounds, values = f"{bounds} AND account_id <= $2", [first, last]
    folded: dict[str, Folded] = {}
    entries = 0
    statement = f"SELECT account_id, entry FROM journal_{month} WHERE {bounds} ORDER BY account_id"  # noqa: S608
    cursor = await connection.cursor(statement, *values)
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        entries += len(rows)
        for account_id, its in groupby(rows, lambda row: row[0]):
            more = fold(entry_of(entry) for _, entry in its)
            folded[account_id] = folded[account_id].plus(more) if account_id in folded else more
    return entries, folded


async def _carry(connection: Connection, month: int, generation: int, folded: dict[str, Folded]) -> int:
    """Write what the entries of accounts add up to, with their CDRs; returns how many CDRs that were."""
    rows = await connection.fetch(
        f"SELECT account_id, sum(cost_nanos)::bigint, count(*) FROM cdr_{month}"  # noqa: S608
        " WHERE account_id = ANY($1) GROUP BY account_id",
        list(folded),
    )
    costs = {row[0]: row[1] for row in rows}
    await connection.executemany(
        "INSERT INTO carried (account_id, generation, folded, cdr_cost_nanos) VALUES ($1, $2, $3, $4)",
        [(each, generation, encode(sums), costs.get(each, 0)) for each, sums in folded.items()],
    )
    return sum(row[2] for row in rows)


async def _carry_rest(connection: Connection, month: int, generation: int) -> int:
    """CDRs of accounts without an entry in the month; returns how many."""
    count: int = await connection.fetchval(
        "WITH rest AS (SELECT account_id, sum(cost_nanos)::bigint AS cost_nanos, count(*) AS cdrs"  # noqa: S608
        f" FROM cdr_{month} AS c WHERE NOT EXISTS"
        " (SELECT FROM carried AS d WHERE d.account_id = c.account_id AND d.generation = $1)"
        " GROUP BY account_id),"
        " done AS (INSERT INTO carried (account_id, generation, folded, cdr_cost_nanos)"
        " SELECT account_id, $1, $2, cost_nanos FROM rest)"
        " SELECT coalesce(sum(cdrs), 0)::bigint FROM rest",
        generation,
        _NOTHING,
    )
    return count


async def _finish(connection: Connection, month: int, generation: int, entries: int, cdrs: int) -> None:
    """Put the generation in use and drop the month, where it has exactly what was added up."""
    async with connection.transaction():
        # Nobody adds to it any more; reading goes on.
        await lock(connection, f"journal_{month}, cdr_{month}", "SHARE ROW EXCLUSIVE")
        await _no_sessions(connection, month)
        for table, added_up in (("journal", entries), ("cdr", cdrs)):
            there = await connection.fetchval(f"SELECT count(*) FROM {table}_{month}")  # noqa: S608
            if there != added_up:
                raise _Keep(f"{there} rows are in {table}_{month}, {added_up} were added up: next time again")
        await patiently(partial(_drop, connection, month, generation), DROP_ATTEMPTS)


async def _drop(connection: Connection, month: int, generation: int) -> None:
    """In a savepoint: what was counted stays, and commits go on, where somebody holds the tables."""
    async with connection.transaction():
        await lock(connection, "journal, cdr", "ACCESS EXCLUSIVE")
        await connection.execute("UPDATE meta SET value = $1 WHERE key = 'carried'", str(generation))
        await connection.execute(f"DROP TABLE journal_{month}, cdr_{month}")
