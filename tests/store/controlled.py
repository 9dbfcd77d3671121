"""A store that does what a test says: it waits, it fails, it finds that another node was faster."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec

from ocs.balances.account import Account
from ocs.balances.journal import Entry, Posting
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.session import Session
from ocs.store.interface import Applied
from ocs.store.memory import MemoryStore


class Gate:
    """Calls pass while it is open; while it is shut they wait to be let through, one by one, or to fail."""

    def __init__(self) -> None:
        self.shut = False
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.faults: deque[Exception] = deque()
        self.entered = 0

    async def pass_through(self) -> None:
        self.entered += 1
        if self.shut:
            waiting = asyncio.get_running_loop().create_future()
            self.waiting.append(waiting)
            await waiting
        if self.faults:
            raise self.faults.popleft()

    async def let(self, number: int = 1, error: Exception | None = None) -> None:
        """Let that many through (or make them fail), and everything happen that follows."""
        for _ in range(number):
            await idle()
            waiting = self.waiting.popleft()
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)
            await idle()

    async def open(self) -> None:
        """Let all through from now on."""
        self.shut = False
        while self.waiting:
            self.waiting.popleft().set_result(None)
        await idle()


class ControlledStore(MemoryStore):
    """`commits`, `loads`, `finds` and `answers` are gates before the calls; `batches` is what was committed."""

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__(shared=shared)
        self.commits = Gate()
        self.loads = Gate()
        self.finds = Gate()
        self.answers = Gate()
        self.batches: list[list[Outcome]] = []
        self.loaded: list[tuple[str, str | None]] = []

    async def find_account(self, identities):
        await self.finds.pass_through()
        return await super().find_account(identities)

    async def find_session(self, session_key):
        await self.finds.pass_through()
        return await super().find_session(session_key)

    async def load(self, account_id, session_key):
        self.loaded.append((account_id, session_key))
        await self.loads.pass_through()
        return await super().load(account_id, session_key)

    async def load_answers(self, account_id, session_key):
        await self.answers.pass_through()
        return await super().load_answers(account_id, session_key)

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        await self.commits.pass_through()
        applied = await super().commit(outcomes)
        self.batches.append(list(outcomes))
        return applied

    async def elsewhere(self, account_id: str, *, session: Session | None = None, change: int = 0) -> None:
        """Another node writes the account."""
        account = (await MemoryStore.load(self, account_id, None)).account
        assert account is not None
        written = credited(account, change)
        await MemoryStore.commit(self, [Outcome(writes=(written,), session=session)])


def credited(account: Account, change: int, name: str = "elsewhere") -> AccountWrite:
    """The next version of an account, its first balance changed by `change`."""
    first, *others = account.balances
    balances = (msgspec.structs.replace(first, value=first.value + change), *others)
    after = msgspec.structs.replace(account, version=account.version + 1, balances=balances)
    entry = Entry(
        account.id, after.version, "adjust", after.version, request=name, postings=(Posting(first.id, change, 0),)
    )
    return AccountWrite(after, entry)


async def idle() -> None:
    """Until everything has happened that can happen by itself (nothing in these tests takes time)."""
    for _ in range(300):
        await asyncio.sleep(0)
