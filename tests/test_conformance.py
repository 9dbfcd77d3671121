"""docs/conformance.md is what the markers and the reasons say, and no item is without one or the other."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem + "_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load(ROOT / "tools" / "conformance.py")
LIST = "# List\n\n## A. Base\n\n- A1 A CER | is answered.\n- A2 Unknown peer.\n\n## B. Core\n\n- B1 CCR.\n"


@pytest.fixture(scope="module")
def items():
    return tool.read_items(tool.ITEMS.read_text())


@pytest.fixture(scope="module")
def tests():
    return tool.read_tests(tool.TESTS)


def test_every_item_has_a_test_or_a_reason(items, tests):
    reasons = tool.read_reasons(tool.REASONS.read_text(), items)
    assert [item.id for item in items if not tool.shown_by(item, tests, reasons)] == []


def test_every_marker_names_an_item(items, tests):
    assert tests.keys() - {item.id for item in items} == set()


def test_the_page_is_up_to_date(items, tests):
    reasons = tool.read_reasons(tool.REASONS.read_text(), items)
    assert tool.PAGE.read_text() == tool.page(items, tests, reasons), "make conformance"


def test_the_list_is_whole(items):
    counts = {letter: [item.id for item in items if item.id[0] == letter] for letter in "ABCDEFGHIJ"}
    assert [len(ids) for ids in counts.values()] == [45, 45, 30, 12, 12, 15, 11, 8, 8, 7]
    assert all(ids == [f"{letter}{n}" for n in range(1, len(ids) + 1)] for letter, ids in counts.items())


def test_markers_are_found_on_functions_classes_and_modules():
    source = """
import pytest
pytestmark = [pytest.mark.conformance("A1"), pytest.mark.other("x")]

@pytest.mark.conformance("A2", "B1")
async def test_one(): ...

@pytest.mark.conformance("B1")
class TestTwo:
    @pytest.mark.conformance("A1")
    def test_three(self): ...
"""
    assert list(tool.marked(ast.parse(source), "tests/test_x.py")) == [
        ("A1", "tests/test_x.py"),
        ("A2", "tests/test_x.py::test_one"),
        ("B1", "tests/test_x.py::test_one"),
        ("B1", "tests/test_x.py::TestTwo"),
        ("A1", "tests/test_x.py::TestTwo::test_three"),
    ]


def test_a_marker_that_cannot_be_read_is_refused():
    source = "@pytest.mark.conformance(ID)\ndef test_one(): ..."
    with pytest.raises(TypeError, match="a conformance id is a string"):
        list(tool.marked(ast.parse(source), "x"))


def test_the_page_shows_tests_reasons_and_what_has_neither():
    items = tool.read_items(LIST)
    reasons = tool.read_reasons("A1: {status: later, reason: all of it}\nB: {status: no, reason: not here}", items)
    text = tool.page(items, {"A1": ["tests/test_x.py::test_one"]}, reasons)
    assert "1 of 3 items have tests." in text
    assert "## A. Base (1 of 2)" in text
    assert "| A1 | A CER \\| is answered. | `tests/test_x.py::test_one`<br>later: all of it |" in text
    assert "| A2 | Unknown peer. | **neither test nor reason** |" in text
    assert "| B1 | CCR. | not done: not here |" in text


def test_the_reason_of_a_section_is_for_what_has_no_test():
    items = tool.read_items(LIST)
    reasons = tool.read_reasons("B: {status: no, reason: not here}", items)
    assert tool.shown_by(items[2], {"B1": ["t"]}, reasons) == ["`t`"]


@pytest.mark.parametrize(
    ("reasons", "message"),
    [
        ("Z1: {status: later, reason: x}", "do not exist"),
        ("A1: {status: perhaps, reason: x}", "status is one of"),
    ],
)
def test_wrong_reasons_are_refused(reasons, message):
    with pytest.raises(ValueError, match=message):
        tool.read_reasons(reasons, tool.read_items(LIST))
