"""What is wrong with a PostgreSQL database, for those who run it: each problem says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from ocs.limits import CLOCK_SKEW_MAX_S, PARTITION_ROWS_MOVED_MAX
from ocs.store.postgres_admin import clock_skew_s, connected, misfit, revision_of
from ocs.store.postgres_citus import CITUS, distributed
from ocs.store.postgres_months import month_after, months_there, rows_beside
from ocs.store.postgres_partitions import AHEAD_MONTHS
from ocs.store.postgres_schema import BY_ACCOUNT, BY_OWN_KEY, REFERENCE, metadata, month_of

if TYPE_CHECKING:
    from ocs.store.postgres_admin import Connection

CONNECTIONS_PER_NODE: Final = 8
"""What a node opens at the most: to commit, to read, to list, to listen, and to see whether the server is back."""
NODES: Final = 2
"""For so many there has to be room, beside as many connections for people."""


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it should be: a name for scripts, and what to do."""

    name: str
    text: str


async def check(url: str, ahead_months: int = AHEAD_MONTHS, now_ns: Callable[[], int] = time.time_ns) -> list[Problem]:
    """All that is wrong, empty where nothing is. StoreDown where the database does not answer, WrongStore: no entry."""
    async with connected(url) as connection:
        problems = await _server(connection)
        skew_s = await clock_skew_s(connection, now_ns)
        if abs(skew_s) > CLOCK_SKEW_MAX_S:
            text = f"the clock here is {skew_s:+.1f} s from the database's: synchronise both (NTP)"
            problems.append(Problem("clock", text))
        why = misfit(await revision_of(connection))
        if why:
            return [*problems, Problem("revision", why)]
        return [
            *problems,
            *await _tables(connection),
            *await _months(connection, month_of(now_ns()), ahead_months),
            *await _engine(connection),
        ]


async def _server(connection: Connection) -> list[Problem]:
    """Settings that lose what was acknowledged, or that stop the server one day."""
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(_SETTINGS))
    found = {row["name"]: row["setting"] for row in rows}
    problems = [
        Problem(name, f"{name} is {found[name]}: {why}")
        for name, (wrong, why) in _SETTINGS.items()
        if wrong(found[name])
    ]
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        problems.append(Problem("standby", "this is a standby: store.url has to lead to the primary"))
    return problems


def _is(*wrong: str) -> Callable[[str], bool]:
    return lambda value: value in wrong


_CONNECTIONS = 2 * NODES * CONNECTIONS_PER_NODE

_SETTINGS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "fsync": (_is("off"), "a crash of the machine loses what was answered, or all of it; set it to on"),
    "full_page_writes": (_is("off"), "a crash of the machine can leave half a page; set it to on"),
    "synchronous_commit": (_is("off"), "the last commits are lost in a crash; set it to on"),
    "autovacuum": (_is("off"), "tables grow without end, and the server stops in the end; set it to on"),
    "server_encoding": (
        lambda value: value != "UTF8",
        "names do not fit into it; make a database with createdb --template=template0 -E UTF8, dump and restore",
    ),
    "max_connections": (
        lambda value: int(value) < _CONNECTIONS,
        f"a node of ocs opens up to {CONNECTIONS_PER_NODE}, others need some; set it to {_CONNECTIONS} or more",
    ),
}


async def _tables(connection: Connection) -> list[Problem]:
    """Tables that do not survive a crash, or that are not cleaned."""
    rows = await connection.fetch(
        "SELECT c.relname, c.relpersistence = 'u' AS unlogged, 'autovacuum_enabled=false' = ANY(c.reloptions) AS dirty"
        " FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE c.relkind IN ('r', 'p') AND c.oid = to_regclass(quote_ident(c.relname))"
        " AND coalesce(p.relname, c.relname) = ANY($1) ORDER BY c.relname",
        list(metadata.tables),
    )
    unlogged = [
        Problem("unlogged", f"{row['relname']} is empty after a crash: ALTER TABLE {row['relname']} SET LOGGED")
        for row in rows
        if row["unlogged"]
    ]
    return unlogged + [
        Problem("autovacuum", f"{row['relname']} grows: ALTER TABLE {row['relname']} RESET (autovacuum_enabled)")
        for row in rows
        if row["dirty"]
    ]


async def _months(connection: Connection, this_month: int, ahead_months: int) -> list[Problem]:
    there, beside = await months_there(connection), await rows_beside(connection)
    problems = []
    for table, months in there.items():
        wanted = [month_after(this_month, ahead) for ahead in range(ahead_months + 1)]
        missing = [f"{table}_{month}" for month in wanted if month not in months]
        if missing:
            text = f"{', '.join(missing)} is missing: run ocs db partitions (a running server does so every hour)"
            problems.append(Problem("partitions", text))
        rows = sum(beside[table].values())
        if rows:
            when = " in a quiet hour, commits wait for it" if rows > PARTITION_ROWS_MOVED_MAX else ""
            text = f"{table}_default holds {rows} rows whose month had no partition: run ocs db partitions{when}"
            problems.append(Problem("default_rows", text))
    return problems


async def _engine(connection: Connection) -> list[Problem]:
    """The tables are where the database says that they are."""
    engine = await connection.fetchval("SELECT value FROM meta WHERE key = 'engine'")
    spread = await distributed(connection)
    ours = {table.name for table in (*BY_ACCOUNT, *BY_OWN_KEY, *REFERENCE)}
    if engine == CITUS and ours - spread:
        what, names = "not spread over the nodes of Citus", ours - spread
    elif engine != CITUS and ours & spread:
        what, names = "spread by Citus, which ocs does not know", ours & spread
    else:
        return []
    return [Problem("engine", f"{', '.join(sorted(names))}: {what}: run ocs db upgrade --engine citus")]
