"""The stores that keep to one contract."""

import pytest

from ocs.store.memory import MemoryStore
from ocs.store.postgres import PostgresStore
from ocs.store.sqlite import SqliteStore
from tests.postgres.database import execute


@pytest.fixture(params=["memory", "sqlite", "postgres", "postgres_in_pieces"])
def unopened(request, tmp_path):
    """Each of the stores, empty. In pieces: as on several nodes of Citus, one statement after another."""
    match request.param:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqliteStore(tmp_path / "ocs.db")
    url = request.getfixturevalue("postgres_url")
    if request.param == "postgres_in_pieces":
        execute(url, "UPDATE meta SET value = 'citus' WHERE key = 'engine'")
    return PostgresStore(url)


@pytest.fixture
async def store(unopened):
    """Each of the stores, open and empty."""
    await unopened.open()
    yield unopened
    await unopened.close()
