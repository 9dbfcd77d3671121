"""A folder of CSV files in the columns of CGRateS, read line by line; what they mean is the matter of `cgrates_rows`.

A file is named after its table ("Rates.csv"); lines that begin with # are comments, its columns stand in a
fixed order. Every cell keeps its place, so that what is wrong in it can be said as file:line:column.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ocs.config.diagnostics import Place, Problems, did_you_mean

SUFFIX: Final = ".csv"

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "destinations": ("id", "prefix"),
    "timings": ("id", "years", "months", "month_days", "week_days", "time"),
    "rates": ("id", "connect_fee", "rate", "rate_unit", "rate_increment", "group_interval_start"),
    "destination_rates": (
        "id",
        "destination_id",
        "rates_id",
        "rounding_method",
        "rounding_decimals",
        "max_cost",
        "max_cost_strategy",
    ),
    "rating_plans": ("id", "destination_rates_id", "timing_id", "weight"),
    "rating_profiles": ("tenant", "category", "subject", "activation_time", "rating_plan_id", "fallback_subjects"),
    "shared_groups": ("id", "account", "strategy", "rating_subject"),
    "actions": (
        "id",
        "action",
        "extra_parameters",
        "filter",
        "balance_id",
        "balance_type",
        "categories",
        "destination_ids",
        "rating_subject",
        "shared_group",
        "expiry_time",
        "timing_ids",
        "units",
        "balance_weight",
        "balance_blocker",
        "balance_disabled",
        "weight",
    ),
    "action_plans": ("id", "actions_id", "timing_id", "weight"),
    "account_actions": ("tenant", "account", "action_plan_id", "action_triggers_id", "allow_negative", "disabled"),
}
"""The tables that are imported, and the columns of each."""

FILES: Final = {f"{''.join(word.capitalize() for word in table.split('_'))}{SUFFIX}": table for table in COLUMNS}
"""File name -> table: "DestinationRates.csv" -> "destination_rates"."""


class Row(msgspec.Struct, frozen=True):
    """One line of a table: its cells by column, without blanks around them, and where each begins."""

    cells: Mapping[str, str]
    place: Place
    starts: Sequence[int] = ()

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def at(self, column: str) -> Place:
        """Where a cell begins."""
        names = list(self.cells)
        index = names.index(column) if column in names else len(names)
        start = self.starts[index] if index < len(self.starts) else 1
        return self.place._replace(column=start, path=column)


Tables = Mapping[str, Sequence[Row]]
"""Table -> rows, those of files that are not there missing."""


class Folder(NamedTuple):
    """What a folder has: rows by table, and lines by file that are not imported."""

    tables: Tables
    not_imported: Mapping[str, int]


def read_folder(folder: Path, problems: Problems) -> Folder:
    """Read all files of a folder. Nothing that stands in it makes this raise."""
    tables: dict[str, Sequence[Row]] = {}
    not_imported: dict[str, int] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except OSError as problem:
        problems.error(Place(str(folder)), f"cannot be read: {(problem.strerror or str(problem)).lower()}")
        return Folder({}, {})
    if not any(path.name in FILES for path in paths):
        problems.error(Place(str(folder)), "has no file that is imported", f"files such as {next(iter(FILES))}")
    for path in paths:
        table = FILES.get(path.name)
        if table is None:
            hint = did_you_mean(path.name, FILES)
            if hint:
                problems.warn(Place(str(path)), "is not imported", hint=hint)
            not_imported[path.name] = sum(1 for _ in _lines(path, problems))
        else:
            tables[table] = list(_rows(path, COLUMNS[table], problems))
    return Folder(tables, not_imported)


def rows_of(table: str, lines: Iterable[Mapping[str, str]], file: str) -> list[Row]:
    """Rows of a table that were not read from a file, numbered from 1."""
    return [
        Row({column: line.get(column, "") for column in COLUMNS[table]}, Place(file, number, 1))
        for number, line in enumerate(lines, 1)
    ]


def _rows(path: Path, columns: Sequence[str], problems: Problems) -> Iterator[Row]:
    for number, text, cells in _lines(path, problems):
        place = Place(str(path), number, 1)
        if len(cells) != len(columns):
            expected = f"{len(columns)}: {', '.join(columns)}"
            problems.error(place, f"the line has {len(cells)} columns", expected)
            continue
        yield Row(dict(zip(columns, (cell.strip() for cell in cells), strict=True)), place, _starts(text))


def _lines(path: Path, problems: Problems) -> Iterator[tuple[int, str, list[str]]]:
    """(line, its text, its cells) of the lines that are neither empty nor comments."""
    try:
        texts = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        problems.error(Place(str(path)), "is not UTF-8 text", hint="save the file as UTF-8")
        return
    except OSError as problem:
        problems.error(Place(str(path)), f"cannot be read: {(problem.strerror or str(problem)).lower()}")
        return
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip() and not text.startswith("#")]
    taken = 0

    def feed() -> Iterator[str]:
        nonlocal taken
        for _, text in numbered:
            taken += 1
            yield text + "\n"

    reader = csv.reader(feed(), strict=True)
    while True:
        first = taken
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            problems.error(Place(str(path), numbered[first][0], 1), f"is not CSV: {problem}")
            return
        yield *numbered[first], cells


def _starts(text: str) -> list[int]:
    """The columns, from 1, at which the cells of a line begin."""
    starts = [1]
    quoted = False
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            starts.append(index + 2)
    return starts
