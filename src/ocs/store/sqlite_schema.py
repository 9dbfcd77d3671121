"""The schema of the embedded store, and what must be so before a file is served from.

Rows that a request reads and writes are found by (account_id, session_id). The journal and the CDRs are only ever
appended to, in the order of their numbers: an index on the journal by account would cost almost half of all commits,
so each entry names the one before it on its account instead (`previous_seq`), and the account names the last
(`journal_seq`); 0 = there is none.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ocs.cdr.records import Cdr
from ocs.store.interface import WrongStore

SCHEMA_VERSION: Final = 2

CDR_COLUMNS: Final = Cdr.__struct_fields__
"""Columns of the table `cdr` after `seq`: the fields of a CDR under their own names."""

_CDR_TYPES: Final = {
    "account_id": "TEXT NOT NULL",
    "session_id": "TEXT NOT NULL",
    "service": "TEXT NOT NULL",
    "rating_group": "INTEGER",
    "service_id": "INTEGER",
    "partial": "INTEGER NOT NULL",
    "subscriber": "TEXT NOT NULL",
    "called": "TEXT NOT NULL",
    "destination_id": "TEXT NOT NULL",
    "started_at_ns": "INTEGER NOT NULL",
    "ended_at_ns": "INTEGER NOT NULL",
    "usage": "INTEGER NOT NULL",
    "measure": "TEXT NOT NULL",
    "unit_usage": "INTEGER NOT NULL",
    "cost_nanos": "INTEGER NOT NULL",
    "currency": "TEXT NOT NULL",
    "tariff_version": "TEXT NOT NULL",
    "cause": "TEXT NOT NULL",
    "overrun": "INTEGER NOT NULL",
    "unrated": "INTEGER NOT NULL",
    "attributes": "BLOB NOT NULL",
}

_OUTBOX: Final = (
    """CREATE TABLE outbox (
        account_id TEXT NOT NULL, version INTEGER NOT NULL, number INTEGER NOT NULL, peer TEXT NOT NULL,
        due_at_ns INTEGER NOT NULL, attempts INTEGER NOT NULL, effect BLOB NOT NULL,
        PRIMARY KEY (account_id, version, number)) WITHOUT ROWID""",
    "CREATE INDEX outbox_due ON outbox (due_at_ns)",
)

UPGRADES: Final = {1: _OUTBOX}
"""By the version that a file has: what makes it one of the next version."""

DDL: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE account (
        account_id TEXT PRIMARY KEY, version INTEGER NOT NULL, journal_seq INTEGER NOT NULL, state BLOB NOT NULL)""",
    "CREATE TABLE identity (identity TEXT PRIMARY KEY, account_id TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE session (
        account_id TEXT NOT NULL, session_id TEXT NOT NULL, open INTEGER NOT NULL, service TEXT NOT NULL,
        due_at_ns INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (account_id, session_id))""",
    "CREATE INDEX session_due ON session (due_at_ns) WHERE open = 1",
    "CREATE INDEX session_forget ON session (due_at_ns) WHERE open = 0",
    # `open` is in it so that sessions are counted from the index alone.
    "CREATE INDEX session_open ON session (session_id, service, open) WHERE open = 1",
    "CREATE TABLE session_index (session_id TEXT PRIMARY KEY, account_id TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE answer_page (
        account_id TEXT NOT NULL, session_id TEXT NOT NULL, page INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (account_id, session_id, page))""",
    """CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, account_id TEXT NOT NULL, version INTEGER NOT NULL, at_ns INTEGER NOT NULL,
        previous_seq INTEGER NOT NULL, entry BLOB NOT NULL)""",
    f"CREATE TABLE cdr (seq INTEGER PRIMARY KEY, {', '.join(f'{name} {_CDR_TYPES[name]}' for name in CDR_COLUMNS)})",
    # NULLs differ in a unique index; here a record without a rating group is one of a kind, too.
    """CREATE UNIQUE INDEX cdr_key ON cdr (
        account_id, session_id, IFNULL(rating_group, -1), IFNULL(service_id, -1), partial)""",
    "CREATE INDEX cdr_session ON cdr (session_id)",
    *_OUTBOX,
)


def prepare(connection: sqlite3.Connection, origin_state_id: int) -> None:
    """Make the schema in an empty file, or bring that of an older version up to ours; WrongStore if it has another."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        _create(connection, origin_state_id)
        return
    meta = dict(connection.execute("SELECT key, value FROM meta")) if "meta" in tables else {}
    if meta.get("format") != "ocs":
        raise WrongStore("this is an SQLite file of another program: it has tables, but none that says what they are")
    version = meta.get("schema", "")
    if version == str(SCHEMA_VERSION):
        return
    if version not in {str(known) for known in UPGRADES}:
        raise WrongStore(
            f"the file has schema {version}, this program reads and writes {SCHEMA_VERSION} and older ones: "
            "start the version of the program that wrote it"
        )
    _upgrade(connection, int(version))


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """All steps in one transaction: a file is of the old version, or of ours."""
    connection.execute("BEGIN IMMEDIATE")
    for step in range(version, SCHEMA_VERSION):
        for statement in UPGRADES[step]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA_VERSION),))
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection, origin_state_id: int) -> None:
    """All of it in one transaction: a file has the whole schema, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in DDL:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("format", "ocs"), ("schema", str(SCHEMA_VERSION)), ("origin_state_id", str(origin_state_id))],
    )
    connection.execute("COMMIT")
