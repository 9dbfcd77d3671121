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
    known = _known(tariff).get((subject, service, rating_group, number, facts))
    if known is not None and known[0] <= at_ns < known[1]:
        return known[2]
    return _look_up(tariff, (subject, service, rating_group, number, facts), at_ns)


def steady_rate(
    tariff: Tariff, subject: str, service: str, rating_group: int | None, number: str, one_ns: int, other_ns: int
) -> Found | NotFound | None:
    """The same without circumstances, where it is one at both times; None where the rate is another by then.

    Found says until when it holds as of `other_ns`.
    """
    known = _known(tariff).get((subject, service, rating_group, number, ()))
    if known is not None and known[0] <= one_ns < known[1] and known[0] <= other_ns < known[1]:
        return known[2]
    found = remembered_rate(tariff, subject, service, rating_group, number, other_ns)
    before = remembered_rate(tariff, subject, service, rating_group, number, one_ns)
    if isinstance(found, Found) and isinstance(before, Found) and found.rate != before.rate:
        return None
    return found if type(found) is type(before) else None


def _known(tariff: Tariff) -> dict[Key, tuple[int, int, Found | NotFound]]:
    global _memory  # noqa: PLW0603
    if _memory.tariff is not tariff:
        _memory = _Memory(tariff)
    return _memory.known


def _look_up(tariff: Tariff, key: Key, at_ns: int) -> Found | NotFound:
    subject, service, rating_group, number, facts = key
    found = find_rate(tariff, subject, service, rating_group, number, at_ns, None, facts)
    until_ns = at_ns + REMEMBERED_NS
    if found.until_ns is not None and found.until_ns < until_ns:
        until_ns = found.until_ns
    remembered = _known(tariff)
    if len(remembered) >= REMEMBERED_RATES_MAX:
        remembered.clear()
    before = remembered.get(key)
    if before is not None and before[2] == found and at_ns < before[0] < until_ns:
        until_ns = max(until_ns, before[1])  # a look back: what was known goes on
    remembered[key] = (at_ns, until_ns, found)
    return found
