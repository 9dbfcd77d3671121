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
    """One connection of a peer. remote, local: "host:port"; since_ns: Unix time of the connect."""

    remote: str
    local: str
    state: str
    since_ns: int


class PeerSnapshot(msgspec.Struct, frozen=True):
    """A peer at this moment, connected or not.

    state: the best of its connections, "closed" without any. watchdog_rtt_ns: of the last DWR that it answered.
    refused: requests answered with an error by the base checks. inflight: requests in the hands of applications.
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
