"""What a configuration folder says, typed and frozen, as the rest of the program reads it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

import msgspec

from ocs.balances.account import Account, Balance, Counter, Status
from ocs.charging.policy import ServicePolicy
from ocs.config.document import Node
from ocs.config.schema import Located
from ocs.limits import OVERLOAD_DELAY_MS
from ocs.rating.tariff import Tariff


class Transport(Enum):
    """Transports of a Diameter listener."""

    TCP = "tcp"
    SCTP = "sctp"


class Listener(msgspec.Struct, frozen=True):
    """Where Diameter is listened for. `host` is an IPv4 or IPv6 address, or a name; port 0 = any free one.

    other_hosts: more of them under the same port. With SCTP they are the paths of each association.
    optional: where the kernel does not have the transport, go on without this listener.
    tls: every connection begins with a TLS handshake (RFC 6733 13.1), with the certificate of `Settings.tls`.
    """

    transport: Transport
    host: str
    port: int
    other_hosts: tuple[str, ...] = ()
    optional: bool = False
    tls: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, the first one first."""
        return (self.host, *self.other_hosts)


class Tls(msgspec.Struct, frozen=True):
    """Our certificate and whom we believe: paths of PEM files, absolute or relative to the working directory.

    certificate: ours and those between it and the root; key: its private key, without a passphrase. ca: roots of the
    peers' certificates. client_certificates: a peer that connects has to show one, which names its Origin-Host.
    """

    certificate: str
    key: str
    ca: str
    client_certificates: bool = True


class Connect(msgspec.Struct, frozen=True):
    """How to reach a peer: addresses or names of it, in the order in which they are tried.

    reconnect_s: Tc of RFC 6733 2.1, between the end of one connection and the next attempt.
    """

    hosts: tuple[str, ...]
    port: int
    transport: Transport = Transport.TCP
    tls: bool = False
    reconnect_s: int = 30


class Refusals(Enum):
    """Where a peer wants refusals of credit: in the MSCC under 2001, or at command level when all is refused."""

    MSCC = "mscc"
    COMMAND = "command"


class PeerRule(msgspec.Struct, frozen=True):
    """Which peers are admitted, and how they are treated; the first rule that fits a peer is its rule.

    host: pattern of the Origin-Host in its CER, "*" for any run of characters ("*.pgw.example.com"); any case.
    networks: where its connections come from; none: it does not connect, we do.
    connect: where we connect to, None: it connects.
    realms: in lower case, what can be reached through it besides its own realm; it is an agent then.
    release_on_restart: a higher Origin-State-Id of it, or of a host behind it, is told to whoever ends its sessions.
    strict: unknown AVPs with the M bit inside Service-Information are refused, too.
    connections: how many connections one identity may have.
    watchdog_s: Twinit of RFC 3539, at least 6.
    grant_without_rsu: an INITIAL with an MSCC but no Requested-Service-Unit is granted by policy.
    """

    host: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    refusals: Refusals = Refusals.COMMAND
    strict: bool = False
    connections: int = 1
    watchdog_s: int = 30
    grant_without_rsu: bool = False
    connect: Connect | None = None
    realms: tuple[str, ...] = ()
    release_on_restart: bool = False


class Subscriber(msgspec.Struct, frozen=True):
    """An account as `subscribers.yaml` opens it on the first start.

    identities: "msisdn:4917...", "imsi:26201...", "sip:user@host", "nai:user@realm", "private:...".
    plan: id of a plan, or of a profile. The rest as in an Account.
    """

    id: str
    identities: tuple[str, ...]
    plan: str
    status: Status = Status.ACTIVE
    balances: tuple[Balance, ...] = ()
    expires_at_ns: int | None = None
    allow_negative: bool = False
    counters: tuple[Counter, ...] = ()

    def account(self, currency: str, version: int = 0) -> Account:
        """The account that it is opened as."""
        return Account(
            self.id,
            version,
            currency,
            self.plan,
            self.status,
            self.balances,
            self.expires_at_ns,
            self.allow_negative,
            self.counters,
        )


class Settings(msgspec.Struct, frozen=True):
    """All of a configuration folder.

    identity: own Origin-Host; realms: served, the first is the own Origin-Realm.
    overload_delay_ms: how long requests may wait for their answers before some are refused.
    cluster: Origin-Hosts of the other nodes that share the store: what is meant for them is served here, too.
    subscription_order: which Subscription-Id counts when several are given, e.g. ("imsi", "msisdn", "sip", ...).
    services: by name.
    reauthorise_on_tariff_change: whether clients with quotas by an older tariff are asked to come again when there is a
        new one; reauthorise_per_s: how many in a second.
    store_url: "sqlite:PATH" (relative to the working directory), "postgresql://USER@HOST/DATABASE" or "memory:".
    store_keep_months: whole months of journal and CDRs that are kept before this one; None = all of them.
    tests: the entries under `tests` of the tariff files, in order, as written and with their places.
    """

    identity: str
    realms: tuple[str, ...]
    listeners: tuple[Listener, ...]
    peers: tuple[PeerRule, ...]
    services: Mapping[str, ServicePolicy]
    store_url: str
    http_host: str
    http_port: int
    tariff: Tariff
    subscribers: tuple[Subscriber, ...]
    subscription_order: tuple[str, ...] = ("msisdn", "imsi", "sip", "nai", "private")
    emergency_grant_validity_s: int = 3_600
    reauthorise_on_tariff_change: bool = False
    reauthorise_per_s: int = 100
    store_partitions_ahead_months: int = 3
    store_keep_months: int | None = None
    tests: tuple[Located[Node], ...] = ()
    tls: Tls | None = None
    cluster: tuple[str, ...] = ()
    overload_delay_ms: int = OVERLOAD_DELAY_MS
