"""What `server.yaml` may say of the other side: listeners, peers, and certificates."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Field, ListOf, Located, Raw, Record, Switch
from ocs.config.settings import Refusals, Transport
from ocs.config.values import ANY_TEXT, HOST, HOST_PATTERN, NETWORK, REALM, integer, seconds
from ocs.limits import CONNECTIONS_MAX


class RawListener(Raw, frozen=True, kw_only=True):
    """A listener as written; without a port it is the standard's."""

    transport: Transport | None = None
    hosts: tuple[Located[str], ...] = ()
    port: int | None = None
    optional: bool = False
    tls: bool = False


class RawConnect(Raw, frozen=True, kw_only=True):
    """Where to connect to, as written; defaults are those of `Connect`."""

    hosts: tuple[Located[str], ...] = ()
    port: int | None = None
    transport: Transport = Transport.TCP
    tls: bool = False
    reconnect_s: int | None = None


class RawPeer(Raw, frozen=True, kw_only=True):
    """A peer rule as written; defaults are those of `PeerRule`."""

    host: str | None = None
    networks: tuple[Located[IPv4Network | IPv6Network], ...] = ()
    refusals: Refusals | None = None
    strict: bool | None = None
    connections: int | None = None
    watchdog_s: int | None = None
    grant_without_rsu: bool | None = None
    connect: RawConnect | None = None
    realms: tuple[Located[str], ...] = ()
    release_on_restart: bool | None = None


class RawTls(Raw, frozen=True, kw_only=True):
    """Certificates as written: paths relative to the folder of the file."""

    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    client_certificates: bool = True


_TRANSPORT = Choice({each.value: each for each in Transport})
_TLS = "TLS on TCP, from the first octet"

LISTENER = Record(
    RawListener,
    {
        "transport": Field(_TRANSPORT, "transport", required=True),
        "host": Field(
            ListOf(Placed(HOST), or_one=True, at_least=1),
            "address to listen on, or several",
            required=True,
            into="hosts",
        ),
        "port": Field(integer(0, 65_535), "port, 3868 by default, with TLS 5658; 0 = any free one"),
        "optional": Field(Switch(), "go on without it where the kernel has no SCTP"),
        "tls": Field(Switch(), _TLS),
    },
)

CONNECT = Record(
    RawConnect,
    {
        "host": Field(
            ListOf(Placed(HOST), or_one=True, at_least=1),
            "address of the peer, or several",
            required=True,
            into="hosts",
        ),
        "port": Field(integer(1, 65_535), "port, 3868 by default, with TLS 5658"),
        "transport": Field(_TRANSPORT, "transport, tcp by default"),
        "tls": Field(Switch(), _TLS),
        "reconnect": Field(seconds(1, 3_600), "from the end of a connection to the next attempt", into="reconnect_s"),
    },
)

PEER = Record(
    RawPeer,
    {
        "host": Field(HOST_PATTERN, "pattern of the Origin-Host", required=True),
        "from": Field(ListOf(Placed(NETWORK), at_least=1), "source networks of a peer that connects", into="networks"),
        "refusals": Field(Choice({each.value: each for each in Refusals}), "where refusals of credit stand"),
        "strict": Field(Switch(), "refuse unknown AVPs with M inside Service-Information, too"),
        "connections": Field(integer(1, CONNECTIONS_MAX), "connections of one identity"),
        "watchdog": Field(seconds(6, 600), "watchdog interval (RFC 3539)", into="watchdog_s"),
        "grant_without_rsu": Field(Switch(), "grant in an INITIAL without Requested-Service-Unit"),
        "connect": Field(CONNECT, "where to connect to"),
        "realms": Field(ListOf(Placed(REALM), or_one=True), "realms that are reached through this agent"),
        "release_on_restart": Field(Switch(), "a higher Origin-State-Id ends the sessions of its host"),
    },
)

TLS = Record(
    RawTls,
    {
        "certificate": Field(ANY_TEXT, "PEM file: own certificate, then those between it and the root", required=True),
        "key": Field(ANY_TEXT, "PEM file: its private key, without a passphrase", required=True),
        "ca": Field(ANY_TEXT, "PEM file: roots of the peers' certificates", required=True),
        "client_certificates": Field(
            Choice({"required": True, "optional": False}), "whether peers that connect have to show one"
        ),
    },
)
