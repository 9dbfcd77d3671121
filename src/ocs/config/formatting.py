"""One way to write a configuration file: the order of the tables of keys, two blanks of indentation, comments kept.

What a file means is never touched: a text stays plain or quoted as it was, so that 20:00, 044 and NO stay the texts
they are, and what was written in braces stays in braces where it fits into a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from ocs.config.commented import BLANK, Branch, Collection, Leaf, meaning, parse
from ocs.config.schema import At, ListOf, MapOf, Opaque, Record, Schema

WIDTH_MAX: Final = 118
INDENT: Final = 2


def formatted(text: str, schema: Schema[Any]) -> str:
    """The text of a sound file, formatted. Formatting what is formatted changes nothing.

    ValueError: it cannot be formatted without changing what it means.
    """
    tree = parse(text)
    before = meaning(tree.root)
    if not tree.anchors:
        _arrange(tree.root, schema)
    lines = list(_squeezed([*_comments(tree.header, 0), *_block(tree.root, 0)]))
    made = "".join(line.rstrip() + "\n" for line in _aligned(lines))
    if meaning(parse(made).root) != before:
        raise ValueError("formatting would change what it means")
    return made


class _Line(NamedTuple):
    """A line, the comment at its end, and where it begins; -1 for comments."""

    text: str
    trail: str = ""
    column: int = -1


# --- order -----------------------------------------------------------------------------------------------------------


def _arrange(node: Leaf | Collection, schema: Schema[Any] | None) -> None:
    """Put the keys of records into the order of their table; ids stay in the order in which they are written."""
    while isinstance(schema, At | Opaque) or (isinstance(schema, ListOf) and _is_one(node)):
        schema = schema.inner if isinstance(schema, At) else schema.by if isinstance(schema, Opaque) else schema.item
    if not isinstance(node, Collection):
        return
    if isinstance(schema, Record):
        order = {name: index for index, name in enumerate(schema.fields)}
        node.entries.sort(key=lambda branch: order.get(_bare(branch.key), len(order)))
    for branch in node.entries:
        _arrange(branch.value, _inner(schema, branch.key))


def _is_one(node: Leaf | Collection) -> bool:
    return isinstance(node, Collection) and node.mapping


def _inner(schema: Schema[Any] | None, key: str) -> Schema[Any] | None:
    """The schema of what stands under a key, or in a list."""
    if isinstance(schema, MapOf):
        return schema.value
    if isinstance(schema, ListOf):
        return schema.item
    if isinstance(schema, Record):
        field = schema.fields.get(_bare(key))
        if field is not None:
            return field.schema
        return schema.rest[1].value if schema.rest else None
    return None


def _bare(key: str) -> str:
    return key[1:-1] if key.startswith('"') else key


# --- lines -----------------------------------------------------------------------------------------------------------


def _block(collection: Collection, column: int) -> Iterator[_Line]:
    """The lines of a collection, one entry after the other."""
    width = _key_width(collection, column)
    for branch in collection.entries:
        yield from _comments(branch.head, column)
        if collection.mapping:
            yield from _entry(branch, column, width)
        else:
            yield from _item(branch, column)
        yield from _comments(branch.after, column)
    yield from _comments(collection.tail, column)


def _entry(branch: Branch, column: int, width: int) -> Iterator[_Line]:
    lead = " " * column + branch.key + ":"
    inline = _inline(branch.value)
    if inline is not None and _fits(branch.value, len(lead) + 1 + len(inline)):
        yield _Line(f"{lead:<{column + width + 1}} {inline}".rstrip(), branch.trail, column)
        return
    assert isinstance(branch.value, Collection)
    yield _Line(lead + (f" &{branch.value.anchor}" if branch.value.anchor else ""), branch.trail, column)
    yield from _block(branch.value, column + INDENT)


def _item(branch: Branch, column: int) -> Iterator[_Line]:
    inline = _inline(branch.value)
    if inline is not None and _fits(branch.value, column + INDENT + len(inline)):
        yield _Line(f"{' ' * column}- {inline}".rstrip(), branch.trail, column)
        return
    assert isinstance(branch.value, Collection)
    inner = branch.value
    if inner.anchor or branch.trail:
        yield _Line(f"{' ' * column}-" + (f" &{inner.anchor}" if inner.anchor else ""), branch.trail, column)
        yield from _block(inner, column + INDENT)
        return
    yield from _comments(inner.entries[0].head, column)
    inner.entries[0].head = []
    lines = _block(inner, column + INDENT)
    first = next(lines)
    yield first._replace(text=" " * column + "- " + first.text[column + INDENT :])
    yield from lines


def _comments(comments: Iterable[str], column: int) -> Iterator[_Line]:
    for comment in comments:
        yield _Line(" " * column + comment if comment else BLANK)


def _squeezed(lines: Iterable[_Line]) -> Iterator[_Line]:
    """At most one empty line in a row, none at the ends and none where a block begins."""
    empty, before = True, ""
    for line in lines:
        if line.text:
            if empty and before and not before.endswith(":"):
                yield _Line(BLANK)
            yield line
            before, empty = line.text, False
        else:
            empty = True


def _aligned(lines: Sequence[_Line]) -> Iterator[str]:
    """The comments at the ends of lines that stand below each other begin in one column."""
    for _, group in groupby(lines, key=lambda line: line.column):
        run = list(group)
        width = max((len(line.text) for line in run if line.trail), default=0)
        for line in run:
            yield f"{line.text:<{width}}  {line.trail}" if line.trail else line.text


# --- one line --------------------------------------------------------------------------------------------------------


def _inline(node: Leaf | Collection) -> str | None:
    """A node in one line; None where it is a block, or has comments inside."""
    if isinstance(node, Leaf):
        return node.text
    if (not node.flow and node.entries) or node.commented:
        return None
    parts = []
    for branch in node.entries:
        inner = _inline(branch.value)
        if inner is None:
            return None
        parts.append(f"{branch.key}: {inner}" if node.mapping else inner)
    anchor = f"&{node.anchor} " if node.anchor else ""
    return anchor + ("{%s}" if node.mapping else "[%s]") % ", ".join(parts)


def _fits(node: Leaf | Collection, width: int) -> bool:
    return isinstance(node, Leaf) or not node.entries or width <= WIDTH_MAX


def _key_width(collection: Collection, column: int) -> int:
    """The width that keys are filled up to, so that records below each other form a table; 0 where they do not."""
    if not collection.mapping or len(collection.entries) < 2:
        return 0
    width = max(len(branch.key) + 1 for branch in collection.entries)
    for branch in collection.entries:
        if not isinstance(branch.value, Collection) or not branch.value.mapping:
            return 0
        inline = _inline(branch.value)
        if inline is None or not _fits(branch.value, column + width + 1 + len(inline)):
            return 0
    return width - 1
