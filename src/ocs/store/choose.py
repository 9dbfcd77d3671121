"""Which store a URL of the configuration means."""

from __future__ import annotations

from ocs.store.interface import Store
from ocs.store.memory import MemoryStore
from ocs.store.sqlite import SqliteStore


def store_of(url: str) -> Store:
    """The store, not yet open: "sqlite:PATH" or "memory:". ValueError for anything else."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme == "sqlite" and rest:
        return SqliteStore(rest)
    if colon and scheme == "memory" and not rest:
        return MemoryStore()
    raise ValueError(f"{url!r} is no store: sqlite:PATH or memory: is")
