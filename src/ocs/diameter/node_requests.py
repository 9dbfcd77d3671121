"""The base checks of a request on its way to an application, in the order of RFC 6733 6.1; the answers of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocs.diameter.application import RequestContext
from ocs.diameter.base_answers import base_answer, own_grammar
from ocs.diameter.errors import PeerError
from ocs.diameter.grammar import check_request
from ocs.diameter.overload_avps import traits_of
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.routing import check_route
from ocs.diameter.wire import Message
from ocs.limits import INFLIGHT_MAX, PEER_INFLIGHT_MAX

if TYPE_CHECKING:
    from ocs.diameter.node import Node
    from ocs.diameter.peer import Connection


def deliver(node: Node, connection: Connection, message: Message, fault: PeerError | None) -> None:
    """Hand a request of an admitted peer to its application, or answer it with what stands against it.

    `fault` is what the codec or the grammar of a base command said. What an application lets escape is answered 5012.
    """
    peer, rule = connection.peer, connection.rule
    assert peer is not None, "requests are delivered from admitted peers only"
    assert rule is not None
    if fault is not None:
        refuse(node, connection, message, fault)
        return
    refusal = check_route(message, node.local)
    if refusal is not None:
        refuse(node, connection, message, PeerError(refusal.result_code, reason=refusal.reason))
        return
    traits = traits_of(message)
    if node.overload.refuses(message, traits):
        reason = "more than can be served in time"
        refuse(node, connection, message, PeerError(ResultCode.TOO_BUSY, reason=reason, limit="overload_delay_ms"))
        return
    if peer.inflight >= PEER_INFLIGHT_MAX or len(node.inflight) >= INFLIGHT_MAX:
        limit = "peer_inflight" if peer.inflight >= PEER_INFLIGHT_MAX else "inflight"
        refuse(node, connection, message, PeerError(ResultCode.TOO_BUSY, reason="too much in flight", limit=limit))
        node.hold(connection)
        return
    try:
        check_request(message, rule.strict)
    except PeerError as error:
        refuse(node, connection, message, error)
        return
    node.paths.learn(peer.key, message)
    context = RequestContext(message, node.origin, peer.host, rule, connection, connection.now_ns)
    context.traits = traits
    if node.tap is not None:
        context.traced = node.tap.wants(connection, message)
    node.took(context)
    peer.inflight += 1
    connection.inflight += 1
    try:
        node.applications[message.application_id].handle(message, context)
    except PeerError as error:
        context.error(error.result_code, error.failed_avp, error.reason)
    except Exception:
        node.log.exception("application_failed", peer=peer.key, application=message.application_id)
        context.error(ResultCode.UNABLE_TO_COMPLY)


def refuse(node: Node, connection: Connection, message: Message, error: PeerError) -> None:
    """Answer with an error of the base protocol. The E bit: 3xxx, and requests that could not even be cut into AVPs.

    3004 repeats what an answer of the command's own grammar would: clients find by it what they have to try elsewhere.
    """
    node.observer.refused(connection.name, message.command_code, message.application_id, error.result_code)
    if connection.peer is not None:
        connection.peer.refused += 1
    if error.limit:
        node.observer.limit(error.limit)
    data = base_answer(
        message,
        error.result_code,
        node.origin,
        failed_avp=error.failed_avp,
        message=error.reason,
        extra=own_grammar(message) if error.result_code == ResultCode.TOO_BUSY else b"",
        unreadable=error.header is not None,
    )
    if connection.peer is not None and message.application_id:
        data = node.overload.dress(data, traits_of(message), connection.now_ns)
    connection.send(data, message.command_code, message.application_id)
