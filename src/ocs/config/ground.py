"""What the plans of one version stand on: its destinations, timings and time zones, and what is free for everybody."""

from __future__ import annotations

from collections.abc import Iterator

from ocs.config.diagnostics import Place, Problems
from ocs.config.schema import Entry
from ocs.config.setting import Setting
from ocs.config.tariff_file import RawDestination
from ocs.config.timing_compile import Clocks
from ocs.config.versions import Sources
from ocs.rating.destinations import Destination
from ocs.rating.numbers import international


class Ground:
    """One version: its sources, with the checks of its destinations."""

    def __init__(self, sources: Sources, setting: Setting, currency: str | None, problems: Problems) -> None:
        self.sources = sources
        self.setting = setting
        self.currency = currency
        self.problems = problems
        self.clocks = Clocks(sources.timings)
        self.sold: set[str] = set()
        self.prefixes = {name: dict(self._prefixes(entry)) for name, entry in sources.destinations.items()}
        self.free = {
            prefix: (name, place)
            for name, entry in sources.destinations.items()
            if entry.value and entry.value.free
            for prefix, place in self.prefixes[name].items()
        }

    def destinations(self) -> dict[str, Destination]:
        """The destinations by id."""
        return {
            name: Destination(name, tuple(sorted(self.prefixes[name])), bool(entry.value and entry.value.free))
            for name, entry in self.sources.destinations.items()
        }

    def _prefixes(self, entry: Entry[RawDestination]) -> Iterator[tuple[str, Place]]:
        """The prefixes of a destination, each once."""
        found: dict[str, Place] = {}
        for prefix, place in entry.value.prefixes if entry.value else ():
            if prefix in found:
                self.problems.error(place, f"the prefix {prefix} is given twice, first in {found[prefix]}")
                continue
            self.check_numbering(prefix, place)
            if entry.value and entry.value.free and len(prefix) < 3:
                self.problems.warn(place, f"all numbers that begin with {prefix} are free for everybody")
            found[prefix] = place
            yield prefix, place

    def check_numbering(self, prefix: str, place: Place) -> None:
        """A prefix that no number has after it was made international never matches."""
        changed = international(prefix, self.setting.numbering)
        if changed != prefix:
            message = f"the prefix {prefix} never matches: numbers that begin so become {changed}..."
            self.problems.error(place, message, "the country code first", f"write {changed}" if changed else "")

    def check_not_free(self, prefix: str, place: Place) -> None:
        """A prefix that is free for everybody has no price."""
        if not self.free:
            return
        shadow = next((prefix[:n] for n in range(1, len(prefix) + 1) if prefix[:n] in self.free), None)
        if shadow is not None:
            name, free_place = self.free[shadow]
            message = f'the prefix {prefix} is priced, but free through {shadow} of "{name}" in {free_place}'
            self.problems.error(place, message)
