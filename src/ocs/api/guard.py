"""Keeps pages of other sites out: a browser of somebody inside must not be a way to the accounts.

There is no login on a loopback address, so every request under /v1 has to show that it was not made by such a page:
its Host is an address or a name of this server (a name that an attacker points here is neither), and where a browser
says where a request comes from (Origin, Sec-Fetch-Site), it comes from here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ocs.api.problems import Problem, problem_response


class Guard:
    """ASGI middleware. `names`: host names of this server besides its addresses and `localhost`."""

    def __init__(self, app: ASGIApp, names: Callable[[], Collection[str]]) -> None:
        self._app = app
        self._names = names
        self._own_name = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1"):
            refusal = self._refusal(Request(scope))
            if refusal:
                await problem_response(Problem(403, refusal))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> str:
        host = request.headers.get("host", "")
        if not self._is_own(host):
            return f'Host "{host}" is not a name of this server'
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f'a page of "{origin}" may not ask this server'
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a page of another site may not ask this server"
        return ""

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in ("localhost", self._own_name) or name in {own.lower() for own in self._names()}:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
