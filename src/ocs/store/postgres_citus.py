"""How the tables are spread over the nodes of Citus: every account lives on one node, with all that belongs to it.

Made from Citus's documentation; nothing here was run against Citus, which cannot be had as a Python package.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from ocs.store.interface import WrongStore
from ocs.store.postgres_admin import Tell
from ocs.store.postgres_schema import BY_ACCOUNT, BY_OWN_KEY, REFERENCE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from ocs.store.postgres_admin import Connection

CITUS: Final = "citus"
POSTGRES: Final = "postgres"


def distribution(done: Collection[str] = ()) -> list[str]:
    """The statements that spread the tables that are not in `done`, for one transaction. Partitions go with theirs."""
    statements = []
    first = BY_ACCOUNT[0].name
    for table in BY_ACCOUNT:
        beside = "" if table.name == first else f", colocate_with => '{first}'"
        statements.append((table.name, f"SELECT create_distributed_table('{table.name}', 'account_id'{beside})"))
    for table, key in BY_OWN_KEY.items():
        statement = f"SELECT create_distributed_table('{table.name}', '{key}', colocate_with => 'none')"
        statements.append((table.name, statement))
    statements += [(table.name, f"SELECT create_reference_table('{table.name}')") for table in REFERENCE]
    missing = [statement for name, statement in statements if name not in done]
    # Several tables in one transaction, reference tables among them: shard after shard.
    return ["SET LOCAL citus.multi_shard_modify_mode TO 'sequential'", *missing] if missing else []


async def make_extension(connection: Connection) -> None:
    """CREATE EXTENSION where it is not there; WrongStore where it cannot be, with what to install and to set."""
    if await connection.fetchval("SELECT 1 FROM pg_extension WHERE extname = 'citus'"):
        return
    if not await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = 'citus'"):
        raise WrongStore(
            "the extension citus is not installed on the database server: install Citus's package for its version of "
            "PostgreSQL there and on all workers, set shared_preload_libraries = 'citus', and restart them"
        )
    libraries = await connection.fetchval("SELECT current_setting('shared_preload_libraries')")
    if "citus" not in libraries:
        raise WrongStore(
            "Citus is installed, but not loaded: set shared_preload_libraries = 'citus' (first in the list) in "
            "postgresql.conf of the coordinator and all workers, and restart them"
        )
    await connection.execute("CREATE EXTENSION citus")


async def distributed(connection: Connection) -> frozenset[str]:
    """Tables that Citus spreads or copies to all nodes; none where there is no Citus."""
    if await connection.fetchval("SELECT to_regclass('citus_tables')") is None:
        return frozenset()
    rows = await connection.fetch("SELECT table_name::text FROM citus_tables")
    return frozenset(row[0] for row in rows)


async def distribute(connection: AsyncConnection, done: Collection[str], tell: Tell) -> None:
    """Spread what is not spread yet, with its rows, in the caller's transaction."""
    for statement in distribution(done):
        tell(statement)
        await connection.exec_driver_sql(statement)
