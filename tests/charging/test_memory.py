"""The memory of repeats: every number that was processed, and each answer in the row or in one page."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.charging.memory import ANSWERS_KEPT, Seen, contains, highest_number, insert, recall, remember, room_for
from ocs.charging.requests import RequestType
from ocs.charging.session import AnswerPage, Session, SessionState
from ocs.limits import ANSWERS_INLINE_MAX, NUMBER_GAPS_PER_SESSION_MAX

NEW = Session("a", "s", "data", SessionState.OPEN, 0, 0, 0)
UPDATE = int(RequestType.UPDATE)
NUMBERS = st.integers(0, 40) | st.integers(0, 2**32 - 1)


@given(st.lists(NUMBERS, max_size=60), st.lists(NUMBERS, max_size=20))
def test_ranges_hold_what_a_set_holds(inserted: list[int], asked: list[int]) -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    model: set[int] = set()
    for number in inserted:
        ranges = insert(ranges, number)
        model.add(number)
        assert sum(high - low + 1 for low, high in ranges) == len(model)
        for (_, high), (low, _) in pairwise(ranges):
            assert high + 1 < low, "sorted, disjoint, neighbours joined"
    for number in (*inserted, *asked):
        assert contains(ranges, number) == (number in model)
    assert all(low <= high for low, high in ranges)


@pytest.mark.parametrize(
    ("ranges", "number", "after"),
    [
        ((), 5, ((5, 5),)),
        (((0, 4),), 5, ((0, 5),)),
        (((0, 4),), 6, ((0, 4), (6, 6))),
        (((2, 4),), 1, ((1, 4),)),
        (((2, 4),), 0, ((0, 0), (2, 4))),
        (((0, 1), (3, 4)), 2, ((0, 4),)),
        (((0, 1), (3, 4)), 3, ((0, 1), (3, 4))),
        (((0, 1), (4, 4)), 5, ((0, 1), (4, 5))),
    ],
)
def test_a_number_joins_its_neighbours(
    ranges: tuple[tuple[int, int], ...], number: int, after: tuple[tuple[int, int], ...]
) -> None:
    assert insert(ranges, number) == after


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 4]), st.integers(0, 30)), unique=True, max_size=80))
def test_each_answer_is_in_the_row_or_in_one_page_and_no_request_is_taken_for_another(
    requests: list[tuple[int, int]],
) -> None:
    session = NEW
    pages: list[AnswerPage] = []
    for request_type, number in requests:
        assert recall(session, request_type, number) is None
        session, page = remember(session, request_type, number, b"%d/%d" % (request_type, number))
        if page is not None:
            pages.append(page)
        assert len(session.answers) <= ANSWERS_INLINE_MAX
    assert [page.page for page in pages] == list(range(session.pages))
    assert {(page.account_id, page.session_key) for page in pages} <= {("a", "s")}
    kept = [*(answer for page in pages for answer in page.answers), *session.answers]
    assert [(answer.type, answer.number) for answer in kept] == requests
    inline = {(answer.type, answer.number) for answer in session.answers}
    for request_type in (1, 2, 3, 4):
        for number in range(31):
            key, content = (request_type, number), b"%d/%d" % (request_type, number)
            expected = None if key not in requests else Seen(content if key in inline else None)
            assert recall(session, *key) == expected
    assert highest_number(session) == max((number for _, number in requests), default=-1)


def test_the_older_half_of_the_answers_leaves_when_the_row_is_full() -> None:
    session = NEW
    for number in range(ANSWERS_INLINE_MAX):
        session, page = remember(session, UPDATE, number, b"x")
        assert page is None
    session, page = remember(session, UPDATE, ANSWERS_INLINE_MAX, b"x")
    assert page is not None
    assert [answer.number for answer in page.answers] == list(range(ANSWERS_INLINE_MAX + 1 - ANSWERS_KEPT))
    assert len(page.answers) + len(session.answers) == ANSWERS_INLINE_MAX + 1


def test_there_is_room_for_a_number_until_there_are_too_many_gaps() -> None:
    ranges = tuple((2 * number, 2 * number) for number in range(NUMBER_GAPS_PER_SESSION_MAX))
    session = Session("a", "s", "data", SessionState.OPEN, 0, 0, 0, seen={UPDATE: ranges})
    last = ranges[-1][1]
    assert not room_for(session, UPDATE, last + 2)
    assert room_for(session, UPDATE, last + 1), "the next number makes no gap"
    assert room_for(session, UPDATE, 1), "a late number closes one"
    assert room_for(session, UPDATE, 0)
    assert room_for(session, int(RequestType.TERMINATION), last + 2)


def test_an_empty_session_has_seen_nothing() -> None:
    assert highest_number(NEW) == -1
    assert recall(NEW, UPDATE, 0) is None
