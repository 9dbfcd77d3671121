"""Which store a URL of the configuration means."""

from __future__ import annotations

from ocs.store.interface import Store
from ocs.store.memory import MemoryStore
from ocs.store.sqlite import SqliteStore
from ocs.store.url import kind_of


def store_of(url: str) -> Store:
    """The store, not yet open: "sqlite:PATH", "memory:" or "postgresql://...". ValueError for anything else."""
    match kind_of(url):
        case "postgresql":
            from ocs.store.postgres import PostgresStore  # noqa: PLC0415 - its driver is for those who use it

            return PostgresStore(url)
        case "sqlite":
            return SqliteStore(url.partition(":")[2])
        case _:
            return MemoryStore()
