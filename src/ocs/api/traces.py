"""/v1/traces: what goes between one subscriber's (session's, peer's) clients and this server, for a while."""

from __future__ import annotations

from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import body, number_cursor, page_limit, query
from ocs.api.views import Json
from ocs.limits import BY_CHARACTERS_MAX, PAGE_ROWS_MAX, SESSION_ID_OCTETS_MAX, TRACE_SECONDS_MAX

SECONDS = 60
KINDS = ("msisdn", "imsi", "session", "peer")


class NewTrace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/traces: one of the first four says what is traced. by: who wants to see it."""

    msisdn: str = ""
    imsi: str = ""
    session: str = ""
    peer: str = ""
    seconds: int = SECONDS
    by: str = ""


class Tracer(Protocol):
    """Traces of the running node; each as JSON, `messages` with them where they are asked for."""

    def begin(self, kind: str, value: str, seconds: int, by: str, sessions: tuple[str, ...]) -> Json:
        """Begin one; raises Problem where there are too many. `sessions`: Session-Ids known to belong to it."""
        ...

    def all(self) -> list[Json]:
        """Those that run, and those that ended a short while ago."""
        ...

    def read(self, trace_id: str, after: int, limit: int) -> Json | None:
        """One, with `items`, its messages after that number; None: there is none."""
        ...

    def end(self, trace_id: str, by: str) -> bool:
        """End and forget it; False: there is none."""
        ...


class Traces:
    """The handlers; each does one thing and raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths below /v1."""
        return [
            Route("/traces", self.list, methods=["GET"]),
            Route("/traces", self.begin, methods=["POST"]),
            Route("/traces/{id}", self.read, methods=["GET"]),
            Route("/traces/{id}", self.end, methods=["DELETE"]),
        ]

    def _tracer(self) -> Tracer:
        tracer = self._server.tracer
        if tracer is None:
            raise Problem(503, "no server runs, so there is nothing to trace")
        return tracer

    async def list(self, request: Request) -> Response:
        """All traces, without their messages."""
        query(request, ())
        return json_response({"items": self._tracer().all(), "next": None})

    async def begin(self, request: Request) -> Response:
        """Trace one subscriber, session or peer from now on, `seconds` at the most."""
        query(request, ())
        wanted = await body(request, NewTrace)
        kind, value = _asked_for(wanted)
        tracer = self._tracer()
        sessions = await self._sessions(kind, value) if kind in ("msisdn", "imsi") else ()
        return json_response(tracer.begin(kind, value, wanted.seconds, wanted.by.strip(), sessions), 201)

    async def read(self, request: Request) -> Response:
        """The messages after number `after`; `next` is null where the trace ended and all are read."""
        parameters = query(request, ("after", "limit"))
        limit, after = page_limit(parameters), number_cursor(parameters)
        trace = self._tracer().read(request.path_params["id"], after, limit)
        if trace is None:
            raise _unknown(request)
        return json_response(trace)

    async def end(self, request: Request) -> Response:
        """End a trace before its time, and forget it."""
        parameters = query(request, ("by",))
        if not self._tracer().end(request.path_params["id"], parameters.get("by", "")[:BY_CHARACTERS_MAX]):
            raise _unknown(request)
        return json_response({"id": request.path_params["id"]})

    async def _sessions(self, kind: str, value: str) -> tuple[str, ...]:
        """Open sessions of the subscriber: not every request of a session names whom it is about."""
        store = self._server.store
        identity = f"{kind}:{value}"
        account = await store.find_account((identity,))
        if account is None:
            return ()
        sessions = await store.sessions(account, "", PAGE_ROWS_MAX)
        # Others may share the account: their sessions are none of our business.
        return tuple(session.key.partition("#")[0] for session in sessions if session.subscriber == identity)


def _asked_for(wanted: NewTrace) -> tuple[str, str]:
    """(kind, value) of a trace; 422 where the body does not say exactly one."""
    given = [(kind, getattr(wanted, kind).strip()) for kind in KINDS if getattr(wanted, kind).strip()]
    if len(given) != 1:
        raise Problem(422, f"say what to trace by one of {', '.join(KINDS)}")
    if not 1 <= wanted.seconds <= TRACE_SECONDS_MAX:
        raise Problem(422, f"seconds: {wanted.seconds} is not a number from 1 to {TRACE_SECONDS_MAX}")
    if not wanted.by.strip() or len(wanted.by) > BY_CHARACTERS_MAX:
        raise Problem(422, f"by: say who traces, in {BY_CHARACTERS_MAX} characters at the most")
    ((kind, value),) = given
    if kind in ("msisdn", "imsi"):
        value = value.removeprefix("+")
        if not (value.isascii() and value.isdigit()):
            raise Problem(422, f'{kind}: "{value}" is not a number in international form')
    if len(value.encode()) > SESSION_ID_OCTETS_MAX:
        raise Problem(422, f"{kind}: {SESSION_ID_OCTETS_MAX} octets at the most")
    return kind, value


def _unknown(request: Request) -> Problem:
    return Problem(404, f"there is no trace {request.path_params['id']}: it was ended, or forgotten after its end")
