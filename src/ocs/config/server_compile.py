"""From `server.yaml` as written to settings, with the checks that need more than one value."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import FinalAction, FinalUnit
from ocs.config.diagnostics import Place, Problems
from ocs.config.schema import Located, Raw
from ocs.config.server_file import RawFinalUnit, RawGrant, RawPeer, RawServer, RawService, RawStore
from ocs.config.settings import Listener, PeerRule, Transport
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure
from ocs.units import Quantity, format_measured

T = TypeVar("T", bound=msgspec.Struct)

_EXPECTED = {
    Measure.TIME: "a duration such as 60s",
    Measure.OCTETS: "a volume such as 10 MiB",
    Measure.EVENTS: "a whole number such as 1",
}


class Server(msgspec.Struct, frozen=True):
    """What of `server.yaml` needs work; the rest goes into the settings as it is."""

    listeners: tuple[Listener, ...]
    peers: tuple[PeerRule, ...]
    services: dict[str, ServicePolicy]


def compile_server(raw: RawServer, problems: Problems) -> Server:
    """Listeners, peers and services without errors; the others are left out and reported."""
    unique(raw.realms, "realm", problems)
    unique(raw.cluster, "node", problems)
    unique(raw.subscription_order or (), "identity", problems)
    _unique_contexts(raw, problems)
    if bool(raw.numbering.national_prefix) != bool(raw.numbering.country_code):
        problems.error(raw.at("numbering"), "national_prefix and country_code have a meaning only together", "both")
    if "peers" in raw.given and not raw.peers:
        problems.warn(raw.at("peers"), "no peer is admitted", "at least one rule")
    _months(raw.store, problems)
    services = {}
    for name, entry in raw.services.items():
        policy = _service(name, entry.value, problems) if entry.value else None
        if policy is not None:
            services[name] = policy
    return Server(_listeners(raw, problems), _peers(raw.peers, problems), services)


def _months(raw: RawStore | None, problems: Problems) -> None:
    """Only PostgreSQL keeps months apart."""
    if raw is None or raw.url is None or raw.url.startswith("postgres"):
        return
    for name in ("partitions_ahead_months", "keep_months"):
        if name in raw.given:
            problems.warn(raw.at(name), f"{name} has no meaning with this store: it keeps everything in one file")


def unique(values: Iterable[Located[Any]], noun: str, problems: Problems) -> None:
    """Each value of a list stands there once."""
    seen: dict[Any, Place] = {}
    for value, place in values:
        if value in seen:
            problems.error(place, f'the {noun} "{value}" is given twice, first in {seen[value]}')
        else:
            seen[value] = place


def built(make: type[T], raw: Raw, **given: Any) -> T:
    """A struct of the fields that were given, the others by its own defaults; extra ones stand in `given`."""
    for name in raw.__struct_fields__:
        if name in make.__struct_fields__ and name not in given and getattr(raw, name) is not None:
            given[name] = getattr(raw, name)
    return make(**given)


def _listeners(raw: RawServer, problems: Problems) -> tuple[Listener, ...]:
    found: dict[Listener, Place] = {}
    for listener in raw.listeners:
        unique(listener.hosts, "address", problems)
        if listener.optional and listener.transport is Transport.TCP:
            problems.error(listener.at("optional"), "TCP is always there", "no such key, or transport: sctp")
        if listener.transport is None or not listener.hosts or listener.port is None:
            continue
        host, *others = (host for host, _ in listener.hosts)
        made = Listener(listener.transport, host, listener.port, tuple(others), listener.optional)
        if made in found and made.port:
            problems.error(listener.place, f"the same listener stands in {found[made]}")
        found.setdefault(made, listener.place)
    return tuple(found)


def _peers(raws: Iterable[RawPeer], problems: Problems) -> tuple[PeerRule, ...]:
    rules: list[tuple[PeerRule, Place]] = []
    for raw in raws:
        if raw.host is None or not raw.networks:
            continue
        unique(raw.networks, "network", problems)
        rule = built(PeerRule, raw, networks=tuple(network for network, _ in raw.networks))
        shadow = next((place for earlier, place in rules if _covers(earlier, rule)), None)
        if shadow is not None:
            problems.warn(raw.place, f"the rule is never used: the one in {shadow} fits first", hint="put it above")
        rules.append((rule, raw.place))
    return tuple(rule for rule, _ in rules)


def _covers(earlier: PeerRule, later: PeerRule) -> bool:
    if earlier.host not in ("*", later.host):
        return False
    return all(any(_inside(network, wide) for wide in earlier.networks) for network in later.networks)


def _inside(network: IPv4Network | IPv6Network, wide: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(wide, IPv4Network):
        return network.subnet_of(wide)
    return isinstance(network, IPv6Network) and isinstance(wide, IPv6Network) and network.subnet_of(wide)


def _unique_contexts(raw: RawServer, problems: Problems) -> None:
    contexts = [context for entry in raw.services.values() if entry.value for context in entry.value.contexts]
    unique(contexts, "context", problems)


def _service(name: str, raw: RawService, problems: Problems) -> ServicePolicy | None:
    final_unit = FinalUnit() if raw.final_unit is None else _final_unit(raw.final_unit, problems)
    if raw.kind is None or raw.grant is None or not raw.contexts:
        return None
    grant = _grant(raw.grant, raw.kind, problems)
    if grant is None or final_unit is None:
        return None
    contexts = tuple(context for context, _ in raw.contexts)
    return built(ServicePolicy, raw, name=name, contexts=contexts, grant=grant, final_unit=final_unit)


def _final_unit(raw: RawFinalUnit, problems: Problems) -> FinalUnit | None:
    """Redirection needs an address, restriction filters; neither has a meaning elsewhere."""
    if raw.action is None:
        return None
    wanted = {FinalAction.REDIRECT: "redirect_to", FinalAction.RESTRICT_ACCESS: "filter_ids"}.get(raw.action)
    sound = True
    if wanted is not None and wanted not in raw.given:
        problems.error(raw.place, f'"{wanted}" is missing', f"{wanted}, as the action needs it")
        sound = False
    for other in ("redirect_to", "filter_ids"):
        if other in raw.given and other != wanted:
            problems.error(raw.at(other), f"{other} has no meaning with this action", "another action, or no such key")
            sound = False
    return built(FinalUnit, raw) if sound else None


def _grant(raw: RawGrant, kind: Kind, problems: Problems) -> GrantPolicy | None:
    measure = MEASURE_OF_KIND[kind]
    amounts: dict[str, int] = {}
    for name in ("minimum", "contended_slice", "slice", "maximum"):
        quantity: Quantity | None = getattr(raw, name)
        if quantity is None:
            continue
        if quantity.measure is not measure:
            problems.error(raw.at(name), f"the service counts {_COUNTS[measure]}", _EXPECTED[measure])
        elif quantity.amount == 0:
            problems.error(raw.at(name), f"the {name} is 0", "an amount above 0")
        else:
            amounts[name] = quantity.amount
    if len(amounts) < 4:
        return None
    policy = built(GrantPolicy, raw, **amounts)
    for smaller, larger in pairwise(amounts):
        if amounts[smaller] > amounts[larger]:
            few, many = (format_measured(amounts[name], measure) for name in (larger, smaller))
            expected = "minimum, contended_slice, slice, maximum in rising order"
            problems.error(raw.at(larger), f"the {larger} {few} is below the {smaller} {many}", expected)
    if kind is Kind.VOICE:
        _outlives(raw, "validity_time", policy.validity_time_s, "maximum", amounts, problems)
        _outlives(
            raw, "contended_validity_time", policy.contended_validity_time_s, "contended_slice", amounts, problems
        )
    return policy


_COUNTS = {Measure.TIME: "time", Measure.OCTETS: "octets", Measure.EVENTS: "events"}


def _outlives(
    raw: RawGrant, name: str, validity_s: int, limit: str, amounts: dict[str, int], problems: Problems
) -> None:
    """A grant of time is used up before it is no longer valid."""
    if validity_s * NS_PER_S <= amounts[limit]:
        granted = format_measured(amounts[limit], Measure.TIME)
        problems.error(raw.at(name), f"the {name} does not exceed the {limit} {granted}", f"more than {granted}")
