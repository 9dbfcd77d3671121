"""What usage has to cost: written apart from the engine, in plain fractions, for clearness and not for speed.

Nothing here keeps running totals that could go wrong in the same way as those of the engine: a bill is a list of what
was used, in order, and is folded from the start whenever somebody asks for its sum. Windows are found by reading the
clock minute by minute. Of the program only data classes are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from math import ceil, floor
from typing import NamedTuple

from ocs.balances.account import Balance
from ocs.rating.prices import Rate
from ocs.rating.tariff import Window
from ocs.rating.timings import Timing
from ocs.rating.units import Kind

HALF = Fraction(1, 2)
MINUTE_NS = 60_000_000_000
DAY = timedelta(days=1)

PREFIXES = {"mobile": "614", "fixed": "612"}


# --- prices ---------------------------------------------------------------------------------------------------------


def exact_cost(rate: Rate, usage: int, start: int = 0) -> Fraction:
    """Nanos for `usage` base units from `start` on, tier by tier in whole increments, not rounded."""
    bands = [(0, Fraction(rate.price_nanos, rate.unit_size), rate.increment)]
    bands += [(tier.start, Fraction(tier.price_nanos, tier.unit_size), tier.increment) for tier in rate.tiers]
    total = Fraction(0)
    at, end = start, start + usage
    while at < end:
        band = max(index for index, (begin, _, _) in enumerate(bands) if begin <= at)
        _, each, increment = bands[band]
        length = min([end, *[begin for begin, _, _ in bands[band + 1 :]]]) - at
        charged = ceil(Fraction(length, increment)) * increment
        total += charged * each
        at += charged
    return total


def rounded(rate: Rate, nanos: Fraction) -> int:
    """A price as the rate wants it rounded."""
    steps = nanos / rate.rounding_nanos
    return {"middle": floor(steps + HALF), "up": ceil(steps), "down": floor(steps)}[rate.rounding] * rate.rounding_nanos


def segment_cost(rate: Rate, usage: int, start: int = 0) -> int:
    """Nanos for `usage` base units of one segment: whole increments, exact, rounded once."""
    return 0 if rate.free else rounded(rate, exact_cost(rate, usage, start))


# --- times ----------------------------------------------------------------------------------------------------------


def began(timing: Timing, at_ns: int) -> datetime | None:
    """What the clock showed when the window that holds at that instant began, None where none holds."""
    shown = datetime.fromtimestamp(at_ns // 1_000_000_000, timing.zone).replace(tzinfo=None)
    length = timing.end_s - timing.start_s
    if length <= 0:
        length += 86_400
    for day in (shown.date(), shown.date() - DAY):
        start = datetime(day.year, day.month, day.day) + timedelta(seconds=timing.start_s)  # noqa: DTZ001
        if _named(timing, day) and start <= shown < start + timedelta(seconds=length):
            return start
    return None


def _named(timing: Timing, day: date) -> bool:
    last = (day + DAY).day == 1
    return all(
        [
            not timing.years or day.year in timing.years,
            not timing.months or day.month in timing.months,
            not timing.week_days or day.weekday() + 1 in timing.week_days,
            not timing.month_days or day.day in timing.month_days or (last and -1 in timing.month_days),
        ]
    )


class Prices(NamedTuple):
    """One version of the prices of one service: from when it is valid, and the windows of each prefix ("" = any)."""

    version: str
    from_ns: int
    windows: Mapping[str, tuple[Window, ...]]


class Price(NamedTuple):
    """A window that counts: its version, its place and its rate."""

    version: str
    prefix: str
    place: int
    rate: Rate


def price_at(versions: Sequence[Prices], number: str, at_ns: int) -> Price | None:
    """The price at an instant: of the newest version, the longest prefix that has a window that holds."""
    prices = max((one for one in versions if one.from_ns <= at_ns), key=lambda one: one.from_ns)
    for length in range(len(number), -1, -1):
        found = []
        for place, window in enumerate(prices.windows.get(number[:length], ())):
            start = datetime.min if window.timing is None else began(window.timing, at_ns)  # noqa: DTZ901
            if start is not None:
                found.append((window.weight, start, -place))
        if found:
            place = -max(found)[2]
            return Price(prices.version, number[:length], place, prices.windows[number[:length]][place].rate)
    return None


def instants(versions: Sequence[Prices], from_ns: int, to_ns: int) -> list[int]:
    """Where the price may change between two instants: each full minute, and where a version begins."""
    first = from_ns // MINUTE_NS + 1
    minutes = range(first * MINUTE_NS, to_ns, MINUTE_NS)
    return sorted({*minutes, *[one.from_ns for one in versions if from_ns < one.from_ns < to_ns]})


class Piece(NamedTuple):
    """Usage at one price, between two changes of it."""

    price: Price | None
    usage: int


def pieces(versions: Sequence[Prices], number: str, records: Iterable[tuple[int, int, int]]) -> list[Piece]:
    """(amount, from_ns, to_ns) records of usage in the order of time, evenly used, cut where the price changes."""
    found: list[Piece] = []
    last: Price | None = None
    last_ns = -1
    for amount, from_ns, to_ns in records:
        at_ns, done = from_ns, 0
        for until_ns in (*instants(versions, from_ns, to_ns), to_ns):
            price = price_at(versions, number, at_ns)
            reached = amount * (until_ns - from_ns) // (to_ns - from_ns) if to_ns > from_ns else amount
            gone = last_ns >= 0 and any(
                price_at(versions, number, t) != price for t in instants(versions, last_ns, at_ns)
            )
            if found and price == last and not gone:
                found[-1] = Piece(price, found[-1].usage + reached - done)
            else:
                found.append(Piece(price, reached - done))
            last, last_ns, at_ns, done = price, at_ns, until_ns, reached
    return found


# --- who pays -------------------------------------------------------------------------------------------------------


class _Meter:
    """Usage of one segment at one price that money pays for: stretches of it, since tiers go by the position."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.stretches: list[tuple[int, int]] = []
        self.charged = 0

    def cost(self, position: int, more: int) -> int:
        """Nanos of all of it, and of `more` from `position` on."""
        stretches = _with(self.stretches, position, more)
        if self.rate.tiers:
            return rounded(self.rate, sum(exact_cost(self.rate, length, start) for start, length in stretches))
        return segment_cost(self.rate, sum(length for _, length in stretches))

    def use(self, position: int, more: int, nanos: int) -> None:
        self.stretches = _with(self.stretches, position, more)
        self.charged += nanos


def _with(stretches: list[tuple[int, int]], position: int, more: int) -> list[tuple[int, int]]:
    if stretches and sum(stretches[-1]) == position:
        return [*stretches[:-1], (stretches[-1][0], stretches[-1][1] + more)]
    return [*stretches, (position, more)]


class Payers(NamedTuple):
    """Who pays: unit balances and money balances in the order of use, the prices of rating subjects, and whether the
    account may be negative (then its last money balance has no end)."""

    units: tuple[Balance, ...]
    money: tuple[Balance, ...]
    subjects: Mapping[str, Rate] = {}
    service: str = "data"
    unlimited: str = ""


class Settled(NamedTuple):
    """What all of it cost: nanos with fees, what was taken of each balance, nanos that no credit covered."""

    nanos: int
    taken: dict[str, int]
    overdraft: int
    by_units: int


class _Settling:
    def __init__(self, payers: Payers) -> None:
        self.payers = payers
        self.left = {balance.id: balance.value for balance in (*payers.units, *payers.money)}
        self.taken: dict[str, int] = {}
        self.sliced: dict[str, tuple[int, int]] = {}
        self.nanos = self.overdraft = self.spent = self.position = self.by_units = 0
        cut = next((place for place, balance in enumerate(payers.money) if balance.blocker), len(payers.money))
        self.money = payers.money[: cut + 1]

    def take(self, balance_id: str, amount: int) -> None:
        self.left[balance_id] -= amount
        self.taken[balance_id] = self.taken.get(balance_id, 0) + amount

    def purse(self, money: Sequence[Balance]) -> int:
        if any(balance.id == self.payers.unlimited for balance in money):
            return 1 << 62
        debts = sum(min(0, self.left[balance.id]) for balance in self.money if balance.id != self.payers.unlimited)
        return max(0, debts + sum(max(0, self.left[balance.id]) for balance in money))

    def pay(self, money: Sequence[Balance], nanos: int) -> None:
        self.nanos += nanos
        for balance in money:
            if not nanos:
                return
            endless = balance.id == self.payers.unlimited
            part = nanos if endless else min(nanos, max(0, self.left[balance.id]))
            self.take(balance.id, part)
            nanos -= part
        self.owe(nanos)

    def owe(self, nanos: int) -> None:
        if nanos:
            self.overdraft += nanos
            self.take(self.payers.money[-1].id, nanos)

    def segment(self, rate: Rate, usage: int) -> None:
        """All usage of one segment."""
        self.fee(rate, usage)
        meters = {"": _Meter(rate)}
        rest = usage
        blocked = False
        if not rate.free:
            for balance in self.payers.units:
                rest -= self.units(balance, rest, meters)
                blocked = bool(balance.blocker and rest)
                if blocked:
                    break
            self.by_units += usage - rest
        if not blocked:
            for subject, money in groupby(self.money, key=_subject):
                price = meters[""].rate if not subject else self.payers.subjects.get(subject)
                if price is not None:
                    meter = meters.setdefault(subject, _Meter(price))
                    rest -= self.charge(meter, rest, list(money))
            rest -= self.charge(meters[""], rest, [])
        if rest:
            meter = meters[""]
            due = self.due(meter, rest)
            meter.use(self.position, rest, due)
            self.spent += due
            self.position += rest
            self.pay(self.payers.money, due)

    def fee(self, rate: Rate, usage: int) -> None:
        if usage and not self.position:
            self.pay(self.payers.money, rate.connect_fee_nanos)

    def due(self, meter: _Meter, more: int) -> int:
        nanos = max(0, meter.cost(self.position, more) - meter.charged)
        limit = meter.rate.max_cost_nanos
        if limit is not None and not meter.rate.disconnect:
            return min(nanos, max(0, limit - self.spent))
        return nanos

    def charge(self, meter: _Meter, wanted: int, money: Sequence[Balance]) -> int:
        purse = self.purse(money)
        usage = _largest(wanted, lambda more: self.due(meter, more) <= purse)
        if usage:
            nanos = self.due(meter, usage)
            self.pay(money, nanos)
            meter.use(self.position, usage, nanos)
            self.spent += nanos
            self.position += usage
        return usage

    def units(self, balance: Balance, wanted: int, meters: dict[str, _Meter]) -> int:
        """Units round up once for all that a balance covers of the rating group, whatever its price becomes."""
        subject = _subject(balance)
        size = 1 if subject else _slice(balance.rating_subject)
        factors = [one.value for one in balance.factors if one.id in (self.payers.service, "*any")]
        each = size * (factors or [Fraction(1)])[0]
        covered, taken = self.sliced.get(balance.id, (0, 0))
        usage = min(wanted, max(0, floor((taken + max(0, self.left[balance.id])) / each) * size - covered))
        if subject:
            price = self.payers.subjects.get(subject)
            if price is None:
                return 0
            usage = self.charge(meters.setdefault(subject, _Meter(price)), usage, self.money)
        else:
            self.position += usage
        if usage:
            after = ceil(ceil(Fraction(covered + usage, size)) * each)
            self.take(balance.id, after - taken)
            self.sliced[balance.id] = (covered + usage, after)
        return usage


def settle(found: Iterable[Piece], payers: Payers) -> Settled:
    """Rate and pay for all of a session's usage of one rating group."""
    settling = _Settling(payers)
    for price, usage in found:
        if price is None:
            settling.position += usage
        else:
            settling.segment(price.rate, usage)
    taken = {name: amount for name, amount in settling.taken.items() if amount}
    return Settled(settling.nanos, taken, settling.overdraft, settling.by_units)


def _largest(wanted: int, fits) -> int:  # type: ignore[no-untyped-def]
    """The largest of 0..wanted that fits, found from the top bit down."""
    if fits(wanted):
        return wanted
    reached = 0
    for bit in range(wanted.bit_length(), -1, -1):
        step = reached + (1 << bit)
        if step <= wanted and fits(step):
            reached = step
    return reached


def _subject(balance: Balance) -> str:
    subject = balance.rating_subject
    return "" if subject == "*any" or subject.startswith("*zero") else subject


def _slice(subject: str) -> int:
    return {"": 1, "*any": 1, "*zero1s": 10**9, "*zero1m": 60 * 10**9, "*zero10ms": 10**7, "*zero1000": 1000}[subject]


# --- bills of many groups, by what the engine says units paid -------------------------------------------------------


class Use(NamedTuple):
    """One report: `by_units` of the usage were paid by unit balances, the rest is for money."""

    group: object
    segment: int
    rate: Rate
    usage: int
    by_units: int


class Bill:
    """All that one session used."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self._segments: dict[object, tuple[int, str, Rate]] = {}

    def segment(self, group: object, version: str, rate: Rate) -> None:
        """From here on the group has this price; the same price of the same tariff goes on."""
        number, *now = self._segments.get(group, (0, "", None))
        if now != [version, rate]:
            self._segments[group] = (number + 1, version, rate)

    def is_rated(self, group: object) -> bool:
        """Whether the group had a price before."""
        return group in self._segments

    def number(self, group: object) -> int:
        """Which of its segments the group is in."""
        return self._segments[group][0]

    def use(self, group: object, usage: int, by_units: int) -> None:
        """A report under the group's price."""
        number, _, rate = self._segments[group]
        self.uses.append(Use(group, number, rate, usage, by_units))

    def cost(self) -> int:
        """Nanos for all of it, connect fees included."""
        segments: dict[tuple[object, int], tuple[Rate, int]] = {}
        for use in self.uses:
            _, priced = segments.get((use.group, use.segment), (use.rate, 0))
            segments[use.group, use.segment] = (use.rate, priced + use.usage - use.by_units)
        return sum(segment_cost(rate, priced) for rate, priced in segments.values()) + self.fees()

    def fees(self) -> int:
        """With the first usage of each group; once for the session, but once for each group whose rate says so."""
        session_fee = 0
        of_groups: dict[object, int] = {}
        for use in self.uses:
            if not use.usage or use.group in of_groups:
                continue
            of_groups[use.group] = use.rate.connect_fee_nanos if use.rate.fee_per_group else 0
            if not use.rate.fee_per_group:
                session_fee = session_fee or use.rate.connect_fee_nanos
        return session_fee + sum(of_groups.values())


def bill_of(rate: Rate, usage: int, units: int) -> tuple[int, int]:
    """(base units paid by unit balances, nanos) of one group that used `usage` and had `units` in unit balances."""
    by_units = min(usage, units)
    fee = rate.connect_fee_nanos if usage else 0
    return by_units, segment_cost(rate, usage - by_units) + fee


def may_pay(balance: Balance, kind: Kind, number: str, at_ns: int) -> bool:
    """Whether a balance is for this kind of service, this number and this time."""
    if balance.kind not in (kind, Kind.GENERIC, Kind.MONETARY):
        return False
    if balance.expires_at_ns is not None and at_ns >= balance.expires_at_ns:
        return False
    excluded = [name[1:] for name in balance.destinations if name[0] == "!"]
    included = [name for name in balance.destinations if name[0] != "!"]
    if _in(number, excluded):
        return False
    return _in(number, included) or not included


def in_order(balances: Iterable[Balance]) -> list[Balance]:
    """Balances of one kind without destinations, in the order of use: weight, then earliest expiry, then id."""
    return sorted(balances, key=lambda one: (-one.weight, one.expires_at_ns or 1 << 80, one.id))


def _in(number: str, names: Iterable[str]) -> bool:
    return any(name in PREFIXES and number.startswith(PREFIXES[name]) for name in names)


def utc(text: str) -> int:
    """Unix nanoseconds of a time in UTC, "2026-10-25T01:00"."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
