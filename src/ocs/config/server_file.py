"""What `server.yaml` may say: the table of its keys, and the values as read, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network

from ocs.charging.policy import DirectDebitingFailureHandling, FailureHandling
from ocs.charging.requests import FinalAction, UnknownSession
from ocs.config.schema import At as Placed
from ocs.config.schema import Choice, Entry, Field, ListOf, Located, MapOf, Raw, Record, Switch
from ocs.config.settings import Refusals, Transport
from ocs.config.values import (
    ANY_TEXT,
    BIND,
    CONTEXT,
    COUNTRY_CODE,
    DIALLED,
    FQDN,
    HOST,
    HOST_PATTERN,
    ID,
    NETWORK,
    QUANTITY,
    REALM,
    STORE,
    integer,
    seconds,
)
from ocs.limits import CONNECTIONS_MAX
from ocs.rating.numbers import Numbering
from ocs.rating.units import Kind
from ocs.units import Quantity

_DAY_S = 86_400


class RawListener(Raw, frozen=True, kw_only=True):
    """A listener as written."""

    transport: Transport | None = None
    hosts: tuple[Located[str], ...] = ()
    port: int | None = None
    optional: bool = False


class RawPeer(Raw, frozen=True, kw_only=True):
    """A peer rule as written; defaults are those of `PeerRule`."""

    host: str | None = None
    networks: tuple[Located[IPv4Network | IPv6Network], ...] = ()
    refusals: Refusals | None = None
    strict: bool | None = None
    connections: int | None = None
    watchdog_s: int | None = None
    grant_without_rsu: bool | None = None


class RawGrant(Raw, frozen=True, kw_only=True):
    """A grant policy as written: quantities still carry their measure."""

    slice: Quantity | None = None
    minimum: Quantity | None = None
    maximum: Quantity | None = None
    contended_slice: Quantity | None = None
    validity_time_s: int | None = None
    contended_validity_time_s: int | None = None
    grace_s: int | None = None


class RawFinalUnit(Raw, frozen=True, kw_only=True):
    """What a client does at the end of credit, as written."""

    action: FinalAction | None = None
    redirect_to: str = ""
    filter_ids: tuple[str, ...] = ()


class RawService(Raw, frozen=True, kw_only=True):
    """A service as written; defaults are those of `ServicePolicy`."""

    kind: Kind | None = None
    contexts: tuple[Located[str], ...] = ()
    default_rating_group: int | None = None
    grant: RawGrant | None = None
    final_unit: RawFinalUnit | None = None
    idle_limit_s: int | None = None
    session_failover: bool | None = None
    failure_handling: FailureHandling | None = None
    direct_debiting_failure_handling: DirectDebitingFailureHandling | None = None
    unknown_session: UnknownSession | None = None


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
    subscription_order: tuple[Located[str], ...] | None = None
    services: Mapping[str, Entry[RawService]] = {}
    store: RawStore | None = None
    http: RawHttp | None = None
    emergency_grant_validity_s: int | None = None


LISTENER = Record(
    RawListener,
    {
        "transport": Field(Choice({each.value: each for each in Transport}), "transport", required=True),
        "host": Field(
            ListOf(Placed(HOST), or_one=True, at_least=1),
            "address to listen on, or several",
            required=True,
            into="hosts",
        ),
        "port": Field(integer(0, 65_535), "port, 3868 by the standard; 0 = any free one", required=True),
        "optional": Field(Switch(), "go on without it where the kernel has no SCTP"),
    },
)

PEER = Record(
    RawPeer,
    {
        "host": Field(HOST_PATTERN, "pattern of the Origin-Host", required=True),
        "from": Field(ListOf(Placed(NETWORK), at_least=1), "source networks", required=True, into="networks"),
        "refusals": Field(Choice({each.value: each for each in Refusals}), "where refusals of credit stand"),
        "strict": Field(Switch(), "refuse unknown AVPs with M inside Service-Information, too"),
        "connections": Field(integer(1, CONNECTIONS_MAX), "connections of one identity"),
        "watchdog": Field(seconds(6, 600), "watchdog interval (RFC 3539)", into="watchdog_s"),
        "grant_without_rsu": Field(Switch(), "grant in an INITIAL without Requested-Service-Unit"),
    },
)

GRANT = Record(
    RawGrant,
    {
        "slice": Field(QUANTITY, "granted where the client leaves it to the server", required=True),
        "minimum": Field(QUANTITY, "the least that a client's wish can make of it", required=True),
        "maximum": Field(QUANTITY, "the most that a client's wish can make of it", required=True),
        "contended_slice": Field(QUANTITY, "granted where credit is short and shared", required=True),
        "validity_time": Field(seconds(1, 30 * _DAY_S), "life of a grant", into="validity_time_s"),
        "contended_validity_time": Field(
            seconds(1, 30 * _DAY_S), "life of a grant where credit is shared", into="contended_validity_time_s"
        ),
        "grace": Field(seconds(0, _DAY_S), "a hold outlives its grant by this", into="grace_s"),
    },
)

_FINAL_ACTIONS = {
    "terminate": FinalAction.TERMINATE,
    "redirect": FinalAction.REDIRECT,
    "restrict": FinalAction.RESTRICT_ACCESS,
}

FINAL_UNIT = Record(
    RawFinalUnit,
    {
        "action": Field(Choice(_FINAL_ACTIONS), "what the client does at the end of credit", required=True),
        "redirect_to": Field(ANY_TEXT, "IPv4, IPv6, URL or SIP URI to redirect to"),
        "filter_ids": Field(ListOf(ANY_TEXT, or_one=True), "names of filters in the client for restrict"),
    },
)

SERVICE = Record(
    RawService,
    {
        "kind": Field(
            Choice({kind.value: kind for kind in Kind if kind is not Kind.MONETARY}), "kind of usage", required=True
        ),
        "contexts": Field(
            ListOf(Placed(CONTEXT), or_one=True, at_least=1), "document numbers of Service-Context-Ids", required=True
        ),
        "default_rating_group": Field(integer(0, 2**32 - 1), "rated where the client sends none"),
        "grant": Field(GRANT, "how much is granted, and for how long", required=True),
        "final_unit": Field(FINAL_UNIT, "what the client does at the end of credit"),
        "idle_limit": Field(seconds(60, 30 * _DAY_S), "a session silent for this long is closed", into="idle_limit_s"),
        "session_failover": Field(Switch(), "sessions may move to another server"),
        "failure_handling": Field(
            Choice({each.name.lower(): each for each in FailureHandling}), "Credit-Control-Failure-Handling"
        ),
        "direct_debiting_failure_handling": Field(
            Choice({each.name.lower(): each for each in DirectDebitingFailureHandling}),
            "Direct-Debiting-Failure-Handling",
        ),
        "unknown_session": Field(
            Choice({each.value: each for each in UnknownSession}), "an UPDATE of a session that is not known here"
        ),
    },
)

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
        "subscription_order": Field(
            ListOf(Placed(Choice({name: name for name in _IDENTITY_TYPES})), at_least=1),
            "which identity of a subscriber counts first",
        ),
        "services": Field(MapOf(ID, SERVICE, at_least=1), "what is charged", required=True),
        "store": Field(STORE_RECORD, "the store", required=True),
        "http": Field(Record(RawHttp, {"bind": Field(BIND, "address and port", required=True)}), "HTTP", required=True),
        "emergency_grant_validity": Field(
            seconds(60, _DAY_S), "life of a grant to an emergency number", into="emergency_grant_validity_s"
        ),
    },
)
