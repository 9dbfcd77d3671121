"""Why a stored CDR says what it says: its price with the tariff of then, and the account as it is now. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ocs.balances.account import Account
from ocs.cdr.records import Cdr
from ocs.charging.explain import explain
from ocs.charging.explained import Asked, Explanation
from ocs.charging.policy import ServicePolicy
from ocs.charging.whole import Call, cost_of
from ocs.rating.tariff import NotFound, Tariff
from ocs.rating.units import Measure


class CdrExplained(msgspec.Struct, frozen=True):
    """A CDR explained.

    position: what its rating group had used in the records before. version_loaded: whether the tariff version that it
    names is still loaded; where not, all here is by the version that the loaded tariff has for that time.
    by_money: base units that no unit balance paid for. money_nanos: what these cost at the price of the event, None
    where there is no rate; fee_nanos: the connect fee of the rate, where it is due with this record.
    agrees: whether that is the cost which the CDR says, with or without the fee.
    explanation: of all of its usage, with the account as it is now.
    """

    cdr: Cdr
    position: int
    version_loaded: bool
    by_money: int
    money_nanos: int | None
    fee_nanos: int
    agrees: bool
    explanation: Explanation


def explain_cdr(
    cdr: Cdr,
    before: Sequence[Cdr],
    account: Account | None,
    tariff: Tariff,
    policy: ServicePolicy,
    others: Sequence[Account] = (),
) -> CdrExplained:
    """Explain a record; `before`: other records of its session, of which those of the same group and earlier count."""
    position = sum(
        one.usage
        for one in before
        if (one.rating_group, one.service_id) == (cdr.rating_group, cdr.service_id) and one.partial < cdr.partial
    )
    version = version_of(tariff, cdr.tariff_version)
    rated_by = tariff if version is None else version
    at_ns = began_at(cdr, position)
    asked = Asked(policy, cdr.called, cdr.usage, cdr.measure, at_ns, cdr.rating_group, position)
    by_money = cdr.usage - cdr.unit_usage - cdr.unrated
    money_nanos, fee_nanos = _by_money(cdr, by_money, position, at_ns, account, rated_by, policy)
    return CdrExplained(
        cdr=cdr,
        position=position,
        version_loaded=version is not None,
        by_money=by_money,
        money_nanos=money_nanos,
        fee_nanos=fee_nanos,
        agrees=money_nanos is not None and cdr.cost_nanos in (money_nanos, money_nanos + fee_nanos),
        explanation=explain(asked, account, rated_by, others),
    )


def _by_money(
    cdr: Cdr, usage: int, position: int, at_ns: int, account: Account | None, tariff: Tariff, policy: ServicePolicy
) -> tuple[int | None, int]:
    """(what the usage costs that units did not pay for: the last of it, the connect fee that may be due besides)."""
    if account is None:
        return None, 0
    before = position + cdr.unit_usage
    begun_ns = at_ns + (cdr.unit_usage if cdr.measure is Measure.TIME else 0)
    cost = cost_of(account, tariff, policy, Call(cdr.called, begun_ns, usage, cdr.rating_group, before, cdr.measure))
    if isinstance(cost, NotFound):
        return None, 0
    fee_nanos = 0 if position else cost.parts[0].segment.rate.connect_fee_nanos
    return cost.nanos - cost.fee_nanos, fee_nanos


def version_of(tariff: Tariff, version: str) -> Tariff | None:
    """The loaded version of that name, alone: without what comes after it."""
    each: Tariff | None = tariff
    while each is not None:
        if each.version == version:
            return msgspec.structs.replace(each, successor=None)
        each = each.successor
    return None


def began_at(cdr: Cdr, position: int) -> int:
    """When the usage of a record began: usage of time is contiguous, and ends with the record at the latest."""
    if cdr.measure is not Measure.TIME:
        return cdr.started_at_ns
    return max(cdr.started_at_ns + position, cdr.ended_at_ns - cdr.usage)
