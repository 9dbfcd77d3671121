"""Where a request of our own goes: what a peer can reach, and what redirect answers said (RFC 6733 6.1, 6.12 to 6.14).

Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from enum import IntEnum
from typing import Final

import msgspec

from ocs.diameter.admission import Capabilities
from ocs.diameter.base_messages import RELAY
from ocs.diameter.errors import PeerError
from ocs.diameter.types import unpack_diameter_uri
from ocs.diameter.wire import Message
from ocs.limits import OWN_ANSWER_TIMEOUT_S, REDIRECTS_CACHED_MAX

REDIRECT_HOST_USAGE: Final = 261
REDIRECT_MAX_CACHE_TIME: Final = 262
REDIRECT_HOST: Final = 292
REDIRECT_HOSTS_MAX: Final = 8
_SECOND_NS: Final = 1_000_000_000


class Reach(IntEnum):
    """How a peer reaches a destination; the lower the better."""

    ITSELF = 0
    BY_REALM = 1
    BY_DEFAULT = 2


class OwnRequest(msgspec.Struct, frozen=True):
    """A request of ours, but for what the node adds: header, Origin-Host, Origin-Realm and destination.

    command_code, application_id: of the header. destination_realm, destination_host: where it is to be answered; the
    realm alone where any host of it will do. avps: the encoded AVPs that come after those, Auth-Application-Id
    among them. session_id: comes first, None where the command has none. via: Origin-Host of the peer that is taken
    where it can be, such as the agent through which the session came. timeout_s: how long an answer is waited for,
    over all peers that are tried.
    """

    command_code: int
    application_id: int
    destination_realm: str
    avps: bytes
    destination_host: str | None = None
    session_id: str | None = None
    via: str = ""
    timeout_s: int = OWN_ANSWER_TIMEOUT_S


def reach(peer: Capabilities, request: OwnRequest) -> Reach | None:
    """How `peer` gets `request` to its destination, None where it does not.

    A peer of the destination realm reaches its own host only, unless the request is for any host of the realm; an
    agent (it says that it is a relay, or its rule names realms) reaches the hosts of its realms, and one whose rule
    names none reaches whatever nobody else does. One that the host was heard of through reaches it, whatever it says.
    """
    host, realm = (request.destination_host or "").lower(), request.destination_realm.lower()
    relay = RELAY in peer.applications
    if not relay and request.application_id not in peer.applications:
        return None
    if host and host == peer.host.lower():
        return Reach.ITSELF
    if realm in peer.rule.realms or (realm == peer.realm.lower() and (relay or not host)):
        return Reach.BY_REALM
    if request.via and request.via.lower() == peer.host.lower():
        return Reach.BY_DEFAULT
    return Reach.BY_DEFAULT if relay and not peer.rule.realms else None


class Redirect(msgspec.Struct, frozen=True):
    """What an answer 3006 says: hosts in lower case, how far it goes (Redirect-Host-Usage), for how long."""

    hosts: tuple[str, ...]
    usage: int
    cache_s: int


def redirect_of(answer: Message) -> Redirect:
    """Of DiameterURIs (RFC 6733 4.3.1) only the host counts: peers are connected by configuration."""
    hosts = []
    for avp in answer.find_all(REDIRECT_HOST)[:REDIRECT_HOSTS_MAX]:
        with suppress(PeerError):
            hosts.append(unpack_diameter_uri(avp).fqdn.lower())
    return Redirect(tuple(hosts), _number(answer, REDIRECT_HOST_USAGE), _number(answer, REDIRECT_MAX_CACHE_TIME))


def _number(message: Message, code: int) -> int:
    found = message.find(code)
    return int.from_bytes(found.data) if found is not None and len(found.data) == 4 else 0


_SESSION, _REALM, _REALM_AND_APPLICATION, _APPLICATION, _HOST = 1, 2, 3, 4, 5  # Redirect-Host-Usage, RFC 6733 6.13
_PRECEDENCE: Final = (_SESSION, _REALM_AND_APPLICATION, _REALM, _APPLICATION, _HOST)
"""Which entry counts where several fit (RFC 6733 6.13). ALL_USER is not kept: requests of ours name sessions."""


class RedirectCache:
    """Redirects that are to be remembered, REDIRECTS_CACHED_MAX at most; the oldest goes first."""

    def __init__(self) -> None:
        self._entries: dict[tuple[object, ...], tuple[tuple[str, ...], int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, redirect: Redirect, request: OwnRequest, answered_by: str, now_ns: int) -> None:
        """Keep what `answered_by` said about `request`, where it may be kept."""
        key = _key(redirect.usage, request, answered_by)
        if key is None or not redirect.cache_s or not redirect.hosts:
            return
        self._entries.pop(key, None)
        if len(self._entries) >= REDIRECTS_CACHED_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = redirect.hosts, now_ns + redirect.cache_s * _SECOND_NS

    def find(self, request: OwnRequest, chosen: str, now_ns: int) -> tuple[str, ...]:
        """The hosts that a request goes to, which would go to the peer `chosen`; none: it goes where it would."""
        for usage in _PRECEDENCE if self._entries else ():
            key = _key(usage, request, chosen)
            hosts, until_ns = self._entries.get(key or (), ((), 0))
            if until_ns > now_ns:
                return hosts
            if hosts and key is not None:
                del self._entries[key]
        return ()

    def forget(self, hosts: Collection[str]) -> None:
        """Drop what leads to these hosts: they cannot be reached."""
        self._entries = {key: entry for key, entry in self._entries.items() if not set(entry[0]) & set(hosts)}


def _key(usage: int, request: OwnRequest, peer: str) -> tuple[object, ...] | None:
    realm = request.destination_realm.lower()
    if usage == _SESSION and request.session_id is not None:
        return usage, request.session_id
    keys: dict[int, tuple[object, ...]] = {
        _REALM: (usage, realm),
        _REALM_AND_APPLICATION: (usage, realm, request.application_id),
        _APPLICATION: (usage, request.application_id),
        _HOST: (usage, peer),
    }
    return keys.get(usage)
