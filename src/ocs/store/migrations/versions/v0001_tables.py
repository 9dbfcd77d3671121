"""The tables, with partitions that take what has no month of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_text = sa.Text(collation="C")


def upgrade() -> None:
    """From an empty database."""
    _small_tables()
    _sessions()
    _journal_and_cdrs()
    op.create_table(
        "outbox",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.SmallInteger, primary_key=True),
        sa.Column("peer", _text, nullable=False),
        sa.Column("due_at_ns", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("effect", sa.LargeBinary, nullable=False),
    )
    op.create_index("outbox_due", "outbox", ["due_at_ns"])


def downgrade() -> None:
    """There is nothing before it, and what it made holds money."""
    raise NotImplementedError("the first version has none before it; a database is removed with DROP DATABASE")


def _small_tables() -> None:
    op.create_table("meta", sa.Column("key", _text, primary_key=True), sa.Column("value", _text, nullable=False))
    op.create_table(
        "account",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "identity", sa.Column("identity", _text, primary_key=True), sa.Column("account_id", _text, nullable=False)
    )
    op.create_table(
        "carried",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("folded", sa.LargeBinary, nullable=False),
        sa.Column("cdr_cost_nanos", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("name", _text, primary_key=True),
        sa.Column("holder", _text, nullable=False),
        sa.Column("until", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
    )


def _sessions() -> None:
    op.create_table(
        "session",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("session_id", _text, primary_key=True),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("service", _text, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("due_at_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("session_due", "session", ["due_at_ns"], postgresql_where=sa.text("open"))
    op.create_index("session_forget", "session", ["due_at_ns"], postgresql_where=sa.text("NOT open"))
    op.create_index("session_open", "session", ["session_id", "service"], postgresql_where=sa.text("open"))
    op.create_table(
        "session_index",
        sa.Column("session_id", _text, primary_key=True),
        sa.Column("account_id", _text, nullable=False),
    )
    op.create_table(
        "answer_page",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("session_id", _text, primary_key=True),
        sa.Column("page", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def _journal_and_cdrs() -> None:
    op.create_table(
        "journal",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("month", sa.Integer, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (month)",
    )
    op.create_table(
        "cdr",
        sa.Column("account_id", _text, primary_key=True),
        sa.Column("session_id", _text, primary_key=True),
        sa.Column("rating_group", sa.BigInteger, primary_key=True),
        sa.Column("service_id", sa.BigInteger, primary_key=True),
        sa.Column("partial", sa.Integer, primary_key=True),
        sa.Column("month", sa.Integer, primary_key=True),
        sa.Column("id", sa.BigInteger, nullable=False),
        *(sa.Column(name, _text, nullable=False) for name in ("service", "subscriber", "called", "destination_id")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started_at_ns", "ended_at_ns", "usage")),
        sa.Column("measure", _text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("unit_usage", "cost_nanos")),
        *(sa.Column(name, _text, nullable=False) for name in ("currency", "tariff_version", "cause")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("overrun", "unrated")),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (month)",
    )
    op.create_index("cdr_by_id", "cdr", ["id"])
    op.create_index("cdr_by_session", "cdr", ["session_id", "id"])
    op.create_index("cdr_by_account", "cdr", ["account_id", "id"])
    op.execute("CREATE SEQUENCE cdr_id")
    for table in ("journal", "cdr"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
