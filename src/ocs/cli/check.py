"""`ocs check`: is a configuration right? Reads files only."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json

if TYPE_CHECKING:
    from ocs.config.diagnostics import Diagnostic


class Form(Enum):
    """How problems are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def check(
    folder: Annotated[Path, typer.Argument(help="Configuration folder.")] = Path("config"),
    form: Annotated[Form, typer.Option("--format", help="How problems are printed.")] = Form.TEXT,
    json: Json = False,
) -> None:
    """Check a configuration folder and print every problem as file:line:column.

    Ends with 0 where it can be used (perhaps with warnings), 1 where it cannot, 2 where there is no such folder.
    """
    from ocs.config.load import load

    if not folder.is_dir():
        fail(f"{folder} is not a folder", USAGE)
    settings, diagnostics = load(folder)
    _PRINTERS[Form.JSON if json else form](diagnostics, settings is not None)
    raise typer.Exit(FINE if settings is not None else PROBLEM)


def _print_text(diagnostics: list[Diagnostic], usable: bool) -> None:
    for diagnostic in diagnostics:
        print(diagnostic)
    errors = sum(diagnostic.severity.value == "error" for diagnostic in diagnostics)
    warnings = len(diagnostics) - errors
    found = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}" if diagnostics else "no problems"
    print(f"{'fine' if usable else 'not usable'}: {found}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print_json(diagnostics: list[Diagnostic], usable: bool) -> None:
    import msgspec

    print_json({"usable": usable, "problems": msgspec.to_builtins(diagnostics)})


def _print_github(diagnostics: list[Diagnostic], _usable: bool) -> None:
    for diagnostic in diagnostics:
        parts = (diagnostic.message, f"expected {diagnostic.expected}" if diagnostic.expected else "", diagnostic.hint)
        message = f"{diagnostic.path}: " * bool(diagnostic.path) + ", ".join(part for part in parts if part)
        place = f"file={_property(diagnostic.file)},line={diagnostic.line or 1},col={diagnostic.column or 1}"
        print(f"::{diagnostic.severity.value} {place}::{_escape(message)}")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


_PRINTERS = {Form.TEXT: _print_text, Form.JSON: _print_json, Form.GITHUB: _print_github}
