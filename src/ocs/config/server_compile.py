"""From `server.yaml` as written to settings, with the checks that need more than one value."""

from __future__ import annotations

import msgspec

from ocs.charging.policy import ServicePolicy
from ocs.config.diagnostics import Problems
from ocs.config.made import unique
from ocs.config.peer_compile import compile_listeners, compile_peers, compile_tls
from ocs.config.server_file import RawServer, RawStore
from ocs.config.service_compile import compile_services
from ocs.config.settings import Listener, PeerRule, Tls


class Server(msgspec.Struct, frozen=True):
    """What of `server.yaml` needs work; the rest goes into the settings as it is."""

    listeners: tuple[Listener, ...]
    peers: tuple[PeerRule, ...]
    services: dict[str, ServicePolicy]
    tls: Tls | None = None


def compile_server(raw: RawServer, currency: str | None, problems: Problems) -> Server:
    """Listeners, peers and services without errors; the others are left out and reported. currency: of the tariff."""
    unique(raw.realms, "realm", problems)
    unique(raw.cluster, "node", problems)
    unique(raw.home_networks, "network", problems)
    unique(raw.subscription_order or (), "identity", problems)
    if bool(raw.numbering.national_prefix) != bool(raw.numbering.country_code):
        problems.error(raw.at("numbering"), "national_prefix and country_code have a meaning only together", "both")
    if "peers" in raw.given and not raw.peers:
        problems.warn(raw.at("peers"), "no peer is admitted", "at least one rule")
    _months(raw.store, problems)
    services = compile_services(raw.services, currency, problems)
    listeners = compile_listeners(raw.listeners, raw.tls, problems)
    peers = compile_peers(raw.peers, raw.tls, problems)
    return Server(listeners, peers, services, compile_tls(raw.tls, problems))


def _months(raw: RawStore | None, problems: Problems) -> None:
    """Only PostgreSQL keeps months apart."""
    if raw is None or raw.url is None or raw.url.startswith("postgres"):
        return
    for name in ("partitions_ahead_months", "keep_months"):
        if name in raw.given:
            problems.warn(raw.at(name), f"{name} has no meaning with this store: it keeps everything in one file")
