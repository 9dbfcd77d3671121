"""The server that other tests stand on."""

import os

import asyncpg
import pytest

from tests.postgres.database import database, execute, make_template
from tests.postgres.server import PostgresServer, _alive


async def fetch(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_each_database_is_fresh_and_has_the_schema(postgres_server):
    for _ in range(2):
        with database(postgres_server) as url:
            assert await fetch(url, "SELECT count(*) FROM account") == 0
            execute(url, "INSERT INTO account VALUES ('a', 1, '')")


async def test_it_does_not_run_as_root(postgres_server):
    data = postgres_server.folder / "data"
    assert data.stat().st_uid != 0
    assert os.geteuid() in {0, data.stat().st_uid}


@pytest.mark.parametrize("durable", [True, False])
async def test_what_was_committed_survives_a_kill(durable):
    server = PostgresServer(durable=durable)
    try:
        server.start()
        make_template(server)
        with database(server) as url:
            assert await fetch(url, "SHOW fsync") == ("on" if durable else "off")
            execute(url, "INSERT INTO account VALUES ('a', 1, '')")
            connection = await asyncpg.connect(url)
            pid = connection.get_server_pid()
            assert _alive(pid)
            server.kill()
            assert not _alive(pid)
            connection.terminate()
            with pytest.raises(OSError, match="failed"):
                await asyncpg.connect(url)
            server.start()
            assert await fetch(url, "SELECT count(*) FROM account") == 1
            folder = server.folder
    finally:
        server.stop()
    assert not folder.exists()


async def test_a_paused_server_says_nothing_and_goes_on(postgres_server):
    server = PostgresServer()
    try:
        server.start()
        connection = await asyncpg.connect(server.url("postgres"))
        server.pause()
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT 1", timeout=0.2)
        connection.terminate()
        server.resume()
        assert await fetch(server.url("postgres"), "SELECT 1") == 1
        assert await fetch(server.socket_url, "SELECT 2") == 2
    finally:
        server.stop()
