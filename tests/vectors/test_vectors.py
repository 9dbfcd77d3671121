from __future__ import annotations

from typing import Any

import pytest

from ocs.balances.account import Account
from ocs.charging.requests import FinalAction
from ocs.charging.whole import Charged, Cost, charge, cost_of
from tests.vectors import differences, world
from tests.vectors.cases import rating_cases, session_cases
from tests.vectors.differences import DIFFERENCES, PARTIAL_GRANTS, REASONS, Compared
from tests.vectors.session_run import Play

RATING = rating_cases(*differences.RATING_KINDS)
SESSIONS = [case for kind in differences.SESSION_KINDS for case in session_cases(kind)]


@pytest.mark.parametrize("case", RATING, ids=lambda case: f"{case['kind']}-{case['id']}")
def test_a_rating_case_gives_what_it_says_or_the_exact_value_of_a_listed_difference(case: dict[str, Any]) -> None:
    check(differences.compare_rating(case))


@pytest.mark.parametrize("case", SESSIONS, ids=lambda case: f"{case['kind']}-{case['id']}")
def test_a_session_case_gives_what_it_says_or_the_exact_value_of_a_listed_difference(case: dict[str, Any]) -> None:
    check(differences.compare_session(case))


@pytest.mark.parametrize("case", rating_cases("get_cost", "timespan_split"), ids=lambda case: case["id"])
def test_what_a_call_costs_is_what_is_charged_for_it(case: dict[str, Any]) -> None:
    event, tariff = case["event"], world.tariff_of(case)
    account = Account("a", 1, world.CURRENCY, world.subject_of(event), allow_negative=True)
    policy, call = world.policy_of(event), world.call_of(event)
    cost, charged = cost_of(account, tariff, policy, call), charge(account, tariff, policy, call)
    assert isinstance(cost, Cost)
    assert isinstance(charged, Charged)
    assert charged.cost_nanos == cost.nanos


def check(compared: Compared) -> None:
    assert compared.expected, "the case asserts something"
    listed = DIFFERENCES.get(compared.id)
    wanted = dict(compared.expected) | (dict(listed.ours) if listed else {})
    assert {path: compared.ours.get(path) for path in compared.differing} == {
        path: wanted[path] for path in (listed.ours if listed else ())
    }


def test_every_listed_difference_is_of_a_case_and_has_a_reason() -> None:
    assert DIFFERENCES.keys() <= {case["id"] for case in RATING + SESSIONS}
    assert {found.why for found in DIFFERENCES.values()} == REASONS.keys()


@pytest.mark.parametrize("case_id", PARTIAL_GRANTS)
def test_where_sigscale_refuses_all_ocs_grants_what_is_left_and_says_that_it_is_the_last(case_id: str) -> None:
    case = next(case for case in SESSIONS if case["id"] == case_id)
    play = Play(case)
    for step in case["steps"]:
        play.send(step)
    answer = play.driver.outcome.answer
    assert answer is not None
    assert answer.groups[0].granted == PARTIAL_GRANTS[case_id]
    assert answer.groups[0].final_unit is not None
    redirected = "redirectServer" in case["offer"]
    assert (answer.groups[0].final_unit.action is FinalAction.REDIRECT) == redirected


def test_the_page_of_differences_is_up_to_date() -> None:
    assert differences.PAGE.read_text() == differences.page(list(differences.compared())), (
        "python -m tests.vectors.differences > docs/differences.md"
    )
