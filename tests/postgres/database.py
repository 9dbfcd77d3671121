"""Databases on that server: each test has its own, copied from one in which the schema was made once."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import asyncpg

from tests.postgres.server import PostgresServer

TEMPLATE = "ocs_template"
_numbers = itertools.count(1)


def in_thread(work: Coroutine[object, object, object]) -> object:
    """Run it to its end, whether or not this thread has an event loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def execute(url: str, *statements: str) -> None:
    """Run statements one by one, each in a transaction of its own."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    in_thread(work())


def make_template(server: PostgresServer) -> None:
    """The database that all others are copied from."""
    execute(server.url("postgres"), f"CREATE DATABASE {TEMPLATE}")
    make_schema(server.url(TEMPLATE))


def make_schema(url: str) -> None:
    """The tables, as `ocs db upgrade` makes them."""
    from ocs.store.postgres_migrate import upgrade

    in_thread(upgrade(url))
    execute(url, "UPDATE meta SET value = '12345' WHERE key = 'origin_state_id'")


@contextmanager
def database(server: PostgresServer) -> Iterator[str]:
    """A fresh database with the schema: its URL. It is gone afterwards, with whoever is still connected."""
    name = f"ocs_test_{next(_numbers)}"
    execute(server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    try:
        yield server.url(name)
    finally:
        execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def empty_database(server: PostgresServer) -> Iterator[str]:
    """The same without a table."""
    name = f"ocs_test_{next(_numbers)}"
    execute(server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield server.url(name)
    finally:
        execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")
