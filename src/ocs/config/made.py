"""What compiling the parts of a configuration has in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from ocs.config.diagnostics import Place, Problems
from ocs.config.schema import Located, Raw

T = TypeVar("T", bound=msgspec.Struct)


def unique(values: Iterable[Located[Any]], noun: str, problems: Problems) -> None:
    """Each value of a list stands there once."""
    seen: dict[Any, Place] = {}
    for value, place in values:
        if value in seen:
            problems.error(place, f'the {noun} "{value}" is given twice, first in {seen[value]}')
        else:
            seen[value] = place


def built(make: type[T], raw: Raw, **given: Any) -> T:
    """A struct of the fields that were given, the others by its own defaults; extra ones stand in `given`."""
    for name in raw.__struct_fields__:
        if name in make.__struct_fields__ and name not in given and getattr(raw, name) is not None:
            given[name] = getattr(raw, name)
    return make(**given)
