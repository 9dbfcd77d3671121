"""What the HTTP side needs from the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from ocs.balances.account import Account
from ocs.charging.outcome import Outcome
from ocs.charging.session import Session
from ocs.config.settings import Settings
from ocs.nms.metrics import Metrics
from ocs.store.interface import Store

if TYPE_CHECKING:
    from ocs.api.traces import Tracer

Decision = Callable[[Account | None, Session | None], Outcome]
"""A pure function of the account and the session as they are now; it may be called again when they have moved."""


class Commands(Protocol):
    """Changes of accounts by people, in one order with the charging of the same account."""

    async def change(self, account_id: str, session_key: str | None, decide: Decision) -> Outcome:
        """Load, decide, commit; returns the outcome once it is durable. Raises StoreDown."""
        ...


class PeerView(msgspec.Struct, frozen=True):
    """A Diameter peer as an operator sees it.

    addresses: of its connections, "host:port"; directions ("in": it connected, "out": we did) and transports ("tcp",
    "tls", "sctp") of the same. reconnect_at: when we connect to it again, None: that is not planned. trouble: why we
    have no connection to it.
    """

    host: str
    realm: str
    state: str
    connections: int
    addresses: tuple[str, ...]
    directions: tuple[str, ...] = ()
    transports: tuple[str, ...] = ()
    reconnect_at: str | None = None
    trouble: str = ""


class Reloaded(msgspec.Struct, frozen=True):
    """What became of a reload.

    problems: diagnostics, one text each; where one is an error the old configuration stays and `done` is false.
    restart_needed: settings that changed and count only after a restart.
    """

    done: bool
    tariff_version: str
    problems: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()


class Server(Protocol):
    """The running program."""

    @property
    def store(self) -> Store:
        """Where reads go."""
        ...

    @property
    def commands(self) -> Commands:
        """Where changes go."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What /metrics shows."""
        ...

    @property
    def settings(self) -> Settings:
        """The configuration in use."""
        ...

    @property
    def tracer(self) -> Tracer | None:
        """Where traces are begun and read, None where no server runs."""
        ...

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        ...

    def peers(self) -> Sequence[PeerView]:
        """Peers that are connected, or were since the start, or are to be connected to."""
        ...

    def steer_peer(self, host: str, *, connect: bool) -> bool:
        """Connect now to a peer of the configuration, or say goodbye to one and stay away; False: there is none."""
        ...

    async def end_session(self, account_id: str, session_key: str, cause: str) -> bool:
        """End a session now, its client asked or not; False: it is over already. Raises StoreDown."""
        ...

    async def reload(self) -> Reloaded:
        """Read the configuration again and take it over, all or nothing."""
        ...

    async def unready(self) -> Sequence[str]:
        """Why no traffic should come here, in words; empty when ready."""
        ...
