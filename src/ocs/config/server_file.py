"""What `server.yaml` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

from collections.abc import Mapping

from ocs.config.peer_file import LISTENER, PEER, TLS, RawListener, RawPeer, RawTls
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Raw, Record, Switch
from ocs.config.service_file import SERVICE, RawService
from ocs.config.values import (
    BIND,
    COUNTRY_CODE,
    DIALLED,
    FQDN,
    HOME_NETWORK,
    ID,
    REALM,
    STORE,
    integer,
    milliseconds,
    seconds,
)
from ocs.rating.numbers import Numbering

_DAY_S = 86_400


class RawStore(Raw, frozen=True, kw_only=True):
    """Where accounts are kept."""

    url: str | None = None
    partitions_ahead_months: int | None = None
    keep_months: int | None = None


class RawHttp(Raw, frozen=True, kw_only=True):
    """Where HTTP is listened for."""

    bind: tuple[str, int] | None = None


class RawServer(Raw, frozen=True, kw_only=True):
    """`server.yaml` as written."""

    identity: str | None = None
    realms: tuple[Located[str], ...] = ()
    cluster: tuple[Located[str], ...] = ()
    listeners: tuple[RawListener, ...] = ()
    peers: tuple[RawPeer, ...] = ()
    numbering: Numbering = Numbering()
    home_networks: tuple[Located[str], ...] = ()
    subscription_order: tuple[Located[str], ...] | None = None
    services: Mapping[str, Entry[RawService]] = {}
    store: RawStore | None = None
    http: RawHttp | None = None
    tls: RawTls | None = None
    emergency_grant_validity_s: int | None = None
    reauthorise_on_tariff_change: bool | None = None
    reauthorise_per_s: int | None = None
    overload_delay_ms: int | None = None


NUMBERING = Record(
    Numbering,
    {
        "international_prefix": Field(DIALLED, "dialled before a country code"),
        "national_prefix": Field(DIALLED, "dialled before a national number"),
        "country_code": Field(COUNTRY_CODE, "put in place of the national prefix"),
    },
)

STORE_RECORD = Record(
    RawStore,
    {
        "url": Field(STORE, "sqlite:PATH, postgresql://USER@HOST/DATABASE or memory:", required=True),
        "partitions_ahead_months": Field(integer(1, 24), "PostgreSQL: for so many months to come there are partitions"),
        "keep_months": Field(integer(1, 1_200), "PostgreSQL: whole months of journal and CDRs that are kept"),
    },
)

_IDENTITY_TYPES = ("msisdn", "imsi", "sip", "nai", "private")

SERVER_FILE = Record(
    RawServer,
    {
        "identity": Field(FQDN, "own Origin-Host", required=True),
        "realms": Field(ListOf(Placed(REALM), at_least=1), "realms served, the own one first", required=True),
        "cluster": Field(ListOf(Placed(FQDN)), "Origin-Hosts of all nodes that share the store"),
        "listeners": Field(ListOf(LISTENER, at_least=1), "where Diameter is listened for", required=True),
        "peers": Field(ListOf(PEER), "who may connect; the first rule that fits counts", required=True),
        "numbering": Field(NUMBERING, "how dialled numbers are made international"),
        "home_networks": Field(ListOf(Placed(HOME_NETWORK)), "MCC and MNC of networks where nobody is roaming"),
        "subscription_order": Field(
            ListOf(Placed(Choice({name: name for name in _IDENTITY_TYPES})), at_least=1),
            "which identity of a subscriber counts first",
        ),
        "services": Field(MapOf(ID, SERVICE, at_least=1), "what is charged", required=True),
        "store": Field(STORE_RECORD, "the store", required=True),
        "http": Field(Record(RawHttp, {"bind": Field(BIND, "address and port", required=True)}), "HTTP", required=True),
        "tls": Field(TLS, "own certificate, and whom to believe"),
        "reauthorise_on_tariff_change": Field(Switch(), "ask clients to come again when there is a new tariff"),
        "reauthorise_per_s": Field(integer(1, 10_000), "so many of them in a second"),
        "emergency_grant_validity": Field(
            seconds(60, _DAY_S), "life of a grant to an emergency number", into="emergency_grant_validity_s"
        ),
        "overload_delay": Field(
            milliseconds(20, 2_000), "how long answers may take before requests are refused", into="overload_delay_ms"
        ),
    },
)
