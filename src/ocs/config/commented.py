"""YAML files as trees that keep comments, blank lines, and how everything was written: what a formatter needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for YAML 1.1, by which the parser counts."""

BLANK: Final = ""
"""Among comments: an empty line."""


@dataclass
class Leaf:
    """A text as it is to be written, quotes included, or an alias."""

    text: str


@dataclass
class Collection:
    """A mapping or a list. tail: comments after its last entry."""

    mapping: bool
    flow: bool
    column: int
    anchor: str = ""
    entries: list[Branch] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    @property
    def commented(self) -> bool:
        """Whether there is a comment anywhere inside."""
        return bool(self.tail) or any(
            any(entry.head)
            or any(entry.after)
            or entry.trail
            or (isinstance(entry.value, Collection) and entry.value.commented)
            for entry in self.entries
        )


@dataclass
class Branch:
    """An entry of a collection. key: as written, "" in a list.

    head: comments above it; trail: one on its line; after: comments right below it, with an empty line after them.
    """

    key: str
    value: Leaf | Collection
    line: int
    head: list[str] = field(default_factory=list)
    trail: str = ""
    after: list[str] = field(default_factory=list)


@dataclass
class Tree:
    """A file. header: comments above all of it. anchors: whether some of it is written once and used twice."""

    header: list[str]
    root: Collection
    anchors: bool


@dataclass
class _Comment:
    line: int
    column: int
    text: str
    own_line: bool


def meaning(node: Leaf | Collection) -> object:
    """What a node says, whatever the order of its keys and the way it is written."""
    if isinstance(node, Leaf):
        return json.loads(node.text) if node.text.startswith('"') else node.text
    if node.mapping:
        return "mapping", sorted((branch.key, repr(meaning(branch.value))) for branch in node.entries)
    return "list", [meaning(branch.value) for branch in node.entries]


def parse(text: str) -> Tree:
    """The tree of a text that is known to be sound YAML; ValueError where it is no mapping, or a key no text."""
    return _Reader(text).tree()


class _Reader:
    """Goes through the parser's events and hands out the comments that stand between them."""

    def __init__(self, text: str) -> None:
        self.lines = _BREAK.split(text)
        self.comments = list(_comments(text, self.lines))
        self.stack: list[Collection] = []
        self.key: Branch | None = None
        self.last: Branch | None = None
        self.last_line = -1
        self.anchors = False
        self.carried: list[str] = []
        self.header: list[str] = []
        self.root: Collection | None = None
        for event in yaml.parse(text, Loader=_LOADER):
            self._take(event)

    def tree(self) -> Tree:
        """What was read; comments after the end belong to the end."""
        assert self.root is not None
        self.root.tail += self._own(self._due(len(self.lines), 0))
        return Tree(self.header, self.root, self.anchors)

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
            return
        if not isinstance(event, yaml.NodeEvent):
            return
        line, column = _position(event.start_mark)
        self.anchors = self.anchors or bool(event.anchor)
        head, self.carried = self.carried + self._own(self._due(line, column)), []
        first_there = not self.lines[line][:column].strip(" -")
        if self.key is None and first_there and self._blank_above(line) and (head or not self._first()):
            head.append(BLANK)
        if self.key is None and not self._first() and head[:1] != [BLANK] and BLANK in head:
            cut = head.index(BLANK)
            self.stack[-1].entries[-1].after, head = head[:cut], head[cut:]
        if isinstance(event, yaml.CollectionStartEvent):
            made: Leaf | Collection = Collection(
                isinstance(event, yaml.MappingStartEvent), bool(event.flow_style), column, event.anchor or ""
            )
        else:
            made = Leaf(_written(event))
        self._place(made, line, head, _position(event.end_mark)[0])
        if isinstance(made, Collection):
            self.stack.append(made)

    def _first(self) -> bool:
        return not self.stack or not self.stack[-1].entries

    def _place(self, made: Leaf | Collection, line: int, head: list[str], end_line: int) -> None:
        """Put a node where it belongs: as a key, as the value of one, or into a list."""
        if not self.stack:
            if not isinstance(made, Collection) or not made.mapping:
                raise ValueError("it is no mapping")
            self.root = made
            # What stands right above the first key speaks of it, unless there is nothing else above it.
            cut = max((index for index, comment in enumerate(head) if comment == BLANK), default=len(head) - 1) + 1
            self.header, self.carried = head[:cut], head[cut:]
            return
        parent = self.stack[-1]
        if parent.mapping and self.key is None:
            if not isinstance(made, Leaf):
                raise ValueError(f"the key in line {line + 1} is no text")
            self.key = Branch(made.text, made, line, head)
            parent.entries.append(self.key)
            self.last, self.last_line = self.key, line
            return
        if parent.mapping:
            assert self.key is not None
            branch = self.key
            branch.value = made
            if isinstance(made, Collection) and not made.flow:
                self.carried = head
            else:
                branch.head += head
            self.key = None
        else:
            branch = Branch("", made, line, head)
            parent.entries.append(branch)
        if isinstance(made, Leaf):
            self.last, self.last_line = branch, end_line

    def _close(self, event: yaml.Event) -> None:
        closed = self.stack.pop()
        line, column = _position(event.end_mark)
        if closed.flow:
            closed.tail += self._own(self._due(line, column))
        else:
            outer = self.stack[-1].column if self.stack else -1
            mine = []
            while self.comments and (self.comments[0].line, self.comments[0].column) < (line, column):
                comment = self.comments[0]
                if comment.own_line and not (comment.column >= closed.column and comment.column > outer):
                    break
                mine.append(self.comments.pop(0))
            closed.tail += self._own(self._trailing(mine))
        if self.stack and closed.flow:
            self.last, self.last_line = self.stack[-1].entries[-1], line

    def _due(self, line: int, column: int) -> list[_Comment]:
        """The comments before a position, but for those that end the line of the entry before it."""
        due = []
        while self.comments and (self.comments[0].line, self.comments[0].column) < (line, column):
            due.append(self.comments.pop(0))
        return self._trailing(due)

    def _trailing(self, comments: list[_Comment]) -> list[_Comment]:
        rest = []
        for comment in comments:
            if not comment.own_line and self.last is not None and self.last_line == comment.line:
                self.last.trail = f"{self.last.trail} {comment.text}".strip()
            else:
                rest.append(comment)
        return rest

    def _own(self, comments: list[_Comment]) -> list[str]:
        found = []
        for comment in comments:
            if self._blank_above(comment.line):
                found.append(BLANK)
            found.append(comment.text)
        return found

    def _blank_above(self, line: int) -> bool:
        return 0 < line <= len(self.lines) and not self.lines[line - 1].strip()


def _comments(text: str, lines: list[str]) -> Iterator[_Comment]:
    """What stands between the tokens and begins with #."""
    end = (0, 0)
    for token in yaml.scan(text, Loader=_LOADER):
        yield from _between(lines, end, _position(token.start_mark))
        end = _position(token.end_mark)
    yield from _between(lines, end, (len(lines), 0))


def _position(mark: Any) -> tuple[int, int]:
    return mark.line, mark.column


def _between(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> Iterator[_Comment]:
    for number in range(begin[0], min(end[0] + 1, len(lines))):
        first = begin[1] if number == begin[0] else 0
        last = end[1] if number == end[0] else len(lines[number])
        at = lines[number].find("#", first, last)
        if at >= 0:
            yield _Comment(number, at, lines[number][at:].rstrip(), not lines[number][:at].strip())


def _written(event: yaml.NodeEvent) -> str:
    """A text as it is to be written: plain where it was, else in double quotes."""
    if isinstance(event, yaml.AliasEvent):
        return f"*{event.anchor}"
    assert isinstance(event, yaml.ScalarEvent)
    anchor = f"&{event.anchor} " if event.anchor else ""
    plain = not event.style and "\n" not in event.value
    return anchor + (event.value if plain else json.dumps(event.value, ensure_ascii=False))
