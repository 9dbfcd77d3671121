"""The versions of a tariff: which of its files hold from when, each version laid over the one before it.

Files without `valid_from` hold from the start. What a file with `valid_from` defines replaces, from then on, what bore
the same id before: a whole destination, timing, plan, profile or shared group. Emergency numbers are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo
from itertools import groupby
from typing import TypeVar

import msgspec

from ocs.config.diagnostics import Problems
from ocs.config.schema import Entry
from ocs.config.tariff_file import Activations, RawDestination, RawPlan, RawSharedGroup, RawTariff
from ocs.config.timing_file import RawTiming

T = TypeVar("T")


class Sources(msgspec.Struct, frozen=True):
    """What holds in one version, by id, and the time zones of the files it stands in."""

    valid_from_ns: int
    destinations: Mapping[str, Entry[RawDestination]]
    timings: Mapping[str, Entry[RawTiming]]
    plans: Mapping[str, Entry[RawPlan]]
    profiles: Mapping[str, Entry[Activations]]
    shared_groups: Mapping[str, Entry[RawSharedGroup]]
    emergency_numbers: frozenset[str]
    zones: Mapping[str, tzinfo]

    def zone(self, entry: Entry[T]) -> tzinfo:
        """The time zone of the file that an entry stands in."""
        return self.zones.get(entry.place.file, UTC)


def versions(files: Iterable[RawTariff], problems: Problems) -> list[Sources]:
    """The versions by rising time, the first of them from the start; none where there is no file for the start."""
    found: list[Sources] = []
    nothing = Sources(0, {}, {}, {}, {}, {}, frozenset(), {})
    by_time = sorted(files, key=lambda file: file.from_ns)
    for valid_from_ns, group in groupby(by_time, key=lambda file: file.from_ns):
        layer = list(group)
        if not found and valid_from_ns:
            place = layer[0].at("valid_from")
            problems.error(place, "before this there is no tariff at all", "no valid_from in the first version")
        found.append(_laid_over(found[-1] if found else nothing, layer, valid_from_ns, problems))
    return found


def _laid_over(below: Sources, layer: list[RawTariff], valid_from_ns: int, problems: Problems) -> Sources:
    numbers = {number for file in layer if file.emergency for number, _ in file.emergency.numbers}
    return Sources(
        valid_from_ns,
        {**below.destinations, **_merged((file.destinations for file in layer), "destination", problems)},
        {**below.timings, **_merged((file.timings for file in layer), "timing", problems)},
        {**below.plans, **_merged((file.plans for file in layer), "plan", problems)},
        {**below.profiles, **_merged((file.profiles for file in layer), "profile", problems)},
        {**below.shared_groups, **_merged((file.shared_groups for file in layer), "shared group", problems)},
        below.emergency_numbers | numbers,
        {**below.zones, **{file.place.file: file.time_zone for file in layer if file.time_zone}},
    )


def _merged(maps: Iterable[Mapping[str, Entry[T]]], noun: str, problems: Problems) -> dict[str, Entry[T]]:
    """The entries of several files as one; an id that two files give is an error at the second."""
    found: dict[str, Entry[T]] = {}
    for entries in maps:
        for name, entry in entries.items():
            if name in found:
                problems.error(entry.place, f'the {noun} "{name}" is given twice, first in {found[name].place}')
            else:
                found[name] = entry
    return found
