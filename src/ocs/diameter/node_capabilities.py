"""The judgement of a CER or CEA on a connection of the node (RFC 6733 5.3), and the election between two (5.6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ocs.diameter.admission import accept, admit, rule_to_add
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
        link = connection.link
        rules, ids = node.settings.peers, node.application_ids
        found = admit(message, link.remote_address, rules, ids, link.certificate_names)
        key = found.host.lower()
        if connection.peer is not None and connection.peer.key != key:
            raise PeerError(ResultCode.UNABLE_TO_COMPLY, reason=f"the connection of {connection.peer.host}")
        peer = node.known.get(key)
        first = connection.machine.state is State.WAIT_CER
        own = node.own_pending(key)
        event = _place(connection, peer, own, found.rule.connections) if first else Input.CER_AGAIN
    except PeerError as error:
        _turn_down(node, connection, message, error)
        return Input.CER_REFUSED
    connection.capabilities = found
    connection.cer = message
    connection.follow(found.rule)
    connection.cea = cea(message, node.origin, link.local_address, node.application_ids, link.local_others)
    return event


def examine_answer(node: Node, connection: Connection, message: Message, fault: PeerError | None) -> Input:
    """Judge the CEA on a connection of our own; `connection.capabilities` is who answered."""
    dialer = connection.dialer
    assert dialer is not None, "CERs are sent on connections of our own only"
    try:
        if fault is not None:
            raise fault
        found = accept(message, dialer.rule, node.application_ids, connection.link.certificate_names)
        peer = node.known.get(found.host.lower())
        live = [other for other in peer.connections if other.machine.state in WATCHED] if peer is not None else []
        if len(live) >= dialer.rule.connections:
            raise PeerError(ResultCode.ELECTION_LOST, reason=f"{found.host} has connected meanwhile")
    except PeerError as error:
        connection.reason = "cea_refused"
        dialer.trouble = error.reason
        node.log.warning(
            "connect_refused",
            peer=dialer.rule.host,
            remote=connection.link.remote,
            result_code=error.result_code,
            reason=error.reason,
            todo=_WHAT_TO_DO.get(error.result_code, ""),
        )
        return Input.CEA_REFUSED
    connection.capabilities = found
    dialer.host = found.host.lower()
    dialer.trouble = ""
    return Input.CEA_RETURN if peer is not None and peer.lost and not live else Input.CEA_FIRST


def wins(node: Node, connection: Connection) -> bool:
    """The election of RFC 6733 5.6.4: the responder keeps the connection where its own name is the greater."""
    assert connection.capabilities is not None, "an election follows a CER"
    return node.origin.host.encode() > connection.capabilities.host.encode()


def lose(node: Node, connection: Connection) -> None:
    """Prepare the CEA of a connection whose peer has ours."""
    assert connection.cer is not None, "an election follows a CER"
    reason = "election lost: our own connection stays"
    connection.reason = "election"
    refuse(node, connection, connection.cer, PeerError(ResultCode.ELECTION_LOST, reason=reason))


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


def _place(connection: Connection, peer: Peer | None, own: Connection | None, connections_max: int) -> Input:
    """Where a CER leads; `own` is our connection to the same peer, on its way."""
    live = [] if peer is None else [other for other in peer.connections if other.machine.state in WATCHED]
    if len(live) + (own is not None) < connections_max:
        return Input.CER_RETURN if peer is not None and peer.lost and not live else Input.CER_FIRST
    if own is not None and len(live) < connections_max:
        if own.elector is not None:
            raise occupied()
        own.elector, connection.own = connection, own
        return Input.CER_ELECTING if own.machine.state is State.CONNECTING else Input.CER_ELECTION
    assert peer is not None, "it has connections"
    if peer.rival is not None:
        raise occupied()  # one at a time asks
    peer.rival = connection
    connection.rivals = set(live)
    return Input.CER_RIVAL


_WHAT_TO_DO: Final[dict[int, str]] = {
    ResultCode.UNKNOWN_PEER: "the name at `host:` and the one in the peer's certificate have to be its Origin-Host; "
    "and the peer has to know ours",
    ResultCode.NO_COMMON_APPLICATION: "the peer has to advertise application 4 (credit control) or to be a relay",
}


def _turn_down(node: Node, connection: Connection, message: Message, error: PeerError) -> None:
    refuse(node, connection, message, error)
    name = message.find(ORIGIN_HOST)
    host = "" if name is None else name.data[:255].decode("ascii", "replace")
    unknown = error.result_code == ResultCode.UNKNOWN_PEER
    if connection.peer is None:
        connection.reason = "unknown_peer" if unknown else "refused"
    link = connection.link
    more: dict[str, Any] = {"add": rule_to_add(host, link.remote_address)} if unknown else {}
    if unknown and link.certificate_names is not None and host.lower() not in link.certificate_names:
        more["todo"] = "its Origin-Host has to stand in its certificate as a dNSName (subjectAltName), and in a rule"
    node.log.warning(
        "peer_refused",
        peer=host,
        remote=connection.link.remote,
        result_code=error.result_code,
        reason=error.reason,
        **more,
    )
