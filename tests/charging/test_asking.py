"""Whom a change of an account concerns, and sessions that end without a word of their client."""

import msgspec
import pytest

from ocs.balances.account import Account, Status
from ocs.balances.adjust import set_status, set_value, top_up
from ocs.balances.journal import Posting, differences, fold
from ocs.charging import engine
from ocs.charging.asking import LOOK, Look, Whom, asking, followed, look, read_look, told
from ocs.charging.effects import read_detail
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.requests import Result, Units
from ocs.charging.session import SessionState
from tests.charging.world import AUD, INITIAL, MIB, TERMINATION, UPDATE, World, group, money, octets, request

ANY = Units()
WHO = {"by": "ada", "reason": "test"}


def changed(account: Account, change) -> list[tuple[Whom, str, str]]:
    outcome = followed(account, Outcome((AccountWrite(*change),)))
    assert all((effect.kind, effect.peer) == (LOOK, "") for effect in outcome.effects)
    return [(each.whom, each.cause, each.by) for each in map(read_look, outcome.effects)]


@pytest.mark.conformance("B32")
def test_more_money_concerns_who_waits_and_barring_concerns_all() -> None:
    account = Account("a", 3, "AUD", "standard", balances=(money(5),))
    assert changed(account, top_up(account, money(0), 1, 9, **WHO)) == [(Whom.SHORT, "topup", "ada")]
    assert changed(account, set_value(account, "money", 6, 9, **WHO)) == [(Whom.SHORT, "set", "ada")]
    owing = msgspec.structs.replace(account, balances=(money(-5),))
    assert changed(owing, set_value(owing, "money", 0, 9, **WHO)) == [(Whom.SHORT, "reset", "ada")]
    assert changed(account, set_value(account, "money", 4, 9, **WHO)) == []
    disabled, entry = set_status(account, Status.DISABLED, 9, **WHO)
    assert changed(account, (disabled, entry)) == [(Whom.STOP, "barred", "ada")]
    assert changed(disabled, set_status(disabled, Status.DISABLED, 9, **WHO)) == []
    assert changed(disabled, set_status(disabled, Status.ACTIVE, 9, **WHO)) == []


def test_a_new_account_and_what_changes_nothing_concern_nobody() -> None:
    account = Account("a", 0, "AUD", "standard", balances=(money(0),))
    opened = Outcome((AccountWrite(*top_up(account, money(0), 1, 9, **WHO)),))
    assert followed(None, opened) is opened
    assert followed(account, Outcome(conflict="no")) == Outcome(conflict="no")
    held, entry = top_up(account, money(0), 1, 9, **WHO)
    release = msgspec.structs.replace(entry, postings=(Posting("money", 0, -1),))
    assert changed(account, (held, release)) == []
    own = look(Whom.ALL, "plan")
    kept = followed(account, msgspec.structs.replace(opened, effects=(own,)))
    assert [read_look(effect).whom for effect in kept.effects] == [Whom.ALL, Whom.SHORT]


@pytest.mark.conformance("B32")
def test_each_kind_of_look_finds_its_sessions() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(rating_group=100, ask=ANY), session_id="rich"))
    world.send(request(INITIAL, 0, group(rating_group=100), session_id="idle"))
    rich, idle = world.sessions["rich"], world.sessions["idle"]
    short = msgspec.structs.replace(
        idle, key="short", groups=(msgspec.structs.replace(rich.groups[0], short=True, granted=0, holds=()),)
    )
    over = msgspec.structs.replace(rich, key="over", state=SessionState.CLOSED)
    sessions = [rich, idle, short, over]

    def asked(whom: Whom) -> list[tuple[str, str]]:
        found = told(Look(whom, "why"), sessions)
        assert {read_detail(effect).cause for effect in found} == {"why"}
        return [(effect.kind, effect.session_id) for effect in found]

    assert asked(Whom.SHORT) == [("reauth", "short")]
    assert asked(Whom.ALL) == [("reauth", "rich"), ("reauth", "short")]
    assert asked(Whom.STOP) == [("abort", "rich"), ("abort", "idle"), ("abort", "short")]


def test_asking_leaves_a_journal_entry_and_no_other_trace() -> None:
    account = Account("a", 3, "AUD", "standard", balances=(money(5),))
    found = (look(Whom.ALL, "x"), look(Whom.ALL, "y"))
    outcome = asking(account, found, 9, by="ada", reason="because", session_id="s")
    ((after, entry, _),) = [msgspec.structs.astuple(write) for write in outcome.writes]
    assert (after.version, after.balances) == (4, account.balances)
    assert (entry.kind, entry.session_id, entry.by, entry.reason, entry.postings) == (LOOK, "s", "ada", "because", ())
    assert outcome.effects == found
    assert outcome.session is None


# The end of a session from here.


def end(world: World, key: str = "s", cause: str = "peer_unknown") -> Outcome:
    outcome = engine.end(world.account, world.sessions[key], world.policies["data"], world.tariff, world.now_ns, cause)
    if outcome.writes:
        world.apply(outcome)
        world.check()
    return outcome


@pytest.mark.conformance("B31", "A40")
def test_a_session_that_its_client_does_not_know_ends_with_its_record_and_its_holds() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)])))
    outcome = end(world)
    assert outcome.writes[0].entry.kind == "end"
    assert world.sessions["s"].state is SessionState.EXPIRED
    assert [(cdr.cause, cdr.usage) for cdr in world.cdrs] == [("peer_unknown", MIB)]
    assert (world.balance().held, 10 * AUD - world.balance().value) == (0, AUD // 100)
    assert end(world).writes == ()
    assert differences(world.account, fold(world.journal)) == []


@pytest.mark.conformance("B32")
def test_what_comes_after_the_end_is_charged_and_answered() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    end(world, cause="aborted")
    assert world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)]))).result is Result.UNKNOWN_SESSION_ID
    assert world.send(request(TERMINATION, 2, group(used=[octets(MIB)]))).result is Result.SUCCESS
    assert 10 * AUD - world.balance().value == 2 * AUD // 100
    assert [(cdr.cause, cdr.usage) for cdr in world.cdrs] == [("aborted", 0), ("late", MIB), ("late", MIB)]
