"""Sessions from INITIAL to TERMINATION: what is held, debited, granted and recorded."""

from __future__ import annotations

import msgspec
import pytest

from ocs.balances.account import Balance
from ocs.charging.requests import FinalAction, FinalUnit, Result, Units
from ocs.charging.session import SessionState
from ocs.rating.units import NS_PER_S, Kind
from tests.charging.world import (
    AUD,
    DATA,
    INITIAL,
    MIB,
    MIN,
    MOBILE,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
    seconds,
    tariff,
)

ANY = Units()


@pytest.mark.conformance("B6", "B42")
@pytest.mark.parametrize("pieces", [[308_400], [1, 308_399], [100_000, 100_000, 108_400], [1_024] * 301 + [176]])
def test_the_same_usage_costs_the_same_however_it_is_reported(pieces: list[int]) -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    for number, piece in enumerate(pieces[:-1], start=1):
        world.send(request(UPDATE, number, group(ask=ANY, used=[octets(piece)])))
    world.send(request(TERMINATION, len(pieces), group(used=[octets(pieces[-1])])))
    assert 10 * AUD - world.balance().value == 2_949_219
    assert [(cdr.usage, cdr.cost_nanos) for cdr in world.cdrs] == [(308_400, 2_949_219)]
    assert sum(entry.cost_nanos for entry in world.journal) == 2_949_219


def test_a_grant_is_held_not_debited() -> None:
    world = World(money(10 * AUD))
    answer = world.send(request(INITIAL, 0, group(ask=ANY)))
    assert answer.groups[0].granted == 10 * MIB
    assert answer.groups[0].validity_time_s == 3_600
    assert (world.balance().value, world.balance().held) == (10 * AUD, AUD // 10)


@pytest.mark.conformance("B14")
@pytest.mark.parametrize(
    ("asked", "granted"),
    [(1, 64 * 1_024), (1_000_000, 1_000_000), (20 * MIB, 20 * MIB), (500 * MIB, 100 * MIB), (0, 10 * MIB)],
)
def test_for_data_a_wish_is_a_hint_within_limits(asked: int, granted: int) -> None:
    world = World(money(10 * AUD))
    assert world.send(request(INITIAL, 0, group(ask=octets(asked)))).groups[0].granted == granted


@pytest.mark.parametrize(("asked", "granted_s"), [(30, 30), (4_000, 600), (0, 60)])
def test_for_voice_what_is_asked_is_granted_up_to_the_limit(asked: int, granted_s: int) -> None:
    world = World(money(100 * AUD))
    answer = world.send(request(INITIAL, 0, group(None, seconds(asked)), service="voice", called="tel:+61491570156"))
    assert answer.groups[0].granted == granted_s * NS_PER_S
    assert (answer.groups[0].validity_time_s or 0) > granted_s


def test_unit_balances_pay_first_by_their_exact_usage_then_money_rounded_up_by_the_increment() -> None:
    bundle = Balance("minutes", Kind.VOICE, 90 * NS_PER_S, destinations=("mobile",))
    world = World(bundle, money(AUD))
    world.send(request(INITIAL, 0, group(None, seconds(120)), service="voice", called="sip:+61491570156@example.com"))
    assert world.balance("minutes").held == 90 * NS_PER_S
    assert world.balance().held == 11 * AUD // 100
    world.send(request(TERMINATION, 1, group(None, used=[seconds(100)]), service="voice"))
    assert world.balance("minutes").value == 0
    # 10 s at 0.22 a minute
    assert AUD - world.balance().value == 36_666_667
    cdr = world.cdrs[0]
    assert (cdr.usage, cdr.unit_usage, cdr.cost_nanos) == (100 * NS_PER_S, 90 * NS_PER_S, 36_666_667)


def test_a_flat_call_is_a_connect_fee_charged_with_the_first_usage_also_when_units_pay() -> None:
    world = World(Balance("minutes", Kind.VOICE, 100 * MIN), money(AUD))
    call = {"service": "voice", "called": "+61291234567"}
    world.send(request(INITIAL, 0, group(None, seconds(60)), **call))
    assert world.balance().held == AUD // 5
    world.send(request(UPDATE, 1, group(None, seconds(60), [seconds(60)]), **call))
    world.send(request(TERMINATION, 2, group(None, used=[seconds(10)]), **call))
    assert AUD - world.balance().value == AUD // 5
    assert world.balance("minutes").value == 100 * MIN - 70 * NS_PER_S


def test_an_unanswered_call_costs_nothing() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(None, seconds(60)), service="voice", called="+61291234567"))
    world.send(request(TERMINATION, 1, group(None, used=[seconds(0)]), service="voice"))
    assert (world.balance().value, world.balance().held) == (AUD, 0)


@pytest.mark.conformance("B26")
def test_the_last_of_the_credit_comes_with_a_final_unit_indication_and_nothing_before_it_does() -> None:
    world = World(money(15 * AUD // 100))
    first = world.send(request(INITIAL, 0, group(ask=ANY))).groups[0]
    assert (first.granted, first.final_unit) == (10 * MIB, None)
    last = world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(10 * MIB)]))).groups[0]
    assert (last.granted, last.final_unit) == (5 * MIB, FinalUnit(FinalAction.TERMINATE))
    answer = world.send(request(UPDATE, 2, group(ask=ANY, used=[octets(5 * MIB)])))
    assert answer.groups[0].result is Result.CREDIT_LIMIT_REACHED
    assert world.balance().value == 0


@pytest.mark.conformance("B41")
def test_credit_that_others_hold_is_granted_in_small_slices_without_a_final_unit_indication() -> None:
    world = World(money(15 * AUD // 100))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    other = world.send(request(INITIAL, 0, group(ask=ANY), session_id="t")).groups[0]
    assert (other.granted, other.final_unit, other.validity_time_s) == (MIB, None, 60)
    assert world.balance().held == 11 * AUD // 100


@pytest.mark.conformance("B27")
def test_where_redirection_is_configured_an_empty_account_gets_it_with_no_units_and_a_top_up_clears_it() -> None:
    world = World()
    redirect = FinalUnit(FinalAction.REDIRECT, "http://top-up.example.com")
    world.policies["data"] = msgspec.structs.replace(world.policies["data"], final_unit=redirect)
    answer = world.send(request(INITIAL, 0, group(ask=ANY)))
    assert (answer.result, answer.groups[0].granted, answer.groups[0].final_unit) == (Result.SUCCESS, 0, redirect)
    assert world.account is not None
    balances = (money(AUD),)
    world.account = msgspec.structs.replace(world.account, balances=balances)
    world.journal.clear()
    world.check = lambda: None  # type: ignore[method-assign]
    answer = world.send(request(UPDATE, 1, group(ask=ANY)))
    assert (answer.groups[0].granted, answer.groups[0].final_unit) == (10 * MIB, None)


@pytest.mark.conformance("B17")
def test_what_was_delivered_beyond_the_grant_is_debited_and_flagged_and_may_go_below_zero() -> None:
    world = World(money(AUD // 100))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(TERMINATION, 1, group(used=[octets(3 * MIB)])))
    assert world.balance().value == -2 * AUD // 100
    assert world.cdrs[0].overrun == 2 * MIB
    assert world.journal[-1].overdraft_nanos == 2 * AUD // 100
    assert set(world.outcome.notes) == {"overrun", "overdraft"}


def test_an_overrun_takes_what_is_available_before_it_becomes_an_overdraft() -> None:
    world = World(Balance("bundle", Kind.DATA, 12 * MIB), money(AUD))
    world.send(request(INITIAL, 0, group(ask=octets(10 * MIB))))
    world.send(request(TERMINATION, 1, group(used=[octets(13 * MIB)])))
    assert world.balance("bundle").value == 0
    assert AUD - world.balance().value == AUD // 100
    assert world.journal[-1].overdraft_nanos == 0


def test_holds_of_others_stay_when_an_overrun_eats_the_value_below_them() -> None:
    world = World(money(20 * AUD // 100))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(INITIAL, 0, group(ask=ANY), session_id="t"))
    world.send(request(UPDATE, 1, group(used=[octets(15 * MIB)])))
    assert (world.balance().value, world.balance().held) == (5 * AUD // 100, 10 * AUD // 100)
    refused = world.send(request(UPDATE, 2, group(ask=ANY)))
    assert refused.groups[0].result is Result.CREDIT_LIMIT_REACHED
    world.send(request(TERMINATION, 1, group(used=[octets(10 * MIB)]), session_id="t"))
    assert world.balance().value == -5 * AUD // 100


@pytest.mark.conformance("B18")
def test_usage_without_a_request_for_units_is_debited_and_nothing_is_granted() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    answer = world.send(request(UPDATE, 1, group(used=[octets(MIB)])))
    assert (answer.groups[0].result, answer.groups[0].granted) == (Result.SUCCESS, None)
    assert (world.balance().value, world.balance().held) == (99 * AUD // 100, 0)


@pytest.mark.conformance("B21", "B22")
def test_groups_come_one_by_one_and_keep_what_they_hold_until_they_report() -> None:
    world = World(money(10 * AUD))
    assert world.send(request(INITIAL, 0)).groups == ()
    for number in range(1, 6):
        answer = world.send(request(UPDATE, number, group(99 + number, ANY)))
        assert answer.groups[0].rating_group == 99 + number
        assert world.balance().held == number * AUD // 10
    world.send(request(UPDATE, 6, group(102, ANY, [octets(MIB)])))
    assert world.balance().held == 5 * AUD // 10


@pytest.mark.conformance("B7")
def test_termination_without_containers_releases_everything_and_records_each_group() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(100, ANY), group(101, ANY)))
    answer = world.send(request(TERMINATION, 1))
    assert (answer.result, answer.groups) == (Result.SUCCESS, ())
    assert (world.balance().value, world.balance().held) == (10 * AUD, 0)
    assert [(cdr.rating_group, cdr.usage, cdr.cause) for cdr in world.cdrs] == [(100, 0, "normal"), (101, 0, "normal")]


@pytest.mark.conformance("B16")
def test_several_used_containers_of_a_group_are_added_up() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(TERMINATION, 1, group(used=[octets(300_000), Units(), octets(8_400)])))
    assert 10 * AUD - world.balance().value == 2_949_219


@pytest.mark.conformance("B5")
def test_a_lower_number_that_was_not_seen_before_is_processed_and_counted() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    for number in (2, 4, 3, 1):
        world.send(request(UPDATE, number, group(ask=ANY, used=[octets(MIB)])))
    assert "late_number" in world.outcome.notes
    assert 10 * AUD - world.balance().value == 4 * AUD // 100


@pytest.mark.conformance("B2", "B4")
def test_a_repeat_gets_the_stored_answer_and_moves_nothing() -> None:
    world = World(money(10 * AUD))
    first = world.send(request(INITIAL, 0, group(ask=ANY)))
    update = request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)]))
    second = world.send(update)
    account = world.account
    assert world.send(request(INITIAL, 0, group(ask=ANY), origin_host="other.example.com")) == first
    assert world.send(update) == second
    assert world.account == account
    assert world.outcome.writes == ()


def test_a_session_id_used_again_after_its_end_is_refused() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    again = world.send(request(INITIAL, 1, group(ask=ANY)))
    assert again.result is Result.UNABLE_TO_COMPLY
    world.send(request(TERMINATION, 2))
    again = world.send(request(INITIAL, 3, group(ask=ANY)))
    assert again.result is Result.UNABLE_TO_COMPLY
    assert world.outcome.notes == ("reused_session_id",)


@pytest.mark.conformance("B43")
def test_a_session_may_move_to_another_host() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)]), origin_host="pgw2.example.com"))
    assert world.sessions["s"].origin_host == "pgw2.example.com"
    assert 10 * AUD - world.balance().value == AUD // 100


@pytest.mark.conformance("B35")
def test_sub_sessions_are_kept_apart() -> None:
    world = World(money(10 * AUD))
    for sub in (1, 2):
        world.send(request(INITIAL, 0, group(ask=ANY), sub_session_id=sub))
    world.send(request(TERMINATION, 1, group(used=[octets(MIB)]), sub_session_id=1))
    assert world.balance().held == AUD // 10
    assert world.sessions["s#2"].state is SessionState.OPEN


def test_a_new_tariff_prices_what_is_granted_after_it_and_leaves_the_closed_segment_alone() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.tariff = tariff("v2", msgspec.structs.replace(DATA, price_nanos=AUD))
    world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)])))
    assert 10 * AUD - world.balance().value == AUD // 100
    world.send(request(TERMINATION, 2, group(used=[octets(MIB)])))
    assert 10 * AUD - world.balance().value == AUD // 100 + AUD
    assert [(cdr.tariff_version, cdr.cost_nanos, cdr.cause) for cdr in world.cdrs] == [
        ("v1", AUD // 100, "tariff_change"),
        ("v2", AUD, "normal"),
    ]


def test_the_called_party_of_a_terminating_leg_pays_nothing() -> None:
    world = World(money(AUD))
    call = {"service": "voice", "called": "+61491570156", "terminating": True}
    answer = world.send(request(INITIAL, 0, group(None, seconds(30)), **call))
    assert answer.groups[0].granted == 30 * NS_PER_S
    world.send(request(TERMINATION, 1, group(None, used=[seconds(30)]), **call))
    assert (world.balance().value, len(world.cdrs)) == (AUD, 1)


def test_time_beyond_what_the_clock_allows_is_taken_for_a_fault_of_the_client() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(None, seconds(60)), service="voice", called="+61491570156"))
    world.now_ns += 30 * NS_PER_S
    world.send(request(TERMINATION, 1, group(None, used=[seconds(71_582_788)]), service="voice"))
    assert 10 * AUD - world.balance().value == MOBILE.price_nanos
    assert "implausible_usage" in world.outcome.notes


@pytest.mark.conformance("C17")
def test_a_free_group_is_granted_much_and_takes_nothing_not_even_units() -> None:
    world = World(Balance("bundle", Kind.DATA, MIB))
    answer = world.send(request(INITIAL, 0, group(900, ANY)))
    assert answer.groups[0].granted == 100 * MIB
    world.send(request(TERMINATION, 1, group(900, used=[octets(50 * MIB)])))
    assert world.balance("bundle").value == MIB


def test_a_group_named_twice_in_one_request_is_debited_for_both_and_holds_one_grant() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    answer = world.send(request(UPDATE, 1, group(ask=ANY, used=[octets(MIB)]), group(ask=ANY, used=[octets(MIB)])))
    assert [g.granted for g in answer.groups] == [None, 10 * MIB]
    assert (world.balance().value, world.balance().held) == (10 * AUD - 2 * AUD // 100, AUD // 10)


@pytest.mark.conformance("C9")
def test_a_group_reported_as_final_is_over_and_the_others_go_on() -> None:
    world = World(money(10 * AUD))
    world.send(request(INITIAL, 0, group(100, ask=ANY), group(101, ask=ANY)))
    assert world.balance().held == 2 * AUD // 10
    answer = world.send(request(UPDATE, 1, group(100, used=[octets(1 * MIB)], final=True)))
    assert answer.groups[0].granted is None
    assert (world.balance().value, world.balance().held) == (10 * AUD - AUD // 100, AUD // 10)
    assert world.send(request(UPDATE, 2, group(101, ask=ANY, used=[octets(1 * MIB)]))).groups[0].granted == 10 * MIB


def test_several_groups_share_one_connect_fee_and_who_uses_first_pays_it_from_the_hold() -> None:
    world = World(money(30 * AUD // 100))
    call = {"service": "voice", "called": "+61291234567"}
    answer = world.send(request(INITIAL, 0, group(1, seconds(60)), group(2, seconds(60)), **call))
    assert [g.result for g in answer.groups] == [2001, 2001]
    assert world.balance().held == AUD // 5
    world.send(request(UPDATE, 1, group(2, used=[seconds(10)]), **call))
    assert (world.balance().value, world.balance().held) == (AUD // 10, 0)
    world.send(request(TERMINATION, 2, group(1, used=[seconds(10)]), **call))
    assert world.balance().value == AUD // 10
    assert all(entry.overdraft_nanos == 0 for entry in world.journal)


def test_usage_told_in_another_measure_only_is_noted() -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(TERMINATION, 1, group(used=[seconds(10)])))
    assert "unrated_usage" in world.outcome.notes


def test_an_amount_that_nobody_can_owe_is_taken_for_a_fault_of_the_client() -> None:
    world = World(money(AUD))
    world.tariff = tariff(data=msgspec.structs.replace(DATA, price_nanos=10 * AUD))
    world.send(request(INITIAL, 0, group(ask=ANY)))
    world.send(request(TERMINATION, 1, group(used=[octets(2**48)])))
    assert "implausible_usage" in world.outcome.notes
    assert 0 <= world.balance().value < AUD // 100


@pytest.mark.conformance("B40")
@pytest.mark.parametrize(("off_s", "counts"), [(-3_600, True), (60, True), (-90_000, False), (3_600, False)])
def test_the_clients_clock_is_the_time_of_rating_where_it_is_believable(off_s: int, counts: object) -> None:
    world = World(money(AUD))
    world.send(request(INITIAL, 0, group(ask=ANY), event_at_ns=world.now_ns + off_s * NS_PER_S))
    started_at_ns = world.sessions["s"].groups[0].started_at_ns
    assert started_at_ns == world.now_ns + (off_s * NS_PER_S if counts else 0)


def test_a_group_that_is_not_named_is_rated_and_recorded_as_the_default_and_answered_without_a_name() -> None:
    world = World(money(AUD))
    answer = world.send(request(INITIAL, 0, group(None, ANY)))
    assert answer.groups[0].rating_group is None
    answer = world.send(request(UPDATE, 1, group(100, ANY, [octets(MIB)])))
    assert answer.groups[0].rating_group == 100
    world.send(request(TERMINATION, 2, group(None, used=[octets(MIB)])))
    assert [(cdr.rating_group, cdr.usage, cdr.cost_nanos) for cdr in world.cdrs] == [(100, 2 * MIB, 2 * AUD // 100)]
