"""Every reason for "no" stays apart, and stands where the client looks for it."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance, Status
from ocs.charging import engine
from ocs.charging.requests import FinalAction, FinalUnit, GroupRequest, Result, Units, UnknownSession
from ocs.charging.session import SessionState
from ocs.rating.units import NS_PER_S, Kind
from tests.charging.world import (
    AUD,
    INITIAL,
    MIB,
    POLICIES,
    START_NS,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
)

ANY = Units()


@pytest.mark.conformance("B12")
def test_an_unknown_subscriber_is_told_so_and_nothing_is_written() -> None:
    world = World()
    outcome = engine.decide(None, None, request(INITIAL, 0, group(ask=ANY)), world.tariff, POLICIES["data"], START_NS)
    assert outcome.answer is not None
    assert (outcome.answer.result, outcome.answer.why) == (5030, "unknown_account")
    assert (outcome.writes, outcome.session) == ((), None)


@pytest.mark.conformance("B12", "B13")
@pytest.mark.parametrize(
    ("world", "asked", "more", "result", "why"),
    [
        (World(money(AUD), status=Status.DISABLED), group(ask=ANY), {}, 4010, "disabled_account"),
        (World(), group(ask=ANY), {}, 4012, "no_credit"),
        (World(money(AUD)), group(200, ANY), {}, 4010, "unknown_rating_group"),
        (World(money(AUD), plan="gone"), group(ask=ANY), {}, 5031, "no_plan"),
        (
            World(money(AUD)),
            group(None, seconds(10)),
            {"service": "voice", "called": "+1202"},
            4010,
            "no_destination",
        ),
        (World(money(AUD)), group(ask=seconds(10)), {}, 5031, "no_rate"),
        (
            World(Balance("b", Kind.DATA, 0, blocker=True, weight=1), money(AUD)),
            group(ask=ANY),
            {},
            4010,
            "blocked",
        ),
        (World(money(AUD, expires_at_ns=START_NS)), group(ask=ANY), {}, 4012, "no_credit"),
    ],
)
def test_reasons_and_their_codes(
    world: World, asked: GroupRequest, more: dict[str, object], result: int, why: str
) -> None:
    answer = world.send(request(INITIAL, 0, asked, **more))
    assert (answer.result, answer.why) == (result, why)
    assert world.sessions["s"].state is SessionState.REFUSED
    in_group = request(INITIAL, 0, asked, session_id="t", refuse_in_group=True, **more)
    answer = world.send(in_group)
    if why == "disabled_account":
        assert answer.result == result
    else:
        assert (answer.result, answer.groups[0].result, answer.groups[0].why) == (2001, result, why)


@pytest.mark.conformance("B13", "B20")
def test_one_group_refused_beside_another_granted_is_refused_in_its_own_container() -> None:
    world = World(money(AUD))
    answer = world.send(request(INITIAL, 0, group(100, ANY), group(200, ANY)))
    assert answer.result is Result.SUCCESS
    assert [(g.rating_group, g.result) for g in answer.groups] == [(100, 2001), (200, 4010)]


def test_a_group_refused_while_another_holds_quota_does_not_refuse_the_session() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, ANY)))
    answer = world.send(request(UPDATE, 1, group(200, ANY)))
    assert (answer.result, answer.groups[0].result) == (2001, 4010)


def test_no_credit_on_an_update_still_debits_what_came_along_and_keeps_the_session() -> None:
    world = World(money(AUD // 100))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    answer = world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)])))
    assert (answer.result, answer.groups[0].result) == (4012, 4012)
    assert world.balance().value == 0
    assert world.sessions["s"].is_open
    assert world.send(request(TERMINATION, 2)).result is Result.SUCCESS


def test_a_disabled_account_is_debited_for_what_was_delivered_and_granted_nothing_more() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    assert world.account is not None
    world.account = msgspec.structs.replace(world.account, status=Status.DISABLED)
    answer = world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)]), refuse_in_group=True))
    assert (answer.result, answer.why) == (4010, "disabled_account")
    assert (world.balance().value, world.balance().held) == (99 * AUD // 100, 0)


def test_a_refused_initial_opens_no_session_but_its_answer_is_remembered() -> None:
    world = World()
    refused = world.send(request(INITIAL, 0, group(ask=ANY)))
    assert world.send(request(INITIAL, 0, group(ask=ANY))) == refused
    assert world.outcome.notes == ("repeat",)
    assert world.send(request(TERMINATION, 1)).result is Result.UNKNOWN_SESSION_ID
    assert world.cdrs == []


@pytest.mark.conformance("B3")
@pytest.mark.parametrize("kind", [UPDATE, TERMINATION])
def test_what_an_unknown_session_reports_is_refused_but_kept_once(kind: object) -> None:
    world = World(money(AUD))
    report = request(kind, 3, group(used=[octets(MIB)]))  # type: ignore[arg-type]
    assert world.send(report).result is Result.UNKNOWN_SESSION_ID
    world.send(report)
    assert [(cdr.cause, cdr.usage, cdr.unrated, cdr.cost_nanos) for cdr in world.cdrs] == [
        ("unknown_session", MIB, MIB, 0)
    ]
    assert world.journal[-1].kind == "unknown_session"
    assert world.balance().value == AUD


def test_the_termination_of_a_session_whose_report_was_refused_is_accepted() -> None:
    world = World(money(AUD))
    world.send(request(UPDATE, 3, group(used=[octets(MIB)])))
    assert world.send(request(TERMINATION, 4, group(used=[octets(1)]))).result is Result.SUCCESS
    assert [(cdr.partial, cdr.usage) for cdr in world.cdrs] == [(0, MIB), (1, 1)]


def test_an_unknown_session_without_usage_leaves_nothing_behind() -> None:
    world = World(money(AUD))
    assert world.send(request(UPDATE, 3, group(ask=ANY))).result is Result.UNKNOWN_SESSION_ID
    assert world.outcome.writes == ()


def test_an_unknown_session_is_adopted_where_the_service_says_so() -> None:
    world = World(money(AUD))
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], unknown_session=UnknownSession.ADOPT)
    answer = world.send(request(UPDATE, 3, group(ask=ANY, used=[octets(MIB)])))
    assert (answer.result, answer.groups[0].granted) == (2001, 10 * MIB)
    assert world.balance().value == 99 * AUD // 100
    assert "adopted" in world.outcome.notes


def test_asked_in_seconds_where_octets_are_sold_is_refused_without_losing_the_session() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(100, ANY)))
    answer = world.send(request(UPDATE, 1, group(101, Units(time_ns=NS_PER_S))))
    assert (answer.result, answer.groups[0].result) == (2001, 5031)


def test_what_a_blocker_keeps_back_is_refused_also_where_an_empty_account_would_be_redirected() -> None:
    world = World(Balance("b", Kind.DATA, 0, blocker=True, weight=1), money(AUD))
    redirect = FinalUnit(FinalAction.REDIRECT, "http://top-up.example.com")
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], final_unit=redirect)
    answer = world.send(request(INITIAL, 0, group(ask=ANY), refuse_in_group=True))
    assert (answer.groups[0].result, answer.groups[0].why) == (4010, "blocked")


def test_a_debt_refuses_what_money_would_pay_and_leaves_bundles_alone() -> None:
    world = World(money(-1), Balance("bundle", Kind.DATA, MIB))
    assert world.send(request(INITIAL, 0, group(ask=ANY))).groups[0].granted == MIB
    refused = world.send(request(INITIAL, 0, group(ask=ANY), session_id="t", refuse_in_group=True))
    assert (refused.groups[0].result, refused.groups[0].why) == (4012, "no_credit")
