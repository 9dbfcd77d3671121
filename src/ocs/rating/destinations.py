"""Destinations: named sets of prefixes, and the longest match over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

ANY = "*any"

T = TypeVar("T")


class Destination(msgspec.Struct, frozen=True):
    """A named set of E.164 prefixes (digits only). `free`: calls there are free for everybody, known or not."""

    id: str
    prefixes: tuple[str, ...]
    free: bool = False


class PrefixTable(Generic[T]):
    """Longest-prefix lookup: a dict per table, tried from the longest prefix that occurs down to one digit."""

    __slots__ = ("_by_prefix", "_default", "_longest")

    def __init__(self, by_prefix: Mapping[str, T], default: T | None = None) -> None:
        """`default` is what `*any` means: found for every number, also the empty one, with prefix length 0."""
        self._by_prefix = dict(by_prefix)
        self._default = default
        self._longest = max(map(len, by_prefix), default=0)

    def find(self, number: str) -> tuple[str, T] | None:
        """(matched prefix, entry) of the longest prefix of `number`; ("", default) or None where none matches."""
        return next(self.matches(number), None)

    def matches(self, number: str) -> Iterator[tuple[str, T]]:
        """All (prefix, entry) that match, the longest prefix first, `*any` last."""
        by_prefix = self._by_prefix
        for length in range(min(self._longest, len(number)), 0, -1):
            entry = by_prefix.get(number[:length])
            if entry is not None:
                yield number[:length], entry
        if self._default is not None:
            yield "", self._default

    def items(self) -> Iterator[tuple[str, T]]:
        """All (prefix, entry), what `*any` means under ""."""
        yield from self._by_prefix.items()
        if self._default is not None:
            yield "", self._default

    def __len__(self) -> int:
        return len(self._by_prefix)


def match_length(number: str, destination_ids: Iterable[str], destinations: Mapping[str, Destination]) -> int | None:
    """Precision of a destination filter for `number`: length of the longest matching prefix, or None (no match).

    No ids, or `*any`, match everything with precision 0; `!ID` excludes that destination. Ids that the tariff no
    longer has match nothing, so a typo never opens a balance to all numbers.
    """
    positive = False
    best: int | None = None
    for destination_id in destination_ids:
        if destination_id.startswith("!"):
            if _longest_prefix(number, destinations.get(destination_id[1:])) is not None:
                return None
            continue
        positive = True
        length = 0 if destination_id == ANY else _longest_prefix(number, destinations.get(destination_id))
        if length is not None and (best is None or length > best):
            best = length
    return best if positive else 0


def _longest_prefix(number: str, destination: Destination | None) -> int | None:
    if destination is None:
        return None
    return max((len(p) for p in destination.prefixes if number.startswith(p)), default=None)
