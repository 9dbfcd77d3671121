"""/v1/ledger, /v1/accounts/{id}/ledger: whether no money was made or lost, proved while traffic goes on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import page_limit, query
from ocs.api.views import Json
from ocs.balances.journal import Imbalance
from ocs.limits import LEDGER_ACCOUNTS_MAX
from ocs.store.ledger import verify


class Ledger:
    """The handlers; each does one thing and raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """Paths below /v1."""
        return [
            Route("/ledger", self.page, methods=["GET"]),
            Route("/accounts/{id}/ledger", self.account, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Prove some accounts in the order of their ids: `{accounts, entries, imbalances, next}`."""
        parameters = query(request, ("after", "limit"))
        limit = page_limit(parameters, LEDGER_ACCOUNTS_MAX)
        accounts = await self._server.store.accounts(parameters.get("after", ""), limit)
        verified = await verify(self._server.store, [account.id for account in accounts])
        return json_response(
            {
                "accounts": verified.accounts,
                "entries": verified.entries,
                "imbalances": [imbalance_view(one) for one in verified.imbalances],
                "next": accounts[-1].id if len(accounts) == limit else None,
            }
        )

    async def account(self, request: Request) -> Response:
        """Prove one account: `{id, version, entries, differences, imbalances}`; differences are readable."""
        query(request, ())
        account_id = request.path_params["id"]
        account = (await self._server.store.load(account_id, None)).account
        if account is None:
            raise Problem(404, f'there is no account "{account_id}"')
        verified = await verify(self._server.store, [account_id])
        return json_response(
            {
                "id": account_id,
                "version": account.version,
                "entries": verified.entries,
                "differences": [str(one) for one in verified.imbalances],
                "imbalances": [imbalance_view(one) for one in verified.imbalances],
            }
        )


def imbalance_view(one: Imbalance) -> Json:
    """What is wrong with an account, both sides in base units, and the same as a sentence."""
    return {
        "account_id": one.account_id,
        "what": one.what,
        "balance": one.balance_id or None,
        "other_account_id": one.other or None,
        "here": one.here,
        "there": one.there,
        "text": str(one),
    }
