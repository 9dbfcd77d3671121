"""What is wrong in a configuration: values, gathered over one run, never exceptions."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from typing import Final, NamedTuple

import msgspec

DIAGNOSTICS_MAX: Final = 1_000
"""Problems kept of one run; more than that are one mistake repeated."""

_OPTIONS_COMPARED_MAX: Final = 200


class Severity(Enum):
    """An error keeps the configuration from being used, a warning does not; a note says what may well be meant so."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "notice"


_HEADS: Final = {Severity.ERROR: "", Severity.WARNING: "warning: ", Severity.NOTE: "note: "}


class Place(NamedTuple):
    """A position in a file, lines and columns counted from 1 (0: the file as a whole), and the dotted path there."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Diagnostic(msgspec.Struct, frozen=True):
    """One problem: where it is, what is wrong, what was expected, and what was probably meant.

    file: as the folder was given; line, column: from 1, 0 where the file as a whole is meant.
    path: keys from the top of the file, e.g. "plans.standard.voice.au-mobile.price", "peers[0].from[1]".
    expected, hint: may be "".
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    expected: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """`file:line:column path: what is wrong, expected ..., did you mean ...`."""
        head = str(Place(self.file, self.line, self.column)) + (f" {self.path}" if self.path else "")
        warning = _HEADS[self.severity]
        expected = f"expected {self.expected}" if self.expected else ""
        return f"{head}: {warning}" + ", ".join(part for part in (self.message, expected, self.hint) if part)


class Problems:
    """The diagnostics of one run, in the order in which they were found; each place and message once."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def error(self, place: Place, message: str, expected: str = "", hint: str = "") -> None:
        self._add(Diagnostic(*place, message, expected, hint))

    def warn(self, place: Place, message: str, expected: str = "", hint: str = "") -> None:
        self._add(Diagnostic(*place, message, expected, hint, Severity.WARNING))

    def note(self, place: Place, message: str, expected: str = "", hint: str = "") -> None:
        self._add(Diagnostic(*place, message, expected, hint, Severity.NOTE))

    def _add(self, diagnostic: Diagnostic) -> None:
        if len(self._found) < DIAGNOSTICS_MAX or (diagnostic.severity is Severity.ERROR and not self.fatal):
            self._found.setdefault(diagnostic)

    @property
    def fatal(self) -> bool:
        """Whether there is an error among them."""
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self._found)

    def sorted(self) -> list[Diagnostic]:
        """All of them by file, line and column."""
        return sorted(self._found, key=lambda found: (found.file, found.line, found.column))


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A hint that names the option nearest to `word`, "" where none is near.

    Of very many options only those are compared that stand around the word in the alphabet.
    """
    near = [option for option in options if abs(len(option) - len(word)) <= 3]
    if len(near) > _OPTIONS_COMPARED_MAX:
        near.sort()
        middle = bisect(near, word)
        near = near[max(0, middle - _OPTIONS_COMPARED_MAX // 2) : middle + _OPTIONS_COMPARED_MAX // 2]
    matches = get_close_matches(word, near, n=1, cutoff=0.6)
    return f"did you mean {matches[0]}?" if matches else ""


def one_of(options: Iterable[str]) -> str:
    """The options as a text of what is expected: "a, b or c"."""
    names = list(options)
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
