"""From `subscribers.yaml` as written to subscribers, with the checks that need more than one value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ocs.balances.account import Balance
from ocs.config.diagnostics import Place, Problems, did_you_mean
from ocs.config.schema import Entry, Located
from ocs.config.settings import Subscriber
from ocs.config.subscribers_file import RawAccount, RawBalance, RawSubscribers
from ocs.limits import BALANCES_PER_ACCOUNT_MAX
from ocs.rating.destinations import ANY
from ocs.rating.units import MEASURE_OF_KIND, Kind
from ocs.units import MalformedError, parse_measured, parse_money

_IDENTITIES = ("msisdn", "imsi", "sip", "nai", "private")


class Known(NamedTuple):
    """Names from the tariff that accounts speak of; None where they are not known, which was reported before."""

    currency: str | None
    plans: Collection[str] | None
    destinations: Collection[str] | None


def compile_subscribers(raw: RawSubscribers, known: Known, problems: Problems) -> tuple[Subscriber, ...]:
    """The subscribers without errors; the others are left out and reported."""
    owners: dict[str, Place] = {}
    found = []
    for name, entry in raw.accounts.items():
        if entry.value is not None:
            subscriber = _subscriber(name, entry.value, known, owners, problems)
            if subscriber is not None:
                found.append(subscriber)
    return tuple(found)


def _subscriber(
    name: str, raw: RawAccount, known: Known, owners: dict[str, Place], problems: Problems
) -> Subscriber | None:
    identities = _identities(raw, owners, problems)
    if raw.plan is not None and known.plans is not None and raw.plan not in known.plans:
        hint = did_you_mean(raw.plan, known.plans)
        problems.error(raw.at("plan"), f'there is no plan "{raw.plan}"', "a plan of the tariff files", hint)
    balances = _balances(raw.balances, known, problems)
    if len(raw.balances) > BALANCES_PER_ACCOUNT_MAX:
        problems.error(
            raw.at("balances"), f"there are {len(raw.balances)} balances", f"{BALANCES_PER_ACCOUNT_MAX} at most"
        )
    if raw.plan is None:
        return None
    return Subscriber(name, identities, raw.plan, raw.status, balances, raw.expires_at_ns)


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


def _balances(entries: Mapping[str, Entry[RawBalance]], known: Known, problems: Problems) -> tuple[Balance, ...]:
    found = []
    for name, entry in entries.items():
        raw = entry.value
        if raw is None:
            continue
        value = _value(raw, known, problems)
        _check_destinations(raw, known, problems)
        if raw.kind is not None and value is not None:
            destinations = tuple(destination for destination, _ in raw.destinations)
            found.append(
                Balance(
                    name,
                    raw.kind,
                    value,
                    weight=raw.weight,
                    expires_at_ns=raw.expires_at_ns,
                    destinations=destinations,
                    blocker=raw.blocker,
                )
            )
    return tuple(found)


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


def _check_destinations(raw: RawBalance, known: Known, problems: Problems) -> None:
    if raw.kind is Kind.DATA and raw.destinations:
        problems.error(raw.at("destinations"), "data has no destinations", "no such key")
        return
    if known.destinations is None:
        return
    for written, place in raw.destinations:
        name = written.removeprefix("!")
        if name != ANY and name not in known.destinations:
            hint = did_you_mean(name, known.destinations)
            problems.error(place, f'there is no destination "{name}"', "a destination of the tariff files", hint)
