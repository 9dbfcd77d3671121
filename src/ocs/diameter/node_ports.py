"""What the node needs from outside (time), and what it shows of itself (snapshots)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """It will not."""
        ...


class Clock(Protocol):
    """Time. A test brings its own and moves it by hand."""

    def now_ns(self) -> int:
        """Monotonic time."""
        ...

    def wall_ns(self) -> int:
        """Unix time, for people only."""
        ...

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        """Call back on the node's loop when `now_ns` is `when_ns`, or later."""
        ...


class ConnectionSnapshot(msgspec.Struct, frozen=True):
    """One connection of a peer. remote, local: "host:port"; since_ns: Unix time of the connect.

    direction: "in" (the peer connected) or "out". transport: "tcp", "tls" or "sctp". pending: requests of our own that
    wait for an answer on it.
    """

    remote: str
    local: str
    state: str
    since_ns: int
    direction: str = "in"
    transport: str = "tcp"
    pending: int = 0


class PeerSnapshot(msgspec.Struct, frozen=True):
    """A peer at this moment, connected or not.

    state: the best of its connections, "closed" without any. watchdog_rtt_ns: of the last DWR that it answered.
    refused: requests answered with an error by the base checks. inflight: requests in the hands of applications.
    reconnect_at_ns: Unix time of the next attempt to connect to it, None: none is planned. trouble: why the last
    attempt failed, or why none is made.
    """

    host: str
    realm: str
    state: str
    connections: tuple[ConnectionSnapshot, ...]
    watchdog_rtt_ns: int | None
    messages_in: int
    messages_out: int
    refused: int
    inflight: int
    reconnect_at_ns: int | None = None
    trouble: str = ""
