"""The schema language: small parsers that are put together to tables (field name -> parser).

A schema reads a node into a typed value and reports everything that is wrong on the way; None stands for a value that
could not be read (its problem is reported). The same tables describe themselves as JSON schema.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ocs.config.diagnostics import Place, Problems, did_you_mean, one_of
from ocs.config.document import Items, Node, Pairs, Scalar
from ocs.units import MalformedError

T = TypeVar("T")

JsonSchema = dict[str, Any]

_NODE_NAMES = {Scalar: "a text", Items: "a list", Pairs: "a mapping"}


MAPPING = "a mapping (key: value)"


class Located(NamedTuple, Generic[T]):
    """A value and where it stands."""

    value: T
    place: Place


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a `Record` makes for later checks: where it stands, and where each of its given fields stands."""

    place: Place
    given: Mapping[str, Place]

    def at(self, field: str) -> Place:
        """Where a field stands, or else the record."""
        return self.given.get(field, self.place)


class Schema(Generic[T]):
    """Reads one node. `expected` says in words what is right."""

    expected: str = ""

    @abstractmethod
    def read(self, node: Node, place: Place, problems: Problems) -> T | None:
        """The value, or None where it cannot be read."""

    @abstractmethod
    def json(self) -> JsonSchema:
        """The same as JSON schema."""


class Text(Schema[T]):
    """A scalar that `parse` makes a value of; it raises MalformedError where it cannot.

    pattern: what the JSON schema says; types: how YAML 1.2 tools may see the unquoted text.
    """

    def __init__(
        self, parse: Callable[[str], T], expected: str, pattern: str = "", types: tuple[str, ...] = ("string",)
    ) -> None:
        self.parse = parse
        self.expected = expected
        self.pattern = pattern
        self.types = types

    def read(self, node: Node, place: Place, problems: Problems) -> T | None:
        if not isinstance(node, Scalar) or not (node.text or node.quoted):
            wrong_node(node, self.expected, place, problems)
            return None
        try:
            return self.parse(node.text)
        except MalformedError as problem:
            problems.error(place, problem.message, problem.expected or self.expected, problem.hint)
            return None

    def json(self) -> JsonSchema:
        types = self.types[0] if len(self.types) == 1 else list(self.types)
        return {"type": types, "description": self.expected} | ({"pattern": self.pattern} if self.pattern else {})


class Choice(Schema[T]):
    """One of a few words."""

    def __init__(self, options: Mapping[str, T]) -> None:
        self.options = options
        self.expected = one_of(options)

    def read(self, node: Node, place: Place, problems: Problems) -> T | None:
        if not isinstance(node, Scalar) or not node.text:
            wrong_node(node, self.expected, place, problems)
            return None
        if node.text not in self.options:
            hint = did_you_mean(node.text.lower(), self.options)
            problems.error(place, f'"{node.text}" is not known here', self.expected, hint)
            return None
        return self.options[node.text]

    def json(self) -> JsonSchema:
        return {"enum": list(self.options)}


class Switch(Schema[bool]):
    """true or false; what YAML 1.1 also took for a truth value is refused."""

    expected = "true or false"

    def read(self, node: Node, place: Place, problems: Problems) -> bool | None:
        text = node.text if isinstance(node, Scalar) else ""
        if text in ("true", "false"):
            return text == "true"
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false", "true": "true", "false": "false"}
        if text:
            guess = meant.get(text.lower())
            problems.error(
                place, f'"{text}" is no truth value', "true or false", f"did you mean {guess}?" if guess else ""
            )
        else:
            wrong_node(node, "true or false", place, problems)
        return None

    def json(self) -> JsonSchema:
        return {"type": "boolean"}


class At(Schema[Located[T]]):
    """The value of another schema together with its place."""

    def __init__(self, inner: Schema[T]) -> None:
        self.inner = inner
        self.expected = inner.expected

    def read(self, node: Node, place: Place, problems: Problems) -> Located[T] | None:
        value = self.inner.read(node, place, problems)
        return None if value is None else Located(value, place)

    def json(self) -> JsonSchema:
        return self.inner.json()


class Opaque(Schema[Node]):
    """A mapping that is kept as written, for a reader of its own: `by`, which here only describes it."""

    expected = MAPPING

    def __init__(self, by: Schema[Any]) -> None:
        self.by = by

    def read(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if isinstance(node, Pairs):
            return node
        wrong_node(node, self.expected, place, problems)
        return None

    def json(self) -> JsonSchema:
        return self.by.json()


class ListOf(Schema[tuple[T, ...]]):
    """A list; `or_one`: a single text or record may stand without brackets. What cannot be read is left out."""

    expected = "a list"

    def __init__(self, item: Schema[T], *, or_one: bool = False, at_least: int = 0) -> None:
        self.item = item
        self.or_one = or_one
        self.at_least = at_least
        self._records = or_one and isinstance(item, Record)

    def read(self, node: Node, place: Place, problems: Problems) -> tuple[T, ...] | None:
        if self.or_one and not isinstance(node, Items) and (self._records or _is_text(node)):
            one = self.item.read(node, place, problems)
            return None if one is None else (one,)
        if not isinstance(node, Items):
            wrong_node(node, self.expected, place, problems)
            return None
        if len(node.items) < self.at_least:
            problems.error(place, "the list is empty", "at least one entry")
        values = []
        for index, item in enumerate(node.items):
            value = self.item.read(item, below(place, item, f"[{index}]"), problems)
            if value is not None:
                values.append(value)
        return tuple(values)

    def json(self) -> JsonSchema:
        items: JsonSchema = {"type": "array", "items": self.item.json()}
        if self.at_least:
            items["minItems"] = self.at_least
        return {"anyOf": [self.item.json(), items]} if self.or_one else items


class Entry(NamedTuple, Generic[T]):
    """A value of a `MapOf`: None where it could not be read. `place` is that of its key."""

    value: T | None
    place: Place


class MapOf(Schema[Mapping[str, Entry[T]]]):
    """A mapping from ids to values; the ids are checked by `key`."""

    expected = MAPPING

    def __init__(self, key: Text[str], value: Schema[T], *, at_least: int = 0) -> None:
        self.key = key
        self.value = value
        self.at_least = at_least

    def read(self, node: Node, place: Place, problems: Problems) -> Mapping[str, Entry[T]] | None:
        pairs = pairs_of(node, place, problems)
        if pairs is not None and len(pairs) < self.at_least:
            problems.error(place, "the mapping is empty", "at least one entry")
        return None if pairs is None else self.read_pairs(pairs, place, problems)

    def read_pairs(
        self, pairs: Iterable[tuple[Scalar, Node]], place: Place, problems: Problems
    ) -> Mapping[str, Entry[T]]:
        """The entries of keys that were looked at before."""
        entries: dict[str, Entry[T]] = {}
        for key, value in pairs:
            key_place = below(place, key, f".{key.text}")
            name = self.key.read(key, key_place, problems)
            if name is not None:
                value_place = key_place._replace(line=value.line, column=value.column)
                entries[name] = Entry(self.value.read(value, value_place, problems), key_place)
        return entries

    def json(self) -> JsonSchema:
        found: JsonSchema = {"type": "object", "additionalProperties": self.value.json()}
        if self.key.pattern:
            found["propertyNames"] = {"pattern": self.key.pattern}
        if self.at_least:
            found["minProperties"] = self.at_least
        return found


class Field(NamedTuple):
    """One key of a `Record`. `into` names the argument it becomes, "" the key itself; `doc` one line about it."""

    schema: Schema[Any]
    doc: str
    required: bool = False
    into: str = ""


class Record(Schema[T]):
    """A mapping with known keys that becomes `make(**fields)`.

    `rest` takes the keys that are no fields, as an argument of that name; without it they are errors. A record that
    lacks a required field is None, unless it is `Raw`: these have a default for everything.
    """

    expected = MAPPING

    def __init__(self, make: type[T], fields: Mapping[str, Field], rest: tuple[str, MapOf[Any]] | None = None) -> None:
        self.make = make
        self.fields = fields
        self.rest = rest
        self.raw = issubclass(make, Raw)

    def read(self, node: Node, place: Place, problems: Problems) -> T | None:
        pairs = pairs_of(node, place, problems)
        if pairs is None:
            return None
        values: dict[str, Any] = {}
        given: dict[str, Place] = {}
        others = []
        for key, value in pairs:
            field = self.fields.get(key.text)
            if field is None:
                others.append((key, value))
                continue
            given[key.text] = below(place, value, f".{key.text}")
            values[field.into or key.text] = field.schema.read(value, given[key.text], problems)
        if self.rest is not None:
            given |= {key.text: below(place, value, f".{key.text}") for key, value in others}
            values[self.rest[0]] = self.rest[1].read_pairs(others, place, problems)
        else:
            self._unknown(others, place, problems)
        return self._made(values, given, place, problems)

    def _unknown(self, pairs: Iterable[tuple[Scalar, Node]], place: Place, problems: Problems) -> None:
        expected = f"one of {one_of(self.fields)}"
        for key, value in pairs:
            hint = did_you_mean(key.text, self.fields)
            if isinstance(value, Scalar) and not value.text and key.text[:1].isdigit():
                hint = "use a dot for decimals: after a comma a new entry begins"
            problems.error(below(place, key, f".{key.text}"), f'"{key.text}" is not known here', expected, hint)

    def _made(self, values: dict[str, Any], given: dict[str, Place], place: Place, problems: Problems) -> T | None:
        complete = True
        for name, field in self.fields.items():
            if not field.required:
                continue
            if name not in given:
                problems.error(place, f'"{name}" is missing', field.schema.expected)
            complete = complete and values.get(field.into or name) is not None
        kept = {name: value for name, value in values.items() if value is not None}
        if self.raw:
            kept |= {"place": place, "given": given}
        return self.make(**kept) if complete or self.raw else None

    def json(self) -> JsonSchema:
        properties = {name: field.schema.json() | {"title": field.doc} for name, field in self.fields.items()}
        required = [name for name, field in self.fields.items() if field.required]
        rest = self.rest[1].json()["additionalProperties"] if self.rest else False
        found: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": rest}
        return found | ({"required": required} if required else {})


def below(place: Place, node: Node, step: str) -> Place:
    """The place of a node below `place`; `step` is ".key" or "[index]"."""
    return Place(place.file, node.line, node.column, (place.path + step).removeprefix("."))


def _is_text(node: Node) -> bool:
    return isinstance(node, Scalar) and (bool(node.text) or node.quoted)


def wrong_node(node: Node, expected: str, place: Place, problems: Problems) -> None:
    """Says that something of another kind, or nothing, stands where `expected` should."""
    if isinstance(node, Scalar) and not node.text and not node.quoted:
        problems.error(place, "the value is missing", expected)
    elif isinstance(node, Scalar) and expected.startswith("a "):
        problems.error(place, f'"{node.text}" is a text', expected)
    else:
        problems.error(place, f"is {_NODE_NAMES[type(node)]}", expected)


def pairs_of(node: Node, place: Place, problems: Problems) -> list[tuple[Scalar, Node]] | None:
    """The entries of a mapping, each key once; keys given twice are reported with both lines."""
    if not isinstance(node, Pairs):
        wrong_node(node, MAPPING, place, problems)
        return None
    found: dict[str, tuple[Scalar, Node]] = {}
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            problems.error(below(place, key, ""), f"the key is {_NODE_NAMES[type(key)]}", "a text")
        elif key.text in found:
            first = found[key.text][0]
            problems.error(
                below(place, key, f".{key.text}"), f'"{key.text}" is given twice, first in line {first.line}'
            )
        else:
            found[key.text] = (key, value)
    return list(found.values())
