"""Listeners, peers and certificates: the checks that need more than one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from ocs.config.diagnostics import Place, Problems
from ocs.config.made import built, unique
from ocs.config.peer_file import RawConnect, RawListener, RawPeer, RawTls
from ocs.config.settings import Connect, Listener, PeerRule, Tls, Transport
from ocs.limits import CONNECT_HOSTS_MAX

DIAMETER_PORT: Final = 3_868
DIAMETER_TLS_PORT: Final = 5_658
_NO_DTLS: Final = "TLS is spoken on TCP; SCTP would need DTLS"


def compile_listeners(raws: Iterable[RawListener], tls: RawTls | None, problems: Problems) -> tuple[Listener, ...]:
    """Those without errors, the others are left out and reported."""
    found: dict[Listener, Place] = {}
    for raw in raws:
        unique(raw.hosts, "address", problems)
        if raw.optional and raw.transport is Transport.TCP:
            problems.error(raw.at("optional"), "TCP is always there", "no such key, or transport: sctp")
        _check_tls(raw, tls, problems)
        if raw.transport is None or not raw.hosts or (raw.port is None and "port" in raw.given):
            continue
        host, *others = (host for host, _ in raw.hosts)
        made = Listener(raw.transport, host, _port(raw), tuple(others), raw.optional, raw.tls)
        if made in found and made.port:
            problems.error(raw.place, f"the same listener stands in {found[made]}")
        found.setdefault(made, raw.place)
    return tuple(found)


def compile_peers(raws: Iterable[RawPeer], tls: RawTls | None, problems: Problems) -> tuple[PeerRule, ...]:
    """Those without errors, the others are left out and reported."""
    rules: list[tuple[PeerRule, Place]] = []
    dialled: dict[str, Place] = {}
    for raw in raws:
        unique(raw.networks, "network", problems)
        unique(raw.realms, "realm", problems)
        if "from" not in raw.given and "connect" not in raw.given:
            expected = "a list of networks that it connects from, or connect: with an address to connect to"
            problems.error(raw.place, '"from" is missing', expected)
        connect = None if raw.connect is None else _connect(raw.connect, tls, problems)
        if raw.host is None or not (raw.networks or connect):
            continue
        if connect is not None and dialled.setdefault(raw.host.lower(), raw.place) != raw.place:
            problems.error(raw.place, f"we connect to {raw.host} already, by {dialled[raw.host.lower()]}")
        rule = built(
            PeerRule,
            raw,
            networks=tuple(network for network, _ in raw.networks),
            connect=connect,
            realms=tuple(realm.lower() for realm, _ in raw.realms),
        )
        shadow = next((place for earlier, place in rules if _covers(earlier, rule)), None)
        if shadow is not None:
            problems.warn(raw.place, f"the rule is never used: the one in {shadow} fits first", hint="put it above")
        rules.append((rule, raw.place))
    return tuple(rule for rule, _ in rules)


def compile_tls(raw: RawTls | None, problems: Problems) -> Tls | None:
    """Paths from the folder of the file. A file that is not there is a warning: it may be checked elsewhere."""
    if raw is None or not (raw.certificate and raw.key and raw.ca):
        return None
    paths = []
    for name, path in (("certificate", raw.certificate), ("key", raw.key), ("ca", raw.ca)):
        full = Path(raw.place.file).parent / path
        if not full.is_file():
            problems.warn(raw.at(name), f"there is no file {full}", "a PEM file, when the server starts")
        paths.append(str(full))
    return Tls(paths[0], paths[1], paths[2], raw.client_certificates)


def _connect(raw: RawConnect, tls: RawTls | None, problems: Problems) -> Connect | None:
    unique(raw.hosts, "address", problems)
    _check_tls(raw, tls, problems)
    if len(raw.hosts) > CONNECT_HOSTS_MAX:
        problems.error(raw.at("host"), f"{len(raw.hosts)} addresses of one peer", f"{CONNECT_HOSTS_MAX} at most")
        return None
    if not raw.hosts:
        return None
    return built(Connect, raw, hosts=tuple(host for host, _ in raw.hosts), port=_port(raw))


def _check_tls(raw: RawListener | RawConnect, tls: RawTls | None, problems: Problems) -> None:
    if raw.tls and raw.transport is Transport.SCTP:
        problems.error(raw.at("tls"), _NO_DTLS, "transport: tcp, or no such key")
    if raw.tls and tls is None:
        problems.error(raw.at("tls"), "there are no certificates", "tls: with certificate, key and ca, in server.yaml")


def _port(raw: RawListener | RawConnect) -> int:
    if raw.port is not None:
        return raw.port
    return DIAMETER_TLS_PORT if raw.tls else DIAMETER_PORT


def _covers(earlier: PeerRule, later: PeerRule) -> bool:
    """Whether nobody is left who would be admitted by the later rule."""
    if earlier.host not in ("*", later.host) or not later.networks:
        return False
    return all(_within(network, earlier.networks) for network in later.networks)


def _within(network: IPv4Network | IPv6Network, wide: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(_inside(network, each) for each in wide)


def _inside(network: IPv4Network | IPv6Network, wide: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(wide, IPv4Network):
        return network.subnet_of(wide)
    return isinstance(network, IPv6Network) and isinstance(wide, IPv6Network) and network.subnet_of(wide)
