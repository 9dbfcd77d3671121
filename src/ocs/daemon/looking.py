"""The open sessions of an account that changed, or of a tariff that did: whom they concern is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ocs.balances.account import Account
from ocs.balances.choice import shared_with
from ocs.charging.asking import Look, Whom, asking, read_look, told
from ocs.charging.outcome import Effect, Outcome
from ocs.charging.session import Session
from ocs.config.settings import Settings
from ocs.store.background import Background
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import DueEffect, Store, StoreDown

_log = structlog.get_logger("ocs")

PAGE_SESSIONS: Final = 250
PERIOD_S: Final = 1.0


class Looks:
    """Looks at sessions, page by page, and leaves word for their clients in the outbox."""

    def __init__(
        self, store: Store, dispatcher: Dispatcher, settings: Callable[[], Settings], now_ns: Callable[[], int]
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._settings = settings
        self._now_ns = now_ns

    async def look(self, due: DueEffect) -> bool:
        """`ocs.store.outbox.Do` for changes of an account."""
        wanted = read_look(due.effect)
        try:
            account = (await self._store.load(due.account_id, None)).account
            if account is None:
                return True
            others = (
                shared_with(account, self._settings().tariff.at(self._now_ns())) if wanted.whom is Whom.SHORT else ()
            )
            for account_id in (account.id, *others):
                await self._look_at(account_id, wanted)
        except (StoreDown, Failed) as error:
            _log.warning("look_waits", account_id=due.account_id, why=str(error))
            return False
        return True

    async def _look_at(self, account_id: str, wanted: Look) -> None:
        after = ""
        while True:
            page = await self._store.sessions(account_id, after, PAGE_SESSIONS)
            await self.tell(account_id, told(wanted, page), by=wanted.by, reason=wanted.cause)
            if len(page) < PAGE_SESSIONS:
                return
            after = page[-1].key

    async def tell(self, account_id: str, found: Sequence[Effect], *, by: str, reason: str) -> None:
        """Leave these effects for sessions of one account. StoreDown or Failed where that cannot be."""

        def decide(account: Account | None, _session: Session | None) -> Outcome:
            if account is None or not found:
                return Outcome()
            return asking(account, found, self._now_ns(), by=by, reason=reason)

        if found:
            await self._dispatcher.run(account_id, None, decide)


class TariffChange:
    """A duty: after a new tariff the clients that have quotas by another version are asked to come again.

    `reauthorise_per_s` at the most, so that a million sessions do not all come at once. Who comes by itself meanwhile
    has the new version, and is not asked. Where the duty goes to another node, that one begins anew, if it has the
    new tariff, too.
    """

    def __init__(
        self,
        store: Store,
        looks: Looks,
        settings: Callable[[], Settings],
        now_ns: Callable[[], int],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.pause = pause
        self._store = store
        self._looks = looks
        self._settings = settings
        self._now_ns = now_ns
        self._changed = asyncio.Event()
        self._background = Background()

    def changed(self) -> None:
        """There is a new tariff in the settings."""
        if self._settings().reauthorise_on_tariff_change:
            self._changed.set()

    def start(self) -> None:
        """Begin; `Duty`."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """End, also in the middle of it."""
        await self._background.end()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            try:
                asked = await self.sweep()
            except (StoreDown, Failed) as error:
                _log.warning("reauthorisation_waits", why=str(error))
                await self.pause(PERIOD_S)
            except Exception:  # noqa: BLE001 - the next time may be better
                _log.exception("reauthorisation_failed")
                self._changed.clear()
            else:
                _log.info("reauthorised", sessions=asked)

    async def sweep(self) -> int:
        """One pass over all open sessions; returns how many were asked. It ends where the tariff changed again."""
        asked, after = 0, ""
        self._changed.clear()
        try:
            while not self._changed.is_set():
                page = await self._store.sessions(None, after, PAGE_SESSIONS)
                version = self._settings().tariff.at(self._now_ns()).version
                old = [session for session in page if _is_old(session, version)]
                per_s = self._settings().reauthorise_per_s
                for start in range(0, len(old), per_s):
                    asked += await self._ask(old[start : start + per_s])
                    await self.pause(PERIOD_S * len(old[start : start + per_s]) / per_s)
                if len(page) < PAGE_SESSIONS:
                    break
                after = page[-1].key
        except BaseException:
            self._changed.set()  # not to its end
            raise
        return asked

    async def _ask(self, sessions: Sequence[Session]) -> int:
        of_account: dict[str, list[Session]] = {}
        for session in sessions:
            of_account.setdefault(session.account_id, []).append(session)
        wanted = Look(Whom.ALL, "tariff_change")
        found = {account_id: told(wanted, its) for account_id, its in of_account.items()}
        await asyncio.gather(
            *(
                self._looks.tell(account_id, effects, by="", reason=wanted.cause)
                for account_id, effects in found.items()
            )
        )
        return sum(map(len, found.values()))


def _is_old(session: Session, version: str) -> bool:
    """Whether it has a quota by another version of the tariff."""
    return any(
        group.granted and group.segment is not None and group.segment.tariff_version != version
        for group in session.groups
    )
