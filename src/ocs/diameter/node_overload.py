"""Overload control of a node: what is let in, what the answers say of it, and which reports of others are obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ocs.diameter.application import RequestContext
from ocs.diameter.base_answers import ORIGIN_HOST
from ocs.diameter.node_ports import Timer
from ocs.diameter.overload import Controller, Look
from ocs.diameter.overload_avps import Traits, with_avps
from ocs.diameter.overload_reports import Abatement, Reporting
from ocs.diameter.peer_machine import SECOND_NS
from ocs.diameter.routes import OwnRequest
from ocs.diameter.wire import Message
from ocs.limits import OVERLOAD_LOOK_MS

if TYPE_CHECKING:
    from ocs.diameter.node import Node

_MS_NS: Final = 1_000_000


class Overload:
    """One for each node.

    urgent: whether a request may not be refused for it, such as one of an emergency call; asked only about those that
    would be. To be set by whoever can tell.
    """

    def __init__(self, node: Node) -> None:
        now_ns = node.clock.now_ns()
        self.controller = Controller(node.settings.overload_delay_ms * _MS_NS, now_ns)
        self.reporting = Reporting(node.clock.wall_ns() // _MS_NS, now_ns)
        self.abatement = Abatement()
        self.urgent: Callable[[Message], bool] = _never
        self._node = node
        self._timer: Timer | None = None
        self._calm = True
        self._octets = 0

    def follow(self, delay_ms: int) -> None:
        """Take another target."""
        self.controller.target_ns = delay_ms * _MS_NS

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Requests of others

    def refuses(self, message: Message, traits: Traits) -> bool:
        """Whether a request is turned away, which is counted."""
        if self.controller.admit(traits.rank, len(self._node.inflight)):
            return False
        if self.urgent(message):
            self.controller.readmit()
            return False
        self._node.observer.shed(traits.kind.name.lower(), traits.priority)
        return True

    def answered(self, context: RequestContext, data: bytes, now_ns: int) -> bytes:
        """The answer to a request that was let in, as it leaves."""
        self.controller.answered(now_ns - context.received_ns)
        return self.dress(data, context.traits, now_ns)

    def dress(self, data: bytes, traits: Traits, now_ns: int) -> bytes:
        """A whole answer with what its request asked for: its priority, and overload reports."""
        if traits.abates:
            return with_avps(data, traits.priority_avp + self.reporting.avps(now_ns))
        return with_avps(data, traits.priority_avp)

    # Requests of ours

    def learn(self, request: OwnRequest, answer: Message, now_ns: int) -> None:
        """Take the reports of an answer."""
        origin = answer.find(ORIGIN_HOST)
        answered_by = "" if origin is None else origin.data.decode("utf-8", "replace")
        if self.abatement.learn(request, answered_by, answer, now_ns):
            self._node.observer.limit("overload_reports")

    # Time

    def look(self, now_ns: int, octets: int = 0) -> None:
        """See how long requests wait, when it is time; to be called when messages come, so many octets of them."""
        self._octets += octets
        if now_ns < self.controller.look_at_ns:
            return
        inflight = self._node.inflight
        oldest_ns = next(iter(inflight)).received_ns if inflight else now_ns
        shedding = self.controller.shedding
        unread = sum([connection.link.unread() for connection in self._node.connections])
        look = self.controller.look(now_ns, len(inflight), oldest_ns, unread * 1_000 // max(self._octets, 1))
        if look is None:
            return
        self._octets = 0
        self.reporting.note(look, now_ns)
        self._node.observer.overload(look.waits_ns / SECOND_NS, self.reporting.percent)
        if self.controller.shedding is not shedding:
            self._tell(look)
        self._calm = not (self.controller.shedding or self.reporting.percent or look.waits_ns)
        if not self._calm and self._timer is None:
            self._arm()

    def _tell(self, look: Look) -> None:
        log = self._node.log
        if self.controller.shedding:
            log.warning("overload", delay_ms=look.waits_ns // _MS_NS, came=look.arrived, answered=look.answered)
        else:
            log.info("overload_over", delay_ms=look.waits_ns // _MS_NS)

    def _arm(self) -> None:
        """An overload ends also when nothing comes any more."""
        self._timer = self._node.clock.call_at(self._node.clock.now_ns() + OVERLOAD_LOOK_MS * _MS_NS, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.look(self._node.clock.now_ns())
        if not self._calm and self._timer is None:
            self._arm()


def _never(_message: Message) -> bool:
    return False
