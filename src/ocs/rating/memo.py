"""Rates that were found before: a lookup says until when it holds, so the next one at the same place need not look.

What is remembered belongs to one compiled tariff, the one that was asked for last; another one begins anew. So it only
saves time: the answers are those of `tariff.find_rate`.
"""

from __future__ import annotations

from typing import Final

from ocs.limits import REMEMBERED_RATES_MAX
from ocs.rating.conditions import Facts
from ocs.rating.tariff import Found, NotFound, Tariff, find_rate
from ocs.rating.units import NS_PER_S

REMEMBERED_NS: Final = 86_400 * NS_PER_S
"""A lookup is made again after a day at the latest: the turns of a timing are known for some time ahead only."""

Key = tuple[str, str, int | None, str, Facts]


class _Memory:
    """Rates of one tariff, with the time from which and the time until which each is known to hold."""

    __slots__ = ("known", "tariff")

    def __init__(self, tariff: Tariff | None) -> None:
        self.tariff = tariff
        self.known: dict[Key, tuple[int, int, Found | NotFound]] = {}


_memory = _Memory(None)


def remembered_rate(
    tariff: Tariff, subject: str, service: str, rating_group: int | None, number: str, at_ns: int, facts: Facts = ()
) -> Found | NotFound:
    """`tariff.find_rate`, by what was found before where that still holds."""
    global _memory  # noqa: PLW0603
    memory = _memory
    if memory.tariff is not tariff:
        memory = _memory = _Memory(tariff)
    key = (subject, service, rating_group, number, facts)
    known = memory.known.get(key)
    if known is not None and known[0] <= at_ns < known[1]:
        return known[2]
    found = find_rate(tariff, subject, service, rating_group, number, at_ns, None, facts)
    until_ns = at_ns + REMEMBERED_NS
    if found.until_ns is not None and found.until_ns < until_ns:
        until_ns = found.until_ns
    if len(memory.known) >= REMEMBERED_RATES_MAX:
        memory.known.clear()
    memory.known[key] = (at_ns, until_ns, found)
    return found
