"""The compiled tariff: immutable, with a version that each CDR carries.

A lookup goes: version of the tariff at that time -> subject and service -> activation -> plan -> rating group ->
longest prefix -> window that holds now. It says until when its answer stays the same, so that a session can be cut
into segments there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import NamedTuple

import msgspec

from ocs.rating.conditions import Condition, Facts, holds
from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate
from ocs.rating.timings import Timing, started_at, turns

ANY_SUBJECT = "*any"
FALLBACK_DEPTH_MAX = 3

_NEVER_BEGAN = datetime.min  # noqa: DTZ901 - a wall clock's time


class Window(msgspec.Struct, frozen=True):
    """A rate, and when it holds.

    destination_id: what the prefix belongs to (`*any` where the plan names none).
    timing: None = always. condition: None = under all circumstances. weight: of several that hold, the heaviest
    counts; then the one that asks for more circumstances; then the one that began last.
    """

    destination_id: str
    rate: Rate
    timing: Timing | None = None
    weight: int = 0
    condition: Condition | None = None


RateTable = PrefixTable[tuple[Window, ...]]


class ServicePlan(msgspec.Struct, frozen=True):
    """The rates of one plan for one service: by rating group, or `any_group` for all groups not named."""

    by_group: Mapping[int, RateTable]
    any_group: RateTable | None

    def table(self, rating_group: int | None) -> RateTable | None:
        """The rate table of a rating group, None where the plan does not sell it."""
        if rating_group is not None:
            table = self.by_group.get(rating_group)
            if table is not None:
                return table
        return self.any_group


class Plan(msgspec.Struct, frozen=True):
    """A named price list: service name -> ServicePlan."""

    id: str
    services: Mapping[str, ServicePlan]


class Activation(msgspec.Struct, frozen=True):
    """From `from_ns` (Unix time) on a subject has that plan, and where it has no rate those of `fallbacks` in turn."""

    from_ns: int
    plan_id: str
    fallbacks: tuple[str, ...] = ()


class SharedGroup(msgspec.Struct, frozen=True):
    """Accounts that pay for each other with balances of that group.

    strategy: "mine_first" (own balances, then by weight), "mine_lowest", "mine_highest", "lowest", "highest": of value.
    """

    id: str
    members: tuple[str, ...]
    strategy: str = "mine_first"


class Tariff(msgspec.Struct, frozen=True):
    """All that rating needs, compiled from YAML.

    version: digest of what it was compiled from, the `tariff_version` of CDRs.
    currency: ISO 4217 code of all money.
    emergency_numbers: matched exactly, free for everybody, before any account is looked up.
    subjects: who is rated how: subject -> service -> activations by rising time. An account's plan is its subject;
        each plan is a subject of its own name, too. `*any` (of the same tenant, "tenant:*any") stands for the others.
    timings: by id, for balances that hold only at times.
    home_networks: PLMNs ("26201") where nobody is roaming. asks: facts that conditions of rates ask for, in this
        version or in one after it.
    valid_from_ns: when it takes effect; successor: the version after it.
    """

    version: str
    currency: str
    destinations: Mapping[str, Destination]
    plans: Mapping[str, Plan]
    numbering: Numbering
    emergency_numbers: frozenset[str]
    free_prefixes: PrefixTable[str]
    subjects: Mapping[str, Mapping[str, tuple[Activation, ...]]] = {}
    timings: Mapping[str, Timing] = {}
    shared_groups: Mapping[str, SharedGroup] = {}
    valid_from_ns: int = 0
    successor: Tariff | None = None
    home_networks: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()

    def at(self, at_ns: int) -> Tariff:
        """The version that holds at that time."""
        tariff = self
        while tariff.successor is not None and tariff.successor.valid_from_ns <= at_ns:
            tariff = tariff.successor
        return tariff


class Found(NamedTuple):
    """A rate that was found, and the way to it.

    until_ns: when another rate or another version takes over, None = never.
    """

    prefix: str
    destination_id: str
    rate: Rate
    version: str = ""
    until_ns: int | None = None
    plan_id: str = ""


class NotFound(NamedTuple):
    """Why there is no rate.

    reason: "no_plan", "no_service", "unknown_rating_group", "no_destination", "no_time": only at other times, or
        "no_rate": only in another measure. until_ns: when that may change, None = never.
    """

    reason: str
    until_ns: int | None = None


class PrefixTried(NamedTuple):
    """A prefix of the number that has windows, and the one of them that holds; None: none does."""

    prefix: str
    windows: tuple[Window, ...]
    chosen: Window | None


class SubjectTried(NamedTuple):
    """A subject that a rate was looked for under.

    name: under which it has its plan, `*any` where the subject itself has none. activation: None = it has no plan.
    prefixes: as they were tried, the longest first. reason: why there is no rate, "" where there is one.
    """

    subject: str
    name: str
    activation: Activation | None
    prefixes: tuple[PrefixTried, ...]
    reason: str


def find_rate(
    tariff: Tariff,
    subject: str,
    service: str,
    rating_group: int | None,
    number: str,
    at_ns: int = 0,
    tried: list[SubjectTried] | None = None,
    facts: Facts = (),
) -> Found | NotFound:
    """The rate of an event at a time. `number` is normalised digits, "" where the service has no destination.

    facts: what is known of its circumstances.
    tried: for explanations, takes what was looked at: the subject, then its fallbacks.
    """
    version = tariff.at(at_ns)
    found = _find(version, subject, service, rating_group, number, at_ns, FALLBACK_DEPTH_MAX, tried, facts)
    return found if version.successor is None else _until(found, version.successor.valid_from_ns)


def _find(
    tariff: Tariff,
    subject: str,
    service: str,
    rating_group: int | None,
    number: str,
    at_ns: int,
    depth: int,
    tried: list[SubjectTried] | None,
    facts: Facts,
) -> Found | NotFound:
    name, activation, until_ns, missing = _activation(tariff, subject, service, at_ns)
    if activation is None:
        if tried is not None:
            tried.append(SubjectTried(subject, name, None, (), missing))
        return NotFound(missing, until_ns)
    prefixes: list[PrefixTried] | None = None if tried is None else []
    found = _find_in_plan(tariff, activation.plan_id, service, rating_group, number, at_ns, prefixes, facts)
    if tried is not None:
        reason = found.reason if isinstance(found, NotFound) else ""
        tried.append(SubjectTried(subject, name, activation, tuple(prefixes or ()), reason))
    if isinstance(found, NotFound):
        for fallback in activation.fallbacks if depth else ():
            other = _find(tariff, fallback, service, rating_group, number, at_ns, depth - 1, tried, facts)
            either_ns = _sooner(other.until_ns, found.until_ns)
            if isinstance(other, Found):
                found = other._replace(until_ns=either_ns)
                break
            found = found._replace(until_ns=either_ns)
    return _until(found, until_ns)


def _until(found: Found | NotFound, until_ns: int | None) -> Found | NotFound:
    """What was found, with an end that is not after `until_ns`."""
    sooner_ns = _sooner(found.until_ns, until_ns)
    return found if sooner_ns == found.until_ns else found._replace(until_ns=sooner_ns)


def _activation(
    tariff: Tariff, subject: str, service: str, at_ns: int
) -> tuple[str, Activation | None, int | None, str]:
    """(name, what the subject has at a time under it, until when, what to call the lack of it).

    The name is the subject itself, or `*any` before its first activation.
    """
    until_ns = None
    known = False
    tenant, colon, _ = subject.partition(":") if ":" in subject else ("", "", "")
    for name in (subject, tenant + colon + ANY_SUBJECT):
        services = tariff.subjects.get(name)
        if services is None and name in tariff.plans:
            return name, Activation(0, name), until_ns, ""
        known = known or services is not None
        activations = services.get(service, ()) if services else ()
        current: Activation | None = None
        for activation in activations:
            if activation.from_ns <= at_ns:
                current = activation
            elif current is None or _terms(activation) != _terms(current):
                until_ns = _sooner(until_ns, activation.from_ns)
                break
        if current is not None:
            return name, current, until_ns, ""
    return subject, None, until_ns, "no_service" if known else "no_plan"


def _terms(activation: Activation) -> tuple[str, tuple[str, ...]]:
    """What an activation brings, whenever it begins."""
    return activation.plan_id, activation.fallbacks


def _find_in_plan(
    tariff: Tariff,
    plan_id: str,
    service: str,
    rating_group: int | None,
    number: str,
    at_ns: int,
    prefixes: list[PrefixTried] | None,
    facts: Facts,
) -> Found | NotFound:
    plan = tariff.plans.get(plan_id)
    if plan is None:
        return NotFound("no_plan")
    service_plan = plan.services.get(service)
    if service_plan is None:
        return NotFound("no_service")
    table = service_plan.table(rating_group)
    if table is None:
        return NotFound("unknown_rating_group")
    until_ns: int | None = None
    reason = "no_destination"
    for prefix, windows in table.matches(number):
        if len(windows) == 1 and windows[0].timing is None and windows[0].condition is None:
            chosen: Window | None = windows[0]
        else:
            chosen, changes_ns = choose_window(windows, at_ns, facts)
            until_ns = _sooner(until_ns, changes_ns)
            reason = "no_time"
        if prefixes is not None:
            prefixes.append(PrefixTried(prefix, windows, chosen))
        if chosen is not None:
            return Found(prefix, chosen.destination_id, chosen.rate, tariff.version, until_ns, plan_id)
    return NotFound(reason, until_ns)


def choose_window(windows: Sequence[Window], at_ns: int, facts: Facts = ()) -> tuple[Window | None, int | None]:
    """(the window that counts at a time and under the circumstances, when another one does).

    Of those that hold, the heaviest; of equal weight, the more special one: which asks for more circumstances, then
    which began last.
    """
    if any(window.condition is not None for window in windows):
        windows = [window for window in windows if window.condition is None or holds(window.condition, facts)]
    chosen = _heaviest(windows, at_ns)
    rivals = [window for window in windows if chosen is None or window is chosen or window.weight >= chosen.weight]
    for instant_ns in _all_turns(rivals, at_ns):
        if _heaviest(windows, instant_ns) is not chosen:
            return chosen, instant_ns
    return chosen, None


def _heaviest(windows: Sequence[Window], at_ns: int) -> Window | None:
    best: Window | None = None
    best_order = (0, 0, _NEVER_BEGAN)
    for window in windows:
        began = _NEVER_BEGAN
        if window.timing is not None and not window.timing.always:
            start = started_at(window.timing, at_ns)
            if start is None:
                continue
            began = start
        order = (window.weight, 0 if window.condition is None else len(window.condition.terms), began)
        if best is None or order > best_order:
            best, best_order = window, order
    return best


def _all_turns(windows: Sequence[Window], after_ns: int) -> Iterator[int]:
    return merge(*[turns(window.timing, after_ns) for window in windows if window.timing is not None])


def _sooner(one_ns: int | None, other_ns: int | None) -> int | None:
    if one_ns is None or other_ns is None:
        return one_ns if other_ns is None else other_ns
    return min(one_ns, other_ns)
