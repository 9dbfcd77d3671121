"""From a change of an account to what the clients of its open sessions are told. Pure.

How many sessions an account has is not known when it is changed, and those that share its balances belong to others.
So the change only leaves word that its sessions are to be looked at; whoever does that asks them, page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

import msgspec

from ocs.balances.account import Account, Status
from ocs.balances.journal import Entry
from ocs.charging import effects
from ocs.charging.outcome import AccountWrite, Effect, Outcome
from ocs.charging.session import Session

LOOK: Final = "look"
"""Kind of an effect: the open sessions of an account are to be looked at; any node may do it."""


class Whom(Enum):
    """Which open sessions are told something.

    SHORT: who waits for credit is to ask again, also in accounts that share balances with this one.
    ALL: whoever has a quota, or waits for credit, is to ask again. STOP: all are to end.
    """

    SHORT = "short"
    ALL = "all"
    STOP = "stop"


class Look(msgspec.Struct, frozen=True):
    """What to look for; cause, by: why and by whom, for the journal and the log."""

    whom: Whom
    cause: str
    by: str = ""


def look(whom: Whom, cause: str, by: str = "") -> Effect:
    """The effect that says so."""
    return Effect(LOOK, detail=msgspec.json.encode(Look(whom, cause, by)).decode())


def read_look(effect: Effect) -> Look:
    """The Look of such an effect."""
    return msgspec.json.decode(effect.detail, type=Look)


def followed(before: Account | None, outcome: Outcome) -> Outcome:
    """The outcome of a change that no client asked for, with what it means for open sessions.

    More value in some balance: who waits for credit asks again. An account that is disabled: its sessions end.
    """
    if before is None or not outcome.writes:
        return outcome
    after, entry = outcome.writes[0].account, outcome.writes[0].entry
    found = []
    if before.status is Status.ACTIVE and after.status is not Status.ACTIVE:
        found.append(look(Whom.STOP, "barred", entry.by))
    if any(posting.value > 0 for posting in entry.postings):
        found.append(look(Whom.SHORT, entry.kind, entry.by))
    return msgspec.structs.replace(outcome, effects=(*outcome.effects, *found)) if found else outcome


def told(wanted: Look, sessions: Iterable[Session]) -> tuple[Effect, ...]:
    """What the clients of these sessions are told."""
    if wanted.whom is Whom.STOP:
        return effects.aborts(sessions, wanted.cause)
    if wanted.whom is Whom.ALL:
        return effects.recalls(sessions, wanted.cause)
    return effects.reauths(sessions, wanted.cause)


def asking(
    account: Account, found: Sequence[Effect], now_ns: int, *, by: str, reason: str, session_id: str = ""
) -> Outcome:
    """An entry in the journal of the account, that its clients are told something; no balance changes."""
    after = msgspec.structs.replace(account, version=account.version + 1)
    entry = Entry(account.id, after.version, found[0].kind, now_ns, session_id, by=by, reason=reason)
    return Outcome((AccountWrite(after, entry),), effects=tuple(found))
