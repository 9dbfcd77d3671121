"""RAR and ASR from the outbox: sent to the client that has the session, and what becomes of the answer.

An answer says at most that the client will do something. The CCR that it announces may come, or not; nothing waits for
it: what it does not report is ended by the timers of the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from ocs.charging.effects import read_detail
from ocs.charging.session import Session
from ocs.daemon.endings import ABORTED, PEER_UNKNOWN, Endings
from ocs.diameter.applications.reauth import (
    ABORT_SESSION,
    NAMES,
    RE_AUTH,
    Said,
    abort_session,
    code_of,
    re_auth,
    realm_of,
    said,
)
from ocs.diameter.node import Node
from ocs.diameter.node_outgoing import NotDelivered
from ocs.diameter.routes import OwnRequest
from ocs.nms.metrics import Metrics
from ocs.store.commands import Failed
from ocs.store.interface import DueEffect, Store, StoreDown

_log = structlog.get_logger("ocs")

SETTLED_S: Final = 10
"""A session heard of since is not taken for unknown to its client: the answer to its first request may be under way."""


class ServerRequests:
    """Handlers of the outbox (`ocs.store.outbox.Do`)."""

    def __init__(self, node: Node, store: Store, endings: Endings, now_ns: Callable[[], int], metrics: Metrics) -> None:
        self._node = node
        self._store = store
        self._endings = endings
        self._now_ns = now_ns
        self._metrics = metrics

    async def reauth(self, due: DueEffect) -> bool:
        """Send a Re-Auth-Request (RFC 8506 5.5)."""
        return await self._see_to(due, RE_AUTH)

    async def abort(self, due: DueEffect) -> bool:
        """Send an Abort-Session-Request (RFC 6733 8.5)."""
        return await self._see_to(due, ABORT_SESSION)

    async def _see_to(self, due: DueEffect, command: int) -> bool:
        try:
            return await self._ask(due, command)
        except (StoreDown, Failed) as error:
            _log.warning("server_request_waits", session_id=due.effect.session_id, why=str(error))
            return False

    async def _ask(self, due: DueEffect, command: int) -> bool:
        effect, detail = due.effect, read_detail(due.effect)
        number = detail.sub_session_id
        session = await self._session(effect.session_id if number is None else f"{effect.session_id}#{number}")
        if session is None or not (session.is_open or (command == ABORT_SESSION and session.cause == ABORTED)):
            return True
        host, (via, realm) = session.origin_host, self._way(session.origin_host)
        if command == RE_AUTH:
            request = re_auth(effect.session_id, host, realm, detail, via)
        else:
            request = abort_session(effect.session_id, host, realm, via)
        code, meant = await self._send(request, command)
        _log.info(
            "server_request",
            request=NAMES[command],
            session_id=effect.session_id,
            rating_group=detail.rating_group,
            peer=host,
            cause=detail.cause,
            result=code,
            attempt=due.attempts + 1,
        )
        if meant is Said.UNKNOWN_SESSION:
            return await self._end(session)
        if meant is Said.REFUSED:
            _log.warning("server_request_refused", request=NAMES[command], peer=host, result=code)
        return meant is not Said.LATER

    async def _session(self, key: str) -> Session | None:
        account_id = await self._store.find_session(key)
        return None if account_id is None else (await self._store.load(account_id, key)).session

    def _way(self, host: str) -> tuple[str, str]:
        """(the peer through which it was heard of last, its realm)."""
        path, peer = self._node.paths.find(host), self._node.known.get(host.lower())
        realm = path.realm if path is not None else "" if peer is None else peer.realm
        return "" if path is None else path.via, realm or realm_of(host)

    async def _send(self, request: OwnRequest, command: int) -> tuple[str, Said]:
        """What came back, as a word for logs and metrics, and what it means."""
        try:
            code = code_of(await self._node.send(request))
        except NotDelivered as error:
            self._metrics.diameter.own_request(command, error.reason)
            return error.reason, Said.LATER
        self._metrics.diameter.own_request(command, str(code))
        return str(code), said(code)

    async def _end(self, session: Session) -> bool:
        """Its client has no such session: nothing more will come of it."""
        if self._now_ns() - session.last_at_ns < SETTLED_S * 1_000_000_000:
            return not session.is_open
        ended = await self._endings.end(
            session.account_id, session.key, PEER_UNKNOWN, lambda now: now.last_at_ns == session.last_at_ns
        )
        if ended:
            _log.warning("session_unknown_to_client", session_id=session.key, peer=session.origin_host)
        return True
