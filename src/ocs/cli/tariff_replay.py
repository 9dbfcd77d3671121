"""Stored CDRs rated again: what each would have cost under one configuration and under another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ocs.balances.account import Account
from ocs.charging.whole import Call, cost_of
from ocs.limits import PAGE_ROWS_MAX
from ocs.rating.tariff import NotFound, Tariff
from ocs.rating.units import Measure
from ocs.units import parse_rfc3339

if TYPE_CHECKING:
    from ocs.cli.reach import Api
    from ocs.config.settings import Settings

_ID_BITS = 62


@dataclass
class Sums:
    """What CDRs cost in all; refused: how many of them have no rate."""

    cdrs: int = 0
    before_nanos: int = 0
    after_nanos: int = 0
    refused_before: int = 0
    refused_after: int = 0

    def add(self, before_nanos: int | None, after_nanos: int | None) -> None:
        """Count one CDR; None: it has no rate."""
        self.cdrs += 1
        self.before_nanos += before_nanos or 0
        self.after_nanos += after_nanos or 0
        self.refused_before += before_nanos is None
        self.refused_after += after_nanos is None


@dataclass(frozen=True)
class Changed:
    """A CDR that does not cost the same; None: it has no rate."""

    id: str
    before_nanos: int | None
    after_nanos: int | None


@dataclass
class Replay:
    """All of it. left_out: CDRs of services that one of the two does not have."""

    total: Sums = field(default_factory=Sums)
    services: dict[str, Sums] = field(default_factory=dict)
    changed: list[Changed] = field(default_factory=list)
    left_out: int = 0


def replayed(api: Api, count: int, before: Settings, after: Settings, at_ns: int | None) -> Replay:
    """The last `count` CDRs, rated by the version of each that holds at `at_ns`, None = the last one."""
    replay = Replay()
    tariffs = [_version(settings.tariff, at_ns) for settings in (before, after)]
    for cdr in last_cdrs(api, count):
        policies = [settings.services.get(cdr["service"]) for settings in (before, after)]
        if None in policies:
            replay.left_out += 1
            continue
        told = api.get("/v1/explain", cdr=cdr["id"])
        account = _account(cdr, told)
        call = _call(cdr, told)
        costs = []
        for tariff, policy in zip(tariffs, policies, strict=True):
            assert policy is not None
            cost = cost_of(account, tariff, policy, call)
            costs.append(None if isinstance(cost, NotFound) else cost.nanos)
        replay.total.add(*costs)
        replay.services.setdefault(cdr["service"], Sums()).add(*costs)
        if costs[0] != costs[1]:
            replay.changed.append(Changed(cdr["id"], *costs))
    return replay


def _version(tariff: Tariff, at_ns: int | None) -> Tariff:
    """One version alone, so that it rates calls of any time."""
    return msgspec.structs.replace(tariff.at(2**63 - 1 if at_ns is None else at_ns), successor=None)


def _account(cdr: dict[str, Any], told: dict[str, Any]) -> Account:
    now = told["now"]["account"]
    return Account(cdr["account_id"], 0, cdr["currency"], now["plan"] if now else "")


def _call(cdr: dict[str, Any], told: dict[str, Any]) -> Call:
    return Call(
        told["now"]["number"],
        parse_rfc3339(told["now"]["at"]),
        cdr["usage"],
        cdr["rating_group"],
        told["used_before"],
        Measure(cdr["unit"]),
    )


def last_cdrs(api: Api, count: int) -> list[dict[str, Any]]:
    """The last CDRs in the order of writing. The API gives them from the first on, so the last id is looked for."""
    low, high = 0, 1
    while high < 1 << _ID_BITS and _any_after(api, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _any_after(api, middle) else (low, middle)
    back = count
    while True:
        found = _after(api, max(0, high - back))
        if len(found) >= count or back >= high:
            return found[-count:]
        back *= 2


def _after(api: Api, number: int) -> list[dict[str, Any]]:
    """All CDRs after an id, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = str(number)
    while cursor is not None:
        page = api.get("/v1/cdrs", after=cursor, limit=PAGE_ROWS_MAX)
        found += page["items"]
        cursor = page["next"]
    return found


def _any_after(api: Api, number: int) -> bool:
    return bool(api.get("/v1/cdrs", after=number, limit=1)["items"])
