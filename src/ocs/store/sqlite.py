"""The embedded store: one SQLite file, in WAL mode, with every commit on the disk before it counts.

Three connections, each with a thread of its own: commits; what requests read; what people list. So a commit does not
wait for a read, a request does not wait for a commit that it has nothing to do with, and a long list stops nobody. A
read that begins after a commit has returned sees it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.cdr.records import Cdr
from ocs.charging.outcome import Outcome
from ocs.charging.session import Answered, Session
from ocs.rating.units import Measure
from ocs.store import sqlite_ledger
from ocs.store.batch import Batch, select
from ocs.store.interface import (
    Applied,
    Audit,
    DueEffect,
    DueSession,
    Duplicate,
    Heard,
    Lease,
    Loaded,
    NumberedCdr,
    StoreDown,
)
from ocs.store.one_process import OneProcess
from ocs.store.rows import account_of, answers_of, attributes_of, encode, session_of
from ocs.store.sqlite_channel import Channel, FileLock
from ocs.store.sqlite_schema import CDR_COLUMNS, prepare

_WRITER_CACHE_KIB: Final = 65_536
_READER_CACHE_KIB: Final = 16_384
_CHECKPOINT_PAGES: Final = 4_000
_WAL_OCTETS: Final = 64 * 1_048_576

_MEASURE, _ATTRIBUTES = CDR_COLUMNS.index("measure"), CDR_COLUMNS.index("attributes")


class SqliteStore:
    """A store in the file at `path`, which is made where there is none, with its folder. `ocs.store.interface.Store`.

    Only one process serves from a file: `open` raises StoreInUse to a second one, and WrongStore for a file that is
    not of this program and version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = FileLock(self._path.with_name(self._path.name + ".lock"))
        self._writer = Channel(str(self._path), cache_kib=_WRITER_CACHE_KIB, read_only=False)
        self._reader = Channel(str(self._path), cache_kib=_READER_CACHE_KIB, read_only=True)
        self._lister = Channel(str(self._path), cache_kib=_READER_CACHE_KIB, read_only=True)
        # Of the writer's thread: the next numbers of the journal and of the CDRs.
        self._journal_seq = 1
        self._cdr_seq = 1
        self._nodes = OneProcess()

    @property
    def shared(self) -> bool:
        return False

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._path.parent.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreDown(f"{self._path.parent}: {error.strerror}") from error
        self._lock.take()
        try:
            await self._writer.open()
            await self._writer.call(self._prepare)
            await self._reader.open()
            await self._lister.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        for channel in (self._lister, self._reader, self._writer):  # the last connection to go folds the WAL in
            await channel.close()
        self._lock.release()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        prepare(connection, origin_state_id=int(time.time()))
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreDown(f"{self._path}: its file system has no room for a write-ahead log (journal mode {mode})")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_OCTETS}")
        _sync_folder(self._path.parent)
        self._journal_seq = connection.execute("SELECT IFNULL(MAX(seq), 0) + 1 FROM journal").fetchone()[0]
        self._cdr_seq = connection.execute("SELECT IFNULL(MAX(seq), 0) + 1 FROM cdr").fetchone()[0]

    # Writing.

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        applied = await self._writer.call(lambda connection: self._commit(connection, outcomes))
        if any(outcome.effects and fate is Applied.DONE for outcome, fate in zip(outcomes, applied, strict=True)):
            self._nodes.tell("effects", "")
        return applied

    def _commit(self, connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> list[Applied]:
        connection.execute("BEGIN IMMEDIATE")
        account_ids = {write.account.id for outcome in outcomes for write in outcome.writes}
        stored: dict[str, tuple[int, int]] = {}
        for account_id in account_ids:
            row = connection.execute(
                "SELECT version, journal_seq FROM account WHERE account_id = ?", (account_id,)
            ).fetchone()
            if row is not None:
                stored[account_id] = row
        batch = select(outcomes, {account_id: version for account_id, (version, _) in stored.items()})
        journal_seq = self._write_accounts(connection, batch, stored)
        self._write_identities(connection, batch)
        for session in batch.sessions.values():
            _write_session(connection, session)
        connection.executemany(
            "INSERT INTO answer_page VALUES (?, ?, ?, ?)",
            [(page.account_id, page.session_key, page.page, encode(page.answers)) for page in batch.pages],
        )
        cdr_seq = self._write_cdrs(connection, batch)
        sqlite_ledger.queue_effects(connection, batch.effects)
        connection.execute("COMMIT")
        self._journal_seq, self._cdr_seq = journal_seq, cdr_seq
        return batch.applied

    def _write_accounts(self, connection: sqlite3.Connection, batch: Batch, stored: dict[str, tuple[int, int]]) -> int:
        """Accounts and their journal; returns the next journal number."""
        last = {account_id: journal_seq for account_id, (_, journal_seq) in stored.items()}
        rows = []
        seq = self._journal_seq
        for entry in batch.entries:
            previous = last.get(entry.account_id, 0)
            rows.append((seq, entry.account_id, entry.version, entry.at_ns, previous, encode(entry)))
            last[entry.account_id] = seq
            seq += 1
        connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", rows)
        for account in batch.accounts.values():
            state = encode(account)
            if account.id in stored:
                connection.execute(
                    "UPDATE account SET version = ?, journal_seq = ?, state = ? WHERE account_id = ?",
                    (account.version, last[account.id], state, account.id),
                )
            else:
                connection.execute(
                    "INSERT INTO account VALUES (?, ?, ?, ?)", (account.id, account.version, last[account.id], state)
                )
        return seq

    @staticmethod
    def _write_identities(connection: sqlite3.Connection, batch: Batch) -> None:
        for identity, account_id in batch.identities:
            connection.execute("INSERT OR IGNORE INTO identity VALUES (?, ?)", (identity, account_id))
            (owner,) = connection.execute("SELECT account_id FROM identity WHERE identity = ?", (identity,)).fetchone()
            if owner != account_id:
                raise Duplicate(f"the identity {identity} belongs to account {owner}")

    def _write_cdrs(self, connection: sqlite3.Connection, batch: Batch) -> int:
        """CDRs; returns the next CDR number."""
        seq = self._cdr_seq
        marks = ", ".join("?" * (len(CDR_COLUMNS) + 1))
        try:
            for cdr in batch.cdrs:
                values = list(msgspec.structs.astuple(cdr))
                values[_MEASURE] = cdr.measure.value
                values[_ATTRIBUTES] = encode(cdr.attributes)
                connection.execute(f"INSERT INTO cdr VALUES ({marks})", (seq, *values))  # noqa: S608
                seq += 1
        except sqlite3.IntegrityError as error:
            raise Duplicate(f"a CDR twice: {error}") from error
        return seq

    async def forget(self, now_ns: int, limit: int) -> int:
        return await self._writer.call(lambda connection: _forget(connection, now_ns, limit))

    # Reading for requests.

    async def origin_state_id(self) -> int:
        return await self._reader.call(
            lambda connection: int(
                connection.execute("SELECT value FROM meta WHERE key = 'origin_state_id'").fetchone()[0]
            )
        )

    async def find_account(self, identities: Sequence[str]) -> str | None:
        def work(connection: sqlite3.Connection) -> str | None:
            for identity in identities:
                row = connection.execute("SELECT account_id FROM identity WHERE identity = ?", (identity,)).fetchone()
                if row is not None:
                    return str(row[0])
            return None

        return await self._reader.call(work)

    async def find_session(self, session_key: str) -> str | None:
        def work(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(
                "SELECT account_id FROM session_index WHERE session_id = ?", (session_key,)
            ).fetchone()
            return None if row is None else str(row[0])

        return await self._reader.call(work)

    async def load(self, account_id: str, session_key: str | None) -> Loaded:
        def work(connection: sqlite3.Connection) -> Loaded:
            # One statement, one snapshot.
            row = connection.execute(
                "SELECT a.state, s.state FROM account AS a LEFT JOIN session AS s"
                " ON s.account_id = a.account_id AND s.session_id = ? WHERE a.account_id = ?",
                (session_key, account_id),
            ).fetchone()
            if row is None:
                return Loaded(None, None)
            return Loaded(account_of(row[0]), None if row[1] is None else session_of(row[1]))

        return await self._reader.call(work)

    async def load_answers(self, account_id: str, session_key: str) -> list[Answered]:
        def work(connection: sqlite3.Connection) -> list[Answered]:
            rows = connection.execute(
                "SELECT content FROM answer_page WHERE account_id = ? AND session_id = ? ORDER BY page",
                (account_id, session_key),
            )
            return [answered for (content,) in rows for answered in answers_of(content)]

        return await self._reader.call(work)

    async def due(self, now_ns: int, limit: int) -> list[DueSession]:
        return await self._reader.call(
            lambda connection: [
                DueSession(*row)
                for row in connection.execute(
                    "SELECT account_id, session_id FROM session WHERE open = 1 AND due_at_ns <= ?"
                    " ORDER BY due_at_ns LIMIT ?",
                    (now_ns, limit),
                )
            ]
        )

    # Reading for people.

    async def accounts(self, after: str, limit: int) -> list[Account]:
        return await self._lister.call(
            lambda connection: [
                account_of(state)
                for (state,) in connection.execute(
                    "SELECT state FROM account WHERE account_id > ? ORDER BY account_id LIMIT ?", (after, limit)
                )
            ]
        )

    async def sessions(self, account_id: str | None, after: str, limit: int) -> list[Session]:
        of_account = "" if account_id is None else " AND account_id = :account_id"
        query = (
            "SELECT state FROM session WHERE open = 1 AND session_id > :after"  # noqa: S608
            f"{of_account} ORDER BY session_id LIMIT :limit"
        )
        values = {"account_id": account_id, "after": after, "limit": limit}
        return await self._lister.call(
            lambda connection: [session_of(state) for (state,) in connection.execute(query, values)]
        )

    async def cdrs(self, account_id: str | None, session_id: str | None, after: int, limit: int) -> list[NumberedCdr]:
        wanted = {"account_id": account_id, "session_id": session_id}
        tests = [f"{column} = :{column}" for column, value in wanted.items() if value is not None]
        # "+seq": where an account or a session is asked for, its own index is the way, not the number.
        tests.append("+seq > :after" if tests else "seq > :after")
        query = f"SELECT * FROM cdr WHERE {' AND '.join(tests)} ORDER BY seq LIMIT :limit"  # noqa: S608
        values = {**wanted, "after": after, "limit": limit}
        return await self._lister.call(lambda connection: [_numbered(row) for row in connection.execute(query, values)])

    async def journal(self, account_id: str, after_version: int, limit: int) -> list[Entry]:
        return await self._lister.call(
            lambda connection: sqlite_ledger.journal(connection, account_id, after_version, limit)
        )

    async def count_open_sessions(self) -> dict[str, int]:
        return await self._lister.call(
            lambda connection: dict(
                connection.execute(
                    "SELECT service, COUNT(*) FROM session INDEXED BY session_open WHERE open = 1 GROUP BY service"
                )
            )
        )

    async def audit(self, account_ids: Sequence[str]) -> list[Audit]:
        return await self._lister.call(lambda connection: sqlite_ledger.audit(connection, account_ids))

    # The outbox.

    async def claim_effects(
        self, peers: Collection[str], now_ns: int, until_ns: int, limit: int, stray_ns: int = 0
    ) -> list[DueEffect]:
        return await self._writer.call(
            lambda connection: sqlite_ledger.claim_effects(connection, peers, now_ns, until_ns, limit, stray_ns)
        )

    async def finish_effect(self, done: DueEffect) -> None:
        await self._writer.call(lambda connection: sqlite_ledger.finish_effect(connection, done))

    # Between nodes: there is this one.

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        return self._nodes.take_lease(name, holder, ttl_s)

    async def release_lease(self, name: str, holder: str) -> None:
        self._nodes.release_lease(name, holder)

    async def tell(self, topic: str, text: str) -> None:
        self._nodes.tell(topic, text)

    def listen(self, heard: Heard) -> None:
        self._nodes.listen(heard)


def _write_session(connection: sqlite3.Connection, session: Session) -> None:
    state = encode(session)
    key = (session.account_id, session.key)
    if session.is_open:
        # An open session that stays open is the usual case, and touches one index only.
        updated = connection.execute(
            "UPDATE session SET due_at_ns = ?, state = ?"
            " WHERE account_id = ? AND session_id = ? AND open = 1 AND service = ?",
            (session.due_at_ns, state, *key, session.service),
        )
        if updated.rowcount:
            return
    connection.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account_id, session_id) DO UPDATE SET"
        " open = excluded.open, service = excluded.service, due_at_ns = excluded.due_at_ns, state = excluded.state",
        (*key, int(session.is_open), session.service, session.due_at_ns, state),
    )
    # The first account that had the session keeps the name.
    connection.execute("INSERT OR IGNORE INTO session_index VALUES (?, ?)", (session.key, session.account_id))


def _forget(connection: sqlite3.Connection, now_ns: int, limit: int) -> int:
    connection.execute("BEGIN IMMEDIATE")
    keys = connection.execute(
        "SELECT account_id, session_id FROM session WHERE open = 0 AND due_at_ns <= ? ORDER BY due_at_ns LIMIT ?",
        (now_ns, limit),
    ).fetchall()
    for table in ("session", "answer_page", "session_index"):
        connection.executemany(f"DELETE FROM {table} WHERE account_id = ? AND session_id = ?", keys)  # noqa: S608
    connection.execute("COMMIT")
    return len(keys)


def _numbered(row: tuple[Any, ...]) -> NumberedCdr:
    seq, *values = row
    values[_MEASURE] = Measure(values[_MEASURE])
    values[_ATTRIBUTES] = attributes_of(values[_ATTRIBUTES])
    return NumberedCdr(seq, Cdr(*values))


def _sync_folder(folder: Path) -> None:
    """A new file is there after a power cut only when its folder was written, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
