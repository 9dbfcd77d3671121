"""What the node and an application know of each other. Pure: the node brings requests, the application answers."""

from __future__ import annotations

from typing import Protocol

from ocs.config.settings import PeerRule
from ocs.diameter.base_answers import Origin, base_answer
from ocs.diameter.overload_avps import PLAIN
from ocs.diameter.trace import Decision
from ocs.diameter.wire import Message


class Sender(Protocol):
    """Where answers go: the connection that the request came from."""

    @property
    def draining(self) -> bool:
        """The node shuts down: what begins something new is refused 3004."""
        ...

    def send_answer(self, context: RequestContext, data: bytes) -> None:
        """Send `data`, the complete answer to the request of `context`; called at most once for each."""
        ...


class RequestContext:
    """One request in the hands of an application, which answers it exactly once, now or later, on the node's loop.

    message: the request, its header, realm, host and grammar checked. origin: who answers.
    peer_host: Origin-Host of the peer on the other side of the connection; behind an agent it is not the request's.
    rule: how this peer is treated. received_ns: monotonic time of arrival. traced: somebody wants to know what is
    decided, so the application sets `decision` before it answers. traits: what it says of priority and overload.
    """

    __slots__ = (
        "_sender",
        "answered",
        "decision",
        "message",
        "origin",
        "peer_host",
        "received_ns",
        "rule",
        "traced",
        "traits",
    )

    def __init__(
        self, message: Message, origin: Origin, peer_host: str, rule: PeerRule, sender: Sender, received_ns: int = 0
    ) -> None:
        self.message = message
        self.origin = origin
        self.peer_host = peer_host
        self.rule = rule
        self.received_ns = received_ns
        self.answered = False
        self.traced = False
        self.decision: Decision | None = None
        self.traits = PLAIN
        self._sender = sender

    @property
    def draining(self) -> bool:
        """The node shuts down: what begins something new is refused 3004 TOO_BUSY."""
        return self._sender.draining

    def answer(self, data: bytes) -> None:
        """Send `data`, a complete encoded answer; dropped and counted where the connection is gone.

        A second answer to the same request is dropped: the first one went out, or its time had run out.
        """
        if self.answered:
            return
        self.answered = True
        self._sender.send_answer(self, data)

    def error(self, result_code: int, failed_avp: bytes | None = None, message: str = "") -> None:
        """Answer with an error: `failed_avp` as encoded AVPs, `message` as Error-Message."""
        self.answer(base_answer(self.message, result_code, self.origin, failed_avp=failed_avp, message=message))


class Application(Protocol):
    """What serves the requests of one application id."""

    @property
    def application_id(self) -> int:
        """The id in the header of its messages."""
        ...

    @property
    def commands(self) -> frozenset[int]:
        """The command codes that it serves; others of its application id are answered 3001."""
        ...

    def handle(self, message: Message, context: RequestContext) -> None:
        """Take a request that passed the base checks; `context.answer` is called for it once, now or later."""
        ...
