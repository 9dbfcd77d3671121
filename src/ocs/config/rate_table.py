"""One table of rates being put together: which window holds each prefix, where it was written, and what contradicts."""

from __future__ import annotations

from typing import NamedTuple

from ocs.config.diagnostics import Place, Problems
from ocs.rating.tariff import Window


class Source(NamedTuple):
    """Where a window was written: the rate, and the prefix that it holds through."""

    rate: Place
    prefix: Place


class TableBuilder:
    """Windows by prefix ("" for `*any`), in the order in which they were claimed.

    where: "plan/service", perhaps with a rating group.
    """

    def __init__(self, where: str, problems: Problems) -> None:
        self.where = where
        self.problems = problems
        self.windows: dict[str, tuple[Window, ...]] = {}
        self.sources: dict[str, tuple[Source, ...]] = {}

    def claim(self, prefix: str, window: Window, source: Source) -> None:
        """Let a window hold a prefix; an error where another one does at the same times and with the same weight."""
        before = self.windows.get(prefix)
        if before is None:
            self.windows[prefix] = (window,)
            self.sources[prefix] = (source,)
            return
        for other, other_source in zip(before, self.sources[prefix], strict=True):
            if (other.weight, other.timing, other.condition) == (window.weight, window.timing, window.condition):
                self._contradiction(prefix, window, source, other, other_source)
                return
        self.windows[prefix] = (*before, window)
        self.sources[prefix] = (*self.sources[prefix], source)

    def _contradiction(self, prefix: str, window: Window, here: Source, other: Window, there: Source) -> None:
        if not prefix or (window.destination_id == other.destination_id and here.prefix == there.prefix):
            message = f"holds at the same times as the rate in {there.rate}, with the same weight"
            self.problems.error(here.rate, message, "another weight, or another timing in when")
            return
        message = (
            f'the prefix {prefix} has two rates in {self.where}: "{window.destination_id}" ({here.prefix}) '
            f'and "{other.destination_id}" ({there.prefix})'
        )
        self.problems.error(here.rate, message, "each prefix in one of the destinations, or rates of different weight")

    @property
    def default(self) -> tuple[Window, ...] | None:
        """The windows of `*any`."""
        return self.windows.get("")

    def by_prefix(self) -> dict[str, tuple[Window, ...]]:
        """The others, those of several destinations in the order of their ids: that of the file has no meaning."""
        found = {prefix: windows for prefix, windows in self.windows.items() if prefix}
        for prefix, windows in found.items():
            if len(windows) > 1:
                found[prefix] = tuple(sorted(windows, key=lambda window: window.destination_id))
        return found
