"""The one interface of all stores, held by one contract test."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.cdr.records import Cdr
from ocs.charging.outcome import Outcome
from ocs.charging.session import Answered, Session


class StoreDown(Exception):
    """The store cannot answer now (lost connection, full disk, locked file): nothing is known to be written."""


class StoreInUse(Exception):
    """Another process serves from this store."""


class WrongStore(Exception):
    """What is there is no store of ours, or one of a newer version."""


class Duplicate(Exception):
    """Something that there may be only one of is there already: an identity of another account, a CDR.

    Nothing of the batch is written. An identity that is taken is the mistake of a person, a second CDR is a bug.
    """


class Applied(Enum):
    """What became of one outcome of a batch."""

    DONE = "done"
    CONFLICT = "conflict"


class Loaded(NamedTuple):
    """An account as stored, and one of its sessions; None where there is none."""

    account: Account | None
    session: Session | None


class NumberedCdr(NamedTuple):
    """A CDR with its id in this store: ids grow in the order of writing."""

    id: int
    cdr: Cdr


class DueSession(NamedTuple):
    """A session that supervision has to look at."""

    account_id: str
    session_key: str


class Store(Protocol):
    """Where everything becomes durable. All methods raise StoreDown when the store cannot answer."""

    async def open(self) -> None:
        """Connect, and make or check the schema."""

    async def close(self) -> None:
        """Finish what is in flight and disconnect."""

    async def origin_state_id(self) -> int:
        """One number, made with the store."""

    async def find_account(self, identities: Sequence[str]) -> str | None:
        """The account of the first identity that is known, e.g. ("imsi:26201...", "msisdn:49...")."""

    async def find_session(self, session_key: str) -> str | None:
        """The account that a session belongs to."""

    async def load(self, account_id: str, session_key: str | None) -> Loaded:
        """An account and, where a key is given, that session of it, read together."""

    async def load_accounts(self, account_ids: Sequence[str]) -> list[Account]:
        """Those of the accounts that there are, in the order of their ids, read together."""

    async def load_answers(self, account_id: str, session_key: str) -> list[Answered]:
        """The answers of a session that left its row, oldest first."""

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        """Write a batch in one transaction.

        An account write goes in where the stored version is one less than the new one (0 = there is no such account);
        an outcome one of whose writes does not is left out whole, with all later ones of the same accounts, and is
        reported as CONFLICT. Several outcomes of one account come in the order of their versions. Every outcome has at
        least one write: what is not guarded by a version is not written. Any exception but StoreDown is raised with
        nothing of the batch written.
        """

    async def due(self, now_ns: int, limit: int) -> list[DueSession]:
        """Open sessions whose due_at_ns has come, the most overdue first."""

    async def forget(self, now_ns: int, limit: int) -> int:
        """Delete sessions that are not open and whose due_at_ns has come, with their pages; returns how many."""

    async def accounts(self, after: str, limit: int) -> list[Account]:
        """Accounts in the order of their ids, after that id."""

    async def sessions(self, account_id: str | None, after: str, limit: int) -> list[Session]:
        """Open sessions in the order of their keys, after that key."""

    async def cdrs(self, account_id: str | None, session_id: str | None, after: int, limit: int) -> list[NumberedCdr]:
        """CDRs in the order of their ids, after that id."""

    async def journal(self, account_id: str, after_version: int, limit: int) -> list[Entry]:
        """Journal entries of an account in the order of versions, after that version."""

    async def count_open_sessions(self) -> dict[str, int]:
        """Open sessions by service."""
