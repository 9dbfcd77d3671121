"""The judgement of a CER on a connection of the node (RFC 6733 5.3): the machine's input, and the CEA to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocs.diameter.admission import admit, rule_to_add
from ocs.diameter.base_answers import ORIGIN_HOST, base_answer
from ocs.diameter.base_messages import cea, cea_refusal
from ocs.diameter.errors import PeerError
from ocs.diameter.peer_machine import WATCHED, Input, State
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.wire import Message

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection, Peer


def examine(node: Node, connection: Connection, message: Message, fault: PeerError | None) -> Input:
    """Judge a CER; `connection.cea` is what the machine will have sent, `connection.capabilities` who it is.

    `fault` is what made it unreadable. A connection that has its peer keeps it: another CER changes nothing but the
    rule that it is treated by.
    """
    try:
        if fault is not None:
            raise fault
        if node.draining:
            raise PeerError(ResultCode.TOO_BUSY, reason="shutting down")
        found = admit(message, connection.link.remote_address, node.settings.peers, node.application_ids)
        key = found.host.lower()
        if connection.peer is not None and connection.peer.key != key:
            raise PeerError(ResultCode.UNABLE_TO_COMPLY, reason=f"the connection of {connection.peer.host}")
        peer = node.known.get(key)
        first = connection.machine.state is State.WAIT_CER
        event = _place(connection, peer, found.rule.connections) if first else Input.CER_AGAIN
    except PeerError as error:
        _turn_down(node, connection, message, error)
        return Input.CER_REFUSED
    connection.capabilities = found
    connection.cer = message
    connection.follow(found.rule)
    connection.cea = cea(message, node.origin, connection.link.local_address, node.application_ids)
    return event


def occupied() -> PeerError:
    """What a connection is told whose identity has all its connections, and they are alive."""
    return PeerError(ResultCode.UNABLE_TO_COMPLY, reason="connected already, and that connection is alive")


def refuse(node: Node, connection: Connection, message: Message, error: PeerError) -> None:
    """Prepare the CEA that says no."""
    node.observer.refused(connection.name, message.command_code, message.application_id, error.result_code)
    if error.header is not None:
        connection.cea = base_answer(
            message,
            error.result_code,
            node.origin,
            failed_avp=error.failed_avp,
            message=error.reason,
            unreadable=True,
        )
    else:
        address = connection.link.local_address
        connection.cea = cea_refusal(message, node.origin, address, error.result_code, error.failed_avp, error.reason)


def _place(connection: Connection, peer: Peer | None, connections_max: int) -> Input:
    if peer is None:
        return Input.CER_FIRST
    live = [other for other in peer.connections if other.machine.state in WATCHED]
    if len(live) < connections_max:
        return Input.CER_RETURN if peer.lost and not live else Input.CER_FIRST
    if peer.rival is not None:
        raise occupied()  # one at a time asks
    peer.rival = connection
    connection.rivals = set(live)
    return Input.CER_RIVAL


def _turn_down(node: Node, connection: Connection, message: Message, error: PeerError) -> None:
    refuse(node, connection, message, error)
    name = message.find(ORIGIN_HOST)
    host = "" if name is None else name.data[:255].decode("ascii", "replace")
    unknown = error.result_code == ResultCode.UNKNOWN_PEER
    if connection.peer is None:
        connection.reason = "unknown_peer" if unknown else "refused"
    more: dict[str, Any] = {"add": rule_to_add(host, connection.link.remote_address)} if unknown else {}
    node.log.warning(
        "peer_refused",
        peer=host,
        remote=connection.link.remote,
        result_code=error.result_code,
        reason=error.reason,
        **more,
    )
