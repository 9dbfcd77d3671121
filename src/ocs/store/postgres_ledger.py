"""The audit, the outbox and what is due in PostgreSQL: work for a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ocs.balances.journal import Entry, Folded, fold
from ocs.charging.session import Session
from ocs.store.interface import Audit, DueEffect, DueSession
from ocs.store.postgres_connection import Connection
from ocs.store.postgres_statements import (
    AUDIT_ACCOUNTS,
    AUDIT_CARRIED,
    AUDIT_CDRS,
    AUDIT_JOURNAL,
    AUDIT_SESSIONS,
    CLAIM_EFFECTS,
    DUE,
    DUE_EFFECTS,
    PUT_OFF,
)
from ocs.store.rows import account_of, effect_of, entry_of, session_of

_PREFETCH: Final = 1_000
_DUE_ROWS: Final = 512
_DUE_ROUNDS: Final = 64
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


async def due(connection: Connection, now_ns: int, limit: int) -> list[DueSession]:
    """`Store.due`.

    The column of an open session says when it is due at the earliest, its state says when it is. Where the column's
    time has come before the state's, the column is put off, unless the session was written meanwhile.
    """
    for _ in range(_DUE_ROUNDS):
        rows = await connection.fetch(DUE.sql, now_ns, max(limit, _DUE_ROWS))
        times = [session_of(row[3]).due_at_ns for row in rows]
        early = sorted(
            (account_id, session_id, due_at_ns, state)
            for (account_id, session_id, column_ns, state), due_at_ns in zip(rows, times, strict=True)
            if column_ns < due_at_ns
        )
        if not early:
            return [DueSession(account_id, session_id) for account_id, session_id, _, _ in rows[:limit]]
        await connection.execute(PUT_OFF.sql, *([row[n] for row in early] for n in range(4)))
    return []  # there is more to put off than one call does: the next one goes on


class Claim(NamedTuple):
    """The arguments of `Store.claim_effects`; "" among the peers stands for effects that any node does."""

    peers: Sequence[str]
    now_ns: int
    until_ns: int
    limit: int
    stray_ns: int


async def claim_effects(connection: Connection, claim: Claim) -> list[DueEffect]:
    """`Store.claim_effects`: of several that see the same effect due, it is whose UPDATE moves its time."""
    due = await connection.fetch(DUE_EFFECTS.sql, claim.now_ns, claim.peers, claim.limit, claim.stray_ns)
    if not due:
        return []
    ordered = sorted(due)
    columns = [[row[n] for row in ordered] for n in range(4)]
    mine = {
        (account_id, version, number): DueEffect(account_id, version, number, attempts - 1, effect_of(effect))
        for account_id, version, number, attempts, effect in await connection.fetch(
            CLAIM_EFFECTS.sql, *columns, claim.until_ns
        )
    }
    return [mine[key] for row in due if (key := (row[0], row[1], row[2])) in mine]
