"""What subcommands print: JSON for scripts, tables for people; errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import typer

FINE, PROBLEM, USAGE = 0, 1, 2


def print_json(content: object) -> None:
    """`content` as indented JSON."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table of `rows`; `empty` is said where there are none. Columns named ">x" are aligned to the right."""
    made = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if not made:
        print(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    for row in made:
        table.add_row(*row)
    # A pipe has no width: nothing is cut off there.
    width = None if sys.stdout.isatty() else 1_000
    Console(width=width, highlight=False, markup=False, soft_wrap=False).print(table)


def printable(text: str) -> str:
    """The text with control characters spelled out: clients choose names, and a terminal obeys them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on stderr and end with `code`."""
    print(f"ocs: {message}", file=sys.stderr)
    raise typer.Exit(code)


def amount_text(value: Any, unit: str) -> str:
    """An amount as the API gives it, for people: 3600000000000 ns -> "1 h", "9.99" AUD -> "9.99 AUD"."""
    from ocs.rating.units import Measure
    from ocs.units import format_measured

    measures = {measure.value: measure for measure in Measure}
    return format_measured(int(value), measures[unit]) if unit in measures else f"{value} {unit}"
