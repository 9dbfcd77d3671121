"""How much the PostgreSQL store commits: outcomes a second, and what each costs this process.

    python -m bench.store [--url postgresql://...] [--seconds 5]

Without a URL it makes a server of its own that writes to the disk (fsync) as in real life, in a temporary folder. Each
outcome changes an account, its session and the journal, of 20,000 accounts at random; batches follow one another over
one connection, as the committer sends them. An ordinary upgrade has to be done to the database of a URL (`ocs db
upgrade`), and what is in it is not touched but added to.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ocs.balances.account import Account, Balance
from ocs.balances.cover import Meter, Sliced
from ocs.balances.journal import Entry, Posting
from ocs.bench.processes import family_cpu_us
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.session import Answered, Group, Hold, Segment, Session, SessionState
from ocs.rating.prices import Rate
from ocs.rating.units import Kind, Measure
from ocs.store.interface import Applied
from ocs.store.postgres import PostgresStore
from tests.postgres.database import database, make_template
from tests.postgres.server import PostgresServer

ACCOUNTS = 20_000
BATCHES = (16, 64, 256)
NOW_NS = 1_795_000_000_000_000_000
RATE = Rate("data", Measure.OCTETS, 10_000_000, 1_048_576, 1_024)


def outcome(number: int, version: int, spoiled: str) -> Outcome:
    """A report of data usage and a new grant: two balances, one rating group, two answers kept."""
    name = f"{spoiled}{number:08d}"
    balances = (
        Balance("bundle", Kind.DATA, 10**9 - 308_400 * version, 10_485_760, weight=10),
        Balance("main", Kind.MONETARY, 10**12, 0, destinations=("AU", "!AU_PREMIUM")),
    )
    account = Account(name, version, "AUD", "standard", balances=balances)
    key = f"pgw.example.com;1795000000;{number};1"
    opened = (Balance("bundle", Kind.DATA, 0), Balance("main", Kind.MONETARY, 0)) if version == 1 else ()
    entry = Entry(
        name,
        version,
        "open" if version == 1 else "charge",
        NOW_NS + version,
        session_id=key,
        request=f"U/{version}",
        postings=(Posting("bundle", -308_400, 10_485_760),),
        opened=opened,
        usage="rg 100: 308400 octets",
        by="pgw.example.com",
    )
    meter = Meter(RATE, "", 0, 308_400, 2_949_219)
    segment = Segment("2026-11", "*any", "", (meter,), (Sliced("bundle", 308_400, 0),))
    group = Group(100, None, Measure.OCTETS, segment, (Hold("bundle", 10_485_760),), 10_485_760, NOW_NS, NOW_NS)
    session = Session(
        account_id=name,
        key=key,
        service="data",
        state=SessionState.OPEN,
        opened_at_ns=NOW_NS,
        last_at_ns=NOW_NS + version,
        due_at_ns=NOW_NS + version * 1_000_000_000,
        subscriber=f"msisdn:{name}",
        origin_host="pgw.example.com",
        attributes=(("apn", "internet"), ("rat", "6"), ("sgsn", "10.0.0.1")),
        groups=(group,),
        seen={1: ((0, 0),), 2: ((1, version),)},
        answers=(Answered(2, version - 1, b"\x00" * 180), Answered(2, version, b"\x00" * 180)),
    )
    return Outcome(writes=(AccountWrite(account, entry),), session=session)


async def fill(store: PostgresStore, spoiled: str) -> None:
    """Accounts at version 1."""
    for first in range(0, ACCOUNTS, 500):
        await store.commit([outcome(number, 1, spoiled) for number in range(first, first + 500)])


async def measure(store: PostgresStore, batch: int, seconds: float, spoiled: str, versions: list[int], pid: int) -> str:
    """One row of the table; pid: the server's, 0 where it is not ours."""
    dice = random.Random(batch)
    prepared: list[list[Outcome]] = []

    def prepare() -> list[Outcome]:
        made = []
        for number in dice.sample(range(ACCOUNTS), batch):
            versions[number] += 1
            made.append(outcome(number, versions[number], spoiled))
        return made

    taken_s = cpu_s = 0.0
    server_us = 0
    done = 0
    while taken_s < seconds:
        prepared = [prepare() for _ in range(20)]
        began_server_us = family_cpu_us(pid) if pid else 0
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for outcomes in prepared:
            applied = await store.commit(outcomes)
            assert applied == [Applied.DONE] * batch
            done += batch
        taken_s += time.perf_counter() - began_s
        cpu_s += time.process_time() - began_cpu_s
        server_us += family_cpu_us(pid) - began_server_us if pid else 0
    batch_ms = taken_s / done * batch * 1_000
    there = f"{server_us / done:.1f}" if pid else "?"
    return f"| {batch} | {done / taken_s:,.0f} | {batch_ms:.1f} | {cpu_s / done * 1_000_000:.1f} | {there} |"


async def run(url: str, seconds: float, pid: int = 0) -> None:
    """The table."""
    store = PostgresStore(url)
    await store.open()
    spoiled = f"bench{random.SystemRandom().randrange(10**9)}-"
    await fill(store, spoiled)
    versions = [1] * ACCOUNTS
    print("| batch | outcomes/s | ms per batch | us of processor per outcome, ocs | PostgreSQL |")
    print("| --- | --- | --- | --- | --- |")
    for batch in BATCHES:
        await measure(store, batch, min(1.0, seconds), spoiled, versions, pid)
        print(await measure(store, batch, seconds, spoiled, versions, pid), flush=True)
    await store.close()


@contextmanager
def own_database() -> Iterator[tuple[str, int]]:
    """A server on the disk, as it is tuned for real: the URL of its database, and its process id."""
    server = PostgresServer(durable=True, settings={"shared_buffers": "512MB", "max_wal_size": "8GB"})
    try:
        server.start()
        make_template(server)
        with database(server) as url:
            yield url, server.pid
    finally:
        server.stop()


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    if arguments.url:
        asyncio.run(run(arguments.url, arguments.seconds))
        return
    with own_database() as (url, pid):
        asyncio.run(run(url, arguments.seconds, pid))


if __name__ == "__main__":
    main()
