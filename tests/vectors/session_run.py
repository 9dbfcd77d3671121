"""Runs cases of sessions.json: an offer as a tariff, buckets as balances, each step as a request of credit control."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from ipaddress import ip_address
from typing import Any, Final

from ocs.balances import adjust
from ocs.balances.account import Account, Balance
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import (
    ChargingAnswer,
    FinalAction,
    FinalUnit,
    GroupAnswer,
    GroupRequest,
    RequestType,
    Result,
    Units,
)
from ocs.config.settings import PeerRule
from ocs.diameter.admission import find_rule
from ocs.diameter.result_codes import ResultCode
from ocs.rating.destinations import ANY, Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate
from ocs.rating.tariff import Plan, ServicePlan, Tariff, Window
from ocs.rating.timings import DAY_S, Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from ocs.units import parse_rfc3339
from tests.vectors.cases import session_file
from tests.vectors.driver import Driver, units

Case = Mapping[str, Any]
Flat = dict[str, Any]

START_NS: Final = parse_rfc3339("2026-07-16T10:00:00Z")
DAY_START_NS: Final = parse_rfc3339("2026-07-16T00:00:00Z")
MONTH_NS: Final = 30 * DAY_S * NS_PER_S
LIMIT: Final = 2**62
NANOS_PER_CENT: Final = 1_000
"""Their integer money is in millionths of the currency unit."""

SCALE: Final = {"cents": NANOS_PER_CENT, "octets": 1, "seconds": NS_PER_S, "messages": 1}
MEASURES: Final = {"octets": Measure.OCTETS, "seconds": Measure.TIME, "messages": Measure.EVENTS}
KINDS: Final = {"octets": Kind.DATA, "seconds": Kind.VOICE, "messages": Kind.SMS, "cents": Kind.MONETARY}
AVPS: Final = {"CC-Total-Octets": "octets", "CC-Time": "seconds", "CC-Service-Specific-Units": "messages"}
OPS: Final = {
    "initial": RequestType.INITIAL,
    "interim": RequestType.UPDATE,
    "final": RequestType.TERMINATION,
    "event": RequestType.EVENT,
}
SERVICE: Final = "service"
PLAN: Final = "offer"


def run(case: Case) -> tuple[Flat, Flat]:
    """(what the case expects, what ours gives), as flat mappings from a path to a value in ocs's base units."""
    if not case["offer"]:
        return _admission(case)
    play = Play(case)
    wanted: Flat = {}
    found: Flat = {}
    for number, step in enumerate(case["steps"], 1):
        for path, value in play.expected(step).items():
            wanted[f"step {number}: {path}"] = value
        ours = play.send(step)
        found |= {path: ours(path.partition(": ")[2]) for path in wanted if path.startswith(f"step {number}: ")}
    return wanted, found


def _admission(case: Case) -> tuple[Flat, Flat]:
    """A peer from an address that is in no rule."""
    (step,) = case["steps"]
    rule = find_rule((PeerRule("*", ()),), "client.example.com", ip_address("192.0.2.1"))
    ours = None if rule is not None else int(ResultCode.UNKNOWN_PEER)
    return {"step 1: cea_result_code": step["expect"]["cea_result_code"]}, {"step 1: cea_result_code": ours}


class Play:
    """One case as it goes."""

    def __init__(self, case: Case) -> None:
        self.prices = [price for price in case["offer"]["prices"] if price["type"] in ("usage", "tariff")]
        self.units = self.prices[0]["units"]
        self.measure = MEASURES[self.units]
        self.start_ns = DAY_START_NS if "clock" in case["steps"][0] else START_NS
        self.kinds = {bucket["id"]: bucket["units"] for bucket in case["buckets"]}
        balances = tuple(_balance(bucket, self.start_ns) for bucket in case["buckets"])
        account = Account("a", 0, "EUR", PLAN, balances=balances)
        self.driver = Driver([account], _tariff(self.prices), self._policy(case), self.start_ns)
        self.clock = ""
        self.day_ns = 0

    def _policy(self, case: Case) -> ServicePolicy:
        least = max(
            [
                session_file()["config"][f"min_reserve_{self.units}"] * SCALE[self.units],
                *[price["size"] * SCALE[self.units] for price in self.prices if price.get("amount") is not None],
            ]
        )
        redirect = case["offer"].get("redirectServer")
        final_unit = FinalUnit(FinalAction.REDIRECT, redirect) if redirect else FinalUnit()
        grant = GrantPolicy(least, least, LIMIT, least, validity_time_s=600)
        return ServicePolicy(SERVICE, KINDS[self.units], (), grant, final_unit=final_unit)

    # --- the request -----------------------------------------------------------------------------------------------

    def send(self, step: Mapping[str, Any]) -> Any:
        """Send one request; returns what tells the value of a path after it."""
        self._time(step)
        if "ccr" in step:
            answer = self._diameter(step)
        else:
            answer = self.driver.send(
                OPS[step["op"]], *self._groups(step), session=step["session"], called=step.get("address", "")
            )
        return lambda path: self._value(path, answer, step["session"])

    def _time(self, step: Mapping[str, Any]) -> None:
        if "clock" in step:
            if step["clock"] < self.clock:
                self.day_ns += DAY_S * NS_PER_S
            self.clock = step["clock"]
            hour, minute = map(int, self.clock.split(":"))
            self.driver.now_ns = self.start_ns + self.day_ns + (hour * 60 + minute) * 60 * NS_PER_S
        else:
            self.driver.now_ns = max(self.driver.now_ns, self.start_ns + step.get("t", 0) * NS_PER_S)

    def _groups(self, step: Mapping[str, Any]) -> list[GroupRequest]:
        asked, used = step["rsu"], step["usu"]
        if asked is None and not used:
            return []
        return [self._group(step.get("rating_group"), asked, used)]

    def _group(
        self, rating_group: int | None, asked: Mapping[str, int] | None, used: Mapping[str, int] | None
    ) -> GroupRequest:
        return GroupRequest(
            rating_group,
            requested=None if asked is None else _container(asked),
            used=(_container(used),) if used else (),
        )

    def _diameter(self, step: Mapping[str, Any]) -> ChargingAnswer:
        ccr = step["ccr"]
        groups = [
            self._group(mscc.get("Rating-Group"), _by_unit(mscc.get("RSU")), _by_unit(mscc.get("USU")))
            for mscc in ccr["mscc"] or ()
        ]
        return self.driver.send(
            RequestType(ccr["cc_request_type"]),
            *groups,
            session=step["session"],
            terminating=ccr.get("role_of_node") == 1,
            command_level=ccr["mscc"] is None,
        )

    # --- what is expected, what is found ---------------------------------------------------------------------------

    def expected(self, step: Mapping[str, Any]) -> Flat:
        """What a step expects, scaled; what its collector derived is expected as well."""
        expect = step["expect"]
        flat: Flat = {"result": expect["result_code"]}
        for unit, amount in expect.get("granted", {}).items():
            flat["granted"] = amount * SCALE[unit]
        for index, mscc in enumerate(expect.get("mscc", ())):
            of = f"group {index} " if index else ""
            for avp, amount in mscc.get("GSU", {}).items():
                flat[f"{of}granted"] = "something" if amount == "present" else amount * SCALE[AVPS[avp]]
            if "Result-Code" in mscc:
                flat[f"{of}group result"] = mscc["Result-Code"]
            if "Final-Unit-Indication" in mscc:
                indication = mscc["Final-Unit-Indication"]
                flat[f"{of}final action"] = indication["Final-Unit-Action"]
                if "Redirect-Server" in indication:
                    flat[f"{of}redirect to"] = indication["Redirect-Server"]["Redirect-Server-Address"]
        derived = expect.get("derived", {})
        if "GSU" in derived:
            flat["granted"] = derived["GSU"] * SCALE[self.units]
        for name, amount in {**expect.get("balances", {}), **derived}.items():
            if name not in ("GSU", "reservation"):
                flat[f"balance {name}"] = amount if amount is None else amount * self._scale(name)
        for part in step.get("rated", expect.get("rated", ())):
            flat[f"rated {part['tag']}"] = part["value"] * SCALE[part["units"]]
        return flat

    def _scale(self, name: str) -> int:
        if name == "SUM":
            return NANOS_PER_CENT
        return SCALE[self.kinds[name]] if name in self.kinds else 1

    def _value(self, path: str, answer: ChargingAnswer, session: str) -> Any:
        numbered = re.fullmatch(r"group (\d+) (.+)", path)
        index, path = (int(numbered[1]), numbered[2]) if numbered else (0, path)
        shown = answer.groups[index] if index < len(answer.groups) else None
        if path == "result":
            in_group = answer.result is Result.SUCCESS and len(answer.groups) == 1
            return int(answer.groups[0].result if in_group else answer.result)
        if path in _OF_GROUP:
            return None if shown is None else _OF_GROUP[path](shown)
        if path.startswith("rated "):
            cdrs = [cdr for cdr in self.driver.cdrs if cdr.session_id == session]
            return sum(cdr.usage if path == "rated included" else cdr.cost_nanos for cdr in cdrs)
        return self._balance(path.removeprefix("balance "), session)

    def _balance(self, name: str, session: str) -> Any:
        """What no session holds of a balance; the aggregates that the cases speak of."""
        account = self.driver.accounts["a"]
        open_groups = [
            group for found in self.driver.sessions.values() if found.key == session for group in found.groups
        ]
        aggregates = {
            "SUM": sum(balance.available for balance in account.balances if balance.kind is Kind.MONETARY),
            "bucket_count": len(account.balances),
            "ANY_NEGATIVE": any(balance.value < 0 for balance in account.balances),
            "service_sessions": sum(found.is_open for found in self.driver.sessions.values()),
            "reservations_of_session": sum(len(group.holds) for group in open_groups),
        }
        if name in aggregates:
            return aggregates[name]
        swept = adjust.remove_expired(account, self.driver.now_ns, by="test", reason="expired")
        kept = account if swept is None else swept[0]
        return next((balance.available for balance in kept.balances if balance.id == name), None)


_OF_GROUP: Final[Mapping[str, Callable[[GroupAnswer], Any]]] = {
    "granted": lambda shown: shown.granted,
    "group result": lambda shown: int(shown.result),
    "final action": lambda shown: None if shown.final_unit is None else int(shown.final_unit.action),
    "redirect to": lambda shown: None if shown.final_unit is None else shown.final_unit.redirect_to,
}
"""What the answer to one group says of a path."""


def differing(wanted: Flat, found: Flat) -> set[str]:
    """The paths at which the two are not equal."""
    return {
        path for path, value in wanted.items() if (not found[path] if value == "something" else value != found[path])
    }


def _container(amounts: Mapping[str, int]) -> Units:
    for unit, amount in amounts.items():
        return units(MEASURES[unit], amount * SCALE[unit])
    return Units()


def _by_unit(avps: Mapping[str, int] | None) -> dict[str, int] | None:
    return None if avps is None else {AVPS[name]: amount for name, amount in avps.items()}


def _balance(bucket: Mapping[str, Any], now_ns: int) -> Balance:
    """A bucket that is pinned to a price is used while that price holds, before the others."""
    pinned = bucket.get("pinned", False)
    return Balance(
        bucket["id"],
        KINDS[bucket["units"]],
        bucket["amount"] * SCALE[bucket["units"]],
        weight=int(pinned),
        expires_at_ns=now_ns if bucket.get("expired") else now_ns + MONTH_NS,
        timings=("pinned",) if pinned else (),
    )


def _tariff(prices: list[Mapping[str, Any]]) -> Tariff:
    by_prefix: dict[str, tuple[Window, ...]] = {}
    default: tuple[Window, ...] = ()
    timings: dict[str, Timing] = {}
    destinations: dict[str, Destination] = {}
    for index, price in enumerate(prices):
        if price.get("amount") is None or price.get("callDirection", "originate") != "originate":
            continue
        timing = None
        if "timeOfDayRange" in price:
            name = "pinned" if price.get("fixedPriceBucket") else f"timing-{index}"
            start_min, end_min = price["timeOfDayRange"]
            timing = timings[name] = Timing(name, UTC, start_s=start_min * 60, end_s=end_min * 60)
        prefix = price.get("table", "").rstrip("*")
        destination = f"to-{prefix}" if prefix else ANY
        window = Window(destination, _rate(price), timing)
        if prefix:
            destinations[destination] = Destination(destination, (prefix,))
            by_prefix[prefix] = (*by_prefix.get(prefix, ()), window)
        else:
            default = (*default, window)
    plan = Plan(PLAN, {SERVICE: ServicePlan({}, PrefixTable(by_prefix, default or None))})
    return Tariff(
        "v1",
        "EUR",
        destinations,
        {PLAN: plan},
        Numbering(),
        frozenset(),
        PrefixTable({}),
        timings=timings,
    )


def _rate(price: Mapping[str, Any]) -> Rate:
    size = price["size"] * SCALE[price["units"]]
    nanos = price["amount"] * NANOS_PER_CENT
    return Rate("usage", MEASURES[price["units"]], nanos, size, size)
