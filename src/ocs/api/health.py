"""/livez, /readyz, /metrics."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.ports import Server
from ocs.nms.metrics import CONTENT_TYPE


class Health:
    """What machines ask for every few seconds."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths at the root."""
        return [
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def live(self, _request: Request) -> Response:
        """200 as long as the event loop turns."""
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        """200 where traffic may come, else 503; both with the reasons."""
        reasons = await self._server.unready()
        return json_response({"ready": not reasons, "reasons": list(reasons)}, 503 if reasons else 200)

    async def metrics(self, _request: Request) -> Response:
        """The text exposition of Prometheus."""
        return Response(self._server.metrics.render(), headers={"Content-Type": CONTENT_TYPE})
