"""The migrations lead to the tables that the program knows, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ocs.store import postgres_citus
from ocs.store.interface import StoreDown, WrongStore
from ocs.store.postgres_citus import distributed, distribution
from ocs.store.postgres_migrate import alembic_config, upgrade
from ocs.store.postgres_schema import (
    PARTITIONED,
    REVISION,
    REVISIONS,
    VERSION_TABLE,
    metadata,
    month_of,
)
from tests.postgres.database import empty_database, execute

DAY_NS = 86_400 * 1_000_000_000


@pytest.fixture
def empty_url(postgres_server):
    """A database without tables."""
    with empty_database(postgres_server) as url:
        yield url


async def fetch(url, statement, *values):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


async def run_sync(url, work):
    """`work` with a connection of SQLAlchemy."""
    engine = create_async_engine(url.replace("postgresql", "postgresql+asyncpg", 1), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


CATALOG = {
    "columns": """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname,
        pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0""",
    "tables": """SELECT relname, relkind::text, relpersistence::text, reloptions, pg_get_partkeydef(oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
}


async def catalog(url):
    """All that PostgreSQL knows of our tables; partitions and Alembic's own table apart."""
    apart = (VERSION_TABLE, "journal_", "cdr_default", "cdr_2")
    return {
        name: sorted(row for row in map(str, await fetch(url, statement)) if not row[2:].startswith(apart))
        for name, statement in CATALOG.items()
    }


async def test_the_migrations_lead_to_the_tables_of_the_program(postgres_server, empty_url):
    await upgrade(empty_url)
    with empty_database(postgres_server) as other:
        await run_sync(other, metadata.create_all)
        ours, meant = await catalog(empty_url), await catalog(other)
    assert ours == meant
    assert len(ours["tables"]) == len(metadata.tables) + 1, "and the sequence"


async def test_autogenerate_finds_nothing_to_do(empty_url):
    await upgrade(empty_url)

    def compare(connection):
        options = {
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert await run_sync(empty_url, compare) == []
    await fetch(empty_url, "ALTER TABLE outbox DROP COLUMN attempts")
    assert len(await run_sync(empty_url, compare)) == 1


async def test_an_upgrade_says_what_it_did_and_does_it_once(empty_url):
    told = []
    first = await upgrade(empty_url, tell=told.append)
    assert (first.before, first.after, first.engine) == (None, REVISION, "postgres")
    assert told == ["step 0001: The tables, with partitions that take what has no month of its own."]
    meta = dict(await fetch(empty_url, "SELECT key, value FROM meta"))
    assert meta.keys() == {"format", "origin_state_id", "engine", "carried"}
    assert meta["format"] == "ocs"
    now_s = datetime.now(UTC).timestamp()
    assert now_s - 3_600 < int(meta["origin_state_id"]) <= now_s
    await fetch(empty_url, "UPDATE meta SET value = '7' WHERE key = 'origin_state_id'")
    second = await upgrade(empty_url, tell=told.append)
    assert (second.before, second.after) == (REVISION, REVISION)
    assert len(told) == 1
    assert await fetch(empty_url, "SELECT value FROM meta WHERE key = 'origin_state_id'") == [("7",)]


async def test_upgrades_at_once_go_one_after_the_other(empty_url):
    done = await asyncio.gather(*(upgrade(empty_url) for _ in range(4)))
    assert sorted(str(one.before) for one in done) == [REVISION, REVISION, REVISION, "None"]
    assert await fetch(empty_url, f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


async def test_a_row_goes_in_whatever_its_month(postgres_url):
    execute(postgres_url, "INSERT INTO journal VALUES ('a', 1, 209912, 1, '')")
    assert await fetch(postgres_url, "SELECT tableoid::regclass::text FROM journal") == [("journal_default",)]


async def test_another_program_keeps_its_tables(empty_url):
    execute(empty_url, "CREATE TABLE session (id int)")
    with pytest.raises(WrongStore, match=r"tables of another program \(session\)"):
        await upgrade(empty_url)
    assert await fetch(empty_url, "SELECT to_regclass('account')::text") == [(None,)]


async def test_a_newer_schema_is_left_alone(postgres_url):
    execute(postgres_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(WrongStore, match="a newer ocs made it"):
        await upgrade(postgres_url)


async def test_a_downgrade_is_refused(postgres_url):
    def downgrade(connection):
        config = alembic_config()
        config.attributes.update(connection=connection, applied=lambda **_: None)
        command.downgrade(config, "base")

    with pytest.raises(NotImplementedError, match="DROP DATABASE"):
        await run_sync(postgres_url, downgrade)
    assert await fetch(postgres_url, "SELECT count(*) FROM account") == [(0,)]


async def test_a_database_that_cannot_be_used_says_why(postgres_server):
    base = postgres_server.url("postgres")
    with pytest.raises(WrongStore, match=r'"nowhere" does not exist: make it, .*createdb'):
        await upgrade(postgres_server.url("nowhere"))
    with pytest.raises(StoreDown, match=r"ocs:\*\*\*@127.0.0.1:1/ocs does not answer"):
        await upgrade("postgresql://ocs:secret@127.0.0.1:1/ocs")
    execute(base, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(WrongStore, match="encoded as LATIN1: make it with"):
            await upgrade(postgres_server.url("latin"))
    finally:
        execute(base, "DROP DATABASE latin")


def test_the_revisions_are_those_of_the_steps():
    steps = ScriptDirectory.from_config(alembic_config())
    assert steps.get_heads() == [REVISION]
    assert tuple(step.revision for step in reversed(list(steps.walk_revisions()))) == REVISIONS


# Months.


def test_a_month_is_that_of_the_utc_calendar():
    moment = datetime(2023, 12, 1, tzinfo=UTC)
    while moment.year < 2029:  # two leap days
        start_ns = int(moment.timestamp()) * 1_000_000_000
        month = moment.year * 100 + moment.month
        assert (month_of(start_ns), month_of(start_ns + DAY_NS - 1)) == (month, month), moment
        moment += timedelta(days=1)


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2028-02-29T23:59:59+00:00", 202802),
        ("2028-03-01T00:00:00+00:00", 202803),
        ("2100-02-28T23:59:59+00:00", 210002),
        ("2100-03-01T00:00:00+00:00", 210003),
        ("2026-12-31T23:59:59+00:00", 202612),
        ("2027-01-01T10:59:59+11:00", 202612),
        ("1970-01-01T00:00:00+00:00", 197001),
    ],
)
def test_months_change_at_midnight_in_utc(moment, month):
    at_s = int(datetime.fromisoformat(moment).timestamp())
    assert month_of(at_s * 1_000_000_000) == month
    assert month_of(at_s * 1_000_000_000 + 999_999_999) == month


# Citus: its functions are stood in for by ones that write down how they were called.

FAKE_CITUS = (
    "CREATE TABLE citus_calls (number serial, call text)",
    "CREATE TABLE citus_tables (table_name regclass)",
    """CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
        colocate_with text DEFAULT 'default') RETURNS void LANGUAGE sql AS $$
        INSERT INTO citus_calls (call) VALUES (table_name || ' by ' || distribution_column || ', ' || colocate_with);
        INSERT INTO citus_tables VALUES (table_name) $$""",
    """CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS $$
        INSERT INTO citus_calls (call) VALUES (table_name || ' everywhere');
        INSERT INTO citus_tables VALUES (table_name) $$""",
)
CALLS = "SELECT call FROM citus_calls ORDER BY number"


async def test_every_table_is_spread_by_its_key(empty_url, monkeypatch):
    async def make_extension(_connection):
        execute(empty_url, *FAKE_CITUS)

    monkeypatch.setattr("ocs.store.postgres_migrate.make_extension", make_extension)
    upgraded = await upgrade(empty_url, "citus")
    assert upgraded.engine == "citus"
    calls = [call for (call,) in await fetch(empty_url, CALLS)]
    assert calls == [
        "account by account_id, default",
        "session by account_id, account",
        "answer_page by account_id, account",
        "journal by account_id, account",
        "cdr by account_id, account",
        "carried by account_id, account",
        "outbox by account_id, account",
        "identity by identity, none",
        "session_index by session_id, none",
        "meta everywhere",
        "lease everywhere",
    ]
    assert {call.split()[0] for call in calls} == set(metadata.tables), "no table stays behind"
    again = await upgrade(empty_url)
    assert (again.engine, len(await fetch(empty_url, CALLS))) == ("citus", len(calls))
    with pytest.raises(WrongStore, match="stay so"):
        await upgrade(empty_url, "postgres")


async def test_what_is_spread_is_known(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await distributed(connection) == frozenset()
        execute(postgres_url, *FAKE_CITUS, "INSERT INTO citus_tables VALUES ('account'), ('meta')")
        assert await distributed(connection) == {"account", "meta"}
    finally:
        await connection.close()


def test_only_what_is_missing_is_spread():
    done = set(metadata.tables) - {"outbox", "lease"}
    assert distribution(done)[1:] == [
        "SELECT create_distributed_table('outbox', 'account_id', colocate_with => 'account')",
        "SELECT create_reference_table('lease')",
    ]
    assert distribution(metadata.tables) == []


async def test_citus_that_is_not_installed_says_what_to_install(postgres_url):
    with pytest.raises(WrongStore, match=r"citus is not installed .* shared_preload_libraries = 'citus'"):
        await upgrade(postgres_url, "citus")


@pytest.mark.parametrize("table", PARTITIONED, ids=lambda table: table.name)
def test_keys_of_partitioned_tables_hold_what_spreads_them(table):
    key = [column.name for column in table.primary_key]
    assert key[0] == "account_id"
    assert "month" in key


def test_keys_begin_with_what_spreads_the_table():
    for table in postgres_citus.BY_ACCOUNT:
        assert next(iter(table.primary_key)).name == "account_id", table.name
    for table, key in postgres_citus.BY_OWN_KEY.items():
        assert [column.name for column in table.primary_key] == [key], table.name
