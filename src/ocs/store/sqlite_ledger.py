"""The journal, the audit and the outbox of the embedded store: work for its connections."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from ocs.balances.journal import Entry, fold
from ocs.store.batch import QueuedEffect
from ocs.store.interface import Audit, DueEffect
from ocs.store.rows import account_of, effect_of, encode, entry_of, session_of

_HISTORY: Final = """
    WITH RECURSIVE history (seq, version, previous_seq, entry) AS (
        SELECT seq, version, previous_seq, entry FROM journal
            WHERE seq = (SELECT journal_seq FROM account WHERE account_id = :account_id)
        UNION ALL
        SELECT j.seq, j.version, j.previous_seq, j.entry FROM history AS h JOIN journal AS j ON j.seq = h.previous_seq
            WHERE h.version > :after_version + 1)
    SELECT entry FROM history WHERE version > :after_version"""

_PAGE: Final = f"{_HISTORY} ORDER BY version LIMIT :limit"


def journal(connection: sqlite3.Connection, account_id: str, after_version: int, limit: int) -> list[Entry]:
    """`Store.journal`."""
    values = {"account_id": account_id, "after_version": after_version, "limit": limit}
    return [entry_of(entry) for (entry,) in connection.execute(_PAGE, values)]


def audit(connection: sqlite3.Connection, account_ids: Sequence[str]) -> list[Audit]:
    """`Store.audit`: one transaction, one snapshot; entries are added up one by one as they are read."""
    connection.execute("BEGIN")
    found = []
    for account_id in sorted(set(account_ids)):
        row = connection.execute("SELECT state FROM account WHERE account_id = ?", (account_id,)).fetchone()
        if row is None:
            continue
        entries = connection.execute(_HISTORY, {"account_id": account_id, "after_version": 0})
        sessions = connection.execute(
            "SELECT state FROM session WHERE account_id = ? AND open = 1 ORDER BY session_id", (account_id,)
        )
        # Added up here: SQLite's own sum breaks beyond 64 bits.
        costs = connection.execute("SELECT cost_nanos FROM cdr WHERE account_id = ?", (account_id,))
        found.append(
            Audit(
                account_of(row[0]),
                fold(entry_of(entry) for (entry,) in entries),
                tuple(session_of(state) for (state,) in sessions),
                sum(cost_nanos for (cost_nanos,) in costs),
            )
        )
    connection.execute("COMMIT")
    return found


def queue_effects(connection: sqlite3.Connection, effects: Sequence[QueuedEffect]) -> None:
    """Into the outbox, in the transaction of the caller."""
    connection.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, 0, ?)",
        [(*row[:3], row.effect.peer, row.due_at_ns, encode(row.effect)) for row in effects],
    )


def claim_effects(
    connection: sqlite3.Connection, peers: Collection[str], now_ns: int, until_ns: int, limit: int, stray_ns: int
) -> list[DueEffect]:
    """`Store.claim_effects`."""
    names = ["", *peers]
    places = ", ".join("?" * len(names))
    rows = connection.execute(
        "SELECT account_id, version, number, attempts, effect FROM outbox"  # noqa: S608
        f" WHERE due_at_ns <= ? AND (peer IN ({places}) OR due_at_ns < ?)"
        " ORDER BY due_at_ns, account_id, version, number LIMIT ?",
        (now_ns, *names, stray_ns, limit),
    ).fetchall()
    if rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE outbox SET due_at_ns = ?, attempts = attempts + 1"
            " WHERE account_id = ? AND version = ? AND number = ?",
            [(until_ns, *row[:3]) for row in rows],
        )
        connection.execute("COMMIT")
    return [
        DueEffect(account_id, version, number, attempts, effect_of(effect))
        for account_id, version, number, attempts, effect in rows
    ]


def finish_effect(connection: sqlite3.Connection, done: DueEffect) -> None:
    """`Store.finish_effect`."""
    connection.execute("DELETE FROM outbox WHERE account_id = ? AND version = ? AND number = ?", done[:3])
