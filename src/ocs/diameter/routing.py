"""Is a request for us? Application, command, realm, host, loop: the base checks of RFC 6733 6.1.4 to 6.1.8. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ocs.diameter.result_codes import ResultCode
from ocs.diameter.wire import Message

ROUTE_RECORD: Final = 282
DESTINATION_REALM: Final = 283
DESTINATION_HOST: Final = 293


class Local(msgspec.Struct, frozen=True):
    """What is ours, names in lower case (RFC 6733 4.3.1): a Destination-Host may name any of `hosts`."""

    identity: bytes
    hosts: frozenset[bytes]
    realms: frozenset[bytes]
    commands: Mapping[int, frozenset[int]]


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not served here."""

    result_code: ResultCode
    reason: str


def make_local(
    identity: str, realms: Iterable[str], commands: Mapping[int, frozenset[int]], siblings: Iterable[str] = ()
) -> Local:
    """`commands`: what is served, by application id; `siblings`: other names that are answered for here."""
    own = _folded(identity)
    return Local(own, frozenset({own, *map(_folded, siblings)}), frozenset(map(_folded, realms)), commands)


def check_route(message: Message, local: Local) -> Refusal | None:
    """None where the request is for us; the first thing that stands against it otherwise.

    In order: 3007 unknown application, 3001 unknown command of a known one, 3003 Destination-Realm, 3002
    Destination-Host, 3005 own identity in a Route-Record. What is missing is the grammar's business.
    """
    commands = local.commands.get(message.application_id)
    if commands is None:
        return Refusal(ResultCode.APPLICATION_UNSUPPORTED, f"application {message.application_id} is not served")
    if message.command_code not in commands:
        return Refusal(ResultCode.COMMAND_UNSUPPORTED, f"command {message.command_code} is not served")
    realm = host = None
    looped = False
    for avp in message.avps:
        code = avp.code
        if avp.vendor_id or not ROUTE_RECORD <= code <= DESTINATION_HOST:
            continue
        if code == DESTINATION_REALM:
            realm = realm or avp.data
        elif code == DESTINATION_HOST:
            host = host or avp.data
        elif code == ROUTE_RECORD:
            looped = looped or avp.data.lower() == local.identity
    if realm is not None and realm.lower() not in local.realms:
        return Refusal(ResultCode.REALM_NOT_SERVED, f"realm {_shown(realm)} is not served")
    if host is not None and host.lower() not in local.hosts:
        return Refusal(ResultCode.UNABLE_TO_DELIVER, f"host {_shown(host)} is not reached from here")
    if looped:
        return Refusal(ResultCode.LOOP_DETECTED, "the request has been here before")
    return None


def _folded(name: str) -> bytes:
    return name.lower().encode("ascii")


def _shown(name: bytes) -> str:
    return name[:128].decode("ascii", "replace")
