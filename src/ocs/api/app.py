"""The HTTP application: its routes, its guard, and how errors are answered."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from ocs.api.accounts import Accounts
from ocs.api.explain import Explain
from ocs.api.guard import Guard
from ocs.api.health import Health
from ocs.api.ledger import Ledger
from ocs.api.ports import Server
from ocs.api.problems import Problem, on_duplicate, on_http_exception, on_problem, on_store_down
from ocs.api.records import Records
from ocs.api.session_commands import SessionCommands
from ocs.api.traces import Traces
from ocs.store.interface import Duplicate, StoreDown

_PARTS = (Accounts, Ledger, Records, SessionCommands, Explain, Traces)


def make_app(server: Server) -> Starlette:
    """The ASGI application of a running server."""
    return Starlette(
        routes=[
            *Health(server).routes(),
            Mount("/v1", routes=[route for part in _PARTS for route in part(server).routes()]),
        ],
        middleware=[Middleware(Guard, names=lambda: (server.settings.http_host, server.settings.identity))],
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            StoreDown: on_store_down,
            Duplicate: on_duplicate,
        },
    )
