"""What is peculiar to the embedded store: its file, its lock, and what it does when the disk does not."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ocs.cdr.records import Cdr
from ocs.charging.outcome import Effect
from ocs.charging.session import Answered
from ocs.store.choose import store_of
from ocs.store.interface import Applied, Loaded, StoreDown, StoreInUse, WrongStore
from ocs.store.memory import MemoryStore
from ocs.store.sqlite import SqliteStore
from ocs.store.sqlite_schema import CDR_COLUMNS, SCHEMA_VERSION, UPGRADES
from tests.store.making import account, cdr, outcome, session

OLD_FILE = Path(__file__).parent.parent / "data" / "store_schema_1.sql"


@pytest.fixture
async def store(tmp_path):
    made = SqliteStore(tmp_path / "var" / "ocs.db")
    await made.open()
    yield made
    await made.close()


async def pragma(store, name):
    return await store._writer.call(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])


async def test_commits_are_synced(store):
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2  # FULL


async def test_only_commits_can_write(store):
    for channel in (store._reader, store._lister):
        with pytest.raises(StoreDown, match="readonly"):
            await channel.call(lambda connection: connection.execute("DELETE FROM account"))


async def test_a_read_after_a_commit_sees_it(store):
    for version in range(1, 30):
        await store.commit([outcome(version=version, session=session(number=version))])
        assert (await store.load("a", "s")).account.version == version


async def test_a_second_store_on_the_file_is_refused(store, tmp_path):
    with pytest.raises(StoreInUse, match="another ocs serves"):
        await SqliteStore(tmp_path / "var" / "ocs.db").open()
    assert await store.commit([outcome()]) == [Applied.DONE]


async def test_a_second_process_is_refused_until_the_first_is_gone(store, tmp_path):
    program = (
        "import asyncio, sys\n"
        "from ocs.store.interface import StoreInUse\n"
        "from ocs.store.sqlite import SqliteStore\n"
        "async def main():\n"
        "    store = SqliteStore(sys.argv[1])\n"
        "    try:\n"
        "        await store.open()\n"
        "    except StoreInUse as error:\n"
        "        sys.exit(f'in use: {error}')\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "var" / "ocs.db")]
    refused = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "in use" in refused.stderr
    await store.close()
    taken = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (taken.returncode, taken.stderr) == (0, "")


async def test_a_file_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(WrongStore, match="another program"):
        await SqliteStore(path).open()
    assert path.read_bytes() == before


async def test_what_is_no_sqlite_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(WrongStore, match="not an SQLite file"):
        await SqliteStore(path).open()
    assert path.read_text() == "not a database " * 100


async def test_a_newer_schema_is_refused(store, tmp_path):
    await store._writer.call(lambda c: c.execute("UPDATE meta SET value = '3' WHERE key = 'schema'"))
    await store.close()
    with pytest.raises(WrongStore, match="schema 3"):
        await SqliteStore(tmp_path / "var" / "ocs.db").open()


def make_old_file(path):
    """A file as version 1 of the schema left it: account a with two versions, a session, CDRs; account b."""
    old = sqlite3.connect(path)
    old.executescript(OLD_FILE.read_text())
    old.close()


async def test_a_file_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(tmp_path):
    make_old_file(tmp_path / "ocs.db")
    store = SqliteStore(tmp_path / "ocs.db")
    for _ in range(2):
        await store.open()
        assert await store.load("a", "s") == Loaded(account(version=2, value=990), session(number=1))
        assert [found.id for found in await store.accounts("", 10)] == ["a", "b"]
        assert [entry.version for entry in await store.journal("a", 0, 10)] == [1, 2]
        assert [(number, one) for number, one in await store.cdrs(None, None, 0, 10)] == [
            (1, cdr()),
            (2, cdr(partial=1)),
        ]
        assert await store.load_answers("a", "s") == [Answered(1, 0, b"x")]
        assert (await store.find_session("t"), await store.find_account(("imsi:b",))) == ("b", "b")
        assert await store.origin_state_id() == 1_795_303_949
        await store.close()
    await store.open()
    assert await store.commit([outcome(version=3, effects=(Effect("abort"),))]) == [Applied.DONE]
    assert len(await store.claim_effects((), 10_000, 20_000, 10)) == 1
    await store.close()


async def test_an_upgraded_file_has_the_schema_of_a_new_one(store, tmp_path):
    make_old_file(tmp_path / "old.db")
    old = SqliteStore(tmp_path / "old.db")
    await old.open()
    query = "SELECT name, sql FROM sqlite_master ORDER BY name"
    new_schema, old_schema = [await one._lister.call(lambda c: c.execute(query).fetchall()) for one in (store, old)]
    await old.close()
    assert old_schema == new_schema
    assert list(UPGRADES) == list(range(1, SCHEMA_VERSION))


async def test_an_upgrade_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    make_old_file(tmp_path / "ocs.db")
    with monkeypatch.context() as patch:
        patch.setitem(UPGRADES, 1, (*UPGRADES[1], "CREATE TABLE outbox (again)"))
        with pytest.raises(StoreDown, match="already exists"):
            await SqliteStore(tmp_path / "ocs.db").open()
    store = SqliteStore(tmp_path / "ocs.db")
    await store.open()
    assert [found.version for found in await store.accounts("", 10)] == [2, 1]
    await store.close()


async def test_a_store_that_cannot_be_made_is_down(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreDown):
        await SqliteStore(tmp_path / "file" / "ocs.db").open()
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreDown):
        await SqliteStore(tmp_path / "folder.db").open()


async def test_a_full_disk_is_a_store_that_is_down_and_nothing_is_written(store):
    await store.commit([outcome()])
    pages = await pragma(store, "page_count")
    await store._writer.call(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(StoreDown, match="full"):
        await store.commit([outcome(f"b{n}", session=session(f"s{n}", f"b{n}")) for n in range(100)])
    assert [found.id for found in await store.accounts("", 10)] == ["a"]
    assert await store.find_session("s0") is None
    await store._writer.call(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    assert await store.commit([outcome("b")]) == [Applied.DONE]
    assert await store.journal("b", 0, 10) != []


async def test_a_locked_file_is_a_store_that_is_down(store, tmp_path, monkeypatch):
    await store._writer.call(lambda c: c.execute("PRAGMA busy_timeout = 0").fetchone())
    other = sqlite3.connect(tmp_path / "var" / "ocs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreDown, match="locked"):
        await store.commit([outcome()])
    other.execute("ROLLBACK")
    other.close()
    assert await store.commit([outcome()]) == [Applied.DONE]


async def test_a_number_too_large_for_a_column_is_refused_and_leaves_nothing(store):
    large = Cdr(**{name: getattr(cdr(), name) for name in CDR_COLUMNS} | {"cost_nanos": 2**63})
    with pytest.raises(OverflowError):
        await store.commit([outcome(cdrs=(large,))])
    with pytest.raises(OverflowError):
        await store.commit([outcome(value=2**64)])
    assert await store.accounts("", 10) == []
    most = outcome(value=-(2**63))
    assert await store.commit([most]) == [Applied.DONE]
    assert (await store.load("a", None)).account == account(value=-(2**63))


async def test_what_is_asked_together_is_answered_each_by_itself(store):
    def broken(connection):
        raise ZeroDivisionError

    asked = [store._reader.call(lambda c, n=n: c.execute("SELECT ?", (n,)).fetchone()[0]) for n in range(200)]
    asked[7:7] = [store._reader.call(broken), store._reader.call(lambda c: c.execute("SELECT nonsense"))]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results[7:9]] == [ZeroDivisionError, StoreDown]
    assert results[:7] + results[9:] == list(range(200))


async def test_who_stops_waiting_harms_nobody(store):
    cancelled = asyncio.ensure_future(store.commit([outcome()]))
    other = asyncio.ensure_future(store.commit([outcome("b")]))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other == [Applied.DONE]
    assert [found.id for found in await store.accounts("", 10)] == ["a", "b"]


async def test_a_closed_store_is_down(store):
    await store.close()
    with pytest.raises(StoreDown):
        await store.load("a", None)
    with pytest.raises(StoreDown):
        await store.commit([outcome()])


async def test_a_failed_open_lets_go_of_the_lock(store, tmp_path):
    await store._writer.call(lambda c: c.execute("UPDATE meta SET value = '3' WHERE key = 'schema'"))
    await store.close()
    with pytest.raises(WrongStore):
        await store.open()
    with sqlite3.connect(tmp_path / "var" / "ocs.db") as other:
        other.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    other.close()
    await store.open()
    assert await store.accounts("", 10) == []


async def test_queries_find_their_rows_by_an_index(store):
    """What is asked of the file, planned again: a SCAN reads a whole table. Two lists are meant to."""
    statements: list[str] = []
    for channel in (store._writer, store._reader, store._lister):
        await channel.call(lambda connection: connection.set_trace_callback(statements.append))
    effects = (Effect("abort"),)
    await store.commit(
        [outcome(session=session(), cdrs=(cdr(),)), outcome(version=2, session=session(), effects=effects)]
    )
    for due in await store.claim_effects(("pgw.example.com",), 10_000, 20_000, 10):
        await store.finish_effect(due)
    await store.audit(["a"])
    await store.forget(10**9, 10)
    await store.origin_state_id()
    await store.find_account(("msisdn:a",))
    await store.find_session("s")
    await store.load("a", "s")
    await store.load_answers("a", "s")
    await store.due(10**9, 10)
    await store.accounts("", 10)
    await store.sessions(None, "", 10)
    await store.sessions("a", "", 10)
    await store.cdrs("a", None, 0, 10)
    await store.cdrs(None, "s", 0, 10)
    await store.journal("a", 0, 10)
    await store.count_open_sessions()
    for channel in (store._writer, store._reader, store._lister):
        await channel.call(lambda connection: connection.set_trace_callback(None))
    scans = set()
    for statement in statements:
        if statement.lstrip().partition(" ")[0] in {"BEGIN", "COMMIT"}:
            continue
        plan = await store._lister.call(lambda c, s=statement: c.execute(f"EXPLAIN QUERY PLAN {s}").fetchall())
        scans |= {step for *_, step in plan if step.startswith("SCAN")}
    assert scans == {"SCAN session USING COVERING INDEX session_open", "SCAN h", "SCAN history"}


def test_columns_are_the_fields_of_a_cdr():
    assert Cdr.__struct_fields__ == CDR_COLUMNS
    assert tuple(Cdr(*[getattr(cdr(), name) for name in CDR_COLUMNS]).__struct_fields__) == CDR_COLUMNS


@pytest.mark.parametrize(("url", "kind"), [("memory:", MemoryStore), ("sqlite:var/ocs.db", SqliteStore)])
def test_a_url_says_which_store(url, kind):
    assert isinstance(store_of(url), kind)


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:", "memory:x", "mysql://host", "var/ocs.db"])
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="is no store"):
        store_of(url)
