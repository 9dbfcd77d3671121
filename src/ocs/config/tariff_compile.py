"""From tariff files as written to the compiled tariff, with the checks that need more than one value.

The rule behind the checks: nothing is sold for nothing by a slip of the pen. What is free says `free: true`; a price
of 0, a price that rounding makes 0, and a prefix that two destinations claim are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec

from ocs.config.diagnostics import Place, Problems, did_you_mean
from ocs.config.rate_compile import compile_rate
from ocs.config.schema import Entry
from ocs.config.tariff_file import Rates, RawDestination, RawServicePlan, RawTariff
from ocs.rating.destinations import ANY, Destination, PrefixTable
from ocs.rating.numbers import Numbering, international
from ocs.rating.tariff import Plan, RateTable, ServicePlan, Tariff, Window
from ocs.rating.units import MEASURE_OF_KIND, Kind

T = TypeVar("T")

VERSION_DIGITS: Final = 12

Services = Mapping[str, Kind | None]
"""Kinds of the services of server.yaml by name, None where the kind could not be read."""


def merged(maps: Iterable[Mapping[str, Entry[T]]], noun: str, problems: Problems) -> dict[str, Entry[T]]:
    """The entries of several files as one; an id that two files give is an error at the second."""
    found: dict[str, Entry[T]] = {}
    for entries in maps:
        for name, entry in entries.items():
            if name in found:
                problems.error(entry.place, f'the {noun} "{name}" is given twice, first in {found[name].place}')
            else:
                found[name] = entry
    return found


def compile_tariff(
    files: list[RawTariff],
    services: Services | None,
    numbering: Numbering,
    problems: Problems,
    *,
    complete: bool = True,
) -> Tariff | None:
    """The tariff of all files; None where errors leave none.

    services: None where server.yaml cannot be read; complete: no tariff file is missing among those read. What stands
    in the files that could not be read is not complained about.
    """
    if not files:
        return None
    return _Compiler(files, services, numbering, problems, complete=complete).tariff()


class _Compiler:
    """One compilation: what all parts of it look at."""

    def __init__(
        self,
        files: list[RawTariff],
        services: Services | None,
        numbering: Numbering,
        problems: Problems,
        *,
        complete: bool,
    ) -> None:
        self.files = files
        self.complete = complete
        self.services = services
        self.numbering = numbering
        self.problems = problems
        self.currency = self._currency()
        self.destinations = merged((file.destinations for file in files), "destination", problems)
        self.prefixes = {name: dict(self._prefixes(entry)) for name, entry in self.destinations.items()}
        self.free = {
            prefix: (name, place)
            for name, entry in self.destinations.items()
            if entry.value and entry.value.free
            for prefix, place in self.prefixes[name].items()
        }
        self.dumped: dict[str, Any] = {}

    def _currency(self) -> str | None:
        """The currency of all files."""
        first: RawTariff | None = None
        for file in self.files:
            if file.currency is None:
                continue
            if first is None:
                first = file
            elif file.currency != first.currency:
                message = f"the currency is {file.currency}, but {first.currency} in {first.at('currency')}"
                self.problems.error(file.at("currency"), message, "one currency for all tariffs")
        if first is None and self.complete and not any("currency" in file.given for file in self.files):
            self.problems.error(self.files[0].place, '"currency" is missing', "an ISO 4217 code such as AUD")
        return first.currency if first else None

    def _prefixes(self, entry: Entry[RawDestination]) -> Iterator[tuple[str, Place]]:
        """The prefixes of a destination, each once."""
        found: dict[str, Place] = {}
        for prefix, place in entry.value.prefixes if entry.value else ():
            if prefix in found:
                self.problems.error(place, f"the prefix {prefix} is given twice, first in {found[prefix]}")
                continue
            changed = international(prefix, self.numbering)
            if changed != prefix:
                message = f"the prefix {prefix} never matches: numbers that begin so become {changed}..."
                self.problems.error(place, message, "the country code first", f"write {changed}" if changed else "")
            if entry.value and entry.value.free and len(prefix) < 3:
                self.problems.warn(place, f"all numbers that begin with {prefix} are free for everybody")
            found[prefix] = place
            yield prefix, place

    # --- plans -----------------------------------------------------------------------------------------------------

    def tariff(self) -> Tariff | None:
        """All of it."""
        raw_plans = merged((file.plans for file in self.files), "plan", self.problems)
        if not raw_plans and self.complete and not any("plans" in file.given for file in self.files):
            self.problems.error(
                self.files[0].place, "there is no plan in any tariff file", '"plans" with at least one plan'
            )
        plans = {name: self._plan(name, entry) for name, entry in raw_plans.items()}
        emergency = frozenset(
            number.value for file in self.files if file.emergency for number in file.emergency.numbers
        )
        destinations = {
            name: Destination(name, tuple(sorted(self.prefixes[name])), bool(entry.value and entry.value.free))
            for name, entry in self.destinations.items()
        }
        free = {prefix: name for prefix, (name, _) in self.free.items()}
        if self.currency is None:
            return None
        meaning = (self.currency, destinations, self.dumped, self.numbering, emergency)
        return Tariff(
            version=sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()[:VERSION_DIGITS],
            currency=self.currency,
            destinations=destinations,
            plans=plans,
            numbering=self.numbering,
            emergency_numbers=emergency,
            free_prefixes=PrefixTable(free),
        )

    def _plan(self, name: str, entry: Entry[Mapping[str, Entry[RawServicePlan]]]) -> Plan:
        if entry.value is None:
            return Plan(name, {})
        if not entry.value:
            self.problems.error(entry.place, f'the plan "{name}" has no rates', "at least one service with a rate")
        services = {}
        for service, service_entry in entry.value.items():
            kind = self._kind(service, service_entry.place)
            if service_entry.value is not None:
                where = f"{name}/{service}"
                services[service] = self._service_plan(where, service_entry.value, service_entry.place, kind)
        for missing in sorted(set(self.services or ()) - set(entry.value)) if entry.value else ():
            self.problems.warn(entry.place, f'the plan "{name}" does not sell the service "{missing}"')
        return Plan(name, services)

    def _kind(self, service: str, place: Place) -> Kind | None:
        if self.services is None:
            return None
        if service not in self.services:
            hint = did_you_mean(service, self.services)
            self.problems.error(place, f'server.yaml has no service "{service}"', "one of its services", hint)
        return self.services.get(service)

    def _service_plan(self, where: str, raw: RawServicePlan, place: Place, kind: Kind | None) -> ServicePlan:
        if not raw.given:
            self.problems.error(place, f'"{where}" has no rates', 'at least one, such as "*any": {price: ...}')
        any_group = self._table(where, raw.rates, kind) if raw.rates else None
        by_group: dict[int, RateTable] = {}
        for group, entry in raw.rating_groups.items():
            if entry.value is None:
                continue
            if not entry.value:
                self.problems.error(entry.place, f"the rating group {group} has no rates")
            if group == ANY and raw.rates:
                message = 'rates for all rating groups stand twice: here, and beside "rating_groups"'
                self.problems.error(entry.place, message, "one of them")
            elif group == ANY:
                any_group = self._table(f"{where}/{ANY}", entry.value, kind)
            else:
                by_group[int(group)] = self._table(f"{where}/{group}", entry.value, kind)
        return ServicePlan(by_group, any_group)

    # --- one table of rates ------------------------------------------------------------------------------------------

    def _table(self, where: str, rates: Rates, kind: Kind | None) -> RateTable:
        by_prefix: dict[str, tuple[Window, ...]] = {}
        claimed: dict[str, str] = {}
        default: tuple[Window, ...] | None = None
        measure = MEASURE_OF_KIND[kind] if kind else None
        for destination, entry in rates.items():
            rate = None
            if entry.value is not None:
                rate_id = f"{where}/{destination}"
                rate = compile_rate(entry.value, rate_id, measure, self.currency, self.problems)
            if destination == ANY:
                default = (Window(ANY, rate),) if rate else None
                continue
            for prefix in self._sold(destination, entry.place, kind):
                if prefix in claimed:
                    self._contradiction(prefix, destination, claimed[prefix], where, entry.place)
                claimed[prefix] = destination
                if rate:
                    by_prefix[prefix] = (Window(destination, rate),)
        self.dumped[where] = (default, by_prefix)
        return PrefixTable(by_prefix, default)

    def _sold(self, destination: str, place: Place, kind: Kind | None) -> Iterable[str]:
        """The prefixes of a destination that has a rate, after its checks."""
        if kind is Kind.DATA:
            self.problems.error(place, "data has no destinations", '"*any"')
            return ()
        entry = self.destinations.get(destination)
        if entry is None and not self.complete:
            return ()
        if entry is None:
            hint = did_you_mean(destination, [*self.destinations, ANY])
            self.problems.error(place, f'there is no destination "{destination}"', 'a destination or "*any"', hint)
            return ()
        if entry.value and entry.value.free:
            message = f'the destination "{destination}" is free for everybody: its rate is never used'
            self.problems.error(place, message, f"no rate, or no free: true in {entry.value.at('free')}")
            return ()
        prefixes = self.prefixes[destination]
        for prefix, prefix_place in prefixes.items():
            shadow = next((prefix[:n] for n in range(1, len(prefix) + 1) if prefix[:n] in self.free), None)
            if shadow is not None:
                name, free_place = self.free[shadow]
                message = f'the prefix {prefix} is priced, but free through {shadow} of "{name}" in {free_place}'
                self.problems.error(prefix_place, message)
        return prefixes

    def _contradiction(self, prefix: str, second: str, first: str, where: str, place: Place) -> None:
        here, there = self.prefixes[second][prefix], self.prefixes[first][prefix]
        message = f'the prefix {prefix} has two rates in {where}: "{second}" ({here}) and "{first}" ({there})'
        self.problems.error(place, message, "each prefix in one of the destinations")
