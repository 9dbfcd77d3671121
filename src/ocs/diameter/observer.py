"""What the Diameter node tells about itself: events for metrics. Nothing here names a subscriber or a session."""

from __future__ import annotations

from typing import Protocol

from ocs.diameter.peer_machine import State


class Observer(Protocol):
    """Takes the node's events; called on its loop, so it neither blocks nor raises.

    `peer` is the Origin-Host of an admitted peer in lower case, or "" before that: bounded by the admitted peers.
    """

    def message(self, peer: str, direction: str, command: int, application: int) -> None:
        """One message, `direction` "in" or "out", by command code and application id."""

    def answered(self, peer: str, command: int, application: int, seconds: float) -> None:
        """An application's answer was handed to the connection, `seconds` after its request had come."""

    def refused(self, peer: str, command: int, application: int, result_code: int) -> None:
        """A request was answered with an error before any application saw it."""

    def peer_state(self, peer: str, state: State) -> None:
        """The best state of a peer's connections changed; CLOSED: it has none left."""

    def failover(self, peer: str) -> None:
        """A watchdog expired with a DWR pending: the connection is SUSPECT (RFC 3539 3.4.1)."""

    def watchdog_rtt(self, peer: str, seconds: float) -> None:
        """Time from a DWR to its DWA."""

    def connections(self, count: int) -> None:
        """How many connections are open, admitted or not."""

    def inflight(self, count: int) -> None:
        """How many requests wait for an application; told when a batch of messages or answers is through."""

    def shed(self, kind: str, priority: int) -> None:
        """A request was refused since there are too many; `kind` is "new" or "update", `priority` is DRMP, 0 to 15."""

    def overload(self, seconds: float, percent: int) -> None:
        """How long requests wait for their answers at this moment, and by how much peers are asked to send less."""

    def closed(self, peer: str, reason: str) -> None:
        """A connection ended; `reason` is one of a few words such as "peer", "framing_lost", "unknown_peer"."""

    def dropped(self, peer: str, what: str) -> None:
        """A message went nowhere: "unknown_answer", "connection_gone" (an answer), "closing" ..."""

    def limit(self, name: str) -> None:
        """A bound of `ocs.limits.LIMITS` was hit."""

    def listener(self, transport: str, address: str, up: bool) -> None:
        """Whether a listener of the configuration listens; `address` is "host:port" as configured."""

    def certificate(self, expires_at_s: int) -> None:
        """Our certificate was read; `expires_at_s` is the Unix time at which it is no longer valid."""

    def path(self, peer: str, state: str) -> None:
        """A path of a connection with several changed: "unreachable", "available", "confirmed" ..."""


class NullObserver:
    """An Observer that takes no notes."""

    def message(self, peer: str, direction: str, command: int, application: int) -> None: ...
    def answered(self, peer: str, command: int, application: int, seconds: float) -> None: ...
    def refused(self, peer: str, command: int, application: int, result_code: int) -> None: ...
    def peer_state(self, peer: str, state: State) -> None: ...
    def failover(self, peer: str) -> None: ...
    def watchdog_rtt(self, peer: str, seconds: float) -> None: ...
    def connections(self, count: int) -> None: ...
    def inflight(self, count: int) -> None: ...
    def shed(self, kind: str, priority: int) -> None: ...
    def overload(self, seconds: float, percent: int) -> None: ...
    def closed(self, peer: str, reason: str) -> None: ...
    def dropped(self, peer: str, what: str) -> None: ...
    def limit(self, name: str) -> None: ...
    def listener(self, transport: str, address: str, up: bool) -> None: ...
    def certificate(self, expires_at_s: int) -> None: ...
    def path(self, peer: str, state: str) -> None: ...
