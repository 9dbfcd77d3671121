"""Months that are too old: added up per account into `carried`, and dropped, in one transaction.

The audit adds what was carried to what is left, so the ledger is proved as before. All of it is read in the order of
accounts and held a thousand accounts at a time, however large the month is.
"""

from __future__ import annotations

from collections.abc import Iterable
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

ROWS_AT_ONCE: Final = 500
"""Read and added up in one go: a server that does this charges in between."""
ACCOUNTS_AT_ONCE: Final = 1_000
TOLD_EVERY_ROWS: Final = 100_000
DROP_ATTEMPTS: Final = 60
"""What was added up may have taken long: it is worth waiting for the moment to drop the month."""

_folded_of = msgspec.msgpack.Decoder(Folded).decode
_NOTHING: Final = encode(Folded())


class Kept(msgspec.Struct, frozen=True):
    """What became of a month: dropped, with so many entries and CDRs carried; or kept, and `why`."""

    month: int
    entries: int = 0
    cdrs: int = 0
    why: str = ""


async def drop_month(connection: Connection, month: int, tell: Tell) -> Kept:
    """Carry and drop the partitions of a month, both of them; all of it, or nothing."""
    try:
        return await patiently(lambda: _drop_month(connection, month, tell))
    except LOCKED:
        return Kept(month, why=f"{month} is kept: others hold its tables")
    except (msgspec.MsgspecError, OverflowError, asyncpg.NumericValueOutOfRangeError) as error:
        return Kept(month, why=f"{month} is kept: it cannot be added up: {error}")


async def _drop_month(connection: Connection, month: int, tell: Tell) -> Kept:
    async with connection.transaction():
        # Nobody adds to it any more; reading goes on.
        await lock(connection, f"journal_{month}, cdr_{month}", "SHARE ROW EXCLUSIVE")
        sessions = await connection.fetchval("SELECT count(*) FROM session WHERE month = $1", month)
        if sessions:
            return Kept(month, why=f"{month} is kept: {sessions} sessions that began in it are open or not forgotten")
        entries = await _carry_journal(connection, month, tell)
        cdrs = await _carry_cdrs(connection, month)
        await patiently(lambda: _drop(connection, month), DROP_ATTEMPTS)
        tell(f"{month} is dropped: {entries} journal entries and {cdrs} CDRs were added up")
        return Kept(month, entries, cdrs)


async def _carry_journal(connection: Connection, month: int, tell: Tell) -> int:
    total = await connection.fetchval(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)", f"journal_{month}"
    )
    await connection.execute("SET LOCAL cursor_tuple_fraction = 1")  # all of it will be read
    await connection.execute(
        f"DECLARE entries CURSOR FOR SELECT account_id, entry FROM journal_{month} ORDER BY account_id"  # noqa: S608
    )
    folded: dict[str, Folded] = {}
    done = 0
    while rows := await connection.fetch(f"FETCH {ROWS_AT_ONCE} FROM entries"):
        _add(folded, rows)
        before, done = done, done + len(rows)
        if len(folded) >= ACCOUNTS_AT_ONCE:
            await _carry(connection, folded)
            folded.clear()
        if done // TOLD_EVERY_ROWS > before // TOLD_EVERY_ROWS:
            tell(f"{month}: {done} of about {max(total, done)} journal entries are added up")
    await _carry(connection, folded)
    await connection.execute("CLOSE entries")
    return done


def _add(folded: dict[str, Folded], rows: Iterable[asyncpg.Record]) -> None:
    for account_id, its in groupby(rows, lambda row: row[0]):
        more = fold(entry_of(entry) for _, entry in its)
        before = folded.get(account_id)
        folded[account_id] = more if before is None else before.plus(more)


async def _carry(connection: Connection, folded: dict[str, Folded]) -> None:
    """Add to what was carried before."""
    rows = await connection.fetch("SELECT account_id, folded FROM carried WHERE account_id = ANY($1)", list(folded))
    before = {account_id: _folded_of(content) for account_id, content in rows}
    sums = [encode(before[each].plus(more) if each in before else more) for each, more in folded.items()]
    await connection.execute(
        "INSERT INTO carried (account_id, folded, cdr_cost_nanos)"
        " SELECT account_id, folded, 0 FROM unnest($1::text[], $2::bytea[]) AS u (account_id, folded)"
        " ON CONFLICT (account_id) DO UPDATE SET folded = excluded.folded",
        list(folded),
        sums,
    )


async def _carry_cdrs(connection: Connection, month: int) -> int:
    """Returns how many there were."""
    await connection.execute(
        "INSERT INTO carried (account_id, folded, cdr_cost_nanos)"  # noqa: S608
        f" SELECT account_id, $1, sum(cost_nanos)::bigint FROM cdr_{month} GROUP BY account_id"
        " ON CONFLICT (account_id) DO UPDATE SET cdr_cost_nanos = carried.cdr_cost_nanos + excluded.cdr_cost_nanos",
        _NOTHING,
    )
    count: int = await connection.fetchval(f"SELECT count(*) FROM cdr_{month}")  # noqa: S608
    return count


async def _drop(connection: Connection, month: int) -> None:
    """In a savepoint: what was added up stays, and commits go on, where somebody holds the tables."""
    async with connection.transaction():
        await lock(connection, "journal, cdr", "ACCESS EXCLUSIVE")
        await connection.execute(f"DROP TABLE journal_{month}, cdr_{month}")
