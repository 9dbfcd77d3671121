"""What Alembic runs: the steps that are missing, on the connection and in the transaction that the caller has begun."""

from __future__ import annotations

from alembic import context

from ocs.store.postgres_schema import VERSION_TABLE, metadata

_attributes = context.config.attributes

context.configure(
    connection=_attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    on_version_apply=_attributes["applied"],
)
with context.begin_transaction():
    context.run_migrations()
