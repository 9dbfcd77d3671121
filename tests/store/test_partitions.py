"""Months of the journal and of the CDRs on a real PostgreSQL: made ahead, moved, added up, dropped; nothing is lost."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Folded, Posting, fold
from ocs.rating.units import Kind
from ocs.store import postgres_months, postgres_partitions, postgres_retention
from ocs.store.interface import StoreDown, WrongStore
from ocs.store.postgres_admin import ADMIN_LOCK
from ocs.store.postgres_ledger import audit
from ocs.store.postgres_months import TABLES, is_month, month_after
from ocs.store.postgres_partitions import Care, maintain, partitions
from ocs.store.postgres_schema import VERSION_TABLE, month_of
from tests.postgres.database import execute

LIMIT_S = 60
CDR = """INSERT INTO cdr SELECT account_id, session_id, 100, -1, 0, month, nextval('cdr_id'), 'data', 'msisdn:1', '',
    '*any', 1, 2, 3, 'octets', 0, cost_nanos, 'AUD', 'v1', 'normal', 0, 0, ''
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS u (account_id, session_id, month, cost_nanos)"""


IN_USE = """SELECT account_id, folded, cdr_cost_nanos FROM carried
    WHERE generation <= (SELECT value::bigint FROM meta WHERE key = 'carried')"""


def at(text):
    """A clock that stands still."""
    return lambda: int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000_000_000


def this_month():
    return month_of(time.time_ns())


@pytest.fixture
async def connection(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close(timeout=LIMIT_S)


async def fetch(connection, statement, *values):
    return [tuple(row) for row in await connection.fetch(statement, *values)]


async def write(connection, entries, months):
    """Journal rows: `months` has the month of each."""
    rows = [
        (entry.account_id, entry.version, month, entry.at_ns, msgspec.msgpack.encode(entry))
        for entry, month in zip(entries, months, strict=True)
    ]
    await connection.copy_records_to_table("journal", records=rows)


def entry(account_id="a", version=1, cost_nanos=0):
    return Entry(
        account_id, version, "charge", version, postings=(Posting("m", -cost_nanos, 0),), cost_nanos=cost_nanos
    )


async def where(connection, table="journal"):
    """By partition: how many rows."""
    return dict(await fetch(connection, f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"))


async def names(connection):
    return {
        name
        for (name,) in await fetch(
            connection,
            "SELECT inhrelid::regclass::text FROM pg_inherits i JOIN"
            " pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'",
        )
    }


# Made ahead.


async def test_months_are_made_ahead_over_the_end_of_the_year_and_once(postgres_url, connection):
    clock = at("2020-11-30T23:59:59")
    report = await partitions(postgres_url, Care(), now_ns=clock)
    months = (202011, 202012, 202101, 202102)
    assert report.made == tuple(f"{table}_{month}" for table in TABLES for month in months)
    assert (report.moved_rows, report.dropped, report.left) == (0, (), ())
    assert await names(connection) == {*report.made, "journal_default", "cdr_default"}
    assert await partitions(postgres_url, Care(), now_ns=clock) == type(report)()
    later = await maintain(postgres_url, Care(ahead_months=4), at("2020-12-01T00:00:00"))
    assert later.made == ("journal_202103", "journal_202104", "cdr_202103", "cdr_202104")


async def test_a_partition_has_the_indexes_of_its_table_and_takes_its_month_alone(postgres_url, connection):
    await partitions(postgres_url, Care(0), now_ns=at("2020-12-15T00:00:00"))
    await write(connection, [entry(version=version) for version in (1, 2, 3)], [202011, 202012, 202101])
    assert await where(connection) == {"journal_default": 2, "journal_202012": 1}
    parents = await fetch(
        connection,
        "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid::regclass::text LIKE 'cdr\\_202012%'",
    )
    assert sorted(parents) == [("cdr",), ("cdr_by_account",), ("cdr_by_id",), ("cdr_by_session",), ("cdr_pkey",)]
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(connection, [entry(version=2)], [202012])


def test_months_are_counted_by_the_calendar():
    moment, month = datetime(1999, 12, 1, tzinfo=UTC), 199912
    for count in range(400):
        assert month_after(199912, count) == month
        assert month_after(month, -count) == 199912
        assert is_month(month)
        moment = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)
        month = moment.year * 100 + moment.month
    assert not any(map(is_month, (0, -1, 202600, 202613, 99_912, 1_000_001)))


# Beside.


async def test_rows_beside_their_month_are_moved_into_it(postgres_url, connection):
    months = [202001, 202003, 202003, 202012, 202613]
    await write(connection, [entry(version=version) for version in range(1, 6)], months)
    before = await fetch(connection, "SELECT * FROM journal ORDER BY version")
    told = []
    report = await partitions(postgres_url, Care(0), told.append, at("2020-12-15T00:00:00"))
    assert report.moved_rows == 4
    assert await where(connection) == {
        "journal_202001": 1,
        "journal_202003": 2,
        "journal_202012": 1,
        "journal_default": 1,
    }  # 202613 is no month
    assert await fetch(connection, "SELECT * FROM journal ORDER BY version") == before
    assert "journal_202003: 2 rows are moved into it, commits wait" in told
    assert {"cdr_202001", "cdr_202003", "cdr_202012"} <= await names(connection), "a month has both tables"


async def test_a_server_leaves_many_rows_to_a_quiet_hour(postgres_url, connection, monkeypatch):
    monkeypatch.setattr(postgres_partitions, "PARTITION_ROWS_MOVED_MAX", 2)
    await write(connection, [entry(version=version) for version in (1, 2, 3)], [202001] * 3)
    report = await maintain(postgres_url, Care(0), at("2020-12-15T00:00:00"))
    assert report.made == ("cdr_202001", "cdr_202012")
    assert report.left == ("journal_default holds 3 rows: run ocs db partitions in a quiet hour, commits wait for it",)
    assert (await partitions(postgres_url, Care(0), now_ns=at("2020-12-15T00:00:00"))).moved_rows == 3


async def test_nobody_loses_a_row_while_partitions_are_made(postgres_url, connection):
    """Writers insert into months that get their partitions in the very moment."""
    months = [month_after(202001, number) for number in range(12)]
    written, done = Counter(), asyncio.Event()

    async def writer(number):
        own = await asyncpg.connect(postgres_url)
        try:
            dice, version = random.Random(number), 0
            while not done.is_set() or version < 50:
                version += 1
                month = dice.choice(months)
                async with own.transaction():
                    await write(own, [entry(f"a{number}", version)], [month])
                    await own.execute(CDR, [f"a{number}"], [f"s{version}"], [month], [1])
                written[month] += 1
        finally:
            await own.close()

    writers = [asyncio.create_task(writer(number)) for number in range(3)]
    try:
        for month in months:
            text = f"{month // 100}-{month % 100:02}-15T00:00:00"
            report = await partitions(postgres_url, Care(0), now_ns=at(text))
            assert report.left == ()
    finally:
        done.set()
        await asyncio.gather(*writers)
    assert sum(written.values()) >= 150
    for table in TABLES:
        assert await where(connection, table) == {f"{table}_{month}": count for month, count in written.items()}


# One at a time.


async def test_who_comes_second_leaves_it_to_the_first(postgres_url, connection):
    await connection.execute("SELECT pg_advisory_lock($1)", ADMIN_LOCK)
    assert await maintain(postgres_url, Care()) is None
    waiting = asyncio.create_task(partitions(postgres_url, Care(0), now_ns=at("2020-12-15T00:00:00")))
    await until(connection, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    await connection.execute("SELECT pg_advisory_unlock($1)", ADMIN_LOCK)
    assert len((await waiting).made) == 2


async def until(connection, statement):
    async with asyncio.timeout(LIMIT_S):
        while not await connection.fetchval(statement):
            await connection.execute("SELECT pg_sleep(0.01)")


async def test_commits_do_not_wait_for_who_reads_long(postgres_url, connection, monkeypatch):
    """A partition that cannot be made now is left for the next time."""
    monkeypatch.setattr(postgres_months, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(postgres_months, "LOCK_PAUSE_S", 0)
    async with connection.transaction():
        await connection.execute("SELECT count(*) FROM journal")
        report = await partitions(postgres_url, Care(0), now_ns=at("2020-12-15T00:00:00"))
    assert report.made == ("cdr_202012",)
    assert report.left == ("journal_202012 is not made: others hold journal for longer than commits may wait",)
    assert (await partitions(postgres_url, Care(0), now_ns=at("2020-12-15T00:00:00"))).made == ("journal_202012",)


# Retention.


def history(dice, account_id):
    """Entries of one account over seven months, and the month of each; not every month follows the one before."""
    made, months, balances = [], [], []
    month = month_after(this_month(), -6)
    for version in range(1, dice.randrange(2, 30)):
        opened = (Balance(f"b{version}", Kind.MONETARY, 0),) if not balances or dice.random() < 0.1 else ()
        balances += [balance.id for balance in opened]
        closed = (balances.pop(0),) if len(balances) > 2 else ()
        touched = dice.sample(balances, dice.randrange(len(balances) + 1))
        postings = tuple(Posting(name, dice.randrange(-9, 9), dice.randrange(-9, 9)) for name in touched)
        cost_nanos = dice.randrange(1_000)
        made.append(Entry(account_id, version, "charge", version, "", "", postings, opened, closed, cost_nanos))
        months.append(dice.choice([month, month, month_after(month, -1)]))
        if dice.random() < 0.3 and month < this_month():
            month = month_after(month, 1)
    return made, months


async def ledger(connection):
    """By account: (carried and journal together, costs of CDRs carried and there)."""
    entries = defaultdict(list)
    for (content,) in await connection.fetch("SELECT entry FROM journal"):
        found = msgspec.msgpack.decode(content, type=Entry)
        entries[found.account_id].append(found)
    costs = Counter(dict(await fetch(connection, "SELECT account_id, sum(cost_nanos)::bigint FROM cdr GROUP BY 1")))
    carried = {}
    for account_id, content, cost_nanos in await fetch(connection, IN_USE):
        carried[account_id] = carried.get(account_id, Folded()).plus(msgspec.msgpack.decode(content, type=Folded))
        costs[account_id] += cost_nanos
    accounts = entries.keys() | carried.keys() | costs.keys()
    return {each: (carried.get(each, Folded()).plus(fold(entries[each])), costs[each]) for each in sorted(accounts)}


@pytest.mark.parametrize("seed", range(4))
async def test_the_ledger_is_the_same_before_and_after_months_are_dropped(postgres_url, connection, monkeypatch, seed):
    monkeypatch.setattr(postgres_retention, "ROWS_AT_ONCE", dice_rows := 5 + seed)
    monkeypatch.setattr(postgres_retention, "RANGE_ROWS", 7)
    dice = random.Random(seed)
    accounts = [f"a{number}" for number in range(12)]
    cdrs = []
    for account_id in accounts:
        await write(connection, *history(dice, account_id))
        cdrs += [
            (account_id, f"s{number}", month_after(this_month(), -dice.randrange(8)), dice.randrange(10**12))
            for number in range(dice.randrange(9))
        ]
    await connection.execute(CDR, *map(list, zip(*cdrs, strict=True)))
    before = await ledger(connection)
    assert sum(folded.entries for folded, _ in before.values()) > 10 * dice_rows
    dropped = []
    for keep in (9, 4, 4, 2, 1):
        rows = Counter({table: (await connection.fetchval(f"SELECT count(*) FROM {table}")) for table in TABLES})
        report = await partitions(postgres_url, Care(keep_months=keep))
        assert report.left == ()
        dropped += report.dropped
        first = month_after(this_month(), -keep)
        for table in TABLES:
            rows[table] -= await connection.fetchval(f"SELECT count(*) FROM {table}")
            assert not await fetch(connection, f"SELECT 1 FROM {table} WHERE month < $1", first)
        assert (report.carried_entries, report.carried_cdrs) == (rows["journal"], rows["cdr"])
        assert await ledger(connection) == before
    assert dropped == [month_after(this_month(), -months) for months in (7, 6, 5, 4, 3, 2)]
    assert await where(connection), "what is kept is there"


async def test_nothing_is_dropped_where_nobody_said_so(postgres_url, connection):
    await write(connection, [entry()], [200001])
    assert (await partitions(postgres_url, Care())).dropped == ()
    assert (await maintain(postgres_url, Care())).dropped == ()
    assert await where(connection) == {"journal_200001": 1}


async def test_a_month_that_sessions_began_in_is_kept(postgres_url, connection):
    old, older = month_after(this_month(), -4), month_after(this_month(), -5)
    await write(connection, [entry(), entry(version=2)], [old, older])
    for key, is_open in (("s1", True), ("s2", False)):
        await connection.execute("INSERT INTO session VALUES ('a', $1, $2, 'data', $3, 1, '')", key, is_open, old)
    report = await maintain(postgres_url, Care(keep_months=1))
    assert report.dropped == (older,)
    assert report.left == (f"{old} is kept: 2 sessions that began in it are open or not forgotten",)
    assert await where(connection) == {f"journal_{old}": 1}
    await connection.execute("DELETE FROM session")
    assert (await maintain(postgres_url, Care(keep_months=1))).dropped == (old,)


async def test_a_clock_that_is_wrong_drops_nothing(postgres_url, connection):
    await write(connection, [entry()], [this_month()])
    report = await maintain(postgres_url, Care(0, keep_months=1), lambda: time.time_ns() + 366 * 86_400 * 10**9)
    assert report.dropped == ()
    assert report.left[0].startswith("nothing is dropped: the clocks here and of the database are +316")
    assert await where(connection) == {f"journal_{this_month()}": 1}


async def test_a_month_that_cannot_be_added_up_is_kept_whole(postgres_url, connection):
    old = month_after(this_month(), -4)
    await write(connection, [entry("a"), entry("b", cost_nanos=2**63), entry("b", 2, cost_nanos=2**63)], [old] * 3)
    report = await partitions(postgres_url, Care(keep_months=1))
    assert report.dropped == ()
    assert report.left[0].startswith(f"{old} is kept: it cannot be added up: ")
    await connection.execute("UPDATE journal SET entry = '\\xc1' WHERE account_id = 'b'")
    report = await partitions(postgres_url, Care(keep_months=1))
    assert report.left[0].startswith(f"{old} is kept: it cannot be added up: ")
    assert await where(connection) == {f"journal_{old}": 3}
    assert await fetch(connection, IN_USE) == []


async def test_a_month_is_dropped_when_who_reads_it_is_done_and_commits_go_on(postgres_url, connection, monkeypatch):
    monkeypatch.setattr(postgres_months, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(postgres_months, "LOCK_PAUSE_S", 0.01)
    old = month_after(this_month(), -4)
    await write(connection, [entry()], [old])
    await partitions(postgres_url, Care())
    reader = await asyncpg.connect(postgres_url)
    reading = reader.transaction()
    await reading.start()
    assert await reader.fetchval("SELECT count(*) FROM journal") == 1
    dropping = asyncio.create_task(partitions(postgres_url, Care(keep_months=1)))
    waits = "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
    for version in (2, 3):
        await until(connection, waits)
        await write(connection, [entry(version=version)], [this_month()])
    assert await reader.fetchval("SELECT count(*) FROM journal") == 3
    assert await reader.fetch(IN_USE) == []
    await reading.rollback()
    await reader.close()
    report = await dropping
    assert (report.dropped, report.carried_entries) == ((old,), 1)
    assert (await ledger(connection))["a"] == (fold([entry(version=version) for version in (1, 2, 3)]), 0)


async def test_an_audit_sees_a_month_as_there_or_as_carried(postgres_url, connection, monkeypatch):
    """A month that is dropped between two reads of the audit is not missed."""
    monkeypatch.setattr(postgres_months, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(postgres_months, "LOCK_PAUSE_S", 0.01)
    old = month_after(this_month(), -4)
    await write(connection, [entry(cost_nanos=7)], [old])
    await connection.execute(CDR, ["a"], ["s"], [old], [7])
    state = msgspec.msgpack.encode(Account("a", 1, "AUD", "standard"))
    await connection.execute("INSERT INTO account VALUES ('a', 1, $1)", state)
    await partitions(postgres_url, Care())
    dropping = []

    class Slow:
        """A connection; after its first read somebody drops the month, or waits for the audit."""

        def __init__(self, own):
            self.own = own

        def __getattr__(self, name):
            return getattr(self.own, name)

        async def fetch(self, *arguments):
            rows = await self.own.fetch(*arguments)
            if not dropping:
                dropping.append(asyncio.create_task(partitions(postgres_url, Care(keep_months=1))))
                waits = "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
                while not dropping[0].done() and not await connection.fetchval(waits):
                    await connection.execute("SELECT pg_sleep(0.01)")
            return rows

    own = await asyncpg.connect(postgres_url)
    try:
        (found,) = await audit(Slow(own), ["a"])
        assert (await dropping[0]).dropped == (old,)
        (after,) = await audit(own, ["a"])
    finally:
        await own.close()
    assert found == after
    assert (after.folded, after.cdr_cost_nanos) == (fold([entry(cost_nanos=7)]), 7)


async def test_what_ends_in_the_middle_leaves_all_as_it_was(postgres_url, connection, monkeypatch):
    async def dies(*_):
        raise asyncpg.ConnectionDoesNotExistError("gone")

    old = month_after(this_month(), -4)
    await write(connection, [entry()], [old])
    monkeypatch.setattr(postgres_retention, "_drop", dies)
    with pytest.raises(StoreDown, match="gone"):
        await partitions(postgres_url, Care(keep_months=1))
    assert await where(connection) == {f"journal_{old}": 1}
    assert await fetch(connection, IN_USE) == []


async def test_what_comes_to_a_month_while_it_is_added_up_is_not_lost(postgres_url, connection, monkeypatch):
    old = month_after(this_month(), -4)
    await write(connection, [entry("a"), entry("b")], [old] * 2)
    carry_rest = postgres_retention._carry_rest

    async def late(*arguments):
        count = await carry_rest(*arguments)
        if await connection.fetchval("SELECT count(*) FROM journal") == 2:
            await write(connection, [entry("a", 2)], [old])
        return count

    monkeypatch.setattr(postgres_retention, "_carry_rest", late)
    report = await maintain(postgres_url, Care(keep_months=1))
    assert report.left == (f"{old} is kept: 3 rows are in journal_{old}, 2 were added up: next time again",)
    before = await ledger(connection)
    assert before["a"] == (fold([entry("a"), entry("a", 2)]), 0)
    report = await maintain(postgres_url, Care(keep_months=1))
    assert (report.dropped, report.carried_entries) == ((old,), 3)
    assert await ledger(connection) == before


async def test_a_session_that_came_back_meanwhile_keeps_its_month(postgres_url, connection, monkeypatch):
    old = month_after(this_month(), -4)
    await write(connection, [entry()], [old])
    carry_rest = postgres_retention._carry_rest

    async def late(*arguments):
        await connection.execute("INSERT INTO session VALUES ('a', 's', true, 'data', $1, 1, '')", old)
        return await carry_rest(*arguments)

    monkeypatch.setattr(postgres_retention, "_carry_rest", late)
    report = await maintain(postgres_url, Care(keep_months=1))
    assert report.left == (f"{old} is kept: 1 sessions that began in it are open or not forgotten",)
    assert (await ledger(connection))["a"] == (fold([entry()]), 0)


async def test_nobody_writes_between_the_count_and_the_end(postgres_url, connection, monkeypatch):
    old = month_after(this_month(), -4)
    await write(connection, [entry()], [old])
    drop, refused = postgres_retention._drop, []

    async def dropped(*arguments):
        await connection.execute("SET lock_timeout = 20")
        try:
            await write(connection, [entry(version=2)], [old])
        except asyncpg.LockNotAvailableError as error:
            refused.append(error)
        await drop(*arguments)

    monkeypatch.setattr(postgres_retention, "_drop", dropped)
    assert (await maintain(postgres_url, Care(keep_months=1))).dropped == (old,)
    assert len(refused) == 1
    assert (await ledger(connection))["a"] == (fold([entry()]), 0)


async def test_what_came_to_a_month_after_it_was_dropped_is_carried_too(postgres_url, connection):
    old = month_after(this_month(), -4)
    for version in (1, 2):
        await write(connection, [entry(version=version)], [old])
        assert (await maintain(postgres_url, Care(keep_months=1))).dropped == (old,)
    assert (await ledger(connection))["a"] == (fold([entry(), entry(version=2)]), 0)


async def test_progress_of_a_long_month_is_told(postgres_url, connection, monkeypatch):
    monkeypatch.setattr(postgres_retention, "RANGE_ROWS", 4)
    monkeypatch.setattr(postgres_retention, "TOLD_EVERY_ROWS", 10)
    old = month_after(this_month(), -4)
    await write(connection, [entry(f"a{number:02}") for number in range(25)], [old] * 25)
    told = []
    await partitions(postgres_url, Care(0, keep_months=1), told.append)
    assert [line for line in told if str(old) in line and "commits" not in line] == [
        f"{old}: 12 of about 12 entries are added up",
        f"{old}: 20 of about 20 entries are added up",
        f"{old} is dropped: 25 journal entries and 0 CDRs were added up",
    ]


async def test_tables_of_another_version_are_left_alone(postgres_url):
    execute(postgres_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(WrongStore, match="a newer ocs made it"):
        await maintain(postgres_url, Care())
    execute(postgres_url, f"DROP TABLE {VERSION_TABLE}")
    with pytest.raises(WrongStore, match="run ocs db upgrade"):
        await partitions(postgres_url, Care())
