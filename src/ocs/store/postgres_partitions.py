"""The care of the months: partitions made ahead, rows that fell beside them moved, months that are over dropped.

A row whose month has no partition goes into the default one: a commit never fails for want of a partition. Months are
made ahead, so that this stays an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from ocs.limits import CLOCK_SKEW_MAX_S, PARTITION_ROWS_MOVED_MAX
from ocs.store.postgres_admin import ADMIN_LOCK, Tell, clock_skew_s, connected, require_schema
from ocs.store.postgres_months import LOCKED, is_month, make_month, month_after, months_there, patiently, rows_beside
from ocs.store.postgres_retention import Kept, drop_month
from ocs.store.postgres_schema import month_of

if TYPE_CHECKING:
    from ocs.store.postgres_admin import Connection

AHEAD_MONTHS: Final = 3
"""Partitions made beyond this month's, where the configuration does not say."""


class Care(msgspec.Struct, frozen=True):
    """What is wanted.

    ahead_months: partitions are made for so many months after this one.
    keep_months: so many whole months before this one are kept; None = all of them.
    """

    ahead_months: int = AHEAD_MONTHS
    keep_months: int | None = None


class PartitionReport(msgspec.Struct, frozen=True):
    """What was done.

    made: names of partitions. moved_rows: out of the default partitions. dropped: months (yyyymm).
    carried_entries, carried_cdrs: how much of journal and CDRs was added up before it was dropped.
    left: what was not done, and why, readable.
    """

    made: tuple[str, ...] = ()
    moved_rows: int = 0
    dropped: tuple[int, ...] = ()
    carried_entries: int = 0
    carried_cdrs: int = 0
    left: tuple[str, ...] = ()


async def maintain(url: str, care: Care, now_ns: Callable[[], int] = time.time_ns) -> PartitionReport | None:
    """What a running server does once an hour; None where somebody else is at it. StoreDown, WrongStore.

    Commits wait for a moment only: what would take longer is left, and said.
    """
    async with connected(url) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADMIN_LOCK):
            return None
        return await _tend(connection, care, now_ns, PARTITION_ROWS_MOVED_MAX, lambda _: None)


async def partitions(
    url: str, care: Care, tell: Tell = lambda _: None, now_ns: Callable[[], int] = time.time_ns
) -> PartitionReport:
    """The same for people: however long it takes, and after whoever is at it. StoreDown, WrongStore."""
    async with connected(url) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", ADMIN_LOCK)
        return await _tend(connection, care, now_ns, None, tell)


async def _tend(
    connection: Connection, care: Care, now_ns: Callable[[], int], rows_moved_max: int | None, tell: Tell
) -> PartitionReport:
    await require_schema(connection)
    made, moved_rows, left = await _make_all(connection, care, now_ns, rows_moved_max, tell)
    kept = [] if care.keep_months is None else await _drop_old(connection, care.keep_months, now_ns, left, tell)
    return PartitionReport(
        made=tuple(made),
        moved_rows=moved_rows,
        dropped=tuple(one.month for one in kept if not one.why),
        carried_entries=sum(one.entries for one in kept),
        carried_cdrs=sum(one.cdrs for one in kept),
        left=(*left, *(one.why for one in kept if one.why)),
    )


async def _make_all(
    connection: Connection, care: Care, now_ns: Callable[[], int], rows_moved_max: int | None, tell: Tell
) -> tuple[list[str], int, list[str]]:
    """(names of partitions made, rows moved, what is left). A month has partitions of both tables, or of neither."""
    there, beside = await months_there(connection), await rows_beside(connection)
    wanted = {month_after(month_of(now_ns()), ahead) for ahead in range(care.ahead_months + 1)}
    wanted.update(*there.values(), *beside.values())
    made: list[str] = []
    left: list[str] = []
    moved_rows = 0
    for table, months in there.items():
        rows = sum(beside[table].values())
        if rows_moved_max is not None and rows > rows_moved_max:
            left.append(
                f"{table}_default holds {rows} rows: run ocs db partitions in a quiet hour, commits wait for it"
            )
            continue
        for month in sorted(filter(is_month, wanted - months)):
            name = f"{table}_{month}"
            if month in beside[table]:
                tell(f"{name}: {beside[table][month]} rows are moved into it, commits wait")
            try:
                moved_rows += await patiently(partial(make_month, connection, table, month))
            except LOCKED:
                left.append(f"{name} is not made: others hold {table} for longer than commits may wait")
            else:
                made.append(name)
    return made, moved_rows, left


async def _drop_old(
    connection: Connection, keep_months: int, now_ns: Callable[[], int], left: list[str], tell: Tell
) -> list[Kept]:
    """Months before those that are kept, the oldest first. A clock that is wrong drops nothing."""
    skew_s = await clock_skew_s(connection, now_ns)
    if abs(skew_s) > CLOCK_SKEW_MAX_S:
        left.append(f"nothing is dropped: the clocks here and of the database are {skew_s:+.0f} s apart")
        return []
    first = month_after(month_of(now_ns()), -keep_months)
    there = await months_there(connection)
    old = sorted(month for month in set.intersection(*there.values()) if month < first)
    return [await drop_month(connection, month, tell) for month in old]
