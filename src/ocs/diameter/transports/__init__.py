"""Transports: octets of one connection in and out. What they and the peer's side know of each other stands here."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from ocs.diameter.errors import FramingLost


class Link(Protocol):
    """One connection, as the peer's side sees it.

    transport: "tcp", "tls" or "sctp". remote, local: "host:port" for people; remote_address, local_address: of this
    socket, local_others: more of ours, where an association has several. certificate_names: the names that the other
    side's certificate is for, in lower case; None where there was no certificate, so that nothing can be held against
    the Origin-Host.
    """

    transport: str
    certificate_names: frozenset[str] | None
    remote: str
    local: str
    remote_address: IPv4Address | IPv6Address
    local_address: IPv4Address | IPv6Address
    local_others: tuple[IPv4Address | IPv6Address, ...]

    def write(self, data: bytes) -> bool:
        """Queue one message; all of one turn of the loop leave in one write. False: the connection is gone."""
        ...

    def close(self) -> None:
        """Send what is queued, then end."""
        ...

    def abort(self) -> None:
        """End now."""
        ...

    def hold_reading(self, held: bool) -> None:
        """Stop or go on reading: what is not read stays with the peer."""
        ...

    def unread(self) -> int:
        """Octets that have come and wait in the kernel to be read; 0 where the transport does not know."""
        ...


class Handler(Protocol):
    """What a transport tells. No method raises."""

    def frames_received(self, frames: list[bytes]) -> None:
        """Whole messages, all that one read brought."""
        ...

    def framing_lost(self, lost: FramingLost) -> None:
        """No message can be found any more; those before are through already."""
        ...

    def path_changed(self, address: str, state: str) -> None:
        """One of several paths of the connection: "available", "unreachable", "confirmed" ... (RFC 6458 6.1.2)."""
        ...

    def unsendable(self, octets: int) -> None:
        """A message is longer than the transport can send: it goes nowhere, the connection stays."""
        ...

    def overflowed(self) -> None:
        """The peer does not take its answers, and the bound of the output is hit: the connection is being aborted."""
        ...

    def disconnected(self) -> None:
        """The connection is gone, whoever ended it. Comes once, and last."""
        ...


class Server(Protocol):
    """What listens."""

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets."""
        ...

    def close(self) -> None:
        """Take no more connections."""
        ...


class TransportMissing(OSError):
    """The kernel does not have the transport; strerror says what to do."""


Accept = Callable[[Link], Handler | None]
"""Takes a new connection; None: there are too many, it is ended."""

Listen = Callable[[Sequence[str], int, Accept], Awaitable[Server]]
"""Takes connections on these addresses or names under one port. Raises OSError with words for people."""

Connect = Callable[[Sequence[str], int, Accept], Awaitable[None]]
"""Connects to one peer that has these addresses or names, and gives the link to Accept as a listener does.

TCP takes the first that answers, SCTP makes one association of all. Raises OSError with words for people; whoever
cancels it leaves nothing behind.
"""
