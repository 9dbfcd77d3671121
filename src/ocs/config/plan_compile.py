"""From a plan as written to the compiled one: its tables of rates, from YAML and from CSV decks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from ocs.config.deck import read_deck
from ocs.config.diagnostics import Place, did_you_mean
from ocs.config.ground import Ground
from ocs.config.rate_compile import compile_condition, compile_rate
from ocs.config.rate_file import RawRate
from ocs.config.rate_table import Source, TableBuilder
from ocs.config.schema import Entry
from ocs.config.tariff_file import Rates, RawPlan, RawServicePlan
from ocs.rating.destinations import ANY, PrefixTable
from ocs.rating.tariff import Plan, RateTable, ServicePlan, Window
from ocs.rating.units import MEASURE_OF_KIND, Kind


class CompiledPlan(NamedTuple):
    """A plan, the digest of each of its tables, and the tables as they were put together, for checks."""

    plan: Plan
    digests: Mapping[str, str]
    tables: tuple[TableBuilder, ...]


def encoded(value: object) -> bytes:
    """`value` as octets that say all it means: equal for equal meaning."""
    return msgspec.json.encode(value, enc_hook=str, order="deterministic")


def compile_plan(name: str, entry: Entry[RawPlan], zone: tzinfo, ground: Ground) -> CompiledPlan:
    """The plan without what has errors. zone: whose clock it follows, unless it says so itself."""
    if entry.value is None:
        return CompiledPlan(Plan(name, {}), {}, ())
    return _Compiler(name, entry.place, entry.value, entry.value.time_zone or zone, ground).compiled()


class _Compiler:
    """The compilation of one plan."""

    def __init__(self, name: str, place: Place, raw: RawPlan, zone: tzinfo, ground: Ground) -> None:
        self.name = name
        self.place = place
        self.raw = raw
        self.zone = zone
        self.ground = ground
        self.problems = ground.problems
        self.known = ground.setting.services
        self.digests: dict[str, str] = {}
        self.tables: list[TableBuilder] = []

    def compiled(self) -> CompiledPlan:
        """All of it."""
        sold = self.raw.services
        if not sold:
            message = f'the plan "{self.name}" has no rates'
            self.problems.error(self.place, message, "at least one service with a rate")
        services = {}
        for service, entry in sold.items():
            kind = self._kind(service, entry.place)
            if entry.value is not None:
                services[service] = self._service_plan(f"{self.name}/{service}", entry.value, entry.place, kind)
        return CompiledPlan(Plan(self.name, services), self.digests, tuple(self.tables))

    def _kind(self, service: str, place: Place) -> Kind | None:
        if self.known is None:
            return None
        if service not in self.known:
            hint = did_you_mean(service, self.known)
            self.problems.error(place, f'server.yaml has no service "{service}"', "one of its services", hint)
        return self.known.get(service)

    def _service_plan(self, where: str, raw: RawServicePlan, place: Place, kind: Kind | None) -> ServicePlan:
        if not raw.given:
            self.problems.error(place, f'"{where}" has no rates', 'at least one, such as "*any": {price: ...}')
        any_group = self._table(where, raw.rates, kind, raw) if raw.rates or raw.deck else None
        by_group: dict[int, RateTable] = {}
        for group, entry in raw.rating_groups.items():
            if entry.value is None:
                continue
            if not entry.value:
                self.problems.error(entry.place, f"the rating group {group} has no rates")
            if group == ANY and any_group is not None:
                message = 'rates for all rating groups stand twice: here, and beside "rating_groups"'
                self.problems.error(entry.place, message, "one of them")
            elif group == ANY:
                any_group = self._table(f"{where}/{ANY}", entry.value, kind)
            else:
                by_group[int(group)] = self._table(f"{where}/{group}", entry.value, kind)
        return ServicePlan(by_group, any_group)

    def _table(self, where: str, rates: Rates, kind: Kind | None, deck: RawServicePlan | None = None) -> RateTable:
        builder = TableBuilder(where, self.problems)
        for destination, entry in rates.items():
            windows = [self._window(raw, where, destination, kind) for raw in entry.value or ()]
            places = [entry.place] if len(windows) == 1 else [raw.place for raw in entry.value or ()]
            holds = {"": entry.place} if destination == ANY else self._sold(destination, entry.place, kind)
            for prefix, prefix_place in holds.items():
                for window, place in zip(windows, places, strict=True):
                    if window is not None:
                        builder.claim(prefix, window, Source(place, prefix_place))
        if deck is not None and deck.deck is not None:
            self._deck(builder, deck.deck, deck.at("deck"), kind)
        self.tables.append(builder)
        by_prefix = builder.by_prefix()
        self.digests[where] = _digest(builder.default, by_prefix)
        return PrefixTable(by_prefix, builder.default)

    def _window(self, raw: RawRate, where: str, destination: str, kind: Kind | None) -> Window | None:
        """The rate of a destination and when it holds, None where it has errors."""
        timing = None
        sound = True
        if raw.when is not None:
            timing = self.ground.clocks.for_rate(raw.when, self.zone)
            sound = timing is not None
            if raw.when not in self.ground.sources.timings and self.ground.setting.complete:
                hint = did_you_mean(raw.when, self.ground.sources.timings)
                self.problems.error(raw.at("when"), f'there is no timing "{raw.when}"', "one of timings", hint)
        condition = compile_condition(raw.conditions, self.ground.setting, self.problems)
        rate_id = (
            f"{where}/{destination}" + (f"/{raw.when}" if raw.when else "") + (f"/{condition}" if condition else "")
        )
        measure = MEASURE_OF_KIND[kind] if kind else None
        rate = compile_rate(raw, rate_id, measure, self.ground.currency, self.problems)
        return Window(destination, rate, timing, raw.weight, condition) if rate and sound else None

    def _deck(self, builder: TableBuilder, name: str, place: Place, kind: Kind | None) -> None:
        if kind is Kind.DATA:
            self.problems.error(place, "data has no destinations", 'rates for "*any"')
            return
        path = Path(place.file).parent / name
        if not path.is_file():
            self.problems.error(place, f"there is no file {path}", "a CSV file, relative to this one")
            return

        def make(raw: RawRate) -> Window | None:
            return self._window(raw, builder.where, "deck", kind)

        for prefix, source in read_deck(path, builder, make, self.ground.setting.progress, self.problems):
            self.ground.check_numbering(prefix, source.prefix)
            self.ground.check_not_free(prefix, source.prefix)

    def _sold(self, destination: str, place: Place, kind: Kind | None) -> Mapping[str, Place]:
        """The prefixes of a destination that has a rate, after its checks."""
        if kind is Kind.DATA:
            self.problems.error(place, "data has no destinations", '"*any"')
            return {}
        self.ground.sold.add(destination)
        entry = self.ground.sources.destinations.get(destination)
        if entry is None:
            if self.ground.setting.complete:
                hint = did_you_mean(destination, [*self.ground.sources.destinations, ANY])
                self.problems.error(place, f'there is no destination "{destination}"', 'a destination or "*any"', hint)
            return {}
        if entry.value and entry.value.free:
            message = f'the destination "{destination}" is free for everybody: its rate is never used'
            self.problems.error(place, message, f"no rate, or no free: true in {entry.value.at('free')}")
            return {}
        prefixes = self.ground.prefixes[destination]
        for prefix, prefix_place in prefixes.items():
            self.ground.check_not_free(prefix, prefix_place)
        return prefixes


def _digest(default: tuple[Window, ...] | None, by_prefix: Mapping[str, tuple[Window, ...]]) -> str:
    """Of what a table means. Prefix by prefix, each window encoded once: a table may have very many prefixes."""
    known: dict[int, bytes] = {}

    def meaning(windows: tuple[Window, ...]) -> bytes:
        for window in windows:
            if id(window) not in known:
                known[id(window)] = encoded(window)
        return b",".join([known[id(window)] for window in windows])

    digest = sha256(meaning(default or ()))
    for prefix in sorted(by_prefix):
        digest.update(b"\n%b:%b" % (prefix.encode(), meaning(by_prefix[prefix])))
    return digest.hexdigest()


def all_services(plans: Iterable[Plan], known: Iterable[str] | None) -> list[str]:
    """Names of all services: of server.yaml, and those that plans sell."""
    return sorted({*(known or ()), *(service for plan in plans for service in plan.services)})
