"""/v1/accounts: list, show, create, top up, adjust, history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.commands import (
    Adjustment,
    Attributed,
    Memory,
    NewAccount,
    TopUp,
    adjusting,
    check_attributed,
    opening,
    subscriber_of,
    topping_up,
)
from ocs.api.history import page_of
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import body, page_limit, query
from ocs.api.views import account_view
from ocs.balances.account import Account
from ocs.charging.asking import followed
from ocs.charging.outcome import Outcome
from ocs.charging.session import Session

Asked = TypeVar("Asked", bound=Attributed)


def json_response(content: object, status: int = 200) -> Response:
    """`content` as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


class Accounts:
    """The handlers; each does one thing and raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths below /v1. An id may hold anything but a slash."""
        return [
            Route("/accounts", self.list, methods=["GET"]),
            Route("/accounts", self.create, methods=["POST"]),
            Route("/accounts/{id}", self.show, methods=["GET"]),
            Route("/accounts/{id}/topup", self.top_up, methods=["POST"]),
            Route("/accounts/{id}/adjust", self.adjust, methods=["POST"]),
            Route("/accounts/{id}/history", self.history, methods=["GET"]),
        ]

    async def _load(self, account_id: str) -> Account:
        account = (await self._server.store.load(account_id, None)).account
        if account is None:
            raise Problem(404, f'there is no account "{account_id}"')
        return account

    async def list(self, request: Request) -> Response:
        """Accounts in the order of their ids; `next` is the `after` of the next page, null at the end."""
        parameters = query(request, ("after", "limit"))
        limit = page_limit(parameters)
        accounts = await self._server.store.accounts(parameters.get("after", ""), limit)
        items = [account_view(account) for account in accounts]
        return json_response({"items": items, "next": accounts[-1].id if len(accounts) == limit else None})

    async def show(self, request: Request) -> Response:
        """One account."""
        query(request, ())
        return json_response(account_view(await self._load(request.path_params["id"])))

    async def create(self, request: Request) -> Response:
        """Open an account, once per Idempotency-Key; 409 where its id or one of its identities is taken."""
        query(request, ())
        new = await body(request, NewAccount)
        settings = self._server.settings
        subscriber = subscriber_of(new, settings)
        for identity in subscriber.identities:
            owner = await self._server.store.find_account([identity])
            if owner not in {None, new.id}:
                raise Problem(409, f'"{identity}" belongs to account "{owner}"')

        def open_new(account: Account | None, now_ns: int) -> Outcome:
            if account is not None:
                return Outcome(conflict=f'there is an account "{new.id}" already')
            return opening(subscriber, settings.tariff.currency, new.by, new.reason, now_ns)

        response = await self._once(request, new.id, new, open_new)
        response.status_code = 201
        response.headers["Location"] = f"/v1/accounts/{new.id}"
        return response

    async def top_up(self, request: Request) -> Response:
        """Add to a balance, made where there is none of that id. The answer is the account after it."""
        return await self._command(request, await body(request, TopUp), topping_up)

    async def adjust(self, request: Request) -> Response:
        """Set, reset or remove a balance, remove expired ones, enable or disable the account."""
        return await self._command(request, await body(request, Adjustment), adjusting)

    async def _command(
        self, request: Request, asked: Asked, carry_out: Callable[[Account, Asked, int], Outcome]
    ) -> Response:
        """Change an account that is there."""
        query(request, ())
        account_id = request.path_params["id"]

        def change(account: Account | None, now_ns: int) -> Outcome:
            if account is None:
                raise Problem(404, f'there is no account "{account_id}"')
            return carry_out(account, asked, now_ns)

        return await self._once(request, account_id, asked, change)

    async def _once(
        self, request: Request, account_id: str, asked: Attributed, change: Callable[[Account | None, int], Outcome]
    ) -> Response:
        """Make a change by people, once per Idempotency-Key; the answer is the account after it."""
        check_attributed(asked)
        memory = Memory(account_id, request.headers.get("idempotency-key"), asked)
        refusal: Problem | None = None

        def decide(account: Account | None, session: Session | None) -> Outcome:
            nonlocal refusal
            try:
                repeated = memory.recall(session)
                if repeated is not None:
                    return repeated
                now_ns = self._server.now_ns()
                return memory.keep(followed(account, change(account, now_ns)), now_ns)
            except Problem as problem:  # the order of commands is no place for it
                refusal = problem
                return Outcome(conflict=problem.detail)

        outcome = await self._server.commands.change(account_id, memory.session_key, decide)
        if outcome.conflict:
            raise refusal or Problem(409, outcome.conflict)
        if outcome.repeat is not None:
            return Response(outcome.repeat, media_type="application/json")
        return json_response(account_view(outcome.writes[0].account))

    async def history(self, request: Request) -> Response:
        """The journal of an account, oldest first: the entries after a version, or the last ones before one."""
        parameters = query(request, ("after", "before", "limit"))
        account = await self._load(request.path_params["id"])
        return json_response(await page_of(self._server.store, account, parameters))
