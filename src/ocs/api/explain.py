"""/v1/explain: what usage would cost an account now, or why a CDR says what it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocs.api.accounts import json_response
from ocs.api.explain_view import cdr_explanation_view, explanation_view
from ocs.api.ports import Server
from ocs.api.problems import Problem
from ocs.api.reading import query
from ocs.api.views import Json, amount, cdr_view, unit_of
from ocs.balances.account import Account
from ocs.cdr.records import Cdr
from ocs.charging.explain import explain, sharing_ids
from ocs.charging.explain_cdr import explain_cdr
from ocs.charging.explained import Asked
from ocs.charging.policy import ServicePolicy
from ocs.limits import PAGE_ROWS_MAX
from ocs.rating.tariff import Tariff
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure
from ocs.store.interface import NumberedCdr
from ocs.units import MalformedError, parse_quantity, parse_rfc3339

JOURNAL_PAGES_MAX: Final = 20
"""Pages of the journal that are looked through for what a session paid."""

USAGE: Final = {Measure.TIME: 60 * NS_PER_S, Measure.OCTETS: 1_048_576, Measure.EVENTS: 1}
"""What is explained where no usage is given."""

_EVENT: Final = ("service", "account", "msisdn", "to", "usage", "at", "rating_group")
_ID: Final = re.compile(r"[1-9][0-9]{0,17}")


def _plus(text: str) -> str:
    """A plus that was not quoted in the query arrives as a blank: before a number, and in the offset of a time."""
    return re.sub(r"^ (?=[0-9])| (?=[0-9]{2}:[0-9]{2}$)", "+", text)


class Explain:
    """The handler; raises Problem for what is wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Paths below /v1."""
        return [Route("/explain", self.explain, methods=["GET"])]

    async def explain(self, request: Request) -> Response:
        """The explanation of an event, or, with `cdr`, of a stored CDR. Changes nothing."""
        parameters = {name: _plus(text) for name, text in query(request, (*_EVENT, "cdr")).items()}
        if "cdr" not in parameters:
            return json_response(await self._event(parameters))
        if len(parameters) > 1:
            raise Problem(400, f"with cdr nothing else is asked: {', '.join(sorted(set(parameters) - {'cdr'}))}")
        return json_response(await self._cdr(parameters["cdr"]))

    # --- an event ----------------------------------------------------------------------------------------------------

    async def _event(self, parameters: dict[str, str]) -> Json:
        tariff = self._server.settings.tariff
        asked = self._asked(parameters)
        account = await self._account(parameters)
        others = await self._others(account, tariff, asked.at_ns)
        return await self._aside(lambda: explanation_view(explain(asked, account, tariff, others)))

    async def _aside(self, made: Callable[[], Json]) -> Json:
        """What `made` makes, in a thread: a call over a thousand windows takes seconds, and charging goes on."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(made)

    def _asked(self, parameters: dict[str, str]) -> Asked:
        service = self._service(parameters.get("service", ""))
        group = parameters.get("rating_group")
        if group is not None and not (group.isascii() and group.isdigit() and len(group) < 11 and int(group) < 2**32):
            raise Problem(400, f'rating_group "{group}" is not a number from 0 to {2**32 - 1}')
        measure = MEASURE_OF_KIND[service.kind]
        usage = USAGE[measure]
        try:
            if "usage" in parameters:
                usage, measure = parse_quantity(parameters["usage"])
            at_ns = parse_rfc3339(parameters["at"]) if "at" in parameters else self._server.now_ns()
        except MalformedError as error:
            raise Problem(400, str(error)) from None
        return Asked(service, parameters.get("to", ""), usage, measure, at_ns, None if group is None else int(group))

    def _service(self, name: str) -> ServicePolicy:
        services = self._server.settings.services
        service = services.get(name)
        if service is None:
            known = ", ".join(services)
            raise Problem(400, f'there is no service "{name}"; known: {known}' if name else f"service: one of {known}")
        return service

    async def _account(self, parameters: dict[str, str]) -> Account | None:
        """The account; None for an MSISDN that nobody has, which charging has an answer for, too."""
        if ("account" in parameters) == ("msisdn" in parameters):
            raise Problem(400, "account or msisdn: one of them")
        store = self._server.store
        account_id = parameters.get("account")
        if account_id is None:
            account_id = await store.find_account((f"msisdn:{parameters['msisdn'].removeprefix('+')}",))
            return None if account_id is None else (await store.load(account_id, None)).account
        account = (await store.load(account_id, None)).account
        if account is None:
            raise Problem(404, f'there is no account "{account_id}"')
        return account

    async def _others(self, account: Account | None, tariff: Tariff, at_ns: int) -> list[Account]:
        """The accounts that share balances with it."""
        loaded = [await self._server.store.load(name, None) for name in sharing_ids(account, tariff, at_ns)]
        return [one.account for one in loaded if one.account is not None]

    # --- a CDR -------------------------------------------------------------------------------------------------------

    async def _cdr(self, text: str) -> Json:
        store, tariff = self._server.store, self._server.settings.tariff
        if _ID.fullmatch(text) is None:
            raise Problem(400, f'cdr "{text}" is not the id of a CDR')
        rows = await store.cdrs(None, None, int(text) - 1, 1)
        if not rows or rows[0].id != int(text):
            raise Problem(404, f'there is no CDR "{text}"')
        row = rows[0]
        policy = self._server.settings.services.get(row.cdr.service)
        if policy is None:
            raise Problem(404, f'the service "{row.cdr.service}" of the CDR is no longer configured')
        account = (await store.load(row.cdr.account_id, None)).account
        others = await self._others(account, tariff, row.cdr.started_at_ns)
        before, paid = await self._before(row), await self._paid(row, account)
        return await self._aside(
            lambda: cdr_explanation_view(
                explain_cdr(row.cdr, before, account, tariff, policy, others), cdr_view(row), paid
            )
        )

    async def _before(self, row: NumberedCdr) -> list[Cdr]:
        """The records of the session up to that one."""
        found: list[Cdr] = []
        after = 0
        while True:
            rows = await self._server.store.cdrs(row.cdr.account_id, row.cdr.session_id, after, PAGE_ROWS_MAX)
            found += [one.cdr for one in rows if one.id < row.id]
            if len(rows) < PAGE_ROWS_MAX or rows[-1].id >= row.id:
                return found
            after = rows[-1].id

    async def _paid(self, row: NumberedCdr, account: Account | None) -> list[Json] | None:
        """What the session took off each balance of the account, as the journal has it; None where that is too long."""
        if account is None:
            return None
        kinds: dict[str, Kind] = {balance.id: balance.kind for balance in account.balances}
        taken: dict[str, int] = {}
        after = 0
        for _ in range(JOURNAL_PAGES_MAX):
            entries = await self._server.store.journal(account.id, after, PAGE_ROWS_MAX)
            for entry in entries:
                kinds |= {balance.id: balance.kind for balance in entry.opened}
                for posting in entry.postings if entry.session_id == row.cdr.session_id else ():
                    taken[posting.balance_id] = taken.get(posting.balance_id, 0) - posting.value
            if len(entries) < PAGE_ROWS_MAX:
                return [
                    {
                        "balance": name,
                        "amount": amount(kinds.get(name, Kind.MONETARY), value, account.currency),
                        "unit": unit_of(kinds.get(name, Kind.MONETARY), account.currency),
                    }
                    for name, value in taken.items()
                    if value
                ]
            after = entries[-1].version
        return None
