"""The audit and the outbox in PostgreSQL: work for a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ocs.balances.journal import Entry, Folded, fold
from ocs.charging.session import Session
from ocs.store.interface import Audit, DueEffect
from ocs.store.postgres_connection import Connection
from ocs.store.postgres_statements import (
    AUDIT_ACCOUNTS,
    AUDIT_CARRIED,
    AUDIT_CDRS,
    AUDIT_JOURNAL,
    AUDIT_SESSIONS,
    CLAIM_EFFECTS,
    DUE_EFFECTS,
)
from ocs.store.rows import account_of, effect_of, entry_of, session_of

_PREFETCH: Final = 1_000
_folded_of = msgspec.msgpack.Decoder(Folded).decode


async def audit(connection: Connection, account_ids: Sequence[str]) -> list[Audit]:
    """`Store.audit`: one snapshot; the journal is added up as it is read, so it may be of any length."""
    folded: dict[str, Folded] = {}
    sessions: dict[str, list[Session]] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # Before the snapshot: a month that is dropped between two reads would be neither carried nor there.
        await connection.execute("LOCK TABLE journal, cdr IN ACCESS SHARE MODE")
        accounts = await connection.fetch(AUDIT_ACCOUNTS.sql, account_ids)
        costs = {name: int(cost) for name, cost in await connection.fetch(AUDIT_CDRS.sql, account_ids)}
        for account_id, content, cost_nanos in await connection.fetch(AUDIT_CARRIED.sql, account_ids):
            folded[account_id] = folded.get(account_id, Folded()).plus(_folded_of(content))
            costs[account_id] = costs.get(account_id, 0) + cost_nanos
        for account_id, state in await connection.fetch(AUDIT_SESSIONS.sql, account_ids):
            sessions.setdefault(account_id, []).append(session_of(state))
        journal = await connection.cursor(AUDIT_JOURNAL.sql, account_ids)
        while rows := await journal.fetch(_PREFETCH):
            entries: dict[str, list[Entry]] = {}
            for account_id, entry in rows:
                entries.setdefault(account_id, []).append(entry_of(entry))
            for account_id, some in entries.items():
                folded[account_id] = folded.get(account_id, Folded()).plus(fold(some))
    return [
        Audit(
            account_of(state),
            folded.get(account_id, Folded()),
            tuple(sessions.get(account_id, ())),
            costs.get(account_id, 0),
        )
        for account_id, state in sorted(accounts)
    ]


async def claim_effects(
    connection: Connection, peers: Sequence[str], now_ns: int, until_ns: int, limit: int
) -> list[DueEffect]:
    """`Store.claim_effects`: of several that see the same effect due, it is whose UPDATE moves its time."""
    due = await connection.fetch(DUE_EFFECTS.sql, now_ns, peers, limit)
    if not due:
        return []
    ordered = sorted(due)
    columns = [[row[n] for row in ordered] for n in range(4)]
    mine = {
        (account_id, version, number): DueEffect(account_id, version, number, attempts - 1, effect_of(effect))
        for account_id, version, number, attempts, effect in await connection.fetch(
            CLAIM_EFFECTS.sql, *columns, until_ns
        )
    }
    return [mine[key] for row in due if (key := (row[0], row[1], row[2])) in mine]
