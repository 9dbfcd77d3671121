"""Circumstances that rates ask for: access technology, network, place, access point, quality, direction.

A fact is (name, value), such as ("rat", "nr"); a request states some. A condition names values for some of them. What
is not known fits no condition, so that the rate without one counts.
"""

from __future__ import annotations

from typing import Final

import msgspec

Facts = tuple[tuple[str, str], ...]
"""What is known of the circumstances: names in rising order, each once."""

FACTS: Final = ("apn", "direction", "location", "plmn", "qci", "rat", "roaming")
"""The names, in rising order."""


class Condition(msgspec.Struct, frozen=True, array_like=True):
    """What has to hold: for each fact one of its values; "262*" stands for all that begin so.

    terms: (fact, values), in rising order, at least one.
    """

    terms: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={'|'.join(values)}" for name, values in self.terms)


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether all terms of a condition hold."""
    known = dict(facts)
    return all(_is_one(known.get(name), values) for name, values in condition.terms)


def merge(known: Facts, newer: Facts) -> Facts:
    """What is known after more was said; what was not said again still holds."""
    return tuple(sorted({**dict(known), **dict(newer)}.items())) if newer else known


def _is_one(value: str | None, values: tuple[str, ...]) -> bool:
    if value is None:
        return False
    return any(value == each or (each.endswith("*") and value.startswith(each[:-1])) for each in values)
