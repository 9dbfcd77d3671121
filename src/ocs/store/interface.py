"""The one interface of all stores, held by one contract test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from ocs.balances.account import Account
from ocs.balances.journal import Entry, Folded
from ocs.cdr.records import Cdr
from ocs.charging.outcome import Effect, Outcome
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


class Audit(NamedTuple):
    """What the ledger has of one account, all of it as of one moment.

    folded: the journal, with what was carried over from months that were dropped. sessions: the open ones.
    cdr_cost_nanos: what its CDRs add up to, with those of months that were dropped.
    """

    account: Account
    folded: Folded
    sessions: tuple[Session, ...]
    cdr_cost_nanos: int


class DueEffect(NamedTuple):
    """An effect that somebody has to see to.

    account_id, version: of the first write of its outcome; number: among the effects of that, from 0.
    attempts: how often it was claimed before.
    """

    account_id: str
    version: int
    number: int
    attempts: int
    effect: Effect


class Lease(NamedTuple):
    """Who has a lease now; wanted: somebody else has asked for it since it was taken or renewed."""

    holder: str
    wanted: bool


Heard = Callable[[str, str], None]
"""Takes what a node told all nodes: (topic, text)."""


class Store(Protocol):
    """Where everything becomes durable. All methods raise StoreDown when the store cannot answer."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it, too: what was read may be old."""

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

    async def audit(self, account_ids: Sequence[str]) -> list[Audit]:
        """The ledger of those of the accounts that there are, in the order of their ids, all as of one moment."""

    async def claim_effects(
        self, peers: Collection[str], now_ns: int, until_ns: int, limit: int, stray_ns: int = 0
    ) -> list[DueEffect]:
        """Effects that are due, for one of `peers` or for any node, oldest first: the caller's until `until_ns`.

        What was due before `stray_ns` is handed out whomever it is for: nobody seems to reach that peer. Then they are
        due again, with one attempt more. Two callers never get the same effect for the same time.
        """

    async def finish_effect(self, done: DueEffect) -> None:
        """It was done, or is given up: it leaves the outbox."""

    # Between nodes. A store of one process has all leases to give and nobody else to tell.

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> Lease:
        """Take a lease that is free or over, or renew one's own, for `ttl_s` by the store's clock.

        Where another holds it, it is noted that it is wanted, and the other is returned.
        """

    async def release_lease(self, name: str, holder: str) -> None:
        """Give up a lease; nothing happens where it is another's. Who listens hears ("lease", name)."""

    async def tell(self, topic: str, text: str) -> None:
        """Tell all nodes that are connected now, this one included; text of at most 4,000 octets. Not durable."""

    def listen(self, heard: Heard) -> None:
        """Call `heard` for what is told from now on, on the loop; ("", "") when something may have been missed."""
