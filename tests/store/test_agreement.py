"""The stores tell the same story: random batches, good and bad, leave the same rows in both."""

import asyncio
import random
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.charging.outcome import Outcome
from ocs.charging.session import Answered, SessionState
from ocs.store.interface import Duplicate
from ocs.store.memory import MemoryStore
from ocs.store.sqlite import SqliteStore
from tests.store.making import cdr, page, session, write

ACCOUNTS, KEYS = ("a", "b", "c"), ("s", "t", "u#1", "")


def random_outcome(dice, versions):
    """Mostly of the next version; now and then of several accounts, of a wrong version, with something twice."""
    names = dice.sample(ACCOUNTS, dice.choice((1, 1, 1, 2)))
    writes = []
    for name in names:
        version = versions[name] + 1 if dice.random() < 0.9 else dice.randrange(1, 6)
        versions[name] = version
        made = write(name, version, dice.randrange(-(2**63), 2**63))
        if dice.random() < 0.1:
            made = msgspec.structs.replace(made, identities=(f"imsi:{dice.choice(ACCOUNTS)}",))
        writes.append(made)
    owner = names[0]
    fields = {}
    if dice.random() < 0.7:
        state = dice.choice((SessionState.OPEN, SessionState.OPEN, *SessionState))
        fields["session"] = session(
            dice.choice(KEYS), owner, state=state, due_at_ns=dice.randrange(50), service=dice.choice(("data", "sms"))
        )
    if dice.random() < 0.4:
        number = dice.choice((None, 7))
        fields["cdrs"] = (
            cdr(dice.choice(KEYS), owner, rating_group=number, service_id=number, partial=dice.randrange(40)),
        )
    if dice.random() < 0.2:
        fields["page"] = page(dice.randrange(10**6), Answered(1, 2, dice.randbytes(3)), account_id=owner)
    return msgspec.structs.replace(Outcome(writes=tuple(writes)), **fields)


async def apply(store, outcomes):
    try:
        return await store.commit(outcomes)
    except Duplicate:
        return "duplicate"


async def rows(store):
    found = []
    for name in ACCOUNTS:
        found += [
            [await store.load(name, key) for key in KEYS],
            [await store.load_answers(name, key) for key in KEYS],
            await store.journal(name, 0, 1_000),
            await store.journal(name, 2, 3),
            await store.cdrs(name, None, 0, 1_000),
            await store.sessions(name, "", 1_000),
            await store.find_account((f"imsi:{name}",)),
        ]
    found += [[found.cdr for found in await store.cdrs(None, key, 0, 1_000)] for key in KEYS]
    found += [await store.accounts("", 10), await store.count_open_sessions(), await store.cdrs(None, None, 3, 5)]
    found.append([one.key for one in await store.sessions(None, "", 1_000)])
    found.append(sorted(await store.due(25, 1_000)))
    found.append([await store.find_session(key) for key in KEYS])
    return found


async def play(seed, path):
    dice = random.Random(seed)
    memory, sqlite = MemoryStore(), SqliteStore(path)
    await sqlite.open()
    stored = dict.fromkeys(ACCOUNTS, 0)
    try:
        for _ in range(dice.randrange(1, 12)):
            versions = dict(stored)
            batch = [random_outcome(dice, versions) for _ in range(dice.randrange(5))]
            assert await apply(memory, batch) == await apply(sqlite, batch)
            stored = {
                name: found.version if (found := (await memory.load(name, None)).account) else 0 for name in stored
            }
            if dice.random() < 0.2:
                now_ns = dice.randrange(50)
                assert await memory.forget(now_ns, 100) == await sqlite.forget(now_ns, 100)
            if dice.random() < 0.1:
                await sqlite.close()
                await sqlite.open()
        assert await rows(memory) == await rows(sqlite)
    finally:
        await sqlite.close()


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_memory_and_sqlite_agree(seed):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(seed, Path(folder) / "ocs.db"))
