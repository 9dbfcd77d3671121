"""How much room rows take in PostgreSQL, how much write-ahead log an outcome makes, how fast an old month is added up.

    python -m bench.sizes [--url postgresql://...] [--rows 100000]

So many accounts are opened, each with two identities and four balances; each begins a data session with one rating
group, which reports three times and stays open until everything was measured; then all sessions end with a CDR, and the
month, which is long gone by the calendar, is added up and dropped. All of it is decided by the engine and written by
the store. Without a URL a server of our own, which writes to the disk, is made in a temporary folder; the database of
a URL must be empty (`ocs db upgrade`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

import asyncpg
import msgspec

from bench.rating import DATA_POLICY, MIB, make_tariff
from bench.store import own_database
from ocs.balances.account import Account, Balance
from ocs.balances.adjust import open_account
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.requests import ChargingRequest, GroupRequest, RequestType, Units
from ocs.charging.session import Session
from ocs.rating.units import Kind
from ocs.store.interface import Applied
from ocs.store.postgres import PostgresStore
from ocs.store.postgres_partitions import Care, maintain, partitions
from ocs.store.postgres_schema import month_of

REPORTS: Final = 3
BATCH: Final = 256
NOW_NS: Final = (time.time_ns() // 86_400_000_000_000 - 400) * 86_400_000_000_000
ANSWER: Final = b"\x00" * 180
"""A stored answer: one that grants one rating group takes as much."""
ATTRIBUTES: Final = (
    ("apn", "internet.mnc001.mcc262.gprs"),
    ("pdp_address", "10.77.130.21"),
    ("sgsn_address", "192.0.2.17"),
    ("ggsn_address", "192.0.2.33"),
    ("charging_id", "2948301124"),
    ("rat_type", "6"),
    ("sgsn_mcc_mnc", "26201"),
    ("location", "8262f210a1b20162f2100a3c4d01"),
    ("imei", "3534900698733190"),
    ("charging_characteristics", "0800"),
)
TARIFF, _ = make_tariff(1_000)

State = tuple[Account, Session | None]


def account_of(number: int) -> Account:
    """Four balances, none of which runs out."""
    balances = (
        Balance("bundle", Kind.DATA, 10**13, weight=20, expires_at_ns=NOW_NS * 2, destinations=("*any",)),
        Balance("money", Kind.MONETARY, 10**13, weight=10),
        Balance("minutes", Kind.VOICE, 10**13, weight=20, destinations=("au-fixed", "!au-mobile")),
        Balance("texts", Kind.SMS, 1_000, weight=20),
    )
    return Account(f"{number:010d}", 0, "AUD", "p", balances=balances)


def opening(number: int) -> Outcome:
    """An account with its identities."""
    after, entry = open_account(account_of(number), NOW_NS, by="crm", reason="activation")
    return Outcome(writes=(AccountWrite(after, entry, (f"msisdn:4917{number:08d}", f"imsi:26201{number:010d}")),))


def request(number: int, of: RequestType, count: int) -> ChargingRequest:
    """INITIAL asks, UPDATE reports and asks, TERMINATION reports."""
    used = () if of is RequestType.INITIAL else (Units(octets=MIB + number),)
    asked = None if of is RequestType.TERMINATION else Units()
    return ChargingRequest(
        session_id=f"pgw7.epc.mnc001.mcc262.3gppnetwork.org;1795000000;{number};77",
        type=of,
        number=count,
        service="data",
        origin_host="pgw7.epc.mnc001.mcc262.3gppnetwork.org",
        subscriber=(f"msisdn:4917{number:08d}",),
        groups=(GroupRequest(100, None, asked, used),),
        attributes=ATTRIBUTES,
    )


def charged(state: State, number: int, of: RequestType, count: int) -> Outcome:
    """What the server would commit for that request."""
    account, session = state
    asked = request(number, of, count)
    outcome = engine.decide(account, session, asked, TARIFF, DATA_POLICY, NOW_NS + count * 60_000_000_000)
    assert outcome.writes, outcome.answer
    assert outcome.session is not None
    after, page = remember(outcome.session, int(of), count, ANSWER)
    return msgspec.structs.replace(outcome, session=after, page=page)


async def write(store: PostgresStore, outcomes: Iterable[Outcome]) -> None:
    """In the batches of a server under load."""
    batch: list[Outcome] = []
    for outcome in outcomes:
        batch.append(outcome)
        if len(batch) == BATCH:
            assert set(await store.commit(batch)) == {Applied.DONE}
            batch = []
    if batch:
        assert set(await store.commit(batch)) == {Applied.DONE}


async def states(store: PostgresStore, numbers: list[int]) -> list[State]:
    """Accounts with their sessions, as they are stored."""
    keys = [request(number, RequestType.UPDATE, 0).session_key for number in numbers]
    wanted = zip(numbers, keys, strict=True)
    loaded = await asyncio.gather(*(store.load(f"{number:010d}", key) for number, key in wanted))
    return [(account, session) for account, session in loaded if account is not None]


async def each(store: PostgresStore, numbers: list[int], decide: Callable[[State, int], Outcome]) -> None:
    """One request of each of them."""
    for first in range(0, len(numbers), BATCH):
        some = numbers[first : first + BATCH]
        found = await states(store, some)
        await write(store, [decide(state, number) for state, number in zip(found, some, strict=True)])


async def wal_octets(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """How much write-ahead log there has ever been."""
    return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def print_sizes(connection: asyncpg.Connection[asyncpg.Record], tables: dict[str, str]) -> None:
    """A row for each table: octets per row in the table and in its indexes."""
    for table, meaning in tables.items():
        await connection.execute(f"VACUUM (ANALYZE) {table}")
        rows, heap, indexes = await connection.fetchrow(
            f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}') FROM {table}"  # noqa: S608
        )
        total = (heap + indexes) / rows
        print(f"| {meaning} | {rows:,} | {heap / rows:,.0f} | {indexes / rows:,.0f} | {total:,.0f} |", flush=True)


async def run(url: str, rows: int) -> None:
    """Write, measure, print."""
    store = PostgresStore(url)
    await store.open()
    connection = await asyncpg.connect(url)
    numbers = list(range(rows))
    dice = random.Random(1)
    month = month_of(NOW_NS)
    await maintain(url, Care(0), lambda: NOW_NS)
    print("| row | rows | table, octets each | indexes, octets each | together |\n| --- | --- | --- | --- | --- |")
    await write(store, map(opening, numbers))
    await print_sizes(connection, {"identity": "identity"})
    await each(store, numbers, lambda state, number: charged(state, number, RequestType.INITIAL, 0))
    wal = {}
    for count in range(1, REPORTS + 1):
        dice.shuffle(numbers)
        if count == 1:
            await connection.execute("CHECKPOINT")
        before = await wal_octets(connection)
        await each(store, numbers, lambda state, number, count=count: charged(state, number, RequestType.UPDATE, count))
        wal[count] = (await wal_octets(connection) - before) / rows
    await print_sizes(
        connection,
        {
            "account": f"account with four balances, after {REPORTS + 1} updates",
            "session": "open session, one rating group",
            "session_index": "session_index",
            f"journal_{month}": "journal entry",
        },
    )
    await each(store, numbers, lambda state, number: charged(state, number, RequestType.TERMINATION, REPORTS + 1))
    await print_sizes(connection, {f"cdr_{month}": "CDR"})
    await connection.execute("DELETE FROM session")
    began_s = time.perf_counter()
    report = await partitions(url, Care(0, keep_months=1))
    taken_s = time.perf_counter() - began_s
    assert report.dropped == (month,), report.left
    await print_sizes(connection, {"carried": "carried, for one account"})
    print(f"\nWrite-ahead log of a report: {wal[1]:,.0f} octets right after a checkpoint, {wal[REPORTS]:,.0f} later")
    print(f"A month is added up at {report.carried_entries / taken_s:,.0f} journal entries per second")
    await connection.close()
    await store.close()


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    if arguments.url:
        asyncio.run(run(arguments.url, arguments.rows))
        return
    with own_database() as url:
        asyncio.run(run(url, arguments.rows))


if __name__ == "__main__":
    main()
