"""Connections that break: nothing is acknowledged that is not there, nothing is written twice."""

import asyncio
import random

import msgspec
import pytest

from ocs.balances.journal import differences, fold
from ocs.charging.outcome import Outcome
from ocs.store.interface import Applied, Duplicate, StoreDown
from ocs.store.postgres import PostgresStore
from tests.postgres.database import database, make_template
from tests.postgres.proxy import Fault, Proxy
from tests.postgres.server import PostgresServer
from tests.store.making import account, cdr, outcome, session, write

DONE, CONFLICT = Applied.DONE, Applied.CONFLICT
PATIENCE_S = 1.0


@pytest.fixture
async def other(postgres_url):
    """Another node, with a connection that holds."""
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def proxy(postgres_url):
    async with Proxy(postgres_url) as made:
        yield made


@pytest.fixture
async def store(proxy):
    """A node whose way to the database breaks."""
    made = PostgresStore(proxy.url)
    await made.open()
    yield made
    await made.close()


async def consistent(store, *names):
    for name in names:
        (found,) = await store.audit([name])
        assert differences(found.account, found.folded) == []


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.HELD])
async def test_a_commit_whose_connection_is_cut_is_done_once(store, other, proxy, fault):
    await store.commit([outcome("a"), outcome("b")])
    proxy.faults = [fault]
    batch = [outcome("a", 2, session=session(), cdrs=(cdr(),)), outcome("b", 2), outcome("a", 3)]
    assert await store.commit(batch) == [DONE, DONE, DONE]
    assert proxy.faults == []
    assert [found.version for found in await other.accounts("", 10)] == [3, 2]
    assert [found.cdr for found in await other.cdrs(None, None, 0, 10)] == [cdr()]
    await consistent(other, "a", "b")


async def test_a_statement_that_reaches_the_server_after_its_repetition_changes_nothing(store, other, proxy):
    await store.commit([outcome("a"), outcome("b")])
    proxy.faults = [Fault.HELD]
    assert await store.commit([outcome("a", 2, 7), outcome("b", 2, cdrs=(cdr(account_id="b"),))]) == [DONE, DONE]
    assert await store.commit([outcome("a", 3, 8)]) == [DONE]
    await proxy.release()
    assert b"22012" in proxy.replies[0]  # it was carried out, and found that the versions have moved
    assert (await other.load("a", None)).account == account("a", 3, 8)
    assert len(await other.cdrs(None, None, 0, 10)) == 1
    await consistent(other, "b")


async def test_accounts_that_are_made_are_made_once(store, other, proxy):
    proxy.faults = [Fault.AFTER, Fault.HELD, Fault.BEFORE]
    plain = [Outcome(writes=(msgspec.structs.replace(write(name), identities=()),)) for name in "abc"]
    for one in plain:
        assert await store.commit([one]) == [DONE]
    await proxy.release()
    assert proxy.faults == []
    assert [found.version for found in await other.accounts("", 10)] == [1, 1, 1]
    await consistent(other, "a", "b", "c")


async def test_what_was_done_without_an_answer_counts_also_when_another_node_went_on(store, other, proxy):
    await store.commit([outcome("a"), outcome("b")])

    async def go_on():
        assert await other.commit([outcome("a", 3, 30)]) == [DONE]

    proxy.meanwhile = go_on
    proxy.faults = [Fault.AFTER]
    assert await store.commit([outcome("a", 2, 20), outcome("b", 2, 21)]) == [DONE, DONE]
    assert (await other.load("a", None)).account == account("a", 3, 30)


async def test_what_was_not_done_is_a_conflict_when_another_node_was_faster(store, other, proxy):
    await store.commit([outcome("a"), outcome("b"), outcome("c")])

    async def overtake():
        assert await other.commit([outcome("b", 2, 99)]) == [DONE]

    proxy.meanwhile = overtake
    proxy.faults = [Fault.BEFORE]
    batch = [outcome("a", 2, 20), outcome("b", 2, 21), outcome("c", 2, 22), outcome("b", 3, 23)]
    assert await store.commit(batch) == [DONE, CONFLICT, DONE, CONFLICT]
    assert [found.balances[0].value for found in await other.accounts("", 10)] == [20, 99, 22]


async def test_a_conflict_whose_rest_loses_its_answer_is_resolved_too(store, other, proxy):
    await store.commit([outcome("a"), outcome("b")])
    await other.commit([outcome("b", 2, 99)])
    proxy.faults = [Fault.AFTER, Fault.AFTER]  # first the attempt that finds the conflict, then the one with the rest
    assert await store.commit([outcome("a", 2, 20), outcome("b", 2, 21)]) == [DONE, CONFLICT]
    assert proxy.faults == []
    assert [found.balances[0].value for found in await other.accounts("", 10)] == [20, 99]


async def test_what_the_server_refuses_is_raised_and_nothing_of_it_is_there(store, other, proxy):
    await store.commit([outcome("a", cdrs=(cdr(),)), outcome("b")])
    proxy.faults = [Fault.BEFORE]
    with pytest.raises(Duplicate):
        await store.commit([outcome("b", 2), outcome("a", 2, cdrs=(cdr(),))])
    assert [found.version for found in await other.accounts("", 10)] == [1, 1]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_breaks_done_means_that_it_is_there(store, other, proxy, seed):
    """Two nodes and faults at random: an outcome is DONE exactly when the journal has its entry."""
    dice = random.Random(seed)
    names = ["a", "b", "c", "d"]
    await store.commit([outcome(name) for name in names])
    stored = dict.fromkeys(names, 1)
    writes = []

    def made(node, number):
        versions = dict(stored)
        batch = []
        for _ in range(dice.randrange(1, 5)):
            name = dice.choice(names)
            versions[name] += 1
            one = write(name, versions[name], 1_000 + number)
            batch.append(
                Outcome(writes=(msgspec.structs.replace(one, entry=msgspec.structs.replace(one.entry, reason=node)),))
            )
            number += 1
        return batch

    async def overtake():
        if dice.random() < 0.5:
            batch = made(f"other{len(writes)}", len(writes) * 10)
            writes.append((batch, await other.commit(batch)))

    proxy.meanwhile = overtake
    for turn in range(8):
        for found in await other.accounts("", 10):
            stored[found.id] = found.version
        proxy.faults = dice.choices([Fault.BEFORE, Fault.AFTER, Fault.HELD], k=dice.randrange(3))
        batch = made(f"node{turn}", turn * 100)
        writes.append((batch, await store.commit(batch)))
        if dice.random() < 0.5:
            await proxy.release()
    await proxy.release()
    journal = {
        (entry.account_id, entry.version): entry for name in names for entry in await other.journal(name, 0, 999)
    }
    for batch, applied in writes:
        for one, fate in zip(batch, applied, strict=True):
            entry = one.writes[0].entry
            assert (journal.get((entry.account_id, entry.version)) == entry) == (fate is DONE)
    for found in await other.accounts("", 10):
        entries = await other.journal(found.id, 0, 999)
        assert [entry.version for entry in entries] == list(range(1, found.version + 1))
        assert fold(entries).last_version == found.version


async def test_a_connection_that_says_nothing_is_replaced(postgres_url, proxy):
    store = PostgresStore(proxy.url, patience_s=4)
    await store.open()
    await store.commit([outcome("a")])
    proxy.faults = [Fault.SILENT]
    assert await store.commit([outcome("a", 2)]) == [DONE]
    assert (await store.load("a", None)).account.version == 2
    await store.close()


async def test_without_a_database_operations_hold_on_then_fail_at_once_and_go_on_when_it_is_back(proxy):
    store = PostgresStore(proxy.url, PATIENCE_S)
    await store.open()
    await store.commit([outcome("a")])
    loop = asyncio.get_running_loop()
    proxy.refusing = True
    proxy.cut()
    began_s = loop.time()
    held = await asyncio.gather(
        store.commit([outcome("a", 2)]), store.load("a", "s"), store.find_session("s"), return_exceptions=True
    )
    assert [type(one) for one in held] == [StoreDown] * 3
    assert loop.time() - began_s >= PATIENCE_S
    calls = 0
    began_s = loop.time()
    for _ in range(50):  # all of these together take less than one of those did
        for call in (store.commit([outcome("a", 2)]), store.load("a", None), store.find_account(("imsi:a",))):
            with pytest.raises(StoreDown):
                await call
            calls += 1
    assert calls == 150
    assert loop.time() - began_s < 150 * PATIENCE_S
    proxy.refusing = False
    async with asyncio.timeout(30):
        while True:
            try:
                assert await store.commit([outcome("a", 2)]) == [DONE]
                break
            except StoreDown:
                await asyncio.sleep(0.01)
    assert (await store.load("a", None)).account.version == 2
    await store.close()


async def test_what_holds_on_goes_on_when_the_database_comes_back_in_time(proxy):
    store = PostgresStore(proxy.url, 30)
    await store.open()
    await store.commit([outcome("a", session=session())])
    proxy.refusing = True
    proxy.cut()
    waiting = [
        asyncio.create_task(call)
        for call in (store.commit([outcome("a", 2)]), store.find_session("s"), store.count_open_sessions())
    ]
    while not store._reach._pauses:  # noqa: ASYNC110 - it has tried to connect
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    proxy.refusing = False
    assert await asyncio.gather(*waiting) == [[DONE], "a", {"data": 1}]
    await store.close()


@pytest.mark.parametrize("durable", [True])
async def test_a_server_that_is_killed_or_stalls_loses_nothing(durable):
    server = PostgresServer(durable=durable)
    try:
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(make_template, server)
        with database(server) as url:
            store = PostgresStore(url, 30)
            await store.open()
            await store.commit([outcome("a")])
            version = 1
            for turn in range(3):
                commits = asyncio.create_task(commit_many(store, version, 30))
                while (await store.load("a", None)).account.version < version + 5:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                if turn % 2:
                    server.pause()
                    stalled = asyncio.create_task(store.load("a", None))
                    await asyncio.wait({stalled}, timeout=0.5)
                    server.resume()
                    await stalled
                else:
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                version = await commits
            await consistent(store, "a")
            assert (await store.load("a", None)).account.version == version
            await store.close()
    finally:
        await asyncio.to_thread(server.stop)


async def commit_many(store, version, number):
    for _ in range(number):
        version += 1
        assert await store.commit([outcome("a", version)]) == [DONE]
    return version


async def test_listeners_hear_that_they_may_have_missed_something(store, other, proxy):
    heard = asyncio.Queue()
    store.listen(lambda topic, text: heard.put_nowait((topic, text)))
    await other.tell("one", "1")
    assert await asyncio.wait_for(heard.get(), 10) == ("one", "1")
    proxy.cut()
    assert await asyncio.wait_for(heard.get(), 10) == ("", "")
    await other.tell("two", "2")
    assert await asyncio.wait_for(heard.get(), 10) == ("two", "2")
    await store.tell("three", "3")
    assert await asyncio.wait_for(heard.get(), 10) == ("three", "3")
