"""What is peculiar to the PostgreSQL store: several nodes on one database, and what they read meanwhile."""

import asyncio
import random

import msgspec
import pytest

from ocs.balances.journal import differences
from ocs.charging.outcome import Effect, Outcome
from ocs.store import postgres_statements as sql
from ocs.store.batch import select
from ocs.store.interface import Applied, DueSession, Loaded, StoreDown, WrongStore
from ocs.store.memory import MemoryStore
from ocs.store.postgres import PostgresStore
from ocs.store.postgres_connection import connect
from ocs.store.postgres_rows import rows_of
from tests.postgres.database import database, execute
from tests.store.making import accounts_of, cdr, outcome, session, write
from tests.store.test_agreement import ACCOUNTS, apply, random_outcome, rows

DONE, CONFLICT = Applied.DONE, Applied.CONFLICT


@pytest.fixture(params=["one statement", "in pieces"])
async def nodes(request, postgres_url):
    """Two nodes on one database."""
    if request.param == "in pieces":
        execute(postgres_url, "UPDATE meta SET value = 'citus' WHERE key = 'engine'")
    made = PostgresStore(postgres_url), PostgresStore(postgres_url)
    for one in made:
        await one.open()
    yield made
    for one in made:
        await one.close()


@pytest.fixture
async def store(postgres_url):
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


# Two nodes that write at once.


async def charge(node, name, dice, number):
    """Batches on what is stored, of several accounts each in an order of its own; returns what became of them."""
    told = []
    names = [f"a{n}" for n in range(6)]
    for turn in range(number):
        stored = {found.id: found.version for found in await accounts_of(node, names)}
        batch = []
        for _ in range(dice.randrange(1, 9)):
            payers = dice.sample(names, dice.choice((1, 1, 2, 3)))
            writes = []
            for payer in payers:
                stored[payer] += 1
                one = write(payer, stored[payer], change=0)
                entry = msgspec.structs.replace(one.entry, by=name, reason=f"{turn}/{len(batch)}")
                writes.append(msgspec.structs.replace(one, entry=entry))
            key = f"{name}-{payers[0]}-{dice.randrange(3)}"
            number_of = stored[payers[0]]
            batch.append(
                Outcome(
                    writes=tuple(writes),
                    session=session(key, payers[0], number=number_of, due_at_ns=dice.randrange(100)),
                    cdrs=(cdr(key, payers[0], partial=turn * 100 + len(batch)),),
                )
            )
        told += zip(batch, await node.commit(batch), strict=True)
    return told


@pytest.mark.parametrize("seed", range(3))
async def test_two_nodes_never_write_the_same_version(nodes, seed):
    await nodes[0].commit([outcome(f"a{n}") for n in range(6)])
    parts = await asyncio.gather(
        *(charge(node, f"n{n}", random.Random(seed * 2 + n), 40) for n, node in enumerate(nodes))
    )
    told = [one for part in parts for one in part]
    fates = [fate for _, fate in told]
    assert DONE in fates
    assert CONFLICT in fates
    done = {
        (one.account.id, one.account.version): one.entry for made, fate in told if fate is DONE for one in made.writes
    }
    stored = {}
    for audit in await nodes[0].audit([f"a{n}" for n in range(6)]):
        assert differences(audit.account, audit.folded) == []
        for entry in await nodes[1].journal(audit.account.id, 1, 10_000):
            stored[entry.account_id, entry.version] = entry
    assert stored == done
    assert len(await nodes[1].cdrs(None, None, 0, 10_000)) == fates.count(DONE)


async def test_batches_in_opposite_orders_do_not_stop_each_other(nodes):
    names = [f"a{n:02d}" for n in range(40)]
    await nodes[0].commit([outcome(name) for name in names])

    async def write_all(node, order, number):
        done = 0
        for _ in range(number):
            stored = {found.id: found.version for found in await accounts_of(node, names)}
            done += (await node.commit([outcome(name, stored[name] + 1) for name in order])).count(DONE)
        return done

    done = await asyncio.gather(write_all(nodes[0], names, 25), write_all(nodes[1], names[::-1], 25))
    assert sum(found.version - 1 for found in await nodes[0].accounts("", 100)) == sum(done)
    assert await deadlocks(nodes[0]) == 0


def test_rows_are_written_in_the_order_of_their_accounts():
    names = ["c", "a", "d", "b"]
    outcomes = [
        *(outcome(name, 5, session=session("s" + name, name)) for name in names),
        *(outcome("new " + name, session=session("t", "new " + name)) for name in names),
    ]
    batch = select(outcomes, dict.fromkeys(names, 4))
    arrays = {statement.name: arrays for statement, arrays in rows_of(outcomes, batch).writes}
    assert arrays["move_accounts"][0] == sorted(names)
    assert arrays["make_accounts"][0] == [f"new {name}" for name in sorted(names)]
    assert arrays["write_sessions"][0] == sorted(arrays["write_sessions"][0])
    assert arrays["make_identities"][0] == sorted(arrays["make_identities"][0])


async def deadlocks(store):
    statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return await store._writer.run(lambda connection: connection.fetchval(statement), 10)


async def test_a_session_is_never_older_than_the_account_that_it_is_read_with(nodes):
    await nodes[0].commit([outcome("a", session=session(number=1))])
    reading = True

    async def look(node):
        seen = set()
        while reading:
            loaded = await node.load("a", "s")
            assert loaded.session.seen[2][1][1] == loaded.account.version + 5
            seen.add(loaded.account.version)
        return seen

    async def go_on():
        nonlocal reading
        for version in range(2, 150):
            assert await nodes[0].commit([outcome("a", version, session=session(number=version))]) == [DONE]
        reading = False

    _, *seen = await asyncio.gather(go_on(), look(nodes[0]), look(nodes[1]), look(nodes[1]))
    assert min(len(versions) for versions in seen) > 1


async def test_an_account_that_two_nodes_make_is_made_by_one(nodes):
    plain = [Outcome(writes=(msgspec.structs.replace(write(f"b{n}"), identities=()),)) for n in range(20)]
    for one in plain:
        fates = await asyncio.gather(*(node.commit([one]) for node in nodes))
        assert sorted(fate.value for (fate,) in fates) == ["conflict", "done"]
    named = [outcome(f"c{n}") for n in range(20)]
    for one in named:
        fates = await asyncio.gather(*(node.commit([one]) for node in nodes))
        assert sorted(fate.value for (fate,) in fates) == ["conflict", "done"]


async def test_effects_are_told_to_all_nodes_once_they_are_durable(nodes):
    heard = asyncio.Queue()
    nodes[1].listen(lambda topic, _: heard.put_nowait(topic))
    await nodes[0].commit([outcome("a")])
    await nodes[0].commit([outcome("a", 2, effects=(Effect("abort"),))])
    assert await asyncio.wait_for(heard.get(), 10) == "effects"
    assert [due.version for due in await nodes[1].claim_effects([], 10**9, 10**10, 10)] == [2]
    assert heard.empty()


# The cursor of those who follow CDRs.


async def test_a_reader_of_cdrs_never_passes_by_one_that_is_still_on_its_way(postgres_url, nodes):
    fast, reader = nodes
    await fast.commit([outcome("a"), outcome("b")])
    slow = await connect(postgres_url, 10)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(sql.SHARE_CDR_IDS.sql)
    low = await slow.fetchval("SELECT nextval('cdr_id')")
    assert await fast.commit([outcome("b", 2, cdrs=(cdr("high", "b"),))]) == [DONE]
    reading = asyncio.create_task(reader.cdrs(None, None, 0, 10))
    await waits_for_lock(fast, "advisory")
    assert not reading.done()
    columns = ", ".join(name for name, _ in sql.CDR_COLUMNS)
    await slow.execute(
        f"INSERT INTO cdr (id, {columns}) SELECT {low}, {columns.replace('session_id', repr('low'))} FROM cdr"
    )
    await transaction.commit()
    found = await reading
    assert [(one.id, one.cdr.session_id) for one in found] == [(low, "low"), (low + 1, "high")]
    await slow.close()


async def test_who_writes_cdrs_waits_for_a_reader_that_looks_how_far_they_are(postgres_url, nodes):
    writer, other = nodes
    await writer.commit([outcome("a"), outcome("b")])
    looking = await connect(postgres_url, 10)
    transaction = looking.transaction()
    await transaction.start()
    await looking.fetch(sql.CDR_HORIZON.sql)
    writing = asyncio.create_task(writer.commit([outcome("a", 2, cdrs=(cdr(),))]))
    await waits_for_lock(other, "advisory")
    assert await other.commit([outcome("b", 2)]) == [DONE]  # without CDRs there is nothing to wait for
    assert not writing.done()
    await transaction.commit()
    assert await writing == [DONE]
    await looking.close()


async def test_who_follows_the_cdrs_of_two_nodes_sees_each_once_in_order(nodes):
    await nodes[0].commit([outcome("a"), outcome("b")])
    writing = 2

    async def produce(node, name):
        nonlocal writing
        for version in range(2, 60):
            cdrs = tuple(cdr(f"{name}{version}", name, partial=n) for n in range(3))
            assert await node.commit([outcome(name, version, cdrs=cdrs)]) == [DONE]
        writing -= 1

    async def follow():
        cursor, seen = 0, []
        while True:
            last = writing == 0
            page = await nodes[1].cdrs(None, None, cursor, 7)
            seen += [one.id for one in page]
            cursor = page[-1].id if page else cursor
            if last and not page:
                return seen

    seen, _, _ = await asyncio.gather(follow(), produce(nodes[0], "a"), produce(nodes[1], "b"))
    assert len(seen) == 2 * 58 * 3
    assert seen == sorted(set(seen))


async def waits_for_lock(store, kind):
    """Until somebody waits for a lock of that kind."""
    statement = f"SELECT count(*) FROM pg_locks WHERE locktype = '{kind}' AND NOT granted"
    async with asyncio.timeout(10):
        while not await store._writer.run(lambda connection: connection.fetchval(statement), 5):  # noqa: ASYNC110
            await asyncio.sleep(0)


# Supervision.


async def due_column(store):
    return await store._writer.run(lambda connection: connection.fetch("SELECT session_id, due_at_ns FROM session"), 10)


async def test_a_session_that_is_put_off_again_and_again_is_due_at_its_last_time(store):
    await store.commit([outcome("a", 1, session=session("s", due_at_ns=10))])
    for version, due_at_ns in enumerate((20, 30, 40), start=2):
        await store.commit([outcome("a", version, session=session("s", due_at_ns=due_at_ns))])
    assert [tuple(row) for row in await due_column(store)] == [("s", 10)]
    assert await store.due(39, 10) == []
    assert [tuple(row) for row in await due_column(store)] == [("s", 40)]
    assert await store.due(40, 10) == [DueSession("a", "s")]
    await store.commit([outcome("a", 5, session=session("s", due_at_ns=15))])
    assert await store.due(15, 10) == [DueSession("a", "s")]


async def test_due_sessions_come_in_the_order_of_their_times_however_often_they_were_put_off(store):
    names = [f"s{n:03d}" for n in range(60)]
    await store.commit([outcome("a", n, session=session(key, due_at_ns=n)) for n, key in enumerate(names, start=1)])
    times = {key: 1_000 - 7 * n % 60 for n, key in enumerate(names)}
    await store.commit(
        [outcome("a", n, session=session(key, due_at_ns=times[key])) for n, key in enumerate(names, start=61)]
    )
    assert await store.due(900, 10) == []
    found = [one.session_key for one in await store.due(1_000, 100)]
    assert [times[key] for key in found] == sorted(times.values())
    assert len(await store.due(1_000, 7)) == 7


async def test_a_session_that_is_written_while_it_is_put_off_keeps_its_own_time(store):
    """Between the look and the change another node brings the time forward."""
    await store.commit([outcome("a", 1, session=session("s", due_at_ns=10))])
    await store.commit([outcome("a", 2, session=session("s", due_at_ns=40))])

    async def look(connection):
        rows = await connection.fetch(sql.DUE.sql, 30, 10)
        await store.commit([outcome("a", 3, session=session("s", due_at_ns=25))])
        columns = [[row[n] for row in rows] for n in (0, 1)]
        await connection.execute(sql.PUT_OFF.sql, *columns, [40], [row[3] for row in rows])

    await store._listers.run(look, 10)
    assert await store.due(25, 10) == [DueSession("a", "s")]


# What is read for requests.


async def test_what_is_asked_at_once_is_read_in_few_statements(store, monkeypatch):
    await store.commit([outcome(f"a{n}", session=session(f"s{n}", f"a{n}")) for n in range(50)])
    asked = []
    read = store._read

    async def count(seconds, statement, *values):
        asked.append(statement)
        return await read(seconds, statement, *values)

    monkeypatch.setattr(store, "_read", count)
    loads = [store.load(f"a{n}", f"s{n % 60}") for n in range(60)]
    finds = [store.find_account((f"imsi:none{n}", f"imsi:a{n}")) for n in range(60)]
    keys = [store.find_session(f"s{n}") for n in range(60)]
    found = await asyncio.gather(*loads, *finds, *keys)
    for n in range(60):
        is_there = n < 50
        assert [one is not None for one in found[n]] == [is_there, is_there]
        assert found[60 + n] == (f"a{n}" if is_there else None)
        assert found[120 + n] == (f"a{n}" if is_there else None)
    assert len(asked) <= 12


async def test_a_text_that_no_database_holds_is_not_there_and_harms_nobody_else(store):
    await store.commit([outcome(session=session())])
    bad = ("\x00", "\udcff")
    for text in bad:
        assert await store.load(text, None) == Loaded(None, None)
        assert (await store.load("a", text)).session is None
        assert await store.load_answers("a", text) == []
    found = await asyncio.gather(
        *(store.find_session(text) for text in (*bad, "s")), *(store.find_account((text, "imsi:a")) for text in bad)
    )
    assert found == [None, None, "a", "a", "a"]
    with pytest.raises(Exception, match="UTF8"):
        await store.commit([outcome("a", 2, session=session("\x00"))])
    assert await store.commit([outcome("a", 2)]) == [DONE]


# Opening.


async def test_a_database_without_tables_is_refused_with_what_to_do(postgres_server):
    execute(postgres_server.url("postgres"), "CREATE DATABASE bare")
    try:
        with pytest.raises(WrongStore, match="ocs db upgrade"):
            await PostgresStore(postgres_server.url("bare")).open()
    finally:
        execute(postgres_server.url("postgres"), "DROP DATABASE bare WITH (FORCE)")


async def test_a_server_that_is_not_there_is_named_without_the_password(unused_tcp_port):
    with pytest.raises(StoreDown) as caught:
        await PostgresStore(f"postgresql://ocs:secret@127.0.0.1:{unused_tcp_port}/ocs").open()
    assert f"127.0.0.1:{unused_tcp_port}/ocs" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_database_that_is_not_there_is_named(postgres_server):
    with pytest.raises(StoreDown, match='"nowhere" does not exist'):
        await PostgresStore(postgres_server.url("nowhere")).open()


# The same story as in memory.


@pytest.mark.parametrize("seed", range(12))
async def test_memory_and_postgres_agree(postgres_server, seed):
    dice = random.Random(seed)
    with database(postgres_server) as url:
        if seed % 3 == 0:
            execute(url, "UPDATE meta SET value = 'citus' WHERE key = 'engine'")
        memory, postgres = MemoryStore(), PostgresStore(url)
        await postgres.open()
        stored = dict.fromkeys(ACCOUNTS, 0)
        for _ in range(dice.randrange(1, 12)):
            versions = dict(stored)
            batch = [random_outcome(dice, versions) for _ in range(dice.randrange(5))]
            assert await apply(memory, batch) == await apply(postgres, batch)
            stored = {
                name: found.version if (found := (await memory.load(name, None)).account) else 0 for name in stored
            }
            if dice.random() < 0.2:
                now_ns = dice.randrange(50)
                assert await memory.forget(now_ns, 100) == await postgres.forget(now_ns, 100)
        assert without_ids(await rows(memory)) == without_ids(await rows(postgres))
        assert named(await memory.audit(ACCOUNTS)) == named(await postgres.audit(ACCOUNTS))
        await postgres.close()


def without_ids(found):
    """A batch that is refused leaves a gap in the ids of CDRs here, and none in memory."""
    return [
        [one.cdr for one in part] if isinstance(part, list) and part and hasattr(part[0], "cdr") else part
        for part in found
    ]


def named(audits):
    """Memory lists no session whose key is empty."""
    return [audit._replace(sessions=tuple(one for one in audit.sessions if one.key)) for audit in audits]
