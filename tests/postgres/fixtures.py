"""pytest fixtures for all tests: `postgres_url`, `postgres_server`."""

from collections.abc import Iterator

import pytest

from tests.postgres.database import database, make_template
from tests.postgres.server import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the whole run, started when the first test asks. Who kills or pauses one starts its own."""
    server = PostgresServer()
    try:
        server.start()
        make_template(server)
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database with the schema, of this test alone."""
    with database(postgres_server) as url:
        yield url
