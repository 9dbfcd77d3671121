"""The store of a run: made, filled with accounts, looked at afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from ocs.bench.bare import SUBSCRIBERS, Refused, bare_commit
from ocs.bench.histogram import Histogram
from ocs.bench.house import Subscribers, openings, write_folder
from ocs.bench.load import CannotRun
from ocs.bench.postgres_server import Missing, PostgresServer
from ocs.bench.processes import IN_MEMORY, file_system
from ocs.bench.templates import make_templates
from ocs.config.load import load
from ocs.limits import BATCH_OUTCOMES_MAX, LEDGER_ACCOUNTS_MAX
from ocs.store.choose import store_of
from ocs.store.interface import Duplicate, Store, StoreDown, StoreInUse, WrongStore
from ocs.store.ledger import verify
from ocs.store.url import kind_of, shown

Tell = Callable[[str], None]

_DATABASE: Final = "bench"
# A server with a core and some memory to itself; the rest is as it comes, so that others can compare.
_POSTGRES_SETTINGS: Final = {"shared_buffers": "512MB", "max_wal_size": "8GB"}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A store that is there. kind: "memory", "sqlite" or "postgresql"; facts: what a table has to say of it.

    postgres: id of the process of a PostgreSQL of our own, None where it is somebody else's, or none.
    """

    url: str
    kind: str
    facts: dict[str, Any]
    postgres: int | None = None


@contextmanager
def made_store(asked: str, folder: Path, parent: Path) -> Iterator[Made]:
    """The store for "memory", "sqlite", "postgres" (one of our own, in `parent`) or a URL, empty.

    CannotRun where it cannot be had.
    """
    match asked:
        case "memory":
            yield Made(url="memory:", kind="memory", facts={"durable": False})
        case "sqlite":
            yield _sqlite(f"sqlite:{folder / 'bench.db'}")
        case "postgres":
            server = PostgresServer(durable=True, settings=_POSTGRES_SETTINGS, parent=parent)
            try:
                server.start()
                yield _own_postgres(server)
            except (Missing, RuntimeError) as error:
                raise CannotRun(str(error)) from error
            finally:
                server.stop()
        case _:
            yield _of_url(asked)


def _sqlite(url: str) -> Made:
    path = Path(url.partition(":")[2])
    kind = file_system(path.parent)
    if kind in IN_MEMORY:
        raise CannotRun(f"{path.parent} is in memory ({kind}), where nothing is durable: give --dir a folder on a disk")
    return Made(url=url, kind="sqlite", facts={"durable": True, "fsync": "synchronous=FULL", "file_system": kind})


def _own_postgres(server: PostgresServer) -> Made:
    facts = asyncio.run(_prepare_postgres(server.socket_url, _DATABASE))
    url = server.socket_url_of(_DATABASE)
    asyncio.run(_upgrade(url))
    facts["file_system"] = file_system(server.folder)
    return Made(url=url, kind="postgresql", facts=facts, postgres=server.pid)


def _of_url(url: str) -> Made:
    try:
        kind = kind_of(url)
    except ValueError as error:
        raise CannotRun(f"--store: memory, sqlite, postgres, or a URL: {error}") from error
    if kind == "memory":
        return Made(url=url, kind=kind, facts={"durable": False})
    if kind == "sqlite":
        if Path(url.partition(":")[2]).exists():
            raise CannotRun(f"{url} is there already: the benchmark fills stores of its own only")
        return _sqlite(url)
    try:
        facts = asyncio.run(_prepare_postgres(url, ""))
        asyncio.run(_upgrade(url))
    except OSError as error:
        raise CannotRun(f"PostgreSQL at {shown(url)} does not answer: {error}") from error
    return Made(url=url, kind=kind, facts=facts)


async def _prepare_postgres(url: str, database: str) -> dict[str, Any]:
    import asyncpg  # noqa: PLC0415 - only where it is used

    try:
        connection = await asyncpg.connect(url)
    except asyncpg.PostgresError as error:
        raise CannotRun(f"PostgreSQL at {shown(url)}: {error}") from error
    try:
        if database:
            await connection.execute(f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")
        facts = {name: await connection.fetchval(f"SHOW {name}") for name in names}
    finally:
        await connection.close()
    return {"durable": facts["fsync"] == "on" and facts["synchronous_commit"] != "off", **facts}


async def _upgrade(url: str) -> None:
    from ocs.store.postgres_migrate import upgrade  # noqa: PLC0415 - only where it is used

    try:
        await upgrade(url)
    except (StoreDown, WrongStore) as error:
        raise CannotRun(str(error)) from error


class Keeper:
    """Opens the store of a run from this process, while no server does."""

    def __init__(self, made: Made, folder: Path, accounts: int, per_account: int) -> None:
        settings, diagnostics = load(write_folder(folder, made.url))
        if settings is None:
            raise CannotRun("\n".join(map(str, diagnostics)))
        self._settings = settings
        self._url = made.url
        self._load = Subscribers(accounts, per_account)
        self._first_bare = accounts * per_account
        self._bare = Subscribers(SUBSCRIBERS, 1, self._first_bare)

    def fill(self, tell: Tell) -> None:
        """Open the accounts of the load and those of the bare commits."""
        self._run(lambda store: self._fill(store, tell))

    async def _fill(self, store: Store, tell: Tell) -> None:
        if await store.accounts("", 1):
            raise CannotRun(f"{shown(self._url)} has accounts: the benchmark fills empty stores only")
        done, said_s = 0, time.monotonic()
        for subscribers in (self._load, self._bare):
            for batch in openings(subscribers, time.time_ns(), BATCH_OUTCOMES_MAX):
                await store.commit(batch)
                done += len(batch)
                if time.monotonic() > said_s + 5:
                    said_s = time.monotonic()
                    tell(f"{done:,} of {len(self._load):,} accounts")

    def bare(self, groups: int, seconds: float) -> Histogram:
        """Latencies of bare commits; the accounts are there, but for a store in memory, which is made for it."""
        templates = make_templates(1, (groups,))

        async def work(store: Store) -> Histogram:
            if not await store.accounts("", 1):
                for batch in openings(self._bare, time.time_ns(), BATCH_OUTCOMES_MAX):
                    await store.commit(batch)
            return await bare_commit(store, self._settings, templates, self._first_bare, seconds)

        found: Histogram = self._run(work)
        return found

    def verify(self, tell: Tell) -> tuple[int, list[str]]:
        """Prove the ledger of all accounts: how many there are, and what is wrong."""
        found: tuple[int, list[str]] = self._run(lambda store: self._verify(store, tell))
        return found

    async def _verify(self, store: Store, tell: Tell) -> tuple[int, list[str]]:
        wrong: list[str] = []
        accounts, after, said_s = 0, "", time.monotonic()
        while page := await store.accounts(after, LEDGER_ACCOUNTS_MAX):
            after = page[-1].id
            verified = await verify(store, [account.id for account in page])
            accounts += verified.accounts
            wrong += [f"ledger of {one.account_id}: {one}" for one in verified.imbalances]
            if time.monotonic() > said_s + 5:
                said_s = time.monotonic()
                tell(f"{accounts:,} accounts verified")
        return accounts, wrong

    def _run(self, work: Callable[[Store], Any]) -> Any:
        async def run() -> Any:
            store = store_of(self._url)
            await store.open()
            try:
                return await work(store)
            finally:
                await store.close()

        try:
            return asyncio.run(run())
        except (StoreDown, StoreInUse, WrongStore, Duplicate, Refused, OSError) as error:
            raise CannotRun(f"the store {shown(self._url)} cannot be used: {error}") from error
