"""Whether the ledger is right, by the last verification of all accounts."""

from __future__ import annotations

from ocs.nms.making import Maker


class LedgerMetrics:
    """What the background verification found. 0 everywhere until its first pass is over, and where it does not run."""

    def __init__(self, make: Maker) -> None:
        self._imbalance = make.gauge("ledger_imbalance", "Accounts whose ledger is wrong, by the last verification.")
        self._accounts = make.gauge("ledger_verified_accounts", "Accounts that the last verification looked at.")
        self._at = make.gauge("ledger_verified_timestamp_seconds", "Unix time when all accounts were last verified.")

    def verified(self, accounts: int, imbalanced: int, at_s: float) -> None:
        """All accounts were looked at by Unix time `at_s`; so many of them are wrong."""
        self._imbalance.set(imbalanced)
        self._accounts.set(accounts)
        self._at.set(at_s)
