"""The work of operators on the file of the embedded store."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from ocs.store.interface import StoreDown, WrongStore
from ocs.store.sqlite import SqliteStore
from ocs.store.sqlite_channel import FileLock
from ocs.store.sqlite_schema import SCHEMA_VERSION

PROBLEMS_SHOWN_MAX = 20


def upgrade(path: Path) -> tuple[int | None, int]:
    """(schema before, schema now), None: there was no file. StoreInUse, StoreDown, WrongStore."""
    before = _meta(path).get("schema") if path.exists() and path.stat().st_size else None

    async def work() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.close()

    asyncio.run(work())
    return None if before is None else int(before), SCHEMA_VERSION


def check(path: Path) -> list[str]:
    """What is wrong with the file, readable, also while a server uses it. StoreDown where it cannot be read."""
    if not path.exists():
        return [f"there is no {path}: ocs serve makes it, or ocs db upgrade"]
    try:
        meta = _meta(path)
        with closing(_open(path)) as connection:
            wrong = [row[0] for row in connection.execute(f"PRAGMA integrity_check({PROBLEMS_SHOWN_MAX})")]
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    except WrongStore as error:
        return [str(error)]
    problems = [f"{text}: restore the file from a backup" for text in wrong if text != "ok"]
    if meta.get("schema") != str(SCHEMA_VERSION):
        text = f"the file has schema {meta.get('schema')}, this program {SCHEMA_VERSION}: "
        older = meta.get("schema", "").isdecimal() and int(meta["schema"]) < SCHEMA_VERSION
        problems.append(text + ("run ocs db upgrade" if older else "a newer ocs made it"))
    if mode != "wal":
        problems.append(f"its journal mode is {mode}, not wal: ocs serve sets it at the next start")
    return problems


def raise_origin_state(path: Path, now_s: int) -> tuple[int, int]:
    """(before, now): the Origin-State-Id says that state was lost (RFC 6733 8.16). Raises what `upgrade` does."""
    before = int(_meta(path)["origin_state_id"])
    now = max(before + 1, now_s)
    lock = FileLock(path.with_name(path.name + ".lock"))
    lock.take()
    try:
        with closing(_open(path, mode="rw")) as connection, connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'origin_state_id'", (str(now),))
    except sqlite3.Error as error:
        raise StoreDown(f"{path}: {error}") from error
    finally:
        lock.release()
    return before, now


def _meta(path: Path) -> dict[str, str]:
    """What the file says of itself."""
    if not path.exists():
        raise WrongStore(f"there is no {path}: ocs serve makes it, or ocs db upgrade")
    try:
        with closing(_open(path)) as connection:
            meta = dict(connection.execute("SELECT key, value FROM meta"))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise WrongStore(f"{path} is an SQLite file of another program") from error
        raise StoreDown(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise WrongStore(f"{path} is no SQLite file, or damaged ({error}): restore it from a backup") from error
    if meta.get("format") != "ocs":
        raise WrongStore(f"{path} is an SQLite file of another program")
    return meta


def _open(path: Path, mode: str = "ro") -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)
