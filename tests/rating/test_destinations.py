"""Destinations: the longest prefix wins, and a filter of a balance never opens by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.rating.destinations import Destination, PrefixTable, match_length

DESTINATIONS = {
    "mobile": Destination("mobile", ("614", "6142")),
    "fixed": Destination("fixed", ("612", "613")),
    "australia": Destination("australia", ("61",)),
    "empty": Destination("empty", ()),
}


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("61491570156", ("614", "mobile")),
        ("6149", ("614", "mobile")),
        ("614", ("614", "mobile")),
        ("61", ("61", "australia")),
        ("615", ("61", "australia")),
        ("6", ("", "rest")),
        ("", ("", "rest")),
        ("49", ("", "rest")),
    ],
)
def test_the_longest_prefix_wins_and_the_default_stands_behind_all(number: str, found: tuple[str, str]) -> None:
    table = PrefixTable({"614": "mobile", "61": "australia"}, "rest")
    assert table.find(number) == found
    assert len(table) == 2


def test_without_a_default_nothing_is_found_where_no_prefix_fits() -> None:
    table = PrefixTable({"614": "mobile"})
    assert table.find("612") is None
    assert table.find("") is None
    assert PrefixTable[str]({}).find("61") is None


@given(
    prefixes=st.dictionaries(st.text("0123", min_size=1, max_size=5), st.integers(), max_size=12),
    number=st.text("0123", max_size=8),
)
def test_a_table_finds_what_a_search_through_all_prefixes_finds(prefixes: dict[str, int], number: str) -> None:
    fitting = [prefix for prefix in prefixes if number.startswith(prefix)]
    longest = max(fitting, key=len, default=None)
    assert PrefixTable(prefixes).find(number) == (None if longest is None else (longest, prefixes[longest]))


@pytest.mark.parametrize(
    ("ids", "number", "precision"),
    [
        ((), "61491570156", 0),
        ((), "", 0),
        (("*any",), "61491570156", 0),
        (("*any",), "", 0),
        (("mobile",), "61491570156", 3),
        (("mobile",), "61421570156", 4),
        (("australia", "mobile"), "61491570156", 3),
        (("mobile", "australia"), "61291234567", 2),
        (("*any", "mobile"), "61491570156", 3),
        (("mobile",), "61291234567", None),
        (("mobile",), "", None),
        (("!mobile",), "61491570156", None),
        (("!mobile",), "61291234567", 0),
        (("!mobile",), "", 0),
        (("australia", "!mobile"), "61491570156", None),
        (("!mobile", "australia"), "61291234567", 2),
        (("gone",), "61491570156", None),
        (("gone", "mobile"), "61491570156", 3),
        (("empty",), "61491570156", None),
        (("!empty",), "61491570156", 0),
    ],
)
def test_precision_of_a_destination_filter(ids: tuple[str, ...], number: str, precision: int | None) -> None:
    assert match_length(number, ids, DESTINATIONS) == precision
