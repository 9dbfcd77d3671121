"""POST /v1/sessions/{id}/reauth and /abort, /v1/accounts/{id}/recall: what clients of open sessions are told."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.commands import Attributed, Memory, check_attributed
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import body, query
from ocs.balances.account import Account
from ocs.charging.asking import Whom, asking, look
from ocs.charging.effects import abort, reauth
from ocs.charging.outcome import Effect, Outcome
from ocs.charging.session import Session

ABORTED = "aborted"


class Reauth(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/sessions/{id}/reauth; without a rating group the whole session is to come again."""

    rating_group: int | None = None


class Abort(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/sessions/{id}/abort; force: end it here at once, whatever its client does."""

    force: bool = False


class Recall(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/accounts/{id}/recall."""


class Asked(msgspec.Struct, frozen=True):
    """The answer: it is written down that the client is told, and told it is as soon as a node reaches it."""

    account_id: str
    session_id: str
    asked: str
    ended: bool = False


class _Wanted(msgspec.Struct, frozen=True):
    """What an idempotency key stands for."""

    session_id: str
    command: Attributed


class SessionCommands:
    """The handlers; each does one thing and raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths below /v1. The id of a session may hold anything, that of an account anything but a slash."""
        return [
            Route("/sessions/{id:path}/reauth", self.reauth, methods=["POST"]),
            Route("/sessions/{id:path}/abort", self.abort, methods=["POST"]),
            Route("/accounts/{id}/recall", self.recall, methods=["POST"]),
        ]

    async def reauth(self, request: Request) -> Response:
        """Ask the client of a session to report and ask again (RAR); 404 unknown, 409 over."""
        asked = await body(request, Reauth)
        session_id = request.path_params["id"]
        account_id, session = await self._find(session_id)

        def effect() -> Effect:
            return reauth(_open(session_id, session, asked.rating_group), asked.rating_group, "command")

        done = await self._once(request, account_id, session_id, asked, effect)
        return json_response(done)

    async def abort(self, request: Request) -> Response:
        """Ask the client of a session to end it (ASR), or end it here as well; 404 unknown, 409 over."""
        asked = await body(request, Abort)
        session_id = request.path_params["id"]
        account_id, session = await self._find(session_id)

        def effect() -> Effect:
            return abort(_open(session_id, session), "command")

        done = await self._once(request, account_id, session_id, asked, effect)
        ended = asked.force and await self._server.end_session(account_id, session_id, ABORTED)
        return json_response(msgspec.structs.replace(done, ended=ended))

    async def recall(self, request: Request) -> Response:
        """Have the quotas of all open sessions of an account back: their clients are asked to come again."""
        asked = await body(request, Recall)
        account_id = request.path_params["id"]
        done = await self._once(request, account_id, "", asked, lambda: look(Whom.ALL, "recall", asked.by))
        return json_response(done)

    async def _find(self, session_id: str) -> tuple[str, Session | None]:
        account_id = await self._server.store.find_session(session_id)
        if account_id is None or session_id.startswith("*"):
            raise Problem(404, f'there is no session "{session_id}"; `ocs sessions` lists those that are open')
        return account_id, (await self._server.store.load(account_id, session_id)).session

    async def _once(
        self, request: Request, account_id: str, session_id: str, asked: Attributed, effect: Callable[[], Effect]
    ) -> Asked:
        """Leave `effect` for the outbox, once per Idempotency-Key."""
        query(request, ())
        check_attributed(asked)
        wanted = _Wanted(session_id, asked)
        memory = Memory(account_id, request.headers.get("idempotency-key"), wanted)
        refusal: Problem | None = None

        def decide(account: Account | None, kept: Session | None) -> Outcome:
            nonlocal refusal
            try:
                repeated = memory.recall(kept)
                if repeated is not None:
                    return repeated
                if account is None:
                    raise Problem(404, f'there is no account "{account_id}"')
                found, now_ns = effect(), self._server.now_ns()
                outcome = asking(account, (found,), now_ns, by=asked.by, reason=asked.reason, session_id=session_id)
                return memory.keep(outcome, now_ns, msgspec.json.encode(Asked(account_id, session_id, found.kind)))
            except Problem as problem:  # the order of commands is no place for it
                refusal = problem
                return Outcome(conflict=problem.detail)

        outcome = await self._server.commands.change(account_id, memory.session_key, decide)
        if outcome.conflict:
            raise refusal or Problem(409, outcome.conflict)
        if outcome.repeat is not None:
            return msgspec.json.decode(outcome.repeat, type=Asked)
        return Asked(account_id, session_id, outcome.effects[0].kind)


def _open(session_id: str, session: Session | None, rating_group: int | None = None) -> Session:
    """The session if there is somebody to be told; Problem 404 or 409 otherwise."""
    if session is None:
        raise Problem(404, f'there is no session "{session_id}"')
    if not session.is_open:
        raise Problem(409, f'session "{session_id}" is over: it is {session.state.value}')
    if rating_group is not None and all(group.rating_group != rating_group for group in session.groups):
        known = sorted({group.rating_group for group in session.groups if group.rating_group is not None})
        raise Problem(422, f"rating_group: the session has no {rating_group}, only {', '.join(map(str, known))}")
    return session
