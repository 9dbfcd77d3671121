"""The store in dicts: for simulations and tests. It forgets everything when the process ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from ocs.balances.account import Account
from ocs.balances.journal import Entry, fold
from ocs.cdr.records import Cdr
from ocs.charging.outcome import Effect, Outcome
from ocs.charging.session import Answered, AnswerPage, Session
from ocs.store.batch import select
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
)
from ocs.store.one_process import OneProcess

CdrKey = tuple[str, str, int | None, int | None, int]
EffectKey = tuple[str, int, int]


class MemoryStore:
    """`ocs.store.interface.Store`; `open` and `close` keep what is there.

    shared: several nodes (of this process) use it. now_ns: the clock of its leases.
    """

    def __init__(self, *, shared: bool = False, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._shared = shared
        self._nodes = OneProcess(now_ns)
        self._origin_state_id = int(time.time())
        self._accounts: dict[str, Account] = {}
        self._identities: dict[str, str] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._account_of_session: dict[str, str] = {}
        self._pages: dict[tuple[str, str], list[AnswerPage]] = {}
        self._journal: dict[str, list[Entry]] = {}
        self._cdrs: list[Cdr] = []
        self._cdr_keys: set[CdrKey] = set()
        self._outbox: dict[EffectKey, tuple[int, int, Effect]] = {}  # due_at_ns, attempts

    @property
    def shared(self) -> bool:
        return self._shared

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing in flight."""

    async def origin_state_id(self) -> int:
        return self._origin_state_id

    async def find_account(self, identities: Sequence[str]) -> str | None:
        return next((self._identities[identity] for identity in identities if identity in self._identities), None)

    async def find_session(self, session_key: str) -> str | None:
        return self._account_of_session.get(session_key)

    async def load(self, account_id: str, session_key: str | None) -> Loaded:
        session = None if session_key is None else self._sessions.get((account_id, session_key))
        return Loaded(self._accounts.get(account_id), session)

    async def load_answers(self, account_id: str, session_key: str) -> list[Answered]:
        pages = self._pages.get((account_id, session_key), [])
        return [answered for page in sorted(pages, key=lambda page: page.page) for answered in page.answers]

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        written = (self._accounts.get(write.account.id) for outcome in outcomes for write in outcome.writes)
        versions = {account.id: account.version for account in written if account is not None}
        batch = select(outcomes, versions)
        # All checks come before the first change.
        cdr_keys = [(c.account_id, c.session_id, c.rating_group, c.service_id, c.partial) for c in batch.cdrs]
        if len(self._cdr_keys.union(cdr_keys)) != len(self._cdr_keys) + len(cdr_keys):
            raise Duplicate("a CDR twice")
        identities: dict[str, str] = {}
        for identity, account_id in batch.identities:
            owner = self._identities.get(identity) or identities.setdefault(identity, account_id)
            if owner != account_id:
                raise Duplicate(f"the identity {identity} belongs to account {owner}")
        self._identities.update(identities)
        self._accounts.update(batch.accounts)
        for entry in batch.entries:
            self._journal.setdefault(entry.account_id, []).append(entry)
        for key, session in batch.sessions.items():
            self._sessions[key] = session
            self._account_of_session.setdefault(session.key, session.account_id)
        for page in batch.pages:
            self._pages.setdefault((page.account_id, page.session_key), []).append(page)
        self._cdrs.extend(batch.cdrs)
        self._cdr_keys.update(cdr_keys)
        for row in batch.effects:
            self._outbox[row.account_id, row.version, row.number] = (row.due_at_ns, 0, row.effect)
        if batch.effects:
            self._nodes.tell("effects", "")
        return batch.applied

    async def due(self, now_ns: int, limit: int) -> list[DueSession]:
        due = [session for session in self._sessions.values() if session.is_open and session.due_at_ns <= now_ns]
        due.sort(key=lambda session: session.due_at_ns)
        return [DueSession(session.account_id, session.key) for session in due[:limit]]

    async def forget(self, now_ns: int, limit: int) -> int:
        old = [key for key, session in self._sessions.items() if not session.is_open and session.due_at_ns <= now_ns]
        old.sort(key=lambda key: self._sessions[key].due_at_ns)
        for key in old[:limit]:
            account_id, session_key = key
            del self._sessions[key]
            self._pages.pop(key, None)
            if self._account_of_session.get(session_key) == account_id:
                del self._account_of_session[session_key]
        return len(old[:limit])

    async def accounts(self, after: str, limit: int) -> list[Account]:
        return [self._accounts[account_id] for account_id in sorted(self._accounts) if account_id > after][:limit]

    async def sessions(self, account_id: str | None, after: str, limit: int) -> list[Session]:
        found = [
            session
            for session in self._sessions.values()
            if session.is_open and session.key > after and account_id in {None, session.account_id}
        ]
        return sorted(found, key=lambda session: session.key)[:limit]

    async def cdrs(self, account_id: str | None, session_id: str | None, after: int, limit: int) -> list[NumberedCdr]:
        return [
            NumberedCdr(number, cdr)
            for number, cdr in enumerate(self._cdrs[after:], start=after + 1)
            if account_id in {None, cdr.account_id} and session_id in {None, cdr.session_id}
        ][:limit]

    async def journal(self, account_id: str, after_version: int, limit: int) -> list[Entry]:
        return [entry for entry in self._journal.get(account_id, []) if entry.version > after_version][:limit]

    async def count_open_sessions(self) -> dict[str, int]:
        return dict(Counter(session.service for session in self._sessions.values() if session.is_open))

    async def audit(self, account_ids: Sequence[str]) -> list[Audit]:
        accounts = [self._accounts[one] for one in sorted(set(account_ids)) if one in self._accounts]
        costs = dict.fromkeys((account.id for account in accounts), 0)
        sessions: dict[str, list[Session]] = {account_id: [] for account_id in costs}
        for cdr in self._cdrs:
            if cdr.account_id in costs:
                costs[cdr.account_id] += cdr.cost_nanos
        for session in await self.sessions(None, "", len(self._sessions)):
            if session.account_id in sessions:
                sessions[session.account_id].append(session)
        return [
            Audit(account, fold(self._journal.get(account.id, ())), tuple(sessions[account.id]), costs[account.id])
            for account in accounts
        ]

    async def claim_effects(
        self, peers: Collection[str], now_ns: int, until_ns: int, limit: int, stray_ns: int = 0
    ) -> list[DueEffect]:
        due = sorted(
            (due_at_ns, key)
            for key, (due_at_ns, _, effect) in self._outbox.items()
            if due_at_ns <= now_ns and (not effect.peer or effect.peer in peers or due_at_ns < stray_ns)
        )[:limit]
        claimed = []
        for _, key in due:
            _, attempts, effect = self._outbox[key]
            claimed.append(DueEffect(*key, attempts, effect))
            self._outbox[key] = (until_ns, attempts + 1, effect)
        return claimed

    async def finish_effect(self, done: DueEffect) -> None:
        self._outbox.pop((done.account_id, done.version, done.number), None)

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        return self._nodes.take_lease(name, holder, ttl_s)

    async def release_lease(self, name: str, holder: str) -> None:
        self._nodes.release_lease(name, holder)

    async def tell(self, topic: str, text: str) -> None:
        self._nodes.tell(topic, text)

    def listen(self, heard: Heard) -> None:
        self._nodes.listen(heard)
