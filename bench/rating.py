"""How long rating takes: microseconds per event rated and debited, and per decision on a client's UPDATE.

    python -m bench.rating [--profile]

Each figure is the best of several rounds, so that what else the machine does counts least. Run on one processor, in
one process; compare rows of one run with each other, not with those of another machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import sys
import timeit
from collections.abc import Callable

from ocs.balances.account import Account, Balance
from ocs.balances.book import Book
from ocs.balances.choice import Event, choose
from ocs.balances.cover import Meter, State
from ocs.balances.reserve import debit
from ocs.charging import engine, whole
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import ChargingRequest, GroupRequest, RequestType, Units
from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate
from ocs.rating.tariff import Found, Plan, RateTable, ServicePlan, Tariff, Window, find_rate
from ocs.rating.units import NS_PER_S, Kind, Measure

MIB = 1_048_576
AUD = 1_000_000_000
NOW_NS = 1_795_000_000 * NS_PER_S
ROUNDS = 7

DATA = Rate("data", Measure.OCTETS, AUD // 100, MIB, 1_024)
DATA_POLICY = ServicePolicy("data", Kind.DATA, ("32251",), GrantPolicy(10 * MIB, 65_536, 100 * MIB, MIB), 100)
VOICE_POLICY = ServicePolicy(
    "voice", Kind.VOICE, ("32260",), GrantPolicy(60 * NS_PER_S, NS_PER_S, 600 * NS_PER_S, 30 * NS_PER_S)
)


def make_tariff(prefixes: int) -> tuple[Tariff, list[str]]:
    """A tariff with data and with voice to so many prefixes; and numbers that hit them."""
    draw = random.Random(prefixes)
    chosen: set[str] = set()
    while len(chosen) < prefixes:
        chosen.add(str(draw.randrange(10 ** draw.randrange(2, 8))))
    rate = Rate("voice", Measure.TIME, 22 * AUD // 100, 60 * NS_PER_S, NS_PER_S)
    voice: RateTable = PrefixTable({prefix: (Window(prefix, rate),) for prefix in chosen})
    data: RateTable = PrefixTable({}, (Window("*any", DATA),))
    services = {"data": ServicePlan({}, data), "voice": ServicePlan({}, voice)}
    tariff = Tariff(
        "bench",
        "AUD",
        {"d": Destination("d", ("1",))},
        {"p": Plan("p", services)},
        Numbering(),
        frozenset(),
        PrefixTable({}),
    )
    numbers = [prefix + "5551234" for prefix in draw.sample(sorted(chosen), min(prefixes, 512))]
    return tariff, numbers


def make_account(balances: int) -> Account:
    """One data balance, the others monetary; none runs out."""
    units = Balance("bundle", Kind.DATA, 200_000, weight=10)
    money = [Balance(f"money{index}", Kind.MONETARY, 10**15, weight=index) for index in range(1, balances)]
    return Account(
        "a", 1, "AUD", "p", balances=(units, *money) if balances > 1 else (Balance("m", Kind.MONETARY, 10**15),)
    )


def core(account: Account, tariff: Tariff) -> Callable[[], object]:
    """The core alone: find the rate, choose the balances, debit 308,400 octets, close the book."""
    happening = Event(Kind.DATA, "data", "", NOW_NS)

    def run() -> object:
        found = find_rate(tariff, "p", "data", 100, "", NOW_NS)
        assert isinstance(found, Found)
        book = Book(account)
        choice = choose(account, happening, tariff)
        debit(book, choice, State((Meter(found.rate),)), 308_400)
        return book.close()

    return run


def event(account: Account, tariff: Tariff) -> Callable[[], object]:
    """The same as a call over time: segments, stretches of usage, plausibility, counters."""
    call = whole.Call("", NOW_NS, 308_400, 100)
    return lambda: whole.charge(account, tariff, DATA_POLICY, call)


def decision(account: Account, tariff: Tariff) -> Callable[[], object]:
    """Decide on an UPDATE that reports 308,400 octets and asks for more."""
    fields = {"session_id": "s", "service": "data", "origin_host": "pgw", "subscriber": ("msisdn:1",)}
    initial = ChargingRequest(type=RequestType.INITIAL, number=0, groups=(GroupRequest(100, None, Units()),), **fields)
    update = ChargingRequest(
        type=RequestType.UPDATE,
        number=1,
        groups=(GroupRequest(100, None, Units(), (Units(octets=308_400),)),),
        **fields,
    )
    opened = engine.decide(account, None, initial, tariff, DATA_POLICY, NOW_NS)
    after = opened.writes[0].account
    return lambda: engine.decide(after, opened.session, update, tariff, DATA_POLICY, NOW_NS)


def lookup(tariff: Tariff, numbers: list[str]) -> Callable[[], object]:
    """Find the rates of 512 numbers (fewer where the table has fewer)."""

    def look() -> None:
        for number in numbers:
            find_rate(tariff, "p", "voice", None, number, NOW_NS)

    return look


def best_us(work: Callable[[], object], number: int, per: int = 1) -> float:
    """Microseconds per call, the best of ROUNDS."""
    return min(timeit.repeat(work, number=number, repeat=ROUNDS)) / number / per * 1e6


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", action="store_true", help="show where the time of a decision goes")
    options = arguments.parse_args()
    small, _ = make_tariff(1_000)
    print(f"Python {sys.version.split()[0]}; best of {ROUNDS} rounds, microseconds")
    print(f"{'balances':>10} {'rated and debited':>18} {'as a whole call':>16} {'decision on an UPDATE':>22}")
    for balances in (1, 2, 5, 20):
        account = make_account(balances)
        row = [best_us(work(account, small), 1_500) for work in (core, event, decision)]
        print(f"{balances:>10} {row[0]:>18.1f} {row[1]:>16.1f} {row[2]:>22.1f}")
    print(f"{'prefixes':>10} {'lookup of a rate':>24}")
    for prefixes in (1_000, 20_000, 200_000):
        tariff, numbers = make_tariff(prefixes)
        print(f"{prefixes:>10} {best_us(lookup(tariff, numbers), 20, len(numbers)):>24.2f}")
    if options.profile:
        work = decision(make_account(2), small)
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(5_000):
            work()
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
