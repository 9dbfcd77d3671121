"""Accounts and their opening balances, as far as the actions of CGRateS say them.

An account gets what the actions of its action plan that run at once top up. What runs every month, what changes
balances in other ways, and what expires some time after it ran is a matter of schedules: it is counted as not imported.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from ocs.balances.account import Balance
from ocs.config import cgrates_values as values
from ocs.config.cgrates_csv import Row, Tables
from ocs.config.cgrates_rows import ASAP, Cells, Rows
from ocs.config.cgrates_values import ANY
from ocs.config.diagnostics import Place, Problems
from ocs.rating.units import Kind
from ocs.units import MalformedError

TOP_UPS: Final = ("*topup", "*topup_reset", "*set_balance")
KINDS: Final = {f"*{kind.value}": kind for kind in Kind}


class ImportedAccount(NamedTuple):
    """An account; its name is its subject, too, where there is a profile of that name."""

    tenant: str
    name: str
    balances: tuple[Balance, ...]
    allow_negative: bool
    disabled: bool
    place: Place


class Accounts(NamedTuple):
    """All accounts, the members of each shared group, and how many actions of each type were left out, and why."""

    accounts: tuple[ImportedAccount, ...]
    members: Mapping[str, tuple[ImportedAccount, ...]]
    left_out: Mapping[str, int]


class _Reader:
    """Lives inside one call of `parse_accounts`."""

    def __init__(self, tables: Tables, rows: Rows, problems: Problems) -> None:
        self.rows = rows
        self.problems = problems
        self.left_out: Tally[str] = Tally()
        self.actions = _grouped(tables.get("actions", ()))
        self.plans = _grouped(tables.get("action_plans", ()))
        self.accounts = tables.get("account_actions", ())

    def read(self) -> Iterator[ImportedAccount]:
        """The accounts, each once."""
        seen: dict[tuple[str, str], Row] = {}
        for row in self.accounts:
            cells = Cells(row, self.problems)
            name = cells.id("account")
            first = seen.setdefault((row["tenant"], name), row)
            if first is not row:
                cells.error("account", f'the account "{name}" is given twice, first in {first.place}')
            if row["action_triggers_id"]:
                self.left_out["action triggers of accounts"] += 1
            account = ImportedAccount(
                row["tenant"],
                name,
                tuple(self._balances(cells)),
                cells.read("allow_negative", values.switch, False),
                cells.read("disabled", values.switch, False),
                row.place,
            )
            if cells.sound:
                yield account

    def _balances(self, account: Cells) -> list[Balance]:
        """What the actions that run at once give; a balance that is topped up twice has the sum."""
        plan_id = account.row["action_plan_id"]
        if not plan_id:
            return []
        account.known("action_plan_id", self.plans, "action plan")
        found: dict[str, Balance] = {}
        for line in self.plans.get(plan_id, ()):
            actions_id = Cells(line, self.problems).known("actions_id", self.actions, "action")
            once = self._at_once(line)
            for row in self.actions.get(actions_id, ()):
                kept = once and row["action"] in TOP_UPS
                balance = self._balance(row) if kept else None
                if balance is None:
                    self.left_out[row["action"] if once else f"{row['action']} by a schedule"] += not kept
                    continue
                before = found.get(balance.id)
                if before is not None and row["action"] == "*topup":
                    balance = msgspec.structs.replace(balance, value=balance.value + before.value)
                found[balance.id] = balance
        return list(found.values())

    def _at_once(self, line: Row) -> bool:
        timing_id = line["timing_id"]
        timing = self.rows.timings.get(timing_id)
        return timing_id == ASAP or (timing is not None and timing.asap)

    def _balance(self, row: Row) -> Balance | None:
        """The balance that an action makes, None where it cannot be made now."""
        cells = Cells(row, self.problems)
        kind = cells.word("balance_type", KINDS, Kind.GENERIC)
        expires_at_ns = self._expiry(row)
        groups = values.names(row["shared_group"])
        if len(groups) > 1:
            cells.warn("shared_group", f'only the first group is used: "{groups[0]}"')
        self._all_known(cells, "shared_group", groups, self.rows.shared_groups, "shared group")
        for column in ("filter", "extra_parameters"):
            if row[column]:
                cells.warn(column, "is not imported")
        destinations = values.names(row["destination_ids"])
        timings = values.names(row["timing_ids"])
        self._all_known(cells, "destination_ids", destinations, self.rows.destinations, "destination")
        self._all_known(cells, "timing_ids", timings, self.rows.timings, "timing")
        balance = Balance(
            row["balance_id"] or kind.value,
            kind,
            cells.read("units", values.nanos if kind is Kind.MONETARY else values.amount, 0),
            weight=cells.read("balance_weight", values.whole, 0),
            expires_at_ns=expires_at_ns,
            destinations=destinations,
            blocker=cells.read("balance_blocker", values.switch, False),
            categories=values.names(row["categories"]),
            timings=timings,
            disabled=cells.read("balance_disabled", values.switch, False),
            rating_subject="" if row["rating_subject"] == ANY else row["rating_subject"],
            shared_group=groups[0] if groups else "",
        )
        if expires_at_ns == _RELATIVE:
            self.left_out[f"{row['action']} that expires {row['expiry_time']} after it ran"] += 1
            return None
        return balance if cells.sound else None

    def _expiry(self, row: Row) -> int | None:
        try:
            return values.point_in_time(row["expiry_time"])
        except MalformedError:
            return _RELATIVE

    def _all_known(
        self, cells: Cells, column: str, names: Iterable[str], known: Mapping[str, object], noun: str
    ) -> None:
        for name in names:
            if name.removeprefix("!") not in known:
                cells.error(column, f'there is no {noun} "{name.removeprefix("!")}"')


_RELATIVE: Final = -1
"""An expiry that counts from when the action runs."""


def parse_accounts(tables: Tables, rows: Rows, problems: Problems) -> Accounts:
    """The accounts of AccountActions, with the balances that Actions give them at once."""
    reader = _Reader(tables, rows, problems)
    accounts = tuple(reader.read())
    members: dict[str, tuple[ImportedAccount, ...]] = {}
    for account in accounts:
        for group in dict.fromkeys(balance.shared_group for balance in account.balances if balance.shared_group):
            members[group] = (*members.get(group, ()), account)
    return Accounts(accounts, members, +reader.left_out)


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found
