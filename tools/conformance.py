#!/usr/bin/env python3
"""Write docs/conformance.md: each item of docs/conformance_items.md with its tests, or with the reason why it has none.

Tests name their items in a marker, `@pytest.mark.conformance("A15", "B2")`, on a function or class or as `pytestmark`;
they are found by AST in tests/. Reasons stand in docs/conformance_reasons.yaml: an item or a whole section, with a
`status` (later or no) and a `reason`. `--check` writes nothing and fails where the file is not what would be written.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
ITEMS = ROOT / "docs" / "conformance_items.md"
REASONS = ROOT / "docs" / "conformance_reasons.yaml"
PAGE = ROOT / "docs" / "conformance.md"
TESTS = ROOT / "tests"
NOTHING = "**neither test nor reason**"
STATUSES = {"later": "later", "no": "not done"}

HEAD = """\
# Conformance

What a complete charging front end does, item by item, and the tests that prove it. Written by `make conformance` from
the markers of the tests and from `conformance_reasons.yaml`; not to be edited.

"""


class Item(NamedTuple):
    """One line of the checklist: its id, its text and the heading it stands under."""

    id: str
    text: str
    section: str


class Reason(NamedTuple):
    """Why an item has no test, or not yet."""

    status: str
    reason: str


def read_items(text: str) -> list[Item]:
    """The items in their order: lines `- A15 text` under headings `## A. Title`."""
    items = []
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif found := re.match(r"- ([A-J]\d+) (.+)", line):
            items.append(Item(found[1], found[2], section))
    return items


def read_reasons(text: str, items: list[Item]) -> dict[str, Reason]:
    """Reasons by item, or by letter: one of a letter stands for every item of its section that has nothing else."""
    # Scalars stay strings: YAML takes a plain `no` for false.
    entries = yaml.load(text, yaml.BaseLoader) or {}  # noqa: S506 - it builds strings, lists and dicts, nothing else
    reasons = {name: Reason(**entry) for name, entry in entries.items()}
    known = {item.id for item in items} | {item.id[0] for item in items}
    if unknown := reasons.keys() - known:
        raise ValueError(f"reasons for items that do not exist: {sorted(unknown)}")
    if wrong := {name for name, reason in reasons.items() if reason.status not in STATUSES}:
        raise ValueError(f"status is one of {sorted(STATUSES)}: {sorted(wrong)}")
    return reasons


def marked(tree: ast.AST, place: str) -> Iterator[tuple[str, str]]:
    """(item, test) for every conformance marker in a module, `place` being its path."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in node.targets):
            yield from ((id_, place) for id_ in _ids(node.value))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{place}::{node.name}"
            for decorator in node.decorator_list:
                yield from ((id_, name) for id_ in _ids(decorator))
            if isinstance(node, ast.ClassDef):
                yield from marked(node, name)


def _ids(node: ast.AST) -> Iterator[str]:
    """The strings of the conformance markers anywhere in an expression."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.conformance":
            for argument in call.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise TypeError(f"line {call.lineno}: a conformance id is a string: {ast.unparse(call)}")
                yield argument.value


def read_tests(folder: Path) -> dict[str, list[str]]:
    """The tests of each item, by path and name."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        place = path.relative_to(folder.parent).as_posix()
        for id_, test in marked(ast.parse(path.read_text(encoding="utf-8")), place):
            tests = found.setdefault(id_, [])
            if test not in tests:
                tests.append(test)
    return found


def page(items: list[Item], tests: dict[str, list[str]], reasons: dict[str, Reason]) -> str:
    """The whole page as Markdown."""
    proved = sum(item.id in tests for item in items)
    sections: dict[str, list[Item]] = {}
    for item in items:
        sections.setdefault(item.section, []).append(item)
    parts = [HEAD, f"{proved} of {len(items)} items have tests.\n"]
    for section, members in sections.items():
        count = sum(item.id in tests for item in members)
        rows = [
            f"| {item.id} | {_cell(item.text)} | {'<br>'.join(shown_by(item, tests, reasons)) or NOTHING} |\n"
            for item in members
        ]
        parts += [
            f"\n## {section} ({count} of {len(members)})\n\n",
            "| id | item | shown by |\n| --- | --- | --- |\n",
            *rows,
        ]
    return "".join(parts)


def shown_by(item: Item, tests: dict[str, list[str]], reasons: dict[str, Reason]) -> list[str]:
    """The tests of an item and its own reason, which says what is left; or the reason of its section; or nothing."""
    shown = [f"`{test}`" for test in tests.get(item.id, [])]
    if reason := reasons.get(item.id) or (None if shown else reasons.get(item.id[0])):
        shown.append(f"{STATUSES[reason.status]}: {_cell(reason.reason)}")
    return shown


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write or check the page; 1 where it is stale or a marker names no item."""
    items = read_items(ITEMS.read_text(encoding="utf-8"))
    tests = read_tests(TESTS)
    if unknown := tests.keys() - {item.id for item in items}:
        print(f"markers for items that do not exist: {sorted(unknown)}", file=sys.stderr)
        return 1
    text = page(items, tests, read_reasons(REASONS.read_text(encoding="utf-8"), items))
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.relative_to(ROOT)} is stale: make conformance", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
