"""CSV decks: many prices of one service plan, read as a stream.

    prefix,destination,price,increment,connect_fee
    4930,germany-berlin,0.10 AUD/min,60s,

The first line names the columns: prefix, destination (a name for CDRs; the prefix where there is none), and the options
of a rate. A cell says what the option says in YAML; an empty one, that it is not given. Equal rates are one object, so
that 200,000 rows cost little more than their prefixes.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ocs.config.diagnostics import Place, Problems, did_you_mean, one_of
from ocs.config.document import Node, Pairs, Scalar
from ocs.config.rate_file import RATE, ROUNDING, RawRate
from ocs.config.rate_table import Source, TableBuilder
from ocs.config.values import PREFIX
from ocs.rating.destinations import ANY
from ocs.rating.tariff import Window
from ocs.units import MalformedError

DECK_OCTETS_MAX: Final = 256 * 1_048_576
DECK_ERRORS_MAX: Final = 100
"""Errors reported of one deck; more are one mistake repeated."""

Progress = Callable[[str, int, int], None]
"""Called now and then with a file, octets read, octets in all."""

_ROUNDING: Final = {f"rounding_{name}": name for name in ROUNDING.fields}
_OPTIONS: Final = (*(name for name in RATE.fields if name not in ("rounding", "tiers")), *_ROUNDING)
COLUMNS: Final = ("prefix", "destination", *_OPTIONS)
_DELIMITERS: Final = ",;\t"
_ROWS_PER_PROGRESS: Final = 4_096

Make = Callable[[RawRate], Window | None]
"""Makes the window of a rate, for no destination yet, or reports what is wrong with it."""


class _Unreadable(Exception):
    """Ends the reading of a deck; args: place, message, hint."""


class _Lines:
    """The decoded lines of a file, the one handed out last, and how much was read."""

    def __init__(self, path: Path, file: str) -> None:
        self._path = path
        self.file = file
        self.number = 0
        self.last = ""
        self.octets = 0

    def __iter__(self) -> Iterator[str]:
        with self._path.open("rb") as stream:
            for octets in stream:
                self.number += 1
                self.octets += len(octets)
                if self.octets > DECK_OCTETS_MAX:
                    raise _Unreadable(self.place(), f"is larger than {DECK_OCTETS_MAX // 1_048_576} MiB", "split it")
                try:
                    self.last = octets.decode("utf-8-sig" if self.number == 1 else "utf-8")
                except UnicodeDecodeError as problem:
                    place = self.place()._replace(column=problem.start + 1)
                    raise _Unreadable(place, "is not UTF-8 text", "save the file as UTF-8") from None
                yield self.last

    def place(self) -> Place:
        """Where the last line stands."""
        return Place(self.file, max(1, self.number), 1)

    def cell(self, index: int, delimiter: str) -> int:
        """The column in which a cell of the last line begins."""
        quoted, seen = False, 0
        for column, character in enumerate(self.last, 1):
            if not quoted and seen == index and character != " ":
                return column
            if character == '"':
                quoted = not quoted
            elif character == delimiter and not quoted:
                seen += 1
        return len(self.last.rstrip("\r\n")) + 1


class _Header(NamedTuple):
    """Which column is which: (name, index) of the options, index of prefix and destination."""

    delimiter: str
    width: int
    prefix: int
    destination: int | None
    options: tuple[tuple[str, int], ...]


def read_deck(
    path: Path, builder: TableBuilder, make: Make, progress: Progress | None, problems: Problems
) -> Iterator[tuple[str, Source]]:
    """Claim the prefixes of a deck; gives each with its place, for the checks of whoever knows the numbering."""
    lines = _Lines(path, str(path))
    try:
        total = path.stat().st_size
        yield from _Rows(lines, builder, make, problems).read(
            (lambda: progress(lines.file, lines.octets, total)) if progress else (lambda: None)
        )
    except _Unreadable as problem:
        place, message, hint = problem.args
        problems.error(place, message, hint=hint)
    except OSError as problem:
        problems.error(Place(str(path)), f"cannot be read: {(problem.strerror or str(problem)).lower()}")
    except csv.Error as problem:
        problems.error(lines.place(), f"is not CSV: {problem}", hint="look at the quotes")


class _Rows:
    """The rows of one deck."""

    def __init__(self, lines: _Lines, builder: TableBuilder, make: Make, problems: Problems) -> None:
        self.lines = lines
        self.builder = builder
        self.make = make
        self.problems = problems
        self.errors = 0
        self._rates: dict[tuple[str, ...], Window] = {}
        self._windows: dict[tuple[str, tuple[str, ...]], Window] = {}

    def read(self, progress: Callable[[], None]) -> Iterator[tuple[str, Source]]:
        """Row after row; a line that begins with # is a comment."""
        text = iter(self.lines)
        first = next((line for line in text if _counts(line)), None)
        if first is None:
            raise _Unreadable(Place(self.lines.file), "is empty", "")
        header = self._header(first)
        if header is None:
            return
        rows = csv.reader(filter(_counts, text), delimiter=header.delimiter, strict=True)
        for number, row in enumerate(rows, 1):
            if rows.line_num != number:
                raise _Unreadable(self.lines.place(), "a cell goes over several lines", "a quote is not closed")
            found = self._row(row, header)
            if found is not None:
                yield found
            if number % _ROWS_PER_PROGRESS == 0:
                progress()
            if self.errors >= DECK_ERRORS_MAX:
                raise _Unreadable(self.lines.place(), f"{self.errors} errors: the rest is not looked at", "")
        progress()

    def _header(self, line: str) -> _Header | None:
        delimiter = max(_DELIMITERS, key=line.count)
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
        place = self.lines.place()
        sound = True
        for index, name in enumerate(names):
            at = place._replace(column=self.lines.cell(index, delimiter))
            if name not in COLUMNS:
                hint = did_you_mean(name.lower(), COLUMNS)
                self.problems.error(at, f'"{name}" is no column', f"one of {one_of(COLUMNS)}", hint)
                sound = False
            elif name in names[:index]:
                self.problems.error(at, f'the column "{name}" is there twice')
                sound = False
        if "prefix" not in names:
            self.problems.error(place, 'there is no column "prefix"', "the names of the columns in the first line")
            sound = False
        if not sound:
            return None
        options = tuple((name, index) for index, name in enumerate(names) if name in _OPTIONS)
        destination = names.index("destination") if "destination" in names else None
        return _Header(delimiter, len(names), names.index("prefix"), destination, options)

    def _row(self, row: Sequence[str], header: _Header) -> tuple[str, Source] | None:
        if len(row) > header.width:
            self._error(self.lines.place(), f"has {len(row)} cells", f"{header.width} as the first line")
            return None
        row = [*row, *[""] * (header.width - len(row))] if len(row) < header.width else row
        prefix = self._prefix(row[header.prefix].strip(), header)
        if prefix is None:
            return None
        label = row[header.destination].strip() if header.destination is not None else ""
        label = label or prefix or ANY
        cells = tuple([row[index] for _, index in header.options])
        window = self._windows.get((label, cells))
        if window is None:
            rate = self._rates.get(cells) or self._rate(cells, header)
            if rate is None:
                return None
            self._rates[cells] = rate
            window = self._windows[label, cells] = Window(label, rate.rate, rate.timing, rate.weight)
        place = self.lines.place()
        source = Source(place, place)
        self.builder.claim(prefix, window, source)
        return prefix, source

    def _prefix(self, text: str, header: _Header) -> str | None:
        if text == ANY:
            return ""
        if text.isdigit() and text.isascii() and len(text) <= 15:
            return text
        try:
            return PREFIX.parse(text)
        except MalformedError as problem:
            column = self.lines.cell(header.prefix, header.delimiter)
            place = self.lines.place()._replace(column=column, path="prefix")
            self._error(place, problem.message, problem.expected or PREFIX.expected, problem.hint)
            return None

    def _error(self, place: Place, message: str, expected: str, hint: str = "") -> None:
        self.errors += 1
        self.problems.error(place, message, expected, hint)

    def _rate(self, cells: tuple[str, ...], header: _Header) -> Window | None:
        """The window of a row, for no destination: its cells read as the same options in YAML would be."""
        place = self.lines.place()
        given: dict[str, Scalar] = {}
        for (name, index), text in zip(header.options, cells, strict=True):
            if text.strip():
                given[name] = Scalar(place.line, self.lines.cell(index, header.delimiter), text.strip())
        pairs: list[tuple[Node, Node]] = [
            (_key(name, cell), cell) for name, cell in given.items() if name not in _ROUNDING
        ]
        rounding = {_ROUNDING[name]: cell for name, cell in given.items() if name in _ROUNDING}
        if rounding:
            first = next(iter(rounding.values()))
            inner = tuple((_key(name, cell), cell) for name, cell in rounding.items())
            pairs.append((_key("rounding", first), Pairs(first.line, first.column, inner)))
        raw = RATE.read(Pairs(place.line, place.column, tuple(pairs)), place, self.problems)
        window = self.make(raw) if raw is not None else None
        self.errors += window is None
        return window


def _key(name: str, cell: Scalar) -> Scalar:
    return Scalar(cell.line, cell.column, name)


def _counts(line: str) -> bool:
    return not (line.startswith("#") or line.isspace())
