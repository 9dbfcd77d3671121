"""The tables in PostgreSQL, as SQLAlchemy knows them: for the migrations and for what people ask.

Every table with account data has a primary key that begins with `account_id`, so that all of an account can live on
one node of a distributed PostgreSQL; the directory (`identity`, `session_index`) is found by its own keys.

Texts are compared octet by octet (collation "C"): ids have the same order here and there, and an index does not depend
on the language files of the operating system, which change between its versions.

`journal` and `cdr` are partitioned by `month` (yyyymm, UTC). The month is that of the session's opening, where there
is one, else that of the decision: it belongs to the outcome, not to the clock of whoever writes it, so a row that is
written twice meets itself in the same partition.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

metadata = MetaData()
_text: Final = Text(collation="C")

REVISION: Final = "0001"
"""What this version of the program reads and writes."""

REVISIONS: Final = ("0001",)
"""All that it can bring up to that, oldest first."""

VERSION_TABLE: Final = "schema_version"
"""Where Alembic keeps the revision, in the column `version_num` of its one row."""

NONE_KEY: Final = -1
"""Stands for a rating group or service identifier that is not there: a key has no NULL."""

meta = Table("meta", metadata, Column("key", _text, primary_key=True), Column("value", _text, nullable=False))

account = Table(
    "account",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),  # MessagePack of balances.Account
    postgresql_with={"fillfactor": 70},  # an update finds room on its own page and touches no index
)

identity = Table(
    "identity", metadata, Column("identity", _text, primary_key=True), Column("account_id", _text, nullable=False)
)

session = Table(
    "session",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("session_id", _text, primary_key=True),
    Column("open", Boolean, nullable=False),
    Column("service", _text, nullable=False),
    Column("month", Integer, nullable=False),  # of its opening: its journal and CDRs are there
    Column("due_at_ns", BigInteger, nullable=False),  # of an open session: not before that, its state says when
    Column("state", LargeBinary, nullable=False),  # MessagePack of charging.Session
    postgresql_with={"fillfactor": 70},
)
Index("session_due", session.c.due_at_ns, postgresql_where=session.c.open)
Index("session_forget", session.c.due_at_ns, postgresql_where=~session.c.open)
Index("session_open", session.c.session_id, session.c.service, postgresql_where=session.c.open)

session_index = Table(
    "session_index",
    metadata,
    Column("session_id", _text, primary_key=True),
    Column("account_id", _text, nullable=False),
)

answer_page = Table(
    "answer_page",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("session_id", _text, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),  # MessagePack of a tuple of charging.Answered
)

journal = Table(
    "journal",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("month", Integer, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),  # MessagePack of balances.Entry
    postgresql_partition_by="RANGE (month)",
)

cdr = Table(
    "cdr",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("session_id", _text, primary_key=True),
    Column("rating_group", BigInteger, primary_key=True),  # NONE_KEY: none
    Column("service_id", BigInteger, primary_key=True),  # NONE_KEY: none
    Column("partial", Integer, primary_key=True),
    Column("month", Integer, primary_key=True),
    Column("id", BigInteger, nullable=False),  # from the sequence cdr_id, in the order of writing
    Column("service", _text, nullable=False),
    Column("subscriber", _text, nullable=False),
    Column("called", _text, nullable=False),
    Column("destination_id", _text, nullable=False),
    Column("started_at_ns", BigInteger, nullable=False),
    Column("ended_at_ns", BigInteger, nullable=False),
    Column("usage", BigInteger, nullable=False),
    Column("measure", _text, nullable=False),
    Column("unit_usage", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    Column("currency", _text, nullable=False),
    Column("tariff_version", _text, nullable=False),
    Column("cause", _text, nullable=False),
    Column("overrun", BigInteger, nullable=False),
    Column("unrated", BigInteger, nullable=False),
    Column("attributes", LargeBinary, nullable=False),  # MessagePack of pairs of text
    postgresql_partition_by="RANGE (month)",
)
Index("cdr_by_id", cdr.c.id)
Index("cdr_by_session", cdr.c.session_id, cdr.c.id)
Index("cdr_by_account", cdr.c.account_id, cdr.c.id)
cdr_id = Sequence("cdr_id", metadata=metadata)

carried = Table(
    "carried",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),  # one more with each month; beyond that in `meta`: not in use
    Column("folded", LargeBinary, nullable=False),  # MessagePack of balances.Folded: a month of the journal now gone
    Column("cdr_cost_nanos", BigInteger, nullable=False),  # of the CDRs of that month
)

outbox = Table(
    "outbox",
    metadata,
    Column("account_id", _text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("peer", _text, nullable=False),
    Column("due_at_ns", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("effect", LargeBinary, nullable=False),  # MessagePack of charging.Effect
)
Index("outbox_due", outbox.c.due_at_ns)

lease = Table(
    "lease",
    metadata,
    Column("name", _text, primary_key=True),
    Column("holder", _text, nullable=False),
    Column("until", TIMESTAMP(timezone=True), nullable=False),  # by the database's clock
    Column("wanted", Boolean, nullable=False),
)

PARTITIONED: Final = (journal, cdr)
BY_ACCOUNT: Final = (account, session, answer_page, journal, cdr, carried, outbox)
"""Distributed on `account_id`, colocated."""
BY_OWN_KEY: Final = {identity: "identity", session_index: "session_id"}
"""The directory, distributed by its own keys."""
REFERENCE: Final = (meta, lease)
"""Small, and on every node."""


def month_of(at_ns: int) -> int:
    """Yyyymm of a Unix time in nanoseconds, UTC."""
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return moment.year * 100 + moment.month
