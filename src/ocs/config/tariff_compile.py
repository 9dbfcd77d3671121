"""From tariff files as written to the compiled tariff, with the checks that need more than one value.

The rule behind the checks: nothing is sold for nothing by a slip of the pen. What is free says `free: true`; a price
of 0, a price that rounding makes 0, and a prefix that two destinations claim are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

from ocs.config.calendar import Calendar, calendar_from
from ocs.config.diagnostics import Problems
from ocs.config.ground import Ground
from ocs.config.plan_compile import CompiledPlan, all_services, compile_plan, encoded
from ocs.config.profile_compile import Profiles, compile_shared_groups
from ocs.config.setting import Setting
from ocs.config.tariff_checks import check_table, check_timings
from ocs.config.tariff_file import RawTariff
from ocs.config.versions import Sources, versions
from ocs.rating.destinations import PrefixTable
from ocs.rating.tariff import Tariff
from ocs.rating.units import NS_PER_S

VERSION_DIGITS: Final = 12


class CompiledTariff(NamedTuple):
    """The tariff, None where errors leave none; the ids that some plan of some version uses, and all that there are."""

    tariff: Tariff | None
    timings_used: frozenset[str] = frozenset()
    destinations_used: frozenset[str] = frozenset()
    versions: tuple[Sources, ...] = ()


def compile_tariff(files: Sequence[RawTariff], setting: Setting, problems: Problems) -> CompiledTariff:
    """The tariff of all files, the versions to come as its successors."""
    if not files:
        return CompiledTariff(None)
    currency = _currency(files, setting, problems)
    if setting.complete and not any("plans" in file.given for file in files):
        problems.error(files[0].place, "there is no plan in any tariff file", '"plans" with at least one plan')
    compiled: list[_Version] = []
    for sources in versions(files, problems):
        compiled.append(_Version(sources, setting, currency, compiled[-1] if compiled else None, problems))
    calendar = calendar_from(datetime.fromtimestamp(setting.now_ns // NS_PER_S, UTC).year)
    checked: set[tuple[int, bool]] = set()
    for version in compiled:
        version.check(calendar, checked, problems)
    successor: Tariff | None = None
    if currency is not None:
        for version in reversed(compiled):
            successor = version.tariff(currency, successor)
    return CompiledTariff(
        successor,
        frozenset().union(*(version.ground.clocks.used for version in compiled)),
        frozenset().union(*(version.ground.sold for version in compiled)),
        tuple(version.sources for version in compiled),
    )


def _currency(files: Sequence[RawTariff], setting: Setting, problems: Problems) -> str | None:
    """The currency of all files."""
    first: RawTariff | None = None
    for file in files:
        if file.currency is None:
            continue
        if first is None:
            first = file
        elif file.currency != first.currency:
            message = f"the currency is {file.currency}, but {first.currency} in {first.at('currency')}"
            problems.error(file.at("currency"), message, "one currency for all tariffs")
    if first is None and setting.complete and not any("currency" in file.given for file in files):
        problems.error(files[0].place, '"currency" is missing', "an ISO 4217 code such as AUD")
    return first.currency if first else None


class _Version:
    """One version; a plan that is the same in the version before, on the same ground, is not compiled again."""

    def __init__(
        self, sources: Sources, setting: Setting, currency: str | None, before: _Version | None, problems: Problems
    ) -> None:
        self.sources = sources
        same_ground = (
            before is not None
            and before.sources.destinations == sources.destinations
            and before.sources.timings == sources.timings
        )
        self.ground: Ground = before.ground if before and same_ground else Ground(sources, setting, currency, problems)
        self.plans: dict[str, CompiledPlan] = {}
        for name, entry in sources.plans.items():
            if before and same_ground and before.sources.plans.get(name) is entry:
                self.plans[name] = before.plans[name]
            else:
                self.plans[name] = compile_plan(name, entry, sources.zone(entry), self.ground)
        plans = {name: compiled.plan for name, compiled in self.plans.items()}
        services = all_services(plans.values(), setting.services)
        profiles = Profiles(sources.profiles, plans, services, setting.now_ns, problems)
        self.subjects = profiles.compiled()
        profiles.check_fallbacks()
        self._falling_back = profiles.falling_back()
        self._in_profiles = profiles.plan_ids()
        self.shared_groups = compile_shared_groups(sources.shared_groups, problems)

    def check(self, calendar: Calendar, checked: set[tuple[int, bool]], problems: Problems) -> None:
        """What is left out and what never counts. checked: the tables that were, in versions before it."""
        check_timings(self.ground.clocks, calendar, problems)
        self._check_services(problems)
        for name, compiled in self.plans.items():
            falls_back = name in self._falling_back
            for table in compiled.tables:
                if (id(table), falls_back) not in checked:
                    checked.add((id(table), falls_back))
                    check_table(table, calendar, problems, falls_back=falls_back)

    def _check_services(self, problems: Problems) -> None:
        """A plan that no profile speaks of is somebody's for all services."""
        known = set(self.ground.setting.services or ())
        for name, entry in self.sources.plans.items():
            sold = entry.value.services if entry.value else {}
            for missing in sorted(known - set(sold)) if sold and name not in self._in_profiles else ():
                problems.warn(entry.place, f'the plan "{name}" does not sell the service "{missing}"')

    def tariff(self, currency: str, successor: Tariff | None) -> Tariff:
        """The version as the rating room knows it."""
        destinations = self.ground.destinations()
        timings = {
            name: timing
            for name, entry in self.sources.timings.items()
            if (timing := self.ground.clocks.timing(name, self.sources.zone(entry))) is not None
        }
        numbering = self.ground.setting.numbering
        emergency = self.sources.emergency_numbers
        digests = {name: compiled.digests for name, compiled in self.plans.items()}
        home_networks = self.ground.setting.home_networks
        meaning: tuple[object, ...] = (
            currency,
            destinations,
            digests,
            numbering,
            emergency,
            self.subjects,
            timings,
            self.shared_groups,
        )
        asks = self._asks()
        if asks:
            meaning = (*meaning, home_networks)
        return Tariff(
            version=sha256(encoded(meaning)).hexdigest()[:VERSION_DIGITS],
            currency=currency,
            destinations=destinations,
            plans={name: compiled.plan for name, compiled in self.plans.items()},
            numbering=numbering,
            emergency_numbers=emergency,
            free_prefixes=PrefixTable({prefix: name for prefix, (name, _) in self.ground.free.items()}),
            subjects=self.subjects,
            timings=timings,
            shared_groups=self.shared_groups,
            valid_from_ns=self.sources.valid_from_ns,
            successor=successor,
            home_networks=home_networks,
            asks=asks | (successor.asks if successor else frozenset()),
        )

    def _asks(self) -> frozenset[str]:
        """The facts that conditions of rates ask for."""
        found: set[str] = set()
        for compiled in self.plans.values():
            for table in compiled.tables:
                for windows in table.windows.values():
                    for window in windows:
                        if window.condition is not None:
                            found.update(name for name, _ in window.condition.terms)
        return frozenset(found)
