"""What happens without a request: the end of sessions, and the charging of what was spooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ocs.balances.account import Account
from ocs.charging import engine
from ocs.charging.house import HOUSE_ACCOUNT
from ocs.charging.outcome import Outcome
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.session import Session
from ocs.config.settings import Settings
from ocs.rating.units import Kind
from ocs.store.dispatcher import Dispatcher
from ocs.store.spool import Spooled

_GONE: Final = ServicePolicy("gone", Kind.GENERIC, (), GrantPolicy(slice=1, minimum=1, maximum=1, contended_slice=1))
"""Ends the sessions of a service that the configuration does not have any more."""


class Timers:
    """`settings` gives the configuration in use at the moment."""

    def __init__(self, settings: Callable[[], Settings], dispatcher: Dispatcher) -> None:
        self._settings = settings
        self._dispatcher = dispatcher

    def expire(
        self, account: Account, session: Session, now_ns: int, others: Sequence[Account] | None = None
    ) -> Outcome:
        """The supervision of one session whose time has come."""
        settings = self._settings()
        policy = settings.services.get(session.service, _GONE)
        return engine.expire(account, session, policy, settings.tariff, now_ns, others)

    def end(
        self, account: Account, session: Session, cause: str, now_ns: int, others: Sequence[Account] | None = None
    ) -> Outcome:
        """The end of one session now, whatever its time."""
        settings = self._settings()
        policy = settings.services.get(session.service, _GONE)
        return engine.end(account, session, policy, settings.tariff, now_ns, cause, others)

    async def charge_spooled(self, spooled: Spooled) -> bytes:
        """Charge an emergency request that was answered without the store, as of then; its answer stays what it was."""
        settings, request = self._settings(), spooled.request
        policy = settings.services.get(request.service, _GONE)

        def decide(account: Account | None, session: Session | None) -> Outcome:
            return engine.decide(account, session, request, settings.tariff, policy, spooled.at_ns)

        return await self._dispatcher.answer(request, decide, lambda _answer: spooled.content, account_id=HOUSE_ACCOUNT)
