"""Which outcomes of a batch go in, and what is left to write of them: the same rules for every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.cdr.records import Cdr
from ocs.charging.outcome import Effect, Outcome
from ocs.charging.session import AnswerPage, Session
from ocs.store.interface import Applied


class QueuedEffect(NamedTuple):
    """A row of the outbox: the account and version of its outcome's first write, and its number among the effects."""

    account_id: str
    version: int
    number: int
    due_at_ns: int
    effect: Effect


class Batch(NamedTuple):
    """What a transaction writes. Of an account or session that several outcomes changed only the last state counts.

    accounts: by id; sessions: by (account id, session key); identities: (identity, account id).
    """

    applied: list[Applied]
    accounts: dict[str, Account]
    sessions: dict[tuple[str, str], Session]
    entries: list[Entry]
    pages: list[AnswerPage]
    cdrs: list[Cdr]
    identities: list[tuple[str, str]]
    effects: list[QueuedEffect]


def select(outcomes: Sequence[Outcome], versions: Mapping[str, int]) -> Batch:
    """Check each outcome against the stored `versions` (an account that is not there has none) and those before it.

    An outcome goes in when each of its accounts has exactly the version that it was computed from. Once one is left
    out, so are all later ones of its accounts, even if their version fits: they were computed from a state that
    never came to be.
    """
    batch = Batch([], {}, {}, [], [], [], [], [])
    current = dict(versions)
    left_out: set[str] = set()
    for outcome in outcomes:
        assert outcome.writes, "an outcome without an account write has nothing that guards it"
        if len(outcome.writes) == 1 and not (outcome.cdrs or outcome.effects or left_out):
            (write,), session = outcome.writes, outcome.session
            account, entry = write.account, write.entry
            if current.get(account.id, 0) == account.version - 1 and not write.identities:
                assert session is None or session.account_id == account.id, "a session is guarded by its account"
                assert (entry.account_id, entry.version) == (account.id, account.version), "entry of its account"
                current[account.id] = account.version
                batch.applied.append(Applied.DONE)
                batch.accounts[account.id] = account
                batch.entries.append(entry)
                if session is not None:
                    batch.sessions[account.id, session.key] = session
                if outcome.page is not None:
                    batch.pages.append(outcome.page)
                continue
        account_ids = {write.account.id for write in outcome.writes}
        assert len(account_ids) == len(outcome.writes), "an outcome writes an account once"
        assert outcome.session is None or outcome.session.account_id in account_ids, (
            "a session is guarded by its account"
        )
        if not left_out.isdisjoint(account_ids) or any(
            current.get(write.account.id, 0) != write.account.version - 1 for write in outcome.writes
        ):
            left_out |= account_ids
            batch.applied.append(Applied.CONFLICT)
            continue
        batch.applied.append(Applied.DONE)
        for write in outcome.writes:
            account = write.account
            assert (write.entry.account_id, write.entry.version) == (account.id, account.version), (
                "entry of its account"
            )
            current[account.id] = account.version
            batch.accounts[account.id] = account
            batch.entries.append(write.entry)
            batch.identities.extend((identity, account.id) for identity in write.identities)
        if outcome.session is not None:
            batch.sessions[outcome.session.account_id, outcome.session.key] = outcome.session
        if outcome.page is not None:
            batch.pages.append(outcome.page)
        batch.cdrs.extend(outcome.cdrs)
        first = outcome.writes[0].entry
        batch.effects.extend(
            QueuedEffect(first.account_id, first.version, number, first.at_ns, effect)
            for number, effect in enumerate(outcome.effects)
        )
    return batch
