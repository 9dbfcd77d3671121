"""From profiles and shared groups as written to the subjects and groups of a tariff, with their checks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ocs.config.diagnostics import Problems, did_you_mean
from ocs.config.schema import Entry, Located
from ocs.config.tariff_file import Activations, RawActivation, RawSharedGroup
from ocs.rating.destinations import ANY
from ocs.rating.tariff import FALLBACK_DEPTH_MAX, Activation, Plan, SharedGroup
from ocs.units import format_rfc3339

Subjects = Mapping[str, Mapping[str, tuple[Activation, ...]]]


class Profiles:
    """The profiles of one version, beside its plans. services: all that an activation for `*any` stands for.

    now_ns: what begins after it is still to come.
    """

    def __init__(
        self,
        raw: Mapping[str, Entry[Activations]],
        plans: Mapping[str, Plan],
        services: Collection[str],
        now_ns: int,
        problems: Problems,
    ) -> None:
        self.raw = raw
        self.plans = plans
        self.services = services
        self.now_ns = now_ns
        self.problems = problems

    def compiled(self) -> Subjects:
        """Subject -> service -> activations by rising time."""
        subjects = {name: self._subject(entry.value) for name, entry in self.raw.items() if entry.value is not None}
        for name, by_service in subjects.items():
            self._check_begin(name, by_service, subjects)
        return subjects

    def plan_ids(self) -> set[str]:
        """Ids of the plans that some profile has."""
        return {raw.plan for raw in self._all() if raw.plan}

    def falling_back(self) -> set[str]:
        """Ids of the plans that are never a subject's alone: every activation of one has fallbacks."""
        return self.plan_ids() - {raw.plan for raw in self._all() if not raw.fallback}

    def _all(self) -> Iterator[RawActivation]:
        for entry in self.raw.values():
            for service in (entry.value or {}).values():
                yield from service.value or ()

    def _check_begin(self, name: str, by_service: Mapping[str, tuple[Activation, ...]], subjects: Subjects) -> None:
        """A subject whose first plan is still to come has no rate until then, unless `*any` stands in for it."""
        tenant, colon, own = name.rpartition(":")
        for service, activations in by_service.items():
            first_ns = min((activation.from_ns for activation in activations), default=0)
            others = subjects.get(tenant + colon + ANY, {}).get(service, ()) if own != ANY else ()
            first_ns = min((first_ns, *(activation.from_ns for activation in others)))
            if first_ns > self.now_ns:
                begin = format_rfc3339(first_ns)
                entries = self.raw[name].value or {}
                place = entries[service if service in entries else ANY].place
                self.problems.warn(place, f'"{name}" has no plan before {begin}: until then it is refused')

    def _subject(self, by_service: Activations) -> dict[str, tuple[Activation, ...]]:
        found = {}
        for service, entry in by_service.items():
            if service != ANY and service not in self.services:
                hint = did_you_mean(service, self.services)
                message = f'server.yaml has no service "{service}"'
                self.problems.error(entry.place, message, 'one of its services, or "*any"', hint)
            activations = self._activations(service, entry.value or ())
            for name in self.services if service == ANY else (service,):
                if name == service or name not in by_service:
                    found[name] = activations
        return found

    def _activations(self, service: str, raws: Sequence[RawActivation]) -> tuple[Activation, ...]:
        found: dict[int, Activation] = {}
        for raw in raws:
            if raw.plan is None:
                continue
            self._known(raw, service)
            if raw.from_ns in found:
                message = f'"{found[raw.from_ns].plan_id}" begins at the same time'
                self.problems.error(raw.at("from"), message, "one plan at a time")
            found[raw.from_ns] = Activation(raw.from_ns, raw.plan, tuple(name for name, _ in raw.fallback))
        return tuple(found[from_ns] for from_ns in sorted(found))

    def _known(self, raw: RawActivation, service: str) -> None:
        assert raw.plan is not None
        plan = self.plans.get(raw.plan)
        if plan is None:
            hint = did_you_mean(raw.plan, self.plans)
            self.problems.error(raw.at("plan"), f'there is no plan "{raw.plan}"', "a plan of the tariff files", hint)
        elif service != ANY and service in self.services and service not in plan.services and not raw.fallback:
            self.problems.warn(raw.at("plan"), f'the plan "{raw.plan}" does not sell the service "{service}"')
        names = [*self.raw, *self.plans]
        for name, place in raw.fallback:
            if name not in self.raw and name not in self.plans:
                message, expected = f'there is no profile or plan "{name}"', "a profile or plan of the tariff files"
                self.problems.error(place, message, expected, did_you_mean(name, names))

    # --- fallbacks ---------------------------------------------------------------------------------------------------

    def check_fallbacks(self) -> None:
        """A fallback that leads back to where it came from is an error; one that is too far away is never asked."""
        for service in sorted(self.services):
            edges = {name: self._fallbacks(name, service) for name in self.raw}
            if any(edges.values()):
                self._walk(edges)

    def _fallbacks(self, subject: str, service: str) -> list[Located[str]]:
        by_service = self.raw[subject].value or {}
        entry = by_service.get(service) or by_service.get(ANY)
        return [fallback for raw in (entry.value if entry else None) or () for fallback in raw.fallback]

    def _walk(self, edges: Mapping[str, Sequence[Located[str]]]) -> None:
        """Depth first, each subject once. `way` is how one was come to, `depths` how many fallbacks follow one."""
        depths: dict[str, int] = {}
        for start in edges:
            way = {start: iter(edges[start])} if start not in depths else {}
            while way:
                name = next(reversed(way))
                following = next(way[name], None)
                if following is None:
                    way.pop(name)
                    depths[name] = max((1 + depths.get(other, 0) for other, _ in edges[name]), default=0)
                elif following.value in way:
                    names = list(way)
                    circle = " -> ".join([*names[names.index(following.value) :], following.value])
                    self.problems.error(following.place, f"the fallbacks run in a circle: {circle}")
                elif following.value in edges and following.value not in depths:
                    way[following.value] = iter(edges[following.value])
        for name, depth in depths.items():
            if depth > FALLBACK_DEPTH_MAX:
                message = f'"{name}" leads over {depth} fallbacks, but only {FALLBACK_DEPTH_MAX} are ever asked'
                self.problems.warn(self.raw[name].place, message)


def compile_shared_groups(raw: Mapping[str, Entry[RawSharedGroup]], problems: Problems) -> dict[str, SharedGroup]:
    """Shared groups by id, each member once."""
    found = {}
    for name, entry in raw.items():
        if entry.value is None:
            continue
        members: dict[str, None] = {}
        for member, place in entry.value.members:
            if member in members:
                problems.error(place, f'the member "{member}" is given twice')
            members[member] = None
        found[name] = SharedGroup(name, tuple(members), entry.value.strategy)
    return found
