"""Faults to plant in the program, one at a time, and the checkers that have to notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple
from unittest.mock import patch

import msgspec

from ocs.api import commands as api_commands
from ocs.balances.book import Book
from ocs.charging import engine, grants, work
from ocs.charging.outcome import Outcome
from ocs.daemon.timers import Timers
from ocs.diameter.applications.credit_control import Exchange
from ocs.rating import prices
from ocs.store import commands, memory
from ocs.store.batch import Batch
from ocs.store.committer import Committer
from ocs.store.interface import Applied
from ocs.store.memory import MemoryStore

Room = tuple[object, str, object]


class Plant(NamedTuple):
    """A fault. rooms: (where, name, what stands there instead). caught_by: one of these checkers sees it first."""

    rooms: Callable[[], list[Room]]
    caught_by: tuple[str, ...]

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """While it is in the program."""
        with contextlib.ExitStack() as stack:
            for where, name, instead in self.rooms():
                stack.enter_context(patch.object(where, name, instead))
            yield


def _nothing(*_args, **_kwargs) -> None:
    return None


def _debit_left_out() -> list[Room]:
    decide = engine.decide

    def spared(write):
        """The write without what it takes."""
        taken = {one.balance_id: min(0, one.value) for one in write.entry.postings}
        replace = msgspec.structs.replace
        balances = tuple(replace(one, value=one.value - taken.get(one.id, 0)) for one in write.account.balances)
        postings = tuple(replace(one, value=max(0, one.value)) for one in write.entry.postings)
        entry = replace(write.entry, postings=postings)
        return replace(write, account=replace(write.account, balances=balances), entry=entry)

    def forgetful(*args):
        outcome = decide(*args)
        return msgspec.structs.replace(outcome, writes=tuple(spared(write) for write in outcome.writes))

    return [(engine, "decide", forgetful)]


def _answer_before_commit() -> list[Room]:
    submit = Committer.submit

    def at_once(self, outcome, settled):
        asyncio.get_running_loop().call_soon(settled, Applied.DONE)
        return submit(self, outcome, _nothing)

    return [(Committer, "submit", at_once)]


def _hold_not_released() -> list[Room]:
    return [(work, "release", _nothing)]


def _sessions_never_end() -> list[Room]:
    return [(Timers, "expire", lambda *_: Outcome())]


def _repeat_charged() -> list[Room]:
    return [(engine, "recall", _nothing)]


def _no_version_guard() -> list[Room]:
    select = memory.select

    def trusting(outcomes, _versions) -> Batch:
        believed = {write.account.id: write.account.version - 1 for each in reversed(outcomes) for write in each.writes}
        return select(outcomes, believed)

    return [(memory, "select", trusting)]


def _stored_answer_altered() -> list[Room]:
    remember = commands.remember
    return [(commands, "remember", lambda *args: remember(*args[:-1], args[-1][:-1] + bytes([args[-1][-1] ^ 1])))]


def _after_commit(spoil: Callable[[MemoryStore], None]) -> Callable[[], list[Room]]:
    def rooms() -> list[Room]:
        commit = MemoryStore.commit

        async def spoiled(self, outcomes):
            applied = await commit(self, outcomes)
            spoil(self)
            return applied

        return [(MemoryStore, "commit", spoiled)]

    return rooms


def _record_twice(store: MemoryStore) -> None:
    if len(store._cdrs) == 20:
        store._cdrs.append(store._cdrs[-1])


def _lose_entry(store: MemoryStore) -> None:
    for entries in store._journal.values():
        if len(entries) == 30:
            entries.pop()


def _more_granted_than_held() -> list[Room]:
    grant = grants.grant

    def generous(*args, **kwargs):
        group, answer = grant(*args, **kwargs)
        if answer.granted:
            answer = msgspec.structs.replace(answer, granted=3 * answer.granted)
        return group, answer

    return [(engine, "grant", generous)]


def _held_without_account() -> list[Room]:
    return [(Book, "hold", _nothing)]


def _increments_forgotten() -> list[Room]:
    return [(prices, "round_up", lambda usage, _increment: usage)]


def _key_forgotten() -> list[Room]:
    return [(api_commands.Memory, "recall", _nothing)]


def _answers_break() -> list[Room]:
    def done(self, content: bytes) -> None:
        raise ZeroDivisionError

    return [(Exchange, "done", done)]


PLANTS = {
    "a debit left out": Plant(_debit_left_out, ("money_adds_up", "costs")),
    "an answer sent before the commit": Plant(_answer_before_commit, ("durable_before_answer",)),
    "a hold not released": Plant(_hold_not_released, ("no_oversell",)),
    "sessions that no timer ends": Plant(_sessions_never_end, ("holds_released",)),
    "a repeat charged": Plant(_repeat_charged, ("charged_once",)),
    "no guard by versions": Plant(_no_version_guard, ("charged_once", "no_oversell", "conserved", "costs")),
    "a stored answer altered": Plant(_stored_answer_altered, ("answers_equal",)),
    "a record written twice": Plant(_after_commit(_record_twice), ("money_adds_up", "costs")),
    "a journal entry lost": Plant(_after_commit(_lose_entry), ("conserved",)),
    "more granted than held": Plant(_more_granted_than_held, ("no_oversell",)),
    "holds that the account does not know": Plant(_held_without_account, ("no_oversell",)),
    "increments forgotten": Plant(_increments_forgotten, ("costs",)),
    "an idempotency key forgotten": Plant(_key_forgotten, ("errands_once",)),
    "answers that break": Plant(_answers_break, ("served",)),
}
