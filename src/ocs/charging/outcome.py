"""What a decision wants written: account writes, session, journal, CDRs, answer. The store commits it as one."""

from __future__ import annotations

import msgspec

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.cdr.records import Cdr
from ocs.charging.requests import ChargingAnswer
from ocs.charging.session import AnswerPage, Session


class AccountWrite(msgspec.Struct, frozen=True, gc=False):
    """A new state of an account; it is written only where the stored version is `account.version - 1`.

    identities: names to enter into the directory with it (when an account is made).
    """

    account: Account
    entry: Entry
    identities: tuple[str, ...] = ()


class Effect(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something to be done after the commit, at least once: it is kept in the outbox until it was done.

    kind: "reauth" (a Re-Auth-Request) or "abort" (an Abort-Session-Request).
    peer: Origin-Host that has to be reached, in lower case: the node that has a connection to it does it; "" = any.
    session_id: the session that it is about. detail: what else has to be known, by kind.
    """

    kind: str
    peer: str = ""
    session_id: str = ""
    detail: str = ""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """One decision.

    writes: 1..n account writes; none: nothing moves, and no commit is needed.
    answer: what to tell the client; None where nobody waits (supervision).
    needs: ids of other accounts without which it cannot be decided (they share balances): decide again with them;
        then nothing else is set.
    repeat: the stored content of an earlier answer to the same request; then nothing else is set.
    session: its new state, None = unchanged. page: answers that left the session row.
    effects: what is to be done once it is durable; kept with the first write's account and version.
    conflict: why a command by people was refused, "" otherwise.
    notes: what is worth counting: "repeat", "late_number", "number_gap", "late_usage", "overrun", "overdraft",
        "implausible_usage", "unrated_usage", "adopted", "reused_session_id", "unknown_session", "expired", "emergency",
        "too_many_groups", "duration_mismatch".
    """

    writes: tuple[AccountWrite, ...] = ()
    session: Session | None = None
    cdrs: tuple[Cdr, ...] = ()
    page: AnswerPage | None = None
    answer: ChargingAnswer | None = None
    repeat: bytes | None = None
    conflict: str = ""
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
