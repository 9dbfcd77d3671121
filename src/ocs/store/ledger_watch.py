"""The ledger proved in the background, over and over, a little at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from ocs.limits import (
    LEDGER_LOGGED_PER_PASS_MAX,
    LEDGER_WATCH_ACCOUNTS,
    LEDGER_WATCH_ACCOUNTS_PER_S,
    LEDGER_WATCH_PASS_S,
    LEDGER_WATCH_TIME_SHARE,
)
from ocs.nms.metrics import Metrics
from ocs.rating.units import NS_PER_S
from ocs.store.background import Background
from ocs.store.interface import Store, StoreDown
from ocs.store.ledger import verify

_log = structlog.get_logger()

DOWN_PAUSE_S: Final = 30.0
TO_DO: Final = "charging goes on; see `ocs ledger verify --account` and `ocs account history`, and docs/operations.md"


class LedgerWatch:
    """Proves all accounts, one slice per round, and begins again.

    It takes LEDGER_WATCH_ACCOUNTS_PER_S at the most, and one part in LEDGER_WATCH_TIME_SHARE of the time. What is wrong
    is logged at once; a pass that is over tells the metrics. One node of a cluster is enough: the others show 0.
    A store that is down makes it wait, and go on where it was.
    """

    def __init__(self, store: Store, now_ns: Callable[[], int], metrics: Metrics) -> None:
        self._store = store
        self._now_ns = now_ns
        self._metrics = metrics
        self._background = Background()
        self._after = ""
        self._accounts = 0
        self._imbalanced = 0
        self._logged = 0

    def start(self) -> None:
        """Look from now on, from the first account."""
        self._begin_again()
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._background.running:
            await self._background.end()
            self._metrics.ledger.verified(0, 0, 0)

    async def _run(self) -> None:
        pass_began_s = time.monotonic()
        while True:
            began_s = time.monotonic()
            try:
                over = await self.round()
            except StoreDown as error:
                _log.warning("ledger_verification_waits", why=str(error), pause_s=DOWN_PAUSE_S)
                pause_s = DOWN_PAUSE_S
            except Exception:  # noqa: BLE001 - the watch goes on
                _log.exception("ledger_verification_failed", after=self._after)
                self._begin_again()
                pause_s = DOWN_PAUSE_S
            else:
                now_s = time.monotonic()
                pause_s = pause_of(now_s - began_s)
                if over:
                    pause_s = max(pause_s, LEDGER_WATCH_PASS_S - (now_s - pass_began_s))
                    pass_began_s = now_s + pause_s
            await asyncio.sleep(pause_s)

    async def round(self) -> bool:
        """Prove the next LEDGER_WATCH_ACCOUNTS; returns whether that was the end of a pass. StoreDown."""
        accounts = await self._store.accounts(self._after, LEDGER_WATCH_ACCOUNTS)
        verified = await verify(self._store, [account.id for account in accounts])
        for one in verified.imbalances:
            if self._logged < LEDGER_LOGGED_PER_PASS_MAX:
                self._logged += 1
                _log.error("ledger_imbalance", account=one.account_id, what=one.what, imbalance=str(one), to_do=TO_DO)
        self._accounts += verified.accounts
        self._imbalanced += len({one.account_id for one in verified.imbalances})
        if len(accounts) == LEDGER_WATCH_ACCOUNTS:
            self._after = accounts[-1].id
            return False
        self._metrics.ledger.verified(self._accounts, self._imbalanced, self._now_ns() / NS_PER_S)
        _log.info("ledger_verified", accounts=self._accounts, imbalanced=self._imbalanced)
        self._begin_again()
        return True

    def _begin_again(self) -> None:
        self._after = ""
        self._accounts = self._imbalanced = self._logged = 0


def pause_of(took_s: float) -> float:
    """How long to wait after a round that took so long."""
    return max(LEDGER_WATCH_ACCOUNTS / LEDGER_WATCH_ACCOUNTS_PER_S, took_s * (LEDGER_WATCH_TIME_SHARE - 1))
