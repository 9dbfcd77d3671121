"""ocs db: tables, months and health of a store, in PostgreSQL and in a file."""

import json
import sqlite3
import time
from contextlib import closing

import asyncpg
import msgspec
import pytest

from ocs.balances.journal import Entry
from ocs.store.postgres_months import month_after
from ocs.store.postgres_schema import REVISION, metadata, month_of
from ocs.store.sqlite_schema import SCHEMA_VERSION
from ocs.store.url import kind_of, shown
from tests.cli.child import ROOT, Child, edit
from tests.postgres.database import empty_database, execute, in_thread
from tests.postgres.server import PostgresServer


def use(folder, url, more=""):
    """The store of the configuration in `folder`."""
    text = (folder / "config" / "server.yaml").read_text()
    (line,) = [line for line in text.splitlines() if "sqlite:" in line and "url" in line]
    edit(folder / "config" / "server.yaml", (line, f"  url: {url}{more}"))


def fetch(url, statement):
    async def work():
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return in_thread(work())


@pytest.fixture
def empty(folder, postgres_server):
    """A configuration whose database has no tables: its URL."""
    with empty_database(postgres_server) as url:
        use(folder, url)
        yield url


@pytest.fixture(scope="module")
def durable():
    """A server as in real life."""
    server = PostgresServer(durable=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def this_month():
    return month_of(time.time_ns())


# PostgreSQL.


def test_a_database_is_made_and_made_once(ocs, empty):
    first = ocs("db", "upgrade", "--config", "config")
    assert (first.code, first.out.splitlines()[0]) == (0, f"schema {REVISION} (postgres): made")
    assert f"journal_{month_after(this_month(), 3)}" in first.out
    assert "step 0001: " in first.err
    second = ocs("db", "upgrade", "--config", "config")
    assert (second.code, second.out, second.err) == (0, f"schema {REVISION} (postgres): nothing to do\n", "")
    again = ocs("db", "upgrade", "--config", "config", "--json").json
    assert (again["before"], again["after"], again["engine"]) == (REVISION, REVISION, "postgres")
    assert again["partitions"]["made"] == []


def test_a_database_as_it_should_be_has_no_problems(ocs, folder, durable):
    with empty_database(durable) as url:
        use(folder, url)
        assert ocs("db", "upgrade").code == 0
        checked = ocs("db", "check")
        assert (checked.code, checked.out) == (0, "fine: no problems\n")
        assert ocs("db", "check", "--json").json == {"problems": []}


def test_what_is_wrong_with_a_database_is_said(ocs, folder, empty):
    told = ocs("db", "check")
    assert told.code == 1
    assert told.out.splitlines()[-2:] == [
        "revision: the database has no tables of ocs: run ocs db upgrade",
        "problems: 3",
    ]
    assert ocs("db", "upgrade").code == 0
    month = this_month()
    name = f"journal_{month_after(month, 2)}"
    execute(
        empty,
        f"DROP TABLE {name}",
        f"INSERT INTO journal VALUES ('a', 1, {month_after(month, 2)}, 1, '')",
        "ALTER TABLE outbox SET UNLOGGED",
        f"ALTER TABLE cdr_{month} SET UNLOGGED",
        "ALTER TABLE session SET (autovacuum_enabled = false)",
        "UPDATE meta SET value = 'citus' WHERE key = 'engine'",
    )
    found = {problem["text"] for problem in ocs("db", "check", "--json").json["problems"]}
    assert found == {
        "fsync is off: a crash of the machine loses what was answered, or all of it; set it to on",
        "full_page_writes is off: a crash of the machine can leave half a page; set it to on",
        f"cdr_{month} is empty after a crash: ALTER TABLE cdr_{month} SET LOGGED",
        "outbox is empty after a crash: ALTER TABLE outbox SET LOGGED",
        "session grows: ALTER TABLE session RESET (autovacuum_enabled)",
        f"{name} is missing: run ocs db partitions (a running server does so every hour)",
        "journal_default holds 1 rows whose month had no partition: run ocs db partitions",
        f"{', '.join(sorted(metadata.tables))}: not spread over the nodes of Citus: run ocs db upgrade --engine citus",
    }


def test_settings_that_lose_commits_are_problems(ocs, folder):
    settings = {"synchronous_commit": "off", "autovacuum": "off", "max_connections": "20"}
    server = PostgresServer(durable=True, settings=settings)
    try:
        server.start()
        execute(server.url("postgres"), "CREATE DATABASE ocs")
        use(folder, server.url("ocs"))
        assert ocs("db", "upgrade").code == 0
        problems = ocs("db", "check", "--json").json["problems"]
        assert {problem["name"] for problem in problems} == settings.keys()
        assert all(problem["text"].startswith(f"{problem['name']} is ") for problem in problems)
    finally:
        server.stop()


def test_a_clock_that_is_off_is_a_problem(ocs, folder, durable, monkeypatch):
    with empty_database(durable) as url:
        use(folder, url)
        assert ocs("db", "upgrade").code == 0
        monkeypatch.setattr("ocs.store.postgres_check.check.__defaults__", (3, lambda: time.time_ns() - 10**11))
        assert "clock: the clock here is -100.0 s from the database's" in ocs("db", "check").out


def test_a_database_that_takes_no_writes_is_looked_at_all_the_same(ocs, folder, postgres_url):
    use(folder, postgres_url)
    name = postgres_url.rpartition("/")[2]
    execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert {problem["name"] for problem in ocs("db", "check", "--json").json["problems"]} >= {"fsync", "partitions"}
    told = ocs("db", "partitions")
    assert told.code == 2
    assert "in a read-only transaction" in told.err


def test_a_newer_database_is_refused(ocs, folder, postgres_url):
    use(folder, postgres_url)
    execute(postgres_url, "UPDATE schema_version SET version_num = '9999'")
    refused = ocs("db", "upgrade")
    assert refused.code == 2
    assert "the database has schema 9999, this program knows" in refused.err
    assert "revision: the database has schema 9999" in ocs("db", "check").out


def test_months_are_tended(ocs, folder, postgres_url):
    use(folder, postgres_url, "\n  partitions_ahead_months: 1\n  keep_months: 2")
    old, month = month_after(this_month(), -3), this_month()
    entry = "\\x" + msgspec.msgpack.encode(Entry("a", 1, "charge", 1)).hex()
    execute(postgres_url, f"INSERT INTO journal VALUES ('a', 1, {old}, 1, '{entry}'), ('a', 2, {month}, 1, '')")
    report = ocs("db", "partitions")
    assert report.code == 0
    names = [f"{table}_{each}" for table in ("journal", "cdr") for each in (old, month, month_after(month, 1))]
    assert report.out.splitlines() == [
        f"made: {', '.join(names)}",
        "moved: 2 rows into the partitions of their months",
        f"dropped: {old} (1 journal entries and 0 CDRs added up)",
        "done",
    ]
    assert f"{old} is dropped: 1 journal entries and 0 CDRs were added up" in report.err
    assert fetch(postgres_url, "SELECT account_id FROM carried") == [("a",)]
    assert ocs("db", "partitions").out == "nothing to do\n"
    assert json.loads(ocs("db", "partitions", "--json").out)["dropped"] == []


def test_months_that_cannot_be_dropped_end_with_1(ocs, folder, postgres_url):
    use(folder, postgres_url, "\n  keep_months: 2")
    old = month_after(this_month(), -3)
    execute(postgres_url, f"INSERT INTO journal VALUES ('a', 1, {old}, 1, '')")
    report = ocs("db", "partitions")
    assert report.code == 1
    assert f"left: {old} is kept: it cannot be added up: " in report.out


def test_the_origin_state_is_raised_after_a_restore(ocs, folder, postgres_url):
    use(folder, postgres_url)
    before_s = int(time.time())
    told = ocs("db", "raise-origin-state", "--json").json
    assert told["before"] == 12345
    assert before_s <= told["after"] <= time.time()
    execute(postgres_url, f"UPDATE meta SET value = '{2**31}' WHERE key = 'origin_state_id'")
    again = ocs("db", "raise-origin-state")
    assert again.out == f"Origin-State-Id {2**31 + 1}, it was {2**31}: restart all servers\n"
    assert fetch(postgres_url, "SELECT value FROM meta WHERE key = 'origin_state_id'") == [(str(2**31 + 1),)]


@pytest.mark.parametrize("command", ["upgrade", "check", "partitions", "raise-origin-state"])
def test_a_database_that_does_not_answer_is_2_and_its_password_is_not_shown(ocs, folder, command):
    use(folder, "postgresql://ocs:hush@127.0.0.1:1/ocs")
    told = ocs("db", command)
    assert told.code == 2
    assert "postgresql://ocs:***@127.0.0.1:1/ocs does not answer" in told.err
    assert "hush" not in told.err + told.out


def test_citus_that_is_not_there_is_2(ocs, empty):
    told = ocs("db", "upgrade", "--engine", "citus")
    assert told.code == 2
    assert "the extension citus is not installed on the database server" in told.err


# A file.


def test_a_file_is_made_checked_and_has_no_partitions(ocs, folder):
    absent = ocs("db", "check")
    assert (absent.code, absent.out.splitlines()[-1]) == (1, "problems: 1")
    assert "ocs serve makes it" in absent.out
    made = ocs("db", "upgrade")
    assert (made.code, made.out) == (0, f"schema {SCHEMA_VERSION} (sqlite): made\n")
    assert ocs("db", "upgrade").out == f"schema {SCHEMA_VERSION} (sqlite): nothing to do\n"
    assert (ocs("db", "check").code, ocs("db", "check").out) == (0, "fine: no problems\n")
    assert ocs("db", "partitions")[:2] == (0, "SQLite has no partitions: nothing to do\n")
    assert ocs("db", "partitions", "--json").json is None


def test_a_file_of_another_version_is_said_and_upgraded(ocs, folder):
    ocs("db", "upgrade")
    path = folder / "var" / "ocs.db"
    set_meta(path, "schema", "9")
    assert "the file has schema 9, this program" in ocs("db", "check").out
    assert ocs("db", "upgrade").code == 2
    old = folder / "var" / "old.db"
    edit(folder / "config" / "server.yaml", ("var/ocs.db", "var/old.db"))
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript((ROOT / "tests" / "data" / "store_schema_1.sql").read_text())
    assert "run ocs db upgrade" in ocs("db", "check").out
    assert ocs("db", "upgrade").out == f"schema {SCHEMA_VERSION} (sqlite): from 1\n"
    assert ocs("db", "check").code == 0


def set_meta(path, key, value):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))


def test_a_damaged_file_is_found(ocs, folder):
    ocs("db", "upgrade")
    path = folder / "var" / "ocs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO account VALUES (?, 1, 0, ?)", [(f"a{number}", b"x" * 500) for number in range(200)]
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'account'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[root * size - 400 : root * size - 8] = bytes(392)  # cells of the root page
    path.write_bytes(content)
    told = ocs("db", "check")
    assert told.code == 1
    assert "restore the file from a backup" in told.out
    path.write_bytes(b"not a database at all" * 100)
    assert "is no SQLite file, or damaged" in ocs("db", "check").out


def test_a_file_in_use_is_left_alone(ocs, folder):
    with Child(folder):
        assert ocs("db", "check").code == 0
        for command in ("upgrade", "raise-origin-state"):
            told = ocs("db", command)
            assert told.code == 2
            assert "another ocs serves from this store" in told.err


def test_the_origin_state_of_a_file_is_raised(ocs, folder):
    assert ocs("db", "raise-origin-state").code == 2
    ocs("db", "upgrade")
    path = folder / "var" / "ocs.db"
    set_meta(path, "origin_state_id", "7")
    told = ocs("db", "raise-origin-state", "--json").json
    assert told["before"] == 7
    assert told["after"] > 1_700_000_000
    set_meta(path, "origin_state_id", str(2**31))
    assert ocs("db", "raise-origin-state", "--json").json == {"before": 2**31, "after": 2**31 + 1}
    assert ocs("db", "raise-origin-state", "--json").json["before"] == 2**31 + 1


def test_an_engine_is_for_postgresql(ocs, folder):
    told = ocs("db", "upgrade", "--engine", "citus")
    assert told.code == 2
    assert "--engine is for PostgreSQL" in told.err


@pytest.mark.parametrize("command", ["upgrade", "check", "partitions", "raise-origin-state"])
def test_memory_has_no_database(ocs, folder, command):
    use(folder, '"memory:"')
    told = ocs("db", command)
    assert told.code == 2
    assert told.err == "ocs: the store memory:: a store in memory has no database: it is gone when the server ends\n"


# URLs.


@pytest.mark.parametrize(
    ("url", "kind", "seen"),
    [
        ("sqlite:a:b@c", "sqlite", "sqlite:a:b@c"),
        ("memory:", "memory", "memory:"),
        ("postgresql://h/d", "postgresql", "postgresql://h/d"),
        ("postgres://u@h/d", "postgresql", "postgres://u@h/d"),
        ("postgresql://u:p%40:@h1:1,h2:2/d?x=1", "postgresql", "postgresql://u:***@h1:1,h2:2/d?x=1"),
        ("postgresql:///d?user=u&password=p", "postgresql", "postgresql:///d?user=u&password=***"),
    ],
)
def test_urls_are_shown_without_passwords(url, kind, seen):
    assert (kind_of(url), shown(url)) == (kind, seen)


@pytest.mark.parametrize("url", ["", "sqlite:", "memory:x", "postgresql:x", "mysql://h/d"])
def test_other_urls_are_no_stores(url):
    with pytest.raises(ValueError, match="is no store: sqlite:PATH, "):
        kind_of(url)
