"""Diagnostics print as one line, and hints name what was probably meant."""

import pytest

from ocs.config.diagnostics import DIAGNOSTICS_MAX, Diagnostic, Place, Problems, Severity, did_you_mean, one_of


@pytest.mark.parametrize(
    ("diagnostic", "line"),
    [
        (Diagnostic("a.yaml", 1, 2, "x.y", "is bad"), "a.yaml:1:2 x.y: is bad"),
        (Diagnostic("a.yaml", 1, 2, "", "is bad", "good", "try again"), "a.yaml:1:2: is bad, expected good, try again"),
        (Diagnostic("a.yaml", 0, 0, "", "is empty"), "a.yaml: is empty"),
        (
            Diagnostic("a.yaml", 3, 1, "x", "is odd", severity=Severity.WARNING, hint="look"),
            "a.yaml:3:1 x: warning: is odd, look",
        ),
    ],
)
def test_a_diagnostic_is_one_line(diagnostic, line):
    assert str(diagnostic) == line


def test_each_problem_is_told_once_and_in_order():
    problems = Problems()
    for line in (3, 1, 3):
        problems.error(Place("b.yaml", line, 1), "bad")
    problems.warn(Place("a.yaml", 9, 1), "odd")
    assert [(each.file, each.line) for each in problems.sorted()] == [("a.yaml", 9), ("b.yaml", 1), ("b.yaml", 3)]


def test_many_warnings_do_not_hide_that_there_is_an_error():
    problems = Problems()
    for line in range(1, DIAGNOSTICS_MAX + 10):
        problems.warn(Place("a.yaml", line, 1), "odd")
    assert not problems.fatal
    problems.error(Place("b.yaml", 1, 1), "bad")
    assert problems.fatal


def test_the_nearest_option_is_meant():
    assert did_you_mean("identty", ["realms", "identity", "peers"]) == "did you mean identity?"
    assert did_you_mean("zzz", ["realms", "identity"]) == ""
    assert did_you_mean("d4999x", [f"d{number}" for number in range(5_000)]) == "did you mean d4999?"


def test_options_are_listed_as_people_list_them():
    assert [one_of(words.split()) for words in ("", "a", "a b", "a b c")] == ["", "a", "a or b", "a, b or c"]
