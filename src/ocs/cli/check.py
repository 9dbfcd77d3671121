"""`ocs check`: is a configuration right? Reads files only."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json
from ocs.cli.progress import reading

if TYPE_CHECKING:
    from ocs.config.diagnostics import Diagnostic
    from ocs.config.tariff_tests import Tried


class Form(Enum):
    """How problems are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def check(
    folder: Annotated[Path, typer.Argument(help="Configuration folder.")] = Path("config"),
    form: Annotated[Form, typer.Option("--format", help="How problems are printed.")] = Form.TEXT,
    tests: Annotated[bool, typer.Option("--tests/--no-tests", help="Run the tests of the tariff files.")] = True,
    json: Json = False,
) -> None:
    """Check a configuration folder and print every problem as file:line:column; then run the tests of its tariff.

    Ends with 0 where it can be used (perhaps with warnings) and its tests pass, 1 where not, 2 where there is no such
    folder.
    """
    from ocs.config.load import load
    from ocs.config.tariff_tests import run_tests

    if not folder.is_dir():
        fail(f"{folder} is not a folder", USAGE)
    with reading() as progress:
        settings, diagnostics = load(folder, progress)
    tried = run_tests(settings) if settings is not None and tests else []
    _PRINTERS[Form.JSON if json else form](diagnostics, settings is not None, tried)
    fine = settings is not None and not any(test.failures for test in tried)
    raise typer.Exit(FINE if fine else PROBLEM)


def _print_text(diagnostics: list[Diagnostic], usable: bool, tried: list[Tried]) -> None:
    from ocs.api.explain_text import lines

    for diagnostic in diagnostics:
        print(diagnostic)
    for test in tried:
        for failure in test.failures:
            print(failure)
        if test.failures and test.explained is not None:
            print(f"  why, in the test {test.name}:" if test.name else "  why:")
            told = lines(test.explained)
            width = max(len(step) for step, _ in told)
            for step, text in told:
                print(f"    {step:<{width}}  {text}")
    of = Counter(diagnostic.severity.value for diagnostic in diagnostics)
    found = f"{of['error']} errors, {of['warning']} warnings" if of else "no problems"
    found += f", {of['notice']} notes" if of["notice"] else ""
    failed = any(test.failures for test in tried)
    print(f"{('failed' if failed else 'fine') if usable else 'not usable'}: {found}{_counted(tried)}")


def _counted(tried: list[Tried]) -> str:
    if not tried:
        return ""
    failed = sum(bool(test.failures) for test in tried)
    tests = f"{len(tried)} test{'s' if len(tried) > 1 else ''}"
    return f"; {failed} of {tests} failed" if failed else f"; {tests} passed"


def _print_json(diagnostics: list[Diagnostic], usable: bool, tried: list[Tried]) -> None:
    import msgspec

    from ocs.api.explain_view import explanation_view

    failed = [
        {
            "name": test.name,
            "file": test.place.file,
            "line": test.place.line,
            "column": test.place.column,
            "failures": msgspec.to_builtins(test.failures),
            "explanation": None if test.explained is None else explanation_view(test.explained),
        }
        for test in tried
        if test.failures
    ]
    ran = {"run": len(tried), "passed": len(tried) - len(failed), "failed": failed}
    print_json({"usable": usable, "problems": msgspec.to_builtins(diagnostics), "tests": ran})


def _print_github(diagnostics: list[Diagnostic], _usable: bool, tried: list[Tried]) -> None:
    for diagnostic in (*diagnostics, *[failure for test in tried for failure in test.failures]):
        parts = (diagnostic.message, f"expected {diagnostic.expected}" if diagnostic.expected else "", diagnostic.hint)
        message = f"{diagnostic.path}: " * bool(diagnostic.path) + ", ".join(part for part in parts if part)
        place = f"file={_property(diagnostic.file)},line={diagnostic.line or 1},col={diagnostic.column or 1}"
        print(f"::{diagnostic.severity.value} {place}::{_escape(message)}")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


_PRINTERS = {Form.TEXT: _print_text, Form.JSON: _print_json, Form.GITHUB: _print_github}
