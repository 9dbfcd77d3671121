"""What a case expects beside what ours gives: both as flat mappings from a path to a value, money in nanos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ocs.rating.units import NS_PER_S
from tests.vectors.world import nanos

MONEY = {"cost", "connect_fee", "result", "sum:*monetary"}
DEFAULT_MONEY = "*default"
_EACH = re.compile(r"-(\d+)s each")

Flat = dict[str, Any]


def expected(case: Mapping[str, Any], steps: list[dict[str, Any]] | None = None) -> Flat:
    """What the case says that CGRateS gives."""
    if steps is None:
        return _flat(case["expect"], case)
    wanted: Flat = {}
    for number, step in enumerate(steps, 1):
        for path, value in _flat(step["expect"], case).items():
            name = f"step {number}: {path}"
            each = _EACH.fullmatch(value) if isinstance(value, str) else None
            if each is not None:
                value = _sum(case, path) - number * int(each[1]) * NS_PER_S
            wanted[name] = value
    return wanted


def found(case: Mapping[str, Any], ours: Mapping[str, Any], wanted: Flat) -> Flat:
    """What ours gives for the same paths; "error" as well where the case does not speak of one."""
    flat: Flat = {}
    if "steps" in ours:
        for number, step in enumerate(ours["steps"], 1):
            flat |= {f"step {number}: {path}": value for path, value in step.items()}
    else:
        for path, value in ours.items():
            flat |= _balances(value) if path == "balances" else {path: value}
    kept = {path: flat.get(path) for path in wanted}
    return kept | ({"error": flat["error"]} if "error" in flat else {})


def differing(case: Mapping[str, Any], wanted: Flat, ours: Flat) -> set[str]:
    """The paths at which the two are not equal; `tolerance` of a case is in units of money."""
    tolerance = nanos(case.get("tolerance", 0))
    return {
        path
        for path in wanted.keys() | ours.keys()
        if wanted.get(path) != ours.get(path) and not _near(wanted.get(path), ours.get(path), tolerance)
    }


def _near(wanted: Any, ours: Any, tolerance: int) -> bool:
    return isinstance(wanted, int) and isinstance(ours, int) and abs(wanted - ours) <= tolerance


def _flat(expect: Mapping[str, Any], case: Mapping[str, Any]) -> Flat:
    flat: Flat = {}
    for path, value in expect.items():
        if path == "balances":
            flat |= {
                name: nanos(value) if name in _money(case) or name.endswith(f" {DEFAULT_MONEY}") else _number(value)
                for name, value in _balances(value).items()
            }
        else:
            flat[path] = nanos(value) if path in MONEY else value
    return flat


def _number(value: Any) -> Any:
    """A number of units; one that is not whole stays as it is written."""
    return int(value) if re.fullmatch(r"-?\d+", str(value)) else value


def _balances(accounts: Mapping[str, Mapping[str, Any]]) -> Flat:
    return {f"{account} {name}": value for account, balances in accounts.items() for name, value in balances.items()}


def _money(case: Mapping[str, Any]) -> set[str]:
    return {
        f"{account['id']} {balance['id']}"
        for account in case.get("accounts", ())
        for balance in account["balances"]
        if balance["type"] == "*monetary"
    }


def _sum(case: Mapping[str, Any], path: str) -> int:
    kind = path.removeprefix("sum:")
    return sum(
        int(balance["value"])
        for account in case["accounts"]
        for balance in account["balances"]
        if balance["type"] == kind
    )
