"""Origin-State-Ids that rise: a host that lost its sessions says so (RFC 6733 8.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocs.diameter.base_answers import ORIGIN_HOST
from ocs.diameter.base_messages import BASE_APPLICATION, RELAY, origin_state_of
from ocs.diameter.wire import Message
from ocs.limits import ORIGIN_STATES_MAX

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection


class OriginStates:
    """The highest Origin-State-Id of each host, ORIGIN_STATES_MAX of them; the one heard of longest ago goes first.

    What a peer says of itself is always looked at, requests only where the peer's rule has `release_on_restart`: they
    are many, and name hosts behind agents. 0 infers nothing, and what an agent says of itself means its own sessions,
    of which it has none.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._highest: dict[str, int] = {}

    def note(self, connection: Connection, message: Message) -> None:
        """Look at one message of an admitted peer."""
        rule, capabilities = connection.rule, connection.capabilities
        assert rule is not None
        assert capabilities is not None
        base = message.application_id == BASE_APPLICATION
        if not (base or (rule.release_on_restart and message.is_request)):
            return
        if base and (RELAY in capabilities.applications or rule.realms):
            return
        state_id = origin_state_of(message)
        name = message.find(ORIGIN_HOST)
        if not state_id or name is None:
            return
        host = name.data[:255].decode("ascii", "replace").lower()
        highest = self._highest.pop(host, None)
        self._highest[host] = state_id if highest is None else max(state_id, highest)
        if len(self._highest) > ORIGIN_STATES_MAX:
            del self._highest[next(iter(self._highest))]
        if highest is not None and state_id > highest:
            self._node.log.warning("peer_restarted", peer=connection.name, host=host, origin_state_id=state_id)
            if rule.release_on_restart:
                self._node.peer_restarted(host)
