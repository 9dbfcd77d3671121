"""Why something costs what it costs, step by step; the cost itself is what charging decides on the same account.

Reads a configuration only: the account is as `subscribers.yaml` opens it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.choice import Event, look
from ocs.charging import house
from ocs.charging.engine import decide
from ocs.charging.outcome import Outcome
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import ChargingRequest, GroupRequest, RequestedAction, RequestType, Result, Units
from ocs.config.settings import Settings, Subscriber
from ocs.rating.numbers import dialled
from ocs.rating.prices import Rate, price, round_up
from ocs.rating.tariff import Found, find_rate
from ocs.rating.units import MEASURE_OF_KIND, Kind, Measure
from ocs.units import Price, format_measured, format_money, format_price


class Asked(msgspec.Struct, frozen=True):
    """What is to be explained. usage: base units of the service's measure; called: as dialled, "" for none."""

    service: ServicePolicy
    subscriber: Subscriber | None
    called: str
    usage: int
    rating_group: int | None
    at_ns: int


class Step(msgspec.Struct, frozen=True):
    """One line of reasoning: its subject ("prefix", "rate", ...) and what is so."""

    step: str
    text: str


class Paid(msgspec.Struct, frozen=True):
    """What one balance paid, as the API says amounts: a decimal string for money, an integer else."""

    balance: str
    amount: str | int
    unit: str


class Explanation(msgspec.Struct, frozen=True):
    """The steps, and the outcome: Result-Code, cost as a decimal string, and who paid."""

    steps: tuple[Step, ...]
    result: int
    why: str
    cost: str
    currency: str
    paid: tuple[Paid, ...]
    affordable: int | None
    unit: str


def explain(asked: Asked, settings: Settings) -> Explanation:
    """What the usage would cost the subscriber now, in one session."""
    account = _account(asked, settings)
    steps = tuple(_steps(asked, account, settings))
    outcome = _decide(asked, account, settings, RequestType.EVENT, asked.service)
    answer = outcome.answer
    assert answer is not None
    affordable = None
    if account is not None and answer.result is Result.CREDIT_LIMIT_REACHED:
        affordable = _affordable(asked, account, settings)
    entry = outcome.writes[0].entry if outcome.writes else None
    kinds = {} if account is None else {balance.id: balance.kind for balance in account.balances}
    currency = settings.tariff.currency
    paid = tuple(
        _paid(posting.balance_id, kinds.get(posting.balance_id, Kind.MONETARY), -posting.value, currency)
        for posting in (() if entry is None else entry.postings)
        if posting.value
    )
    cost = format_money(0 if entry is None else entry.cost_nanos, currency)
    unit = _measure(asked).value
    return Explanation(steps, int(answer.result), answer.why, cost, currency, paid, affordable, unit)


def _account(asked: Asked, settings: Settings) -> Account | None:
    """The account as opened, with the house account for calls that are free for everybody."""
    if house.is_house_call(_request(asked, RequestType.EVENT), settings.tariff):
        return house.new_house_account(settings.tariff)
    subscriber = asked.subscriber
    if subscriber is None:
        return None
    return Account(
        subscriber.id,
        1,
        settings.tariff.currency,
        subscriber.plan,
        subscriber.status,
        subscriber.balances,
        subscriber.expires_at_ns,
    )


def _measure(asked: Asked) -> Measure:
    return MEASURE_OF_KIND[asked.service.kind]


def _request(asked: Asked, kind: RequestType) -> ChargingRequest:
    measure = _measure(asked)
    units = Units(
        time_ns=asked.usage if measure is Measure.TIME else None,
        octets=asked.usage if measure is Measure.OCTETS else None,
        events=asked.usage if measure is Measure.EVENTS else None,
    )
    return ChargingRequest(
        session_id="explain",
        type=kind,
        number=0,
        service=asked.service.name,
        origin_host="explain",
        subscriber=() if asked.subscriber is None else asked.subscriber.identities,
        action=RequestedAction.DIRECT_DEBITING if kind is RequestType.EVENT else None,
        called=asked.called,
        groups=(GroupRequest(rating_group=asked.rating_group, requested=units),),
    )


def _decide(
    asked: Asked, account: Account | None, settings: Settings, kind: RequestType, policy: ServicePolicy
) -> Outcome:
    return decide(account, None, _request(asked, kind), settings.tariff, policy, asked.at_ns)


def _affordable(asked: Asked, account: Account, settings: Settings) -> int:
    """Base units that credit covers: what is granted where no policy limits it."""
    grant = GrantPolicy(slice=asked.usage, minimum=1, maximum=asked.usage, contended_slice=asked.usage)
    policy = msgspec.structs.replace(asked.service, grant=grant)
    answer = _decide(asked, account, settings, RequestType.INITIAL, policy).answer
    return sum(group.granted or 0 for group in answer.groups) if answer is not None else 0


def _paid(balance_id: str, kind: Kind, amount: int, currency: str) -> Paid:
    if kind is Kind.MONETARY:
        return Paid(balance_id, format_money(amount, currency), currency)
    return Paid(balance_id, amount, MEASURE_OF_KIND[kind].value)


def _steps(asked: Asked, account: Account | None, settings: Settings) -> Iterator[Step]:
    tariff, measure = settings.tariff, _measure(asked)
    number = house.called_number(_request(asked, RequestType.EVENT), tariff)
    yield Step("usage", f"{format_measured(asked.usage, measure)} of service {asked.service.name}")
    if asked.called:
        yield Step("number", f"{asked.called} is dialled as {dialled(asked.called)}, which is {number}")
    at_house = house.house_destination(number, tariff)
    if at_house is not None:
        destination_id, prefix = at_house
        yield Step("prefix", f"{prefix} is {destination_id}: free for everybody, no account is looked at")
        return
    if account is None or asked.subscriber is None:
        yield Step("account", "there is no such subscriber")
        return
    usable = "" if account.usable(asked.at_ns) else ", which may not be charged now"
    yield Step("account", f"{account.id}, {account.status.value}, plan {account.plan}{usable}")
    group = asked.service.default_rating_group if asked.rating_group is None else asked.rating_group
    if asked.service.kind is Kind.DATA or asked.rating_group is not None:
        default = " (the service's default)" if asked.rating_group is None else ""
        yield Step("rating group", f"{group}{default}")
    found = find_rate(tariff, account.plan, asked.service.name, group, number, asked.at_ns)
    if not isinstance(found, Found):
        yield Step("rate", _NO_RATE[found.reason])
        return
    if number:
        prefix = (
            f"the longest prefix of {number} is {found.prefix}" if found.prefix else "no prefix, the plan's default"
        )
        yield Step("prefix", f"{prefix}: destination {found.destination_id}")
    yield from _rate_steps(found.rate, asked.usage, tariff.currency)
    if not found.rate.free:
        event = Event(asked.service.kind, asked.service.name, number, asked.at_ns)
        for looked in look(account, event, tariff):
            yield Step("balance", _balance_text(looked.balance, looked.why_not, tariff.currency))


def _rate_steps(rate: Rate, usage: int, currency: str) -> Iterator[Step]:
    if rate.free:
        yield Step("rate", f"{rate.id}: free")
        return
    fee = f", connect fee {format_money(rate.connect_fee_nanos, currency)} {currency}" if rate.connect_fee_nanos else ""
    text = format_price(Price(rate.price_nanos, currency, rate.unit_size, rate.measure)) if rate.price_nanos else "flat"
    yield Step("rate", f"{rate.id}: {text}{fee}")
    if not rate.price_nanos:
        return
    rounded = round_up(usage, rate.increment)
    if rate.increment > 1:
        yield Step(
            "increment",
            f"by {format_measured(rate.increment, rate.measure)}: {format_measured(usage, rate.measure)} "
            f"counts as {format_measured(rounded, rate.measure)} where money pays",
        )
    step = f"{format_money(rate.rounding_nanos, currency)} {currency}"
    by_money = f"{format_money(price(rate, usage), currency)} {currency}"
    exact = f"{rounded} x {rate.price_nanos} / {rate.unit_size} nanos"
    yield Step("price", f"{exact}, rounded {_ROUNDING[rate.rounding]} to {step}: {by_money} where money pays for all")


def _balance_text(balance: Balance, why_not: str, currency: str) -> str:
    if balance.kind is Kind.MONETARY:
        amount = f"{format_money(balance.available, currency)} {currency}"
    else:
        amount = format_measured(balance.available, MEASURE_OF_KIND[balance.kind])
    blocker = ", blocks what comes after it" if balance.blocker else ""
    text = f"{balance.id} ({balance.kind.value}, weight {balance.weight}): {amount} available{blocker}"
    return f"{text}; not used: {_WHY_NOT[why_not]}" if why_not else text


_NO_RATE = {
    "no_plan": "the tariff has no such plan",
    "no_service": "the plan does not sell this service",
    "unknown_rating_group": "the plan does not sell this rating group",
    "no_destination": "the plan has no rate for this number",
}
_WHY_NOT = {
    "kind": "it pays for another kind of usage",
    "expired": "it has expired",
    "destination": "it is not for this destination",
}
_ROUNDING = {"middle": "half up", "up": "up", "down": "down"}
