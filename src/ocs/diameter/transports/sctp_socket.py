"""SCTP as the kernel has it: one-to-one sockets, their options and notifications (RFC 6458), without any library.

Python knows no SCTP, so numbers and layouts stand here as in <linux/sctp.h>. Nothing here waits or knows Diameter.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Sequence
from enum import Enum
from errno import ENOSYS, EPROTONOSUPPORT, ESOCKTNOSUPPORT
from ipaddress import IPv6Address
from typing import Final

import msgspec

from ocs.diameter.admission import Address, plain_address
from ocs.diameter.transports import TransportMissing
from ocs.limits import (
    SCTP_ASSOCIATION_RETRIES,
    SCTP_HEARTBEAT_MS,
    SCTP_INIT_TRIES,
    SCTP_PATH_RETRIES,
    SCTP_RTO_INITIAL_MS,
    SCTP_RTO_MAX_MS,
    SCTP_RTO_MIN_MS,
    SCTP_STREAMS_MAX,
)

IPPROTO_SCTP: Final = 132
MSG_NOTIFICATION: Final = 0x8000
DIAMETER_PPID: Final = 46  # in clear; 47 is Diameter over DTLS (RFC 6733 2.1, 11.4)

_RTOINFO: Final = 0
_ASSOCINFO: Final = 1
_INITMSG: Final = 2
_NODELAY: Final = 3
_PEER_ADDR_PARAMS: Final = 9
_EVENTS: Final = 11
_BINDX_ADD: Final = 100
_GET_PEER_ADDRS: Final = 108
_GET_LOCAL_ADDRS: Final = 109
_CONNECTX: Final = 110

_SNDINFO: Final = 2  # type of ancillary data
_UNORDERED: Final = 1
_HEARTBEAT: Final = 1
# Told or not: data I/O, association, address, send failure, peer error, shutdown, partial delivery, adaptation.
_WANTED_EVENTS: Final = bytes([0, 1, 1, 0, 0, 1, 1, 0])

_ASSOCIATION_CHANGE: Final = 0x8001
_ADDRESS_CHANGE: Final = 0x8002
_PARTIAL_DELIVERY: Final = 0x8006
_UP: Final = 0
_ADDRESS_STATES: Final = ("available", "unreachable", "removed", "added", "made_primary", "confirmed", "unstable")

# A kernel without SCTP, or one whose SCTP lacks the cookie's hash.
_NONE: Final = frozenset({EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOSYS})
_CURE: Final = "the kernel has no SCTP: load it (modprobe sctp)"
_LISTENER_CURE: Final = f"{_CURE}, or say `optional: true` in the listener to go on without it"

_ADDRESSES_OCTETS: Final = 16_384
_libc: Final = ctypes.CDLL(None, use_errno=True)

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


def _ancillary(flags: int) -> list[tuple[int, int, bytes]]:
    """What goes with a message on stream 0."""
    return [(IPPROTO_SCTP, _SNDINFO, struct.pack("=HH", 0, flags) + struct.pack("!I", DIAMETER_PPID) + bytes(8))]


ORDERED: Final = _ancillary(0)
UNORDERED: Final = _ancillary(_UNORDERED)


class Association(Enum):
    """What a notification says of the association as a whole."""

    GOES_ON = "goes on"
    OVER = "over"
    TORN = "torn"  # a message of which a part was delivered will not be completed


class Path(msgspec.Struct, frozen=True):
    """A path changed: to one address of the peer, and what it is now: "available", "unreachable", "confirmed" ..."""

    address: Address
    state: str


def listening_socket(addresses: Sequence[SocketAddress], backlog: int) -> socket.socket:
    """A socket that listens on all `addresses`, which have one port. Raises OSError, TransportMissing."""
    made = _socket(addresses, _LISTENER_CURE)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            only = all(isinstance(plain_address(address[0]), IPv6Address) for address in addresses)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
        _bind(made, addresses)
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise _worded(error, _LISTENER_CURE) from error
    return made


def connecting_socket(addresses: Sequence[SocketAddress], sources: Sequence[SocketAddress]) -> socket.socket:
    """A socket on its way to a peer that has all `addresses`; writable when it is there, SO_ERROR says whether.

    sources: our own addresses, with port 0; none: all of this host. Raises OSError, TransportMissing.
    """
    made = _socket([*addresses, *sources], _CURE)
    try:
        if sources:
            _bind(made, sources)
        with contextlib.suppress(BlockingIOError):
            made.setsockopt(IPPROTO_SCTP, _CONNECTX, _packed(addresses))
    except OSError:
        made.close()
        raise
    return made


def peer_addresses(connected: socket.socket) -> list[Address]:
    """Every address of the other side; none where the association is gone."""
    return _addresses(connected, _GET_PEER_ADDRS)


def local_addresses(connected: socket.socket) -> list[Address]:
    """Every address of this side that the association uses; none where it is gone."""
    return _addresses(connected, _GET_LOCAL_ADDRS)


def read_notification(data: bytes) -> Association | Path:
    """What a notification says; one of no interest is GOES_ON.

    A restart counts as the end: the peer has lost what was on its way, and its CER would meet an open connection.
    """
    kind, _, length = struct.unpack_from("=HHI", data)
    if kind == _ASSOCIATION_CHANGE and length >= 20:
        (state,) = struct.unpack_from("=H", data, 8)
        return Association.GOES_ON if state == _UP else Association.OVER
    if kind == _ADDRESS_CHANGE and length >= 144:
        (state,) = struct.unpack_from("=i", data, 136)
        name = _ADDRESS_STATES[state] if 0 <= state < len(_ADDRESS_STATES) else str(state)
        return Path(_unpacked(data, 8)[0], name)
    return Association.TORN if kind == _PARTIAL_DELIVERY else Association.GOES_ON


def _socket(addresses: Sequence[SocketAddress], cure: str) -> socket.socket:
    """A socket, not blocking, with the options that listeners hand on to what they accept."""
    family = socket.AF_INET6 if any(":" in address[0] for address in addresses) else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP)
    except OSError as error:
        raise _worded(error, cure) from error
    made.setblocking(False)
    streams = struct.pack("=HHHH", SCTP_STREAMS_MAX, SCTP_STREAMS_MAX, SCTP_INIT_TRIES, SCTP_RTO_MAX_MS)
    made.setsockopt(IPPROTO_SCTP, _INITMSG, streams)
    made.setsockopt(IPPROTO_SCTP, _NODELAY, 1)
    made.setsockopt(IPPROTO_SCTP, _EVENTS, _WANTED_EVENTS)
    rto = struct.pack("=iIII", 0, SCTP_RTO_INITIAL_MS, SCTP_RTO_MAX_MS, SCTP_RTO_MIN_MS)
    made.setsockopt(IPPROTO_SCTP, _RTOINFO, rto)
    made.setsockopt(IPPROTO_SCTP, _ASSOCINFO, struct.pack("=iHHIII", 0, SCTP_ASSOCIATION_RETRIES, 0, 0, 0, 0))
    path = struct.pack("=i128xIHIIIH", 0, SCTP_HEARTBEAT_MS, SCTP_PATH_RETRIES, 0, 0, _HEARTBEAT, 0)
    made.setsockopt(IPPROTO_SCTP, _PEER_ADDR_PARAMS, path)
    return made


def _bind(unbound: socket.socket, addresses: Sequence[SocketAddress]) -> None:
    """Bind to one address, of the socket's own family, then add the others under the port that it got."""
    first, *more = sorted(addresses, key=len, reverse=True)
    mapped = unbound.family == socket.AF_INET6 and ":" not in first[0]
    unbound.bind((f"::ffff:{first[0]}", first[1]) if mapped else first)
    if more:
        port = unbound.getsockname()[1]
        others = [(address[0], port, *address[2:]) for address in more]
        unbound.setsockopt(IPPROTO_SCTP, _BINDX_ADD, _packed(others))


def _worded(error: OSError, cure: str) -> OSError:
    return TransportMissing(error.errno, cure) if error.errno in _NONE else error


def _packed(addresses: Sequence[tuple[str | int, ...]]) -> bytes:
    """sockaddr_in and sockaddr_in6 one after the other."""
    parts = []
    for host, port, *more in addresses:
        text = str(host).partition("%")[0]
        if ":" in text:
            flow, scope = (int(each) for each in more) if more else (0, 0)
            parts.append(struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", int(port), flow))
            parts.append(socket.inet_pton(socket.AF_INET6, text) + struct.pack("=I", scope))
        else:
            parts.append(struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)))
            parts.append(socket.inet_aton(text) + bytes(8))
    return b"".join(parts)


def _unpacked(data: bytes, at: int) -> tuple[Address, int]:
    """(address, where the next one begins)."""
    (family,) = struct.unpack_from("=H", data, at)
    if family == socket.AF_INET6:
        return plain_address(socket.inet_ntop(socket.AF_INET6, data[at + 8 : at + 24])), at + 28
    return plain_address(socket.inet_ntoa(data[at + 4 : at + 8])), at + 16


def _addresses(connected: socket.socket, option: int) -> list[Address]:
    # Not socket.getsockopt: these options read their buffer, too, and Python hands over one with whatever is in it.
    buffer = ctypes.create_string_buffer(_ADDRESSES_OCTETS)
    size = ctypes.c_uint32(_ADDRESSES_OCTETS)
    if _libc.getsockopt(connected.fileno(), IPPROTO_SCTP, option, buffer, ctypes.byref(size)) != 0:
        return []
    data = buffer.raw
    (count,) = struct.unpack_from("=I", data, 4)
    found: list[Address] = []
    at = 8
    for _ in range(count):
        address, at = _unpacked(data, at)
        found.append(address)
    return found


def connect_error(connecting: socket.socket) -> OSError | None:
    """Why a connecting socket is not connected, None where it is."""
    number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return OSError(number, os.strerror(number)) if number else None
