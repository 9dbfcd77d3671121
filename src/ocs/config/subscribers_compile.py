"""From `subscribers.yaml` as written to subscribers, with the checks that need more than one value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ocs.balances.account import Balance, Counter, Factor
from ocs.config.diagnostics import Place, Problems, did_you_mean
from ocs.config.schema import Entry, Located
from ocs.config.settings import Subscriber
from ocs.config.subscribers_file import RawAccount, RawBalance, RawCounter, RawSubscribers
from ocs.config.tariff_file import RawTariff
from ocs.limits import BALANCES_PER_ACCOUNT_MAX
from ocs.rating.destinations import ANY
from ocs.rating.units import MEASURE_OF_KIND, Kind
from ocs.units import MalformedError, parse_measured, parse_money

_IDENTITIES = ("msisdn", "imsi", "sip", "nai", "private")
ZERO: Final = "*zero"
"""What rating subjects of free slices begin with."""


class Known(NamedTuple):
    """Names from the other files that accounts speak of; None where they are not known, which was reported before.

    members: of the shared groups, with the places that name them.
    """

    currency: str | None = None
    subjects: Collection[str] | None = None
    destinations: Collection[str] | None = None
    timings: Collection[str] | None = None
    shared_groups: Mapping[str, Sequence[Located[str]]] | None = None
    services: Collection[str] | None = None


def known_names(files: Sequence[RawTariff], services: Collection[str] | None, *, complete: bool) -> Known:
    """The names that the tariff files define, in any version of the tariff."""
    if not complete:
        return Known(services=services)
    groups = {name: entry.value.members for file in files for name, entry in file.shared_groups.items() if entry.value}
    return Known(
        next((file.currency for file in files if file.currency), None),
        {name for file in files for name in (*file.plans, *file.profiles)} or None,
        {name for file in files for name in file.destinations},
        {name for file in files for name in file.timings},
        groups,
        services,
    )


def compile_subscribers(raw: RawSubscribers, known: Known, problems: Problems) -> tuple[Subscriber, ...]:
    """The subscribers without errors; the others are left out and reported."""
    owners: dict[str, Place] = {}
    found = []
    for name, entry in raw.accounts.items():
        if entry.value is not None:
            subscriber = _subscriber(name, entry.value, known, owners, problems)
            if subscriber is not None:
                found.append(subscriber)
    for group, members in (known.shared_groups or {}).items():
        for member, place in members:
            if member not in raw.accounts:
                hint = did_you_mean(member, raw.accounts)
                message = f'the shared group "{group}" has a member that no account of {raw.place.file} is: "{member}"'
                problems.warn(place, message, hint=hint)
    return tuple(found)


def _subscriber(
    name: str, raw: RawAccount, known: Known, owners: dict[str, Place], problems: Problems
) -> Subscriber | None:
    identities = _identities(raw, owners, problems)
    if raw.plan is not None:
        _known(raw.plan, raw.at("plan"), known.subjects, "plan or profile", problems)
    balances = _balances(name, raw.balances, known, problems)
    if len(raw.balances) > BALANCES_PER_ACCOUNT_MAX:
        problems.error(
            raw.at("balances"), f"there are {len(raw.balances)} balances", f"{BALANCES_PER_ACCOUNT_MAX} at most"
        )
    counters = _counters(raw, known, problems)
    if raw.plan is None:
        return None
    return Subscriber(name, identities, raw.plan, raw.status, balances, raw.expires_at_ns, raw.allow_negative, counters)


def _known(name: str, place: Place, names: Collection[str] | None, noun: str, problems: Problems) -> None:
    """An error where a name is none of those that are known; nothing where they are not known themselves."""
    if names is not None and name not in names:
        expected = f"a {noun} of the tariff files"
        problems.error(place, f'there is no {noun} "{name}"', expected, did_you_mean(name, names))


def _identities(raw: RawAccount, owners: dict[str, Place], problems: Problems) -> tuple[str, ...]:
    """As the directory keys them, "msisdn:...", "imsi:..."; each belongs to one account."""
    found = []
    for kind in _IDENTITIES:
        values: tuple[Located[str], ...] = getattr(raw, kind)
        for value, place in values:
            identity = f"{kind}:{value}"
            if identity in owners:
                problems.error(place, f"{kind} {value} is given twice, first in {owners[identity]}")
            else:
                owners[identity] = place
                found.append(identity)
    return tuple(found)


def _balances(
    owner: str, entries: Mapping[str, Entry[RawBalance]], known: Known, problems: Problems
) -> tuple[Balance, ...]:
    found = []
    for name, entry in entries.items():
        raw = entry.value
        if raw is None:
            continue
        value = _value(raw, known, problems)
        _check_destinations(raw, known, problems)
        _check_services(raw, known, problems)
        for timing, place in raw.timings:
            _known(timing.removeprefix("!"), place, known.timings, "timing", problems)
        _check_shared_group(owner, raw, known, problems)
        _check_subject(raw, known, problems)
        if raw.kind is not None and value is not None:
            found.append(
                Balance(
                    name,
                    raw.kind,
                    value,
                    weight=raw.weight,
                    expires_at_ns=raw.expires_at_ns,
                    destinations=_values(raw.destinations),
                    blocker=raw.blocker,
                    categories=_values(raw.categories),
                    timings=_values(raw.timings),
                    disabled=raw.disabled,
                    rating_subject=raw.rating_subject,
                    shared_group=raw.shared_group,
                    factors=_factors(raw),
                )
            )
    return tuple(found)


def _values(located: Sequence[Located[str]]) -> tuple[str, ...]:
    return tuple(value for value, _ in located)


def _factors(raw: RawBalance) -> tuple[Factor, ...]:
    """Those of single services first: the first one that fits counts."""
    made = [Factor(name, *entry.value) for name, entry in raw.factors.items() if entry.value is not None]
    return tuple(sorted(made, key=lambda factor: (factor.id == ANY, factor.id)))


def _value(raw: RawBalance, known: Known, problems: Problems) -> int | None:
    """The value in base units of the balance's kind."""
    if raw.kind is None or raw.value is None:
        return None
    place = raw.at("value")
    try:
        if raw.kind is not Kind.MONETARY:
            return parse_measured(raw.value, MEASURE_OF_KIND[raw.kind])
        nanos, currency = parse_money(raw.value)
    except MalformedError as problem:
        problems.error(place, problem.message, problem.expected, problem.hint)
        return None
    if known.currency is not None and currency != known.currency:
        problems.error(place, f"the value is in {currency}", f"{known.currency}, the currency of the tariff")
    if nanos < 0:
        problems.error(place, "the value is negative", "an amount of 0 or more")
    return nanos


def _check_destinations(raw: RawBalance | RawCounter, known: Known, problems: Problems) -> None:
    if raw.kind is Kind.DATA and raw.destinations:
        problems.error(raw.at("destinations"), "data has no destinations", "no such key")
        return
    for written, place in raw.destinations:
        if written != ANY:
            _known(written.removeprefix("!"), place, known.destinations, "destination", problems)


def _check_services(raw: RawBalance | RawCounter, known: Known, problems: Problems) -> None:
    named = [*raw.categories]
    if isinstance(raw, RawBalance):
        named += [Located(name, entry.place) for name, entry in raw.factors.items() if name != ANY]
    for name, place in named:
        if known.services is not None and name not in known.services:
            hint = did_you_mean(name, known.services)
            problems.error(place, f'server.yaml has no service "{name}"', "one of its services", hint)


def _check_shared_group(owner: str, raw: RawBalance, known: Known, problems: Problems) -> None:
    if not raw.shared_group or known.shared_groups is None:
        return
    place = raw.at("shared_group")
    _known(raw.shared_group, place, known.shared_groups, "shared group", problems)
    members = known.shared_groups.get(raw.shared_group)
    if members is not None and owner not in _values(members):
        message = f'nobody else may use it: "{owner}" is no member of the shared group "{raw.shared_group}"'
        problems.warn(place, message, f"{owner} among its members")


def _check_subject(raw: RawBalance, known: Known, problems: Problems) -> None:
    """Free slices are for units and counted as these are; factors are for units that pay alone."""
    subject = raw.rating_subject
    place = raw.at("rating_subject")
    priced = bool(subject) and not subject.startswith("*")
    if priced:
        _known(subject, place, known.subjects, "plan or profile", problems)
    elif subject.startswith(ZERO) and raw.kind is Kind.MONETARY:
        problems.error(place, "free slices have no meaning with money", "a profile or plan")
    elif subject.startswith(ZERO) and raw.kind not in (Kind.VOICE, None) and not subject[-1].isdigit():
        message = f'"{subject}" is a time, but the balance has none'
        problems.error(place, message, "a number of what it counts, such as *zero1024")
    elif subject.startswith(ZERO) and raw.kind is Kind.VOICE and subject[-1].isdigit():
        problems.error(place, f'"{subject}" has no unit', "a time such as *zero1s")
    if raw.factors and raw.kind is Kind.MONETARY:
        problems.error(raw.at("factors"), "factors have no meaning with money", "no such key")
    elif raw.factors and priced:
        problems.error(
            raw.at("factors"), "factors have no meaning with a rating subject that has prices", "one of them"
        )


def _counters(account: RawAccount, known: Known, problems: Problems) -> tuple[Counter, ...]:
    found = []
    for name, entry in account.counters.items():
        raw = entry.value
        if raw is None:
            continue
        _check_destinations(raw, known, problems)
        _check_services(raw, known, problems)
        if raw.balance and raw.of_balance is False:
            problems.error(raw.at("balance"), "a counter of usage counts no balance", "counts: balances")
        elif raw.balance and raw.balance not in account.balances:
            hint = did_you_mean(raw.balance, account.balances)
            problems.warn(raw.at("balance"), f'the account has no balance "{raw.balance}"', hint=hint)
        if raw.kind is not None and raw.of_balance is not None:
            destinations, categories = _values(raw.destinations), _values(raw.categories)
            found.append(Counter(name, raw.kind, raw.of_balance, 0, raw.balance, destinations, categories))
    return tuple(found)
