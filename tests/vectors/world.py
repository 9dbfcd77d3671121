"""From the words of the vectors to ours: tariffs, services, accounts, calls."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from ocs.balances.account import Account, Balance, Factor
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import UnknownSession
from ocs.charging.whole import Call
from ocs.config import cgrates_rows, cgrates_tariff
from ocs.config.cgrates_csv import rows_of
from ocs.config.diagnostics import Problems
from ocs.rating.numbers import Numbering, dialled, international
from ocs.rating.tariff import Tariff
from ocs.rating.units import NANOS_PER_UNIT, Kind
from ocs.units import parse_rfc3339
from tests.vectors.cases import rating_file

CURRENCY = "EUR"
POLICY_LIMIT = 2**62


def tariff_of(case: Mapping[str, Any]) -> Tariff:
    """The tariff of a case; its category is a service of the kind that the event counts."""
    event = case["event"]
    members = {group["id"]: tuple(group["members"]) for group in case.get("shared_groups", ())}
    tenant = case.get("fixture_tenant_override", "*t")
    kinds = ((event["category"], kind_of(event)),)
    groups = tuple((group["id"], group["strategy"]) for group in case.get("shared_groups", ()))
    return _tariff(case["fixture"], tenant, kinds, tuple(members.items()), groups)


@cache
def _tariff(
    fixture: str,
    tenant: str,
    kinds: tuple[tuple[str, Kind], ...],
    members: tuple[tuple[str, tuple[str, ...]], ...],
    groups: tuple[tuple[str, str], ...],
) -> Tariff:
    named = rating_file()["fixtures"][fixture]["tariff"]
    tables = {table: rows_of(table, lines, f"{fixture}/{table}") for table, lines in named.items()}
    for row in tables.get("rating_profiles", ()):
        row.cells["tenant"] = tenant if row.cells["tenant"] == "*t" else row.cells["tenant"]
    known = {row["id"] for row in tables.get("shared_groups", ())}
    tables.setdefault("shared_groups", []).extend(
        rows_of(
            "shared_groups",
            [
                {"id": name, "account": "*any", "strategy": strategy, "rating_subject": ""}
                for name, strategy in groups
                if name not in known
            ],
            "case",
        )
    )
    problems = Problems()
    rows = cgrates_rows.parse(tables, problems)
    assert not problems.fatal, problems.sorted()
    categories = {profile.category for profile in rows.profiles}
    return cgrates_tariff.compile_rows(
        rows, dict.fromkeys(categories, Kind.VOICE) | dict(kinds), CURRENCY, members=dict(members), version=fixture
    )


def kind_of(event: Mapping[str, Any]) -> Kind:
    """`*voice` and so on."""
    return Kind(event["tor"].removeprefix("*"))


def policy_of(event: Mapping[str, Any]) -> ServicePolicy:
    """The service of an event: its category; grants are not limited, and an unknown session is begun."""
    grant = GrantPolicy(POLICY_LIMIT, 1, POLICY_LIMIT, 1, validity_time_s=600)
    return ServicePolicy(event["category"], kind_of(event), (), grant, unknown_session=UnknownSession.ADOPT)


def number_of(event: Mapping[str, Any]) -> str:
    """The called number in international form."""
    return international(dialled(event["destination"]), Numbering())


def call_of(event: Mapping[str, Any]) -> Call:
    """The event as a call. `loop_index` above 0: what is rated is not the beginning, whose length is not told."""
    return Call(
        number_of(event), parse_rfc3339(event["start"]), event["usage_ns"], position=int(event.get("loop_index", 0) > 0)
    )


def subject_of(event: Mapping[str, Any]) -> str:
    """Who is rated."""
    return f"{event['tenant']}:{event['subject']}"


def accounts_of(case: Mapping[str, Any], subject: str) -> list[Account]:
    """The accounts of a case, the one that is charged first; it has the event's subject for its plan."""
    factor_id = case["event"].get("balance_factor_id", "")
    factors = {factor_id: case["event"]["category"]} if factor_id else {}
    return [_account(found, subject, factors) for found in case["accounts"]]


def _account(found: Mapping[str, Any], subject: str, factors: Mapping[str, str]) -> Account:
    tenant = found["id"].partition(":")[0]
    balances = tuple(_balance(index, balance, tenant, factors) for index, balance in enumerate(found["balances"]))
    return Account(
        found["id"], 1, CURRENCY, subject, balances=balances, allow_negative=found.get("allow_negative", False)
    )


def _balance(index: int, found: Mapping[str, Any], tenant: str, factors: Mapping[str, str]) -> Balance:
    """Factors that the event names are those of its service, for that is how ours are named."""
    kind = Kind(found["type"].removeprefix("*"))
    subject = found.get("rating_subject", "")
    groups = found.get("shared_groups", ())
    return Balance(
        found["id"] or f"#{index}",
        kind,
        scaled(kind, found["value"]),
        weight=found.get("weight", 0),
        destinations=tuple(found.get("destination_ids", ())),
        blocker=found.get("blocker", False),
        categories=tuple(found.get("categories", ())),
        timings=tuple(found.get("timing_ids", ())),
        rating_subject=subject if subject.startswith("*") or not subject else f"{tenant}:{subject}",
        shared_group=groups[0] if groups else "",
        factors=tuple(_factor(factors.get(name, name), factor) for name, factor in found.get("factors", {}).items()),
    )


def _factor(name: str, factor: str | int) -> Factor:
    exact = Fraction(factor).limit_denominator(10**12)
    return Factor(name, exact.numerator, exact.denominator)


def scaled(kind: Kind, value: str | int) -> int:
    """Money as nanos, all else as it is."""
    return nanos(value) if kind is Kind.MONETARY else int(value)


def nanos(value: str | int) -> int:
    """Money as nanos."""
    exact = Fraction(value) * NANOS_PER_UNIT
    assert exact.denominator == 1, value
    return int(exact)
