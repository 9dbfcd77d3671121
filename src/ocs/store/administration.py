"""What operators do with a store, whichever it is; for the command line, without an event loop around it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ocs.store import sqlite_admin
from ocs.store.interface import WrongStore
from ocs.store.postgres_admin import Tell
from ocs.store.postgres_admin import raise_origin_state as raise_postgres
from ocs.store.postgres_check import Problem
from ocs.store.postgres_check import check as check_postgres
from ocs.store.postgres_migrate import Upgraded
from ocs.store.postgres_migrate import upgrade as upgrade_postgres
from ocs.store.postgres_partitions import Care, PartitionReport
from ocs.store.postgres_partitions import partitions as tend_postgres
from ocs.store.url import kind_of


def upgrade(url: str, engine: str | None, care: Care, tell: Tell) -> tuple[Upgraded, PartitionReport]:
    """Make the tables or bring them up to this version, and make the partitions that are wanted (nothing is dropped).

    Raises what the store raises; WrongStore also where there is nothing to be done.
    """
    if _kind(url) == "sqlite":
        if engine not in {None, "sqlite"}:
            raise WrongStore(f"{url} is a file: --engine is for PostgreSQL")
        before, after = sqlite_admin.upgrade(_path(url))
        return Upgraded(None if before is None else str(before), str(after), "sqlite"), PartitionReport()

    async def work() -> tuple[Upgraded, PartitionReport]:
        upgraded = await upgrade_postgres(url, engine, tell)
        return upgraded, await tend_postgres(url, Care(care.ahead_months), tell)

    return asyncio.run(work())


def check(url: str, care: Care) -> list[Problem]:
    """What is wrong with it; empty where nothing is."""
    if _kind(url) == "sqlite":
        return [Problem("file", text) for text in sqlite_admin.check(_path(url))]
    return asyncio.run(check_postgres(url, care.ahead_months))


def partitions(url: str, care: Care, tell: Tell) -> PartitionReport | None:
    """Make, move and drop partitions; None where the store has none."""
    if _kind(url) == "sqlite":
        return None
    return asyncio.run(tend_postgres(url, care, tell))


def raise_origin_state(url: str) -> tuple[int, int]:
    """(before, now): tell clients at their next connection that state was lost."""
    now_s = int(time.time())
    if _kind(url) == "sqlite":
        return sqlite_admin.raise_origin_state(_path(url), now_s)
    return asyncio.run(raise_postgres(url, now_s))


def _kind(url: str) -> str:
    kind = kind_of(url)
    if kind == "memory":
        raise WrongStore("a store in memory has no database: it is gone when the server ends")
    return kind


def _path(url: str) -> Path:
    return Path(url.partition(":")[2])
