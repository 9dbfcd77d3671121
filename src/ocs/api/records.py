"""/v1/cdrs, /v1/sessions, /v1/peers, /v1/reload."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import body, number_cursor, page_limit, query
from ocs.api.views import cdr_view, session_view


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body `{}`."""


class Records:
    """The handlers; each does one thing and raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths below /v1."""
        return [
            Route("/cdrs", self.cdrs, methods=["GET"]),
            Route("/sessions", self.sessions, methods=["GET"]),
            Route("/peers", self.peers, methods=["GET"]),
            Route("/peers/{host}/connect", self.connect, methods=["POST"]),
            Route("/peers/{host}/disconnect", self.disconnect, methods=["POST"]),
            Route("/reload", self.reload, methods=["POST"]),
        ]

    async def cdrs(self, request: Request) -> Response:
        """CDRs in the order of writing; `after` and `next` are ids, and `next` is null where nothing follows yet."""
        parameters = query(request, ("account", "session", "after", "limit"))
        limit, after = page_limit(parameters), number_cursor(parameters)
        rows = await self._server.store.cdrs(parameters.get("account"), parameters.get("session"), after, limit)
        return json_response(
            {"items": [cdr_view(row) for row in rows], "next": str(rows[-1].id) if len(rows) == limit else None}
        )

    async def sessions(self, request: Request) -> Response:
        """Open sessions in the order of their ids."""
        parameters = query(request, ("account", "after", "limit"))
        limit = page_limit(parameters)
        sessions = await self._server.store.sessions(parameters.get("account"), parameters.get("after", ""), limit)
        currency = self._server.settings.tariff.currency
        items = [session_view(session, currency) for session in sessions]
        return json_response({"items": items, "next": sessions[-1].key if len(sessions) == limit else None})

    async def peers(self, request: Request) -> Response:
        """Diameter peers, all on one page."""
        query(request, ())
        return json_response({"items": self._server.peers(), "next": None})

    async def connect(self, request: Request) -> Response:
        """Connect to a peer now, whatever stood against it."""
        return await self._steer(request, connect=True)

    async def disconnect(self, request: Request) -> Response:
        """Say goodbye to a peer (DPR), and do not connect to it again."""
        return await self._steer(request, connect=False)

    async def _steer(self, request: Request, *, connect: bool) -> Response:
        query(request, ())
        await body(request, Nothing, empty=Nothing())
        host = request.path_params["host"]
        if not self._server.steer_peer(host, connect=connect):
            where = "to connect to in server.yaml" if connect else "known"
            raise Problem(404, f"no peer {host} is {where}")
        return json_response({"host": host})

    async def reload(self, request: Request) -> Response:
        """Read the configuration again; 422 with every problem where it cannot be taken over. The body may be empty."""
        query(request, ())
        await body(request, Nothing, empty=Nothing())
        reloaded = await self._server.reload()
        if not reloaded.done:
            raise Problem(422, "the configuration has errors; the old one stays in use", reloaded.problems)
        return json_response(reloaded)
