"""One batch on its way into PostgreSQL: what is to be written, and what is known of attempts to write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from ocs.charging.outcome import Outcome
from ocs.store.batch import select
from ocs.store.interface import Applied, Duplicate
from ocs.store.postgres_connection import Connection, Lost, errors_named
from ocs.store.postgres_rows import Arrays, Rows, rows_of
from ocs.store.postgres_statements import (
    FIND_ACCOUNTS,
    MAKE_ACCOUNTS,
    MAKE_IDENTITIES,
    MAKE_SESSION_INDEX,
    MOVE_ACCOUNTS,
    READ_VERSIONS,
    READ_WRITTEN,
    SHARE_CDR_IDS,
    WRITE_CDRS,
    composed,
)


class _Moved(Exception):
    """An account has another version than was expected: nothing was written."""


class Commit:
    """Outcomes that go in together.

    At first every account is taken to have the version that its first outcome was computed from, and the write itself
    finds out. Where it finds another, versions are read, what does not fit them is left out, and the rest is tried
    again: each time at least one account falls out, so this ends.

    An attempt whose connection was lost may have been carried out, or may still be. The same rows are tried again on
    another connection, and the versions decide:
    - It was not carried out, and the server no longer works on it: the rows go in now.
    - It was carried out: the versions have moved, and the journal has our very entries at the versions that we wrote.
    - The server still works on it: whoever locks the account rows first wins. Where we come second, we wait for their
      locks and find the versions moved by them, as above. Where we come first, its UPDATE waits for us, finds the
      versions moved by us and fails as a whole. Versions never go back, so it cannot hurt later either.
    """

    def __init__(self, outcomes: Sequence[Outcome], *, one_statement: bool) -> None:
        self._outcomes = outcomes
        self._one_statement = one_statement
        self._unanswered: list[Rows] = []  # attempts of which the server has not said what became of them
        expected: dict[str, int] = {}
        for outcome in outcomes:
            for write in outcome.writes:
                expected.setdefault(write.account.id, write.account.version - 1)
        self._account_ids = sorted(expected)
        self._rows = self._fitting(expected)
        self._moved = False  # since the versions that the rows were made for

    async def write(self, connection: Connection) -> list[Applied]:
        """Write what fits; returns once it is durable. It is called again on another connection after one was lost."""
        while True:
            if self._moved:
                done = await self._take_stored(connection)
                if done is not None:
                    return done
            if not self._rows.writes:
                return self._rows.applied
            self._unanswered.append(self._rows)
            try:
                async with errors_named():
                    await self._try(connection, self._rows)
            except _Moved:
                self._unanswered.pop()
                self._moved = True
            except Lost:
                raise
            except Exception:
                self._unanswered.pop()
                raise
            else:
                return self._rows.applied

    async def _take_stored(self, connection: Connection) -> list[Applied] | None:
        """Let in what fits the versions that are stored; or, where one of the attempts was carried out, its result."""
        for rows in self._unanswered:
            if await _is_written(connection, rows):
                return rows.applied
        found = await connection.fetch(READ_VERSIONS.sql, self._account_ids)
        before = self._rows.applied
        self._rows = self._fitting(dict(found))
        self._moved = False
        assert self._rows.applied != before, "a version that has moved leaves something out"
        return None

    def _fitting(self, versions: Mapping[str, int]) -> Rows:
        return rows_of(self._outcomes, select(self._outcomes, versions))

    async def _try(self, connection: Connection, rows: Rows) -> None:
        """Write all of `rows`, or raise with nothing written."""
        writes = dict(rows.writes)
        sessions = writes.get(MAKE_SESSION_INDEX, [[]])[0]
        try:
            # A session that two accounts have in one batch, and names of accounts, need a look in between.
            if self._one_statement and MAKE_IDENTITIES not in writes and len(set(sessions)) == len(sessions):
                await _write_at_once(connection, rows)
            else:
                await _write_piece_by_piece(connection, rows)
        except asyncpg.UniqueViolationError as error:
            table = error.table_name or ""
            if table.startswith("journal"):  # another node's entry has the version that we were about to write
                raise _Moved from error
            if table.startswith("cdr"):
                raise Duplicate(f"a CDR twice: {error.detail}") from error
            raise


async def _write_at_once(connection: Connection, rows: Rows) -> None:
    pieces = [(statement, arrays) for statement, arrays in rows.writes if statement is not MAKE_SESSION_INDEX]
    values = [array for _, arrays in pieces for array in arrays]
    try:
        await connection.fetch(composed(tuple(statement for statement, _ in pieces)), *values, rows.moves + rows.makes)
    except asyncpg.DivisionByZeroError as error:
        raise _Moved from error


async def _write_piece_by_piece(connection: Connection, rows: Rows) -> None:
    wanted = {MOVE_ACCOUNTS: rows.moves, MAKE_ACCOUNTS: rows.makes}
    async with connection.transaction():
        for statement, arrays in rows.writes:
            if statement is WRITE_CDRS:
                await connection.execute(SHARE_CDR_IDS.sql)
            done = await connection.execute(statement.sql, *arrays)
            if statement in wanted and int(done.rpartition(" ")[2]) != wanted[statement]:
                raise _Moved
            if statement is MAKE_IDENTITIES:
                await _check_identities(connection, arrays)


async def _check_identities(connection: Connection, arrays: Arrays) -> None:
    """Each is its account's now, or was another's before."""
    owners = dict(await connection.fetch(FIND_ACCOUNTS.sql, arrays[0]))
    for identity, account_id in zip(*arrays, strict=True):
        if owners[identity] != account_id:
            raise Duplicate(f"the identity {identity} belongs to account {owners[identity]}")


async def _is_written(connection: Connection, rows: Rows) -> bool:
    """Whether the journal has exactly these entries: then all of the transaction that wrote them is there."""
    account_ids, versions, months, _, entries = rows.journal
    found = await connection.fetch(READ_WRITTEN.sql, account_ids, versions, months)
    stored = {(account_id, version): entry for account_id, version, entry in found}
    ours = zip(account_ids, versions, entries, strict=True)
    return all(stored.get((account_id, version)) == entry for account_id, version, entry in ours)
