"""The API straight on a store, in this process and without a network: for the command line where no server runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from starlette.types import Message, Scope

from ocs.api.app import make_app
from ocs.api.direct import DirectCommands
from ocs.api.ports import PeerView, Reloaded
from ocs.api.problems import Problem
from ocs.config.settings import Settings
from ocs.nms.metrics import Metrics
from ocs.store.choose import store_of


class LocalServer:
    """`Server` with a store and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = store_of(settings.store_url)
        self.commands = DirectCommands(self.store)
        self.metrics = Metrics()
        self.tracer = None

    def now_ns(self) -> int:
        return time.time_ns()

    def peers(self) -> Sequence[PeerView]:
        raise Problem(503, "no server runs, so there are no peers")

    def steer_peer(self, host: str, *, connect: bool) -> bool:  # noqa: ARG002 - the port says more
        raise Problem(503, "no server runs, so there are no peers")

    async def end_session(self, account_id: str, session_key: str, cause: str) -> bool:  # noqa: ARG002 - the port says more
        raise Problem(503, "no server runs: its client is told to stop when one does, but nothing ends without one")

    async def reload(self) -> Reloaded:
        raise Problem(503, "no server runs, so there is nothing to reload")

    async def unready(self) -> Sequence[str]:
        return ("no server runs",)


class LocalApi:
    """Opens the store on entry (StoreDown, StoreInUse, WrongStore) and closes it on exit."""

    def __init__(self, settings: Settings) -> None:
        self._server = LocalServer(settings)
        self._app = make_app(self._server)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self._runner.run(self._server.store.open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._runner.run(self._server.store.close())
        finally:
            self._runner.close()

    def call(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """(status, body) of one request; `target` is path and query."""
        return self._runner.run(self._call(method, target, headers, body))

    async def _call(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(target)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"localhost"),
                *((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()),
            ],
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), content
