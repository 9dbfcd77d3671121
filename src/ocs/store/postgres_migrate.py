"""Bringing a PostgreSQL database to the schema of this version."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from ocs.store.interface import StoreDown, WrongStore
from ocs.store.postgres_admin import ADMIN_LOCK, VERSION_MIN, Tell, connect, connected, misfit
from ocs.store.postgres_citus import CITUS, POSTGRES, distribute, distributed, make_extension
from ocs.store.postgres_schema import REVISION, REVISIONS, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from ocs.store.postgres_admin import Connection


class Upgraded(msgspec.Struct, frozen=True):
    """What an upgrade did: the revision before (None: there were no tables), the one now, and the engine."""

    before: str | None
    after: str
    engine: str


async def upgrade(url: str, engine: str | None = None, tell: Tell = lambda _: None) -> Upgraded:
    """Make the tables or bring them up to this version, in one transaction; two at once go one after the other.

    engine: "postgres", "citus" (the tables are spread over its nodes), None = as it is. StoreDown where the database
    does not answer, WrongStore where it is none for ocs.
    """
    async with connected(url) as connection:
        await _fit(connection)
        if engine == CITUS:
            await make_extension(connection)
        spread = await distributed(connection)
    database = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool)
    try:
        async with database.begin() as transaction:
            await transaction.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADMIN_LOCK})")
            upgraded = await _upgrade(transaction, engine, tell)
            if upgraded.engine == CITUS:
                await distribute(transaction, spread, tell)
            return upgraded
    except InterfaceError as error:
        raise StoreDown(f"the upgrade was not done: {error.orig}") from error
    except DBAPIError as error:
        raise WrongStore(f"the upgrade was not done: {error.orig}") from error
    finally:
        await database.dispose()


async def _fit(connection: Connection) -> None:
    """The server can hold a store at all."""
    version = connection.get_server_version()
    if version.major < VERSION_MIN:
        raise WrongStore(f"this is PostgreSQL {version.major}: {VERSION_MIN} or newer is needed")
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise WrongStore(f"the database is encoded as {encoding}: make it with createdb --template=template0 -E UTF8")
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise WrongStore("this is a standby: store.url has to lead to the primary (target_session_attrs=read-write)")


async def _upgrade(transaction: AsyncConnection, engine: str | None, tell: Tell) -> Upgraded:
    before = await transaction.run_sync(revision)
    if before is None:
        await _empty(transaction)
    elif before not in REVISIONS:
        raise WrongStore(misfit(before))
    await transaction.run_sync(_migrate, tell)
    return Upgraded(before, REVISION, await _write_meta(transaction, engine))


def revision(connection: SyncConnection) -> str | None:
    """The revision of the database, None where it has no tables of ours."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def alembic_config() -> Config:
    """Where Alembic finds the steps."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _migrate(connection: SyncConnection, tell: Tell) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    config.attributes["applied"] = lambda *, step, **_: tell(f"step {step.up_revision_id}: {step.up_revision.doc}")
    command.upgrade(config, REVISION)


async def _empty(transaction: AsyncConnection) -> None:
    """Another program's tables are not taken for ours."""
    rows = await transaction.execute(
        text("SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"),
        {"names": list(metadata.tables)},
    )
    taken = [name for (name,) in rows]
    if taken:
        raise WrongStore(f"the database has tables of another program ({', '.join(taken)}): make one for ocs alone")


async def _write_meta(transaction: AsyncConnection, engine: str | None) -> str:
    """What the database says of itself; returns its engine."""
    found = await transaction.exec_driver_sql("SELECT value FROM meta WHERE key = 'engine'")
    was = found.scalar_one_or_none()
    if was == CITUS and engine == POSTGRES:
        raise WrongStore("the tables are spread over the nodes of Citus, and stay so: dump and restore them to go back")
    now = engine or was or POSTGRES
    rows = {"format": "ocs", "origin_state_id": str(int(time.time())), "engine": now, "carried": "0"}
    for key, value in rows.items():
        await transaction.exec_driver_sql("INSERT INTO meta VALUES ($1, $2) ON CONFLICT DO NOTHING", (key, value))
    await transaction.exec_driver_sql("UPDATE meta SET value = $1 WHERE key = 'engine'", (now,))
    return now
