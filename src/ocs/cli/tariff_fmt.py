"""`ocs tariff fmt`: one way to write tariff files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json

if TYPE_CHECKING:
    from ocs.config.diagnostics import Diagnostic


def fmt(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files, or configuration folders, whose tariffs are meant.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say which files are not formatted.")] = False,
    json: Json = False,
) -> None:
    """Format tariff files in place: keys in the order of the manual, two blanks of indentation; comments are kept.

    A file named server.yaml or subscribers.yaml is formatted as what it is. Ends with 0 where all is fine, 1 where a
    file cannot be read or, with --check, is not formatted; 2 where there is no such file.
    """
    results = [_format(file, check=check) for path in paths or [Path("config")] for file in _files(path)]
    if json:
        print_json({"files": results})
    else:
        for result in results:
            for problem in result["problems"]:
                print(problem)
            if result["changed"]:
                print(f"{'not formatted' if check else 'formatted'}: {result['file']}")
        if not any(result["changed"] or result["problems"] for result in results):
            print(f"fine: {len(results)} file{'s' if len(results) != 1 else ''}")
    bad = any(result["problems"] or (check and result["changed"]) for result in results)
    raise typer.Exit(PROBLEM if bad else FINE)


def _files(path: Path) -> list[Path]:
    """The file, or the tariff files of a configuration folder."""
    if path.is_file():
        return [path]
    folder = path / "tariffs" if (path / "tariffs").is_dir() else path
    files = sorted(file for file in folder.glob("*.yaml") if not file.name.startswith(".")) if folder.is_dir() else []
    if not files:
        fail(f"there is no tariff file in {path}", USAGE)
    return files


def _format(file: Path, *, check: bool) -> dict[str, Any]:
    from ocs.config.diagnostics import Problems
    from ocs.config.document import read
    from ocs.config.formatting import formatted
    from ocs.config.load import schema_of

    problems = Problems()
    changed = False
    if read(file, problems) is not None:
        text = file.read_bytes().decode("utf-8-sig")
        try:
            made = formatted(text, schema_of(file.name))
            changed = made != text
        except ValueError as problem:
            return {"file": str(file), "changed": False, "problems": [f"{file}: {problem}"]}
        if changed and not check:
            _replace(file, made)
    return {"file": str(file), "changed": changed, "problems": _said(problems.sorted())}


def _said(diagnostics: list[Diagnostic]) -> list[str]:
    return [str(diagnostic) for diagnostic in diagnostics]


def _replace(file: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    made = file.with_name(f".{file.name}.new")
    made.write_bytes(text.encode())
    made.chmod(file.stat().st_mode)
    made.replace(file)
