"""The stores that keep to one contract."""

import pytest

from ocs.store.memory import MemoryStore
from ocs.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    """Each of the stores, open and empty."""
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ocs.db")
    await made.open()
    yield made
    await made.close()
