"""The store in PostgreSQL, which several nodes share: every account write is guarded by its version.

One connection commits, a few read for requests, a few list for people, and one listens to other nodes; see
`docs/adr/0006-postgres.md` for why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.charging.outcome import Outcome
from ocs.charging.session import Answered, Session
from ocs.limits import ANSWER_DEADLINE_S, STORE_LIST_TIMEOUT_S, STORE_OPERATION_TIMEOUT_S
from ocs.store import postgres_ledger as ledger
from ocs.store import postgres_statements as sql
from ocs.store.interface import (
    Applied,
    Audit,
    DueEffect,
    DueSession,
    Heard,
    Lease,
    Loaded,
    NumberedCdr,
    StoreDown,
)
from ocs.store.postgres_admin import require_schema
from ocs.store.postgres_commit import Commit
from ocs.store.postgres_connection import Connection, Link, Links, Lost, Unwritten, bounded, connect
from ocs.store.postgres_ear import Ear
from ocs.store.postgres_gather import Gather
from ocs.store.postgres_reach import Reach
from ocs.store.postgres_rows import numbered_cdr
from ocs.store.rows import account_of, answers_of, entry_of, session_of
from ocs.store.url import shown

_log = structlog.get_logger()
_T = TypeVar("_T")

_READERS: Final = 2
_LISTERS: Final = 2


class PostgresStore:
    """A store in the database at `url` (postgresql://...), whose tables `ocs db upgrade` has made.

    `ocs.store.interface.Store`. `open` raises StoreDown where the server does not answer or refuses, and WrongStore
    where the tables are not those of this version of the program.

    patience_s: how long an operation holds on while the database is away.
    """

    def __init__(self, url: str, patience_s: float = ANSWER_DEADLINE_S) -> None:
        self._url = url
        self._reach = Reach(self._probe, patience_s)
        self._writer = Link(url, _timeouts(STORE_OPERATION_TIMEOUT_S))
        self._readers = Links(url, _READERS, _timeouts(STORE_OPERATION_TIMEOUT_S))
        self._listers = Links(url, _LISTERS, _timeouts(STORE_LIST_TIMEOUT_S))
        self._ear = Ear(url)
        self._one_statement = True
        self._origin_state_id = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._account_of_identities: Gather[tuple[str, ...], str | None] = Gather(self._reach, self._find_accounts)
        self._account_of_session: Gather[str, str | None] = Gather(self._reach, self._find_sessions)
        self._loaded: Gather[tuple[str, str | None], Loaded] = Gather(self._reach, self._load)
        self._answers: Gather[tuple[str, str], list[Answered]] = Gather(self._reach, self._load_answers)

    @property
    def shared(self) -> bool:
        return True

    async def open(self) -> None:
        try:
            await self._writer.run(self._check, STORE_OPERATION_TIMEOUT_S)
            await self._ear.open()
        except (Lost, Unwritten) as error:
            await self.close()
            raise StoreDown(f"PostgreSQL at {shown(self._url)}: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        gathers = (self._account_of_identities, self._account_of_session, self._loaded, self._answers)
        for gather in gathers:
            await gather.drain()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._reach.close()
        await self._ear.close()
        for links in (self._writer, self._readers, self._listers):
            await links.close()

    async def _check(self, connection: Connection) -> None:
        await require_schema(connection)
        meta = dict(await connection.fetch(sql.META.sql))
        self._one_statement = meta.get("engine", "postgres") != "citus"
        self._origin_state_id = int(meta["origin_state_id"])

    async def _probe(self) -> None:
        connection = await connect(self._url, STORE_OPERATION_TIMEOUT_S)
        try:
            await bounded(connection, connection.execute("SELECT 1"), STORE_OPERATION_TIMEOUT_S)
        finally:
            connection.terminate()

    async def origin_state_id(self) -> int:
        return self._origin_state_id

    # Writing.

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        if not outcomes:
            return []
        commit = Commit(outcomes, one_statement=self._one_statement)
        applied = await self._reach.hold(lambda seconds: self._writer.run(commit.write, seconds))
        if any(outcome.effects and fate is Applied.DONE for outcome, fate in zip(outcomes, applied, strict=True)):
            self._spawn(self._tell_of_effects())
        return applied

    async def _tell_of_effects(self) -> None:
        """So that it goes quickly; who does not hear it finds the effects all the same, later."""
        try:
            await self._ear.tell("effects", "")
        except StoreDown as error:
            _log.warning("effects_not_told", why=str(error))

    async def forget(self, now_ns: int, limit: int) -> int:
        async def work(connection: Connection) -> int:
            async with connection.transaction():
                old = sorted(await connection.fetch(sql.OLD_SESSIONS.sql, now_ns, limit))
                gone = await connection.fetch(sql.FORGET_SESSIONS.sql, *_columns(old, 3))
                keys = _columns(sorted(gone), 2)
                await connection.execute(sql.FORGET_PAGES.sql, *keys)
                await connection.execute(sql.FORGET_INDEX.sql, *keys)
            return len(gone)

        return await self._list(work)

    # Reading for requests: what is asked while a statement is under way goes together in the next one.

    async def find_account(self, identities: Sequence[str]) -> str | None:
        known = tuple(identity for identity in identities if _storable(identity))
        return await self._account_of_identities.get(known) if known else None

    async def _find_accounts(
        self, keys: Sequence[tuple[str, ...]], seconds: float
    ) -> Mapping[tuple[str, ...], str | None]:
        identities = list({identity for key in keys for identity in key})
        found = dict(await self._read(seconds, sql.FIND_ACCOUNTS.sql, identities))
        return {key: next((found[identity] for identity in key if identity in found), None) for key in keys}

    async def find_session(self, session_key: str) -> str | None:
        return await self._account_of_session.get(session_key) if _storable(session_key) else None

    async def _find_sessions(self, keys: Sequence[str], seconds: float) -> Mapping[str, str | None]:
        found = dict(await self._read(seconds, sql.FIND_SESSIONS.sql, keys))
        return {key: found.get(key) for key in keys}

    async def load(self, account_id: str, session_key: str | None) -> Loaded:
        if not _storable(account_id):
            return _NOTHING
        key = session_key if session_key is not None and _storable(session_key) else None
        return await self._loaded.get((account_id, key))

    async def _load(
        self, keys: Sequence[tuple[str, str | None]], seconds: float
    ) -> Mapping[tuple[str, str | None], Loaded]:
        rows = await self._read(seconds, sql.LOAD.sql, *_columns(keys, 2))
        found = {
            (account_id, session_id): Loaded(account_of(account), None if session is None else session_of(session))
            for account_id, session_id, account, session in rows
        }
        return {key: found.get(key, _NOTHING) for key in keys}

    async def load_answers(self, account_id: str, session_key: str) -> list[Answered]:
        if not (_storable(account_id) and _storable(session_key)):
            return []
        return await self._answers.get((account_id, session_key))

    async def _load_answers(
        self, keys: Sequence[tuple[str, str]], seconds: float
    ) -> Mapping[tuple[str, str], list[Answered]]:
        found: dict[tuple[str, str], list[Answered]] = {key: [] for key in keys}
        for account_id, session_id, content in await self._read(seconds, sql.LOAD_ANSWERS.sql, *_columns(keys, 2)):
            found[account_id, session_id] += answers_of(content)
        return found

    async def _read(self, seconds: float, statement: str, *values: Any) -> list[Any]:
        return await self._readers.run(lambda connection: connection.fetch(statement, *values), seconds)

    # Supervision and reading for people.

    async def due(self, now_ns: int, limit: int) -> list[DueSession]:
        return await self._list(lambda connection: ledger.due(connection, now_ns, limit))

    async def accounts(self, after: str, limit: int) -> list[Account]:
        return [account_of(state) for (state,) in await self._rows(sql.ACCOUNTS.sql, after, limit)]

    async def sessions(self, account_id: str | None, after: str, limit: int) -> list[Session]:
        if account_id is None:
            rows = await self._rows(sql.SESSIONS.sql, after, limit)
        else:
            rows = await self._rows(sql.SESSIONS_OF_ACCOUNT.sql, after, limit, account_id)
        return [session_of(state) for (state,) in rows]

    async def cdrs(self, account_id: str | None, session_id: str | None, after: int, limit: int) -> list[NumberedCdr]:
        statement = sql.cdrs(account_id is not None, session_id is not None).sql
        wanted = [value for value in (account_id, session_id) if value is not None]

        async def work(connection: Connection) -> list[Any]:
            # What has a lower id is there, or never will be.
            horizon = await connection.fetchval(sql.CDR_HORIZON.sql)
            return await connection.fetch(statement, after, horizon, limit, *wanted)

        return [numbered_cdr(row) for row in await self._list(work)]

    async def journal(self, account_id: str, after_version: int, limit: int) -> list[Entry]:
        return [entry_of(entry) for (entry,) in await self._rows(sql.JOURNAL.sql, account_id, after_version, limit)]

    async def count_open_sessions(self) -> dict[str, int]:
        return dict(await self._rows(sql.COUNT_OPEN_SESSIONS.sql))

    async def audit(self, account_ids: Sequence[str]) -> list[Audit]:
        wanted = sorted({account_id for account_id in account_ids if _storable(account_id)})
        return await self._list(lambda connection: ledger.audit(connection, wanted)) if wanted else []

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        return await self._list(lambda connection: connection.fetch(statement, *values))

    async def _list(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        return await self._reach.hold(
            lambda seconds: self._listers.run(work, seconds, STORE_LIST_TIMEOUT_S), STORE_LIST_TIMEOUT_S
        )

    # The outbox, and what is between nodes.

    async def claim_effects(
        self, peers: Collection[str], now_ns: int, until_ns: int, limit: int, stray_ns: int = 0
    ) -> list[DueEffect]:
        names = ["", *peers]
        claim = ledger.Claim(names, now_ns, until_ns, limit, stray_ns)
        return await self._list(lambda connection: ledger.claim_effects(connection, claim))

    async def finish_effect(self, done: DueEffect) -> None:
        await self._rows(sql.FINISH_EFFECT.sql, done.account_id, done.version, done.number)

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        ((now_holder, wanted),) = await self._quick(sql.TAKE_LEASE.sql, name, holder, float(ttl_s))
        return Lease(now_holder, wanted)

    async def release_lease(self, name: str, holder: str) -> None:
        if await self._quick(sql.RELEASE_LEASE.sql, name, holder):
            await self._ear.tell("lease", name)

    async def _quick(self, statement: str, *values: Any) -> list[Any]:
        return await self._reach.hold(lambda seconds: self._read(seconds, statement, *values))

    async def tell(self, topic: str, text: str) -> None:
        await self._ear.tell(topic, text)

    def listen(self, heard: Heard) -> None:
        self._ear.listen(heard)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_NOTHING: Final = Loaded(None, None)


def _timeouts(seconds: float) -> dict[str, str]:
    """The server gives up a statement when nobody waits for it any more."""
    return {"statement_timeout": f"{seconds:g}s", "lock_timeout": f"{seconds:g}s"}


def _columns(rows: Sequence[Sequence[Any]], number: int) -> list[list[Any]]:
    """Rows as arrays, also where there are none."""
    return [[row[n] for row in rows] for n in range(number)]


def _storable(text: str) -> bool:
    """Whether a text can be in the database at all: what cannot is not there."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
