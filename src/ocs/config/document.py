"""YAML files as trees of nodes with positions; every scalar stays the string that was written.

YAML 1.1 would read 20:00 as 1200, 044 as 36 and NO as false: in a tariff each of them is a wrong bill. So nothing is
resolved here, and the schema decides what a string means. What a file can do to its reader is bounded: its size, its
depth, and the number of its nodes after aliases are followed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
import yaml

from ocs.config.diagnostics import Place, Problems

FILE_OCTETS_MAX: Final = 16 * 1_048_576
NODES_MAX: Final = 1_000_000
"""Nodes of one file, those behind an alias counted each time."""
DEPTH_MAX: Final = 32

_TAG_HINT: Final = 'remove it, or put quotes around a text that begins with !, such as "!au-mobile"'
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Scalar(msgspec.Struct, frozen=True):
    """A text; `quoted` tells `""` from nothing at all."""

    line: int
    column: int
    text: str
    quoted: bool = False


class Items(msgspec.Struct, frozen=True):
    """A list."""

    line: int
    column: int
    items: tuple[Node, ...]


class Pairs(msgspec.Struct, frozen=True):
    """A mapping as written: in order, duplicate keys included."""

    line: int
    column: int
    pairs: tuple[tuple[Node, Node], ...]


Node = Scalar | Items | Pairs


class _YamlError(Exception):
    """Ends the reading of one file; args: line, column, message, hint."""


def read(path: Path, problems: Problems) -> Node | None:
    """The tree of a file, or None and the reason among `problems`. Never raises on what is in the file."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            octets = stream.read(FILE_OCTETS_MAX + 1)
    except OSError as problem:
        problems.error(Place(file), f"cannot be read: {(problem.strerror or str(problem)).lower()}")
        return None
    if len(octets) > FILE_OCTETS_MAX:
        problems.error(Place(file), f"is larger than {FILE_OCTETS_MAX // 1_048_576} MiB", hint="split it")
        return None
    try:
        return _Tree(_decode(octets)).root
    except _YamlError as problem:
        line, column, message, hint = problem.args
        problems.error(Place(file, line, column), message, hint=hint)
        return None


def _decode(octets: bytes) -> str:
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line, column = _position(octets[: problem.start].decode("utf-8-sig"))
        raise _YamlError(line, column, "is not UTF-8 text", "save the file as UTF-8") from None
    found = _UNPRINTABLE.search(text)
    if found:
        line, column = _position(text[: found.start()])
        raise _YamlError(line, column, f"has a control character (U+{ord(found[0]):04X})", "remove it")
    return text


def _position(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _start(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Open:
    """A list or mapping whose end has not come yet."""

    def __init__(self, event: yaml.events.CollectionStartEvent) -> None:
        self.mapping = isinstance(event, yaml.MappingStartEvent)
        self.anchor = event.anchor
        self.line, self.column = _start(event)
        self.children: list[Node] = []
        self.size = 1

    def close(self) -> Node:
        if not self.mapping:
            return Items(self.line, self.column, tuple(self.children))
        keys, values = self.children[::2], self.children[1::2]
        return Pairs(self.line, self.column, tuple(zip(keys, values, strict=True)))


class _Tree:
    """Builds the nodes from the parser's events, without recursion; sizes count what aliases multiply."""

    def __init__(self, text: str) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0
        self._root: Node | None = None
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event)
        except yaml.MarkedYAMLError as problem:
            raise _syntax_error(problem, text) from None
        except yaml.YAMLError as problem:
            raise _YamlError(1, 1, f"is not YAML: {problem}", "") from None

    @property
    def root(self) -> Node:
        root = self._root
        if root is None or (isinstance(root, Scalar) and not root.text):
            raise _YamlError(0, 0, "is empty", "")
        return root

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            opened = self._stack.pop()
            self._done(opened.close(), opened.size, opened.anchor)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _YamlError(*_start(event), "a second document begins here", "remove the ---")

    def _node(self, event: yaml.NodeEvent) -> None:
        line, column = _start(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                hint = f'write "*{event.anchor}" in quotes where a text is meant'
                raise _YamlError(line, column, f"*{event.anchor} refers to no anchor above it", hint)
            self._done(*self._anchors[event.anchor], None)
            return
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None:
            raise _YamlError(line, column, f'has the tag "{event.tag}"; tags are not used here', _TAG_HINT)
        if isinstance(event, yaml.ScalarEvent):
            quoted = event.style is not None and event.style != ""
            self._done(Scalar(line, column, event.value, quoted), 1, event.anchor)
        else:
            if len(self._stack) >= DEPTH_MAX:
                raise _YamlError(line, column, f"is nested deeper than {DEPTH_MAX} levels", "")
            self._stack.append(_Open(event))

    def _done(self, node: Node, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.children.append(node)
        parent.size += size
        if parent.size > NODES_MAX:
            raise _YamlError(node.line, node.column, f"has more than {NODES_MAX} values, aliases followed", "")


def _syntax_error(problem: yaml.MarkedYAMLError, text: str) -> _YamlError:
    mark = problem.problem_mark or problem.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    words = " ".join(part for part in (problem.context, problem.problem) if part)
    lines = text.split("\n")
    if line > len(lines):
        line, column = len(lines), len(lines[-1]) + 1
    written = lines[line - 1]
    hint = ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        column = written.index("\t") + 1
        hint = "indent with spaces, not with tabs"
    elif "found unexpected end of stream" in words:
        hint = "a quote is not closed"
    elif "mapping values are not allowed" in words:
        hint = "look at the indentation, and put quotes around a text with a colon in it"
    elif "scanning a tag" in words:
        hint = _TAG_HINT
    elif "cannot start any token" in words or "alias" in words or "expected node content" in words:
        hint = "put quotes around a text that begins with a special character"
    return _YamlError(line, column, f"is not YAML: {words}", hint)
