"""Runs cases of rating.json: what ours gives, in the same words as the case's `expect`.

Money is in nanos there, all else as the case has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import msgspec

from ocs.balances.account import Account
from ocs.balances.refund import Increment, refund_increments
from ocs.charging.requests import RequestType, Result
from ocs.charging.whole import charge, cost_of, max_usage
from ocs.config.cgrates_rows import ROUNDING
from ocs.rating.prices import round_nanos, round_up
from ocs.rating.tariff import NotFound
from ocs.rating.units import MEASURE_OF_KIND, NANOS_PER_UNIT, Kind, Measure
from ocs.units import parse_rfc3339
from tests.vectors import world
from tests.vectors.driver import Driver, group

Case = Mapping[str, Any]
Found = dict[str, Any]

ERRORS = {
    "no_destination": "UNAUTHORIZED_DESTINATION",
    "no_time": "UNAUTHORIZED_DESTINATION",
    "no_plan": "RATING_PLAN_NOT_FOUND",
    "no_service": "RATING_PLAN_NOT_FOUND",
    "no_credit": "INSUFFICIENT_CREDIT",
    "blocked": "INSUFFICIENT_CREDIT_BALANCE_BLOCKER",
    "unknown_account": "ACCOUNT_NOT_FOUND",
}
"""Our reasons, and what CGRateS calls them."""


def run(case: Case) -> Found:
    """What ours gives for a case."""
    return RUNNERS[case["kind"]](case)


def _get_cost(case: Case) -> Found:
    event = case["event"]
    account = Account("anyone", 1, world.CURRENCY, world.subject_of(event))
    cost = cost_of(account, world.tariff_of(case), world.policy_of(event), world.call_of(event))
    if isinstance(cost, NotFound):
        return {"error": ERRORS[cost.reason], "cost": -NANOS_PER_UNIT}
    return {"cost": cost.nanos, "connect_fee": cost.fee_nanos, "timespans": len(cost.parts)}


def _accounts(case: Case) -> list[Account]:
    """The event's account first; none where it is not there."""
    event = case["event"]
    tenants = (event["tenant"], "*t")
    accounts = world.accounts_of(case, world.subject_of(event))
    names = [f"{tenant}:{event['account']}" for tenant in tenants]
    own = [account for account in accounts if account.id in names]
    return own + [account for account in accounts if account not in own] if own else []


def _max_usage(case: Case) -> Found:
    accounts = _accounts(case)
    if not accounts:
        return {"error": ERRORS["unknown_account"]}
    event = case["event"]
    found = max_usage(accounts[0], world.tariff_of(case), world.policy_of(event), world.call_of(event), accounts[1:])
    if isinstance(found, NotFound):
        return {"error": ERRORS[found.reason]}
    unlimited = accounts[0].allow_negative and found == event["usage_ns"]
    return {"max_usage_ns": -1 if unlimited and case["expect"].get("max_usage_ns") == -1 else found}


def _debit(case: Case) -> Found:
    """Time and volume were used before they are debited; an event is charged before it is delivered, or not at all."""
    accounts = _accounts(case)
    if not accounts:
        return {"error": ERRORS["unknown_account"]}
    kind = world.kind_of(case["event"])
    if MEASURE_OF_KIND[kind] is Measure.EVENTS:
        return _event(case, accounts)
    return _charge(case, accounts, case["event"]["usage_ns"])


def _max_debit(case: Case) -> Found:
    """As much as can be paid; with `force_duration` all of it, or nothing."""
    accounts = _accounts(case)
    found = _max_usage(case)
    if "error" in found:
        return found
    usage = found["max_usage_ns"]
    if case["event"].get("force_duration") and usage < case["event"]["usage_ns"]:
        return {"error": ERRORS["no_credit"], "balances": _values(accounts)}
    return _charge(case, accounts, usage)


def _charge(case: Case, accounts: list[Account], usage: int) -> Found:
    event = case["event"]
    call = msgspec.structs.replace(world.call_of(event), usage=usage)
    done = charge(accounts[0], world.tariff_of(case), world.policy_of(event), call, accounts[1:])
    if isinstance(done, NotFound):
        return {"error": ERRORS[done.reason], "balances": _values(accounts)}
    after = {account.id: account for account in (*accounts, *done.accounts)}
    found = {"cost": done.cost_nanos, "balances": _values(after.values()), "duration_ns": done.usage}
    if done.unit_usage == done.usage:  # what slices round up is debited, too
        kinds = {balance.id: balance.kind for balance in accounts[0].balances}
        found["duration_ns"] = sum(
            amount for name, amount in done.taken.items() if kinds.get(name) is not Kind.MONETARY
        )
    return found


def _event(case: Case, accounts: list[Account]) -> Found:
    event = case["event"]
    driver = Driver(accounts, world.tariff_of(case), world.policy_of(event), parse_rfc3339(event["start"]))
    asked = group(MEASURE_OF_KIND[world.kind_of(event)], ask=event["usage_ns"])
    answer = driver.send(RequestType.EVENT, asked, called=world.number_of(event))
    found: Found = {"balances": _values(driver.accounts.values())}
    if answer.result is not Result.SUCCESS:
        return {**found, "error": ERRORS[answer.why]}
    return {**found, "cost": sum(cdr.cost_nanos for cdr in driver.cdrs), "duration_ns": driver.cdrs[0].usage}


def _values(accounts: Any) -> dict[str, dict[str, int]]:
    return {account.id: {balance.id: balance.value for balance in account.balances} for account in accounts}


def _refund(case: Case) -> Found:
    (account,) = world.accounts_of(case, "")
    increments = [
        Increment(
            units=int(Fraction(increment.get("duration_ns", 0)) * Fraction(increment.get("factor", 1))),
            unit_balance=increment.get("unit", ""),
            nanos=world.nanos(increment.get("cost", 0)),
            money_balance=increment.get("monetary", ""),
        )
        for increment in case["event"]["increments"]
    ]
    after, _ = refund_increments(account, increments, {}, 0, by="test", reason="a vector")
    return {"balances": _values([after])}


def _round(case: Case) -> Found:
    event = case["event"]
    value = world.nanos(event["value"])
    method = ROUNDING.get(event["method"])
    if method is None:
        return {"result": value}
    return {"result": round_nanos(value, 1, 10 ** (9 - event["decimals"]), method)}


def _round_duration(case: Case) -> Found:
    """An increment of nothing is one of a nanosecond."""
    return {"result_ns": round_up(case["event"]["amount_ns"], case["event"]["whole_ns"] or 1)}


def _session(case: Case) -> Found:
    event = case["event"]
    accounts = _accounts(case)
    policy = world.policy_of(event)
    driver = Driver(accounts, world.tariff_of(case), policy, parse_rfc3339(event["start"]))
    play = _Play(driver, event)
    return {"steps": [play.step(step) for step in steps_of(case)]}


def steps_of(case: Case) -> list[Found]:
    """The steps of a session, repeated ones each by itself."""
    return [
        {**step, "expect": step.get("expect_each", step.get("expect", {}))}
        for step in case["steps"]
        for _ in range(step.get("repeat", 1))
    ]


class _Play:
    """One session of CGRateS as requests of credit control.

    A grant is a reservation with us and a debit there: what is left is compared as `available`. An update that does not
    say what was used means that all of the grant was. Time goes on with what was used.
    """

    def __init__(self, driver: Driver, event: Mapping[str, Any]) -> None:
        self.driver = driver
        self.measure = MEASURE_OF_KIND[world.kind_of(event)]
        self.called = event["destination"]
        self.start_ns = driver.now_ns

    def step(self, step: Mapping[str, Any]) -> Found:
        """Send one request, and say where the session stands."""
        ask = None
        used: int | None = None
        if step["op"] == "ttl_expiry":
            self.driver.expire()
        else:
            kind, used, ask = self._request(step)
            if self.measure is Measure.TIME:
                self.driver.now_ns = self.start_ns + self.driver.used() + (used or 0)
            self.driver.send(kind, group(self.measure, ask, used), called=self.called)
        return self._stands(asked=ask is not None)

    def _request(self, step: Mapping[str, Any]) -> tuple[RequestType, int | None, int | None]:
        driver = self.driver
        if step["op"] == "init":
            return RequestType.INITIAL, None, step["usage_ns"]
        used = step.get("last_used_ns", driver.granted())
        if step["op"] == "terminate":
            if "usage_ns" in step:  # the usage of the whole session
                used = step["usage_ns"] - driver.used()
            return RequestType.TERMINATION, used, None
        if "total_usage_ns" in step:  # of the whole session, what is asked for included
            return RequestType.UPDATE, used, step["total_usage_ns"] - driver.used() - used
        return RequestType.UPDATE, used, step["usage_ns"]

    def _stands(self, *, asked: bool) -> Found:
        driver = self.driver
        found: Found = {f"sum:*{kind.value}": driver.available(kind) for kind in Kind}
        if asked:
            found["max_usage_ns"] = driver.granted()
        found["session_usage"] = driver.used() + driver.granted()
        found["cdr_usage"] = sum(cdr.usage for cdr in driver.cdrs)
        found["result"] = 0 if driver.outcome.answer is None else int(driver.outcome.answer.result)
        return found


RUNNERS: dict[str, Callable[[Case], Found]] = {
    "get_cost": _get_cost,
    "timespan_split": _get_cost,
    "max_usage": _max_usage,
    "debit": _debit,
    "max_debit": _max_debit,
    "refund_increments": _refund,
    "session": _session,
    "round": _round,
    "round_duration": _round_duration,
}
