"""An explanation in words: (subject, sentence) line by line, in the order of the decision."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ocs.balances.choice import OWNER_SEPARATOR
from ocs.charging.explain_cdr import CdrExplained
from ocs.charging.explained import (
    Answer,
    BalanceSeen,
    Explanation,
    Part,
    Payment,
    PrefixSeen,
    Priced,
    SubjectSeen,
    WindowSeen,
)
from ocs.charging.requests import Result
from ocs.rating.numbers import dialled
from ocs.rating.prices import Rate
from ocs.rating.timings import Timing
from ocs.rating.units import MEASURE_OF_KIND, NANOS_PER_UNIT, Kind, Measure
from ocs.units import Price, format_measured, format_money, format_price, format_rfc3339

Line = tuple[str, str]

NO_RATE = {
    "no_plan": "the tariff has no such plan",
    "no_service": "the plan does not sell this service",
    "unknown_rating_group": "the plan does not sell this rating group",
    "no_destination": "the plan has no rate for this number",
    "no_time": "the plan has a rate for this number, but only at other times",
    "no_rate": "the rate is for another kind of usage than what is counted here",
}
WHY_NOT = {
    "kind": "it pays for another kind of usage",
    "measure": "it counts something else than the rate",
    "disabled": "it is disabled",
    "expired": "it has expired",
    "destination": "it is not for this destination",
    "category": "it is not for this service",
    "timing": "it does not hold at this time",
    "blocked": "a balance before it blocks",
    "no_value": "there is nothing available in it",
    "no_rate": "its rating subject has no rate for this",
    "too_little": "what there is does not pay for any more",
    "not_needed": "nothing is left to pay",
}
_ROUNDING = {"middle": "half up", "up": "up", "down": "down"}


def lines(explained: Explanation) -> list[Line]:
    """The whole explanation."""
    return [*_event(explained), *_tariff(explained), *_parts(explained), *_outcome(explained)]


def cdr_lines(explained: CdrExplained) -> list[Line]:
    """The explanation of a stored CDR: what it says, whether the price agrees, and the chain as it is now."""
    cdr, of = explained.cdr, explained.explanation
    money = _Money(of.currency)
    group = "the default group" if cdr.rating_group is None else f"rating group {cdr.rating_group}"
    by_units = f", {format_measured(cdr.unit_usage, cdr.measure)} of it by units" if cdr.unit_usage else ""
    cost = f"cost {format_money(cdr.cost_nanos, cdr.currency)} {cdr.currency}"
    found = [
        ("cdr", f"session {cdr.session_id}, {group}, record {cdr.partial}, closed: {cdr.cause}"),
        ("recorded", f"{format_measured(cdr.usage, cdr.measure)}{by_units}; {cost}"),
    ]
    if cdr.unrated:
        found.append(("unrated", f"{format_measured(cdr.unrated, cdr.measure)} had no rate"))
    if explained.position:
        found.append(("before", f"{format_measured(explained.position, cdr.measure)} stand in records before"))
    if explained.version_loaded:
        found.append(("version", f"{cdr.tariff_version} is loaded: prices here are those of the CDR"))
    else:
        other = f"{cdr.tariff_version} is no longer loaded: prices here are those of {of.version}"
        found.append(("version", other + " and may differ"))
    if explained.money_nanos is not None:
        fee = f", and a connect fee of {money(explained.fee_nanos)}" if explained.fee_nanos else ""
        by_money = (
            f"{format_measured(explained.by_money, cdr.measure)} by money cost {money(explained.money_nanos)}{fee}"
        )
        found.append(("by formula", f"{by_money}: {'that is what' if explained.agrees else 'not what'} was charged"))
    found.append(("now", "what follows is the same usage with the account as it is now"))
    return found + lines(of)


class _Money:
    """Amounts of money in the currency of a tariff."""

    def __init__(self, currency: str) -> None:
        self.currency = currency

    def __call__(self, nanos: int) -> str:
        return f"{format_money(nanos, self.currency)} {self.currency}"

    def amount(self, kind: Kind, value: int, measure: Measure) -> str:
        """An amount of a balance."""
        if kind is Kind.MONETARY:
            return self(value)
        return format_measured(value, measure if kind is Kind.GENERIC else MEASURE_OF_KIND[kind])

    def price(self, nanos: int, unit_size: int, measure: Measure) -> str:
        """A price."""
        return format_price(Price(nanos, self.currency, unit_size, measure))


# --- what is asked, of whom ------------------------------------------------------------------------------------------


def _event(explained: Explanation) -> Iterator[Line]:
    asked = explained.asked
    yield "usage", f"{format_measured(asked.usage, asked.measure)} of service {asked.service.name}"
    yield "time", format_rfc3339(asked.at_ns)
    if asked.called:
        yield "number", f"{asked.called} is dialled as {dialled(asked.called)}, which is {explained.number}"
    if explained.house is not None:
        destination_id, prefix = explained.house
        yield "prefix", f"{prefix} is {destination_id}: free for everybody, no account is looked at"
        return
    account = explained.account
    if account is None:
        yield "account", "there is no such subscriber"
        return
    usable = "" if explained.usable else ", which may not be charged now"
    owing = ", may go below zero" if account.allow_negative else ""
    yield "account", f"{account.id}, {account.status.value}, plan {account.plan}{owing}{usable}"


def _tariff(explained: Explanation) -> Iterator[Line]:
    since = f" since {format_rfc3339(explained.valid_from_ns)}" if explained.valid_from_ns else ""
    after = "no later version is loaded"
    if explained.next_from_ns is not None:
        after = f"version {explained.next_version} follows at {format_rfc3339(explained.next_from_ns)}"
    yield "tariff", f"version {explained.version}{since}; {after}"
    if explained.asked.service.kind is Kind.DATA or explained.asked.rating_group is not None:
        default = " (the service's default)" if explained.asked.rating_group is None else ""
        yield "rating group", f"{explained.rating_group}{default}"


# --- the parts: rate, price, balances --------------------------------------------------------------------------------


def _parts(explained: Explanation) -> Iterator[Line]:
    if explained.house is not None:
        return
    several = len(explained.parts) > 1
    for number, part in enumerate(explained.parts, 1):
        if several:
            used = format_measured(part.usage, explained.asked.measure)
            yield "part", f"{number} of {len(explained.parts)}: {used} from {format_rfc3339(part.at_ns)}"
        yield from _part(part, explained, _Money(explained.currency))
        if several and not part.reason:
            yield "part cost", _Money(explained.currency)(part.cost_nanos)


def _part(part: Part, explained: Explanation, money: _Money) -> Iterator[Line]:
    for tried in part.tried:
        yield from _tried(tried, explained.number)
    if part.until_ns is not None:
        yield "until", f"{format_rfc3339(part.until_ns)}, when another price may hold"
    if part.rate is None:
        yield "rate", f"none: {NO_RATE[part.reason]}"
        return
    yield from _rate(part.rate, money)
    if part.price is not None:
        yield from _price(part.price, money, "where money pays for all")
    for number, seen in enumerate(part.balances, 1):
        yield "balance", f"{number}. {_balance(seen, money, part.rate.measure)}"
    for payment in part.payments:
        yield from _payment(payment, part, money)


def _tried(tried: SubjectSeen, number: str) -> Iterator[Line]:
    if tried.activation is None:
        yield "plan", f"{tried.subject} has none: {NO_RATE[tried.reason]}"
        return
    since = f" since {format_rfc3339(tried.activation.from_ns)}" if tried.activation.from_ns else ""
    fallbacks = f", else {', '.join(tried.activation.fallbacks)}" if tried.activation.fallbacks else ""
    through = f", as {tried.name} has" if tried.name != tried.subject else ""
    whose = f" for {tried.subject}" if tried.activation.plan_id != tried.subject else ""
    yield "plan", f"{tried.activation.plan_id}{whose}{through}{since}{fallbacks}"
    for seen in tried.prefixes:
        yield from _prefix(seen, number)
    if tried.reason:
        yield "no rate", NO_RATE[tried.reason]


def _prefix(seen: PrefixSeen, number: str) -> Iterator[Line]:
    taken = next((window for window in seen.windows if window.taken), None)
    if number:
        name = f"the longest prefix of {number} is {seen.prefix}" if seen.prefix else "no prefix, the plan's default"
        if taken is None:
            yield "prefix", f"{seen.prefix or 'the default'} has no rate that holds at this time"
        else:
            yield "prefix", f"{name}: destination {taken.window.destination_id}"
    if len(seen.windows) > 1 or seen.windows[0].window.timing is not None:
        for window in seen.windows:
            yield "window", _window(window)


def _window(seen: WindowSeen) -> str:
    window = seen.window
    name = f"{window.rate.id}, {_timing(window.timing)}, weight {window.weight}"
    if not seen.holds:
        return f"{name}: does not hold"
    since = f" since {seen.since:%Y-%m-%d %H:%M:%S}" if seen.since is not None else ""
    return f"{name}: holds{since}{', taken' if seen.taken else ', but another one counts more'}"


def _timing(timing: Timing | None) -> str:
    return "always" if timing is None else f"at {timing.id} ({timing.zone})"


def _rate(rate: Rate, money: _Money) -> Iterator[Line]:
    if rate.free:
        yield "rate", f"{rate.id}: free, no balance is looked at"
        return
    each = " per rating group" if rate.fee_per_group else ""
    fee = f", connect fee {money(rate.connect_fee_nanos)}{each}" if rate.connect_fee_nanos else ""
    text = money.price(rate.price_nanos, rate.unit_size, rate.measure) if rate.price_nanos else "flat"
    yield "rate", f"{rate.id}: {text}{fee}"
    for tier in rate.tiers:
        price = money.price(tier.price_nanos, tier.unit_size, rate.measure)
        yield "tier", f"from {format_measured(tier.start, rate.measure)} on: {price}"
    if rate.max_cost_nanos is not None:
        then = "no more is granted" if rate.disconnect else "the rest is free"
        yield "maximum", f"{money(rate.max_cost_nanos)}, then {then}"


def _price(priced: Priced, money: _Money, where: str) -> Iterator[Line]:
    rate, measure = priced.rate, priced.rate.measure
    if not (rate.price_nanos or rate.tiers):
        return
    total = priced.before + priced.usage
    counted = sum(tier.charged for tier in priced.tiers)
    if counted != total or any(tier.tier.increment > 1 for tier in priced.tiers):
        steps = ", then ".join(dict.fromkeys(format_measured(seen.tier.increment, measure) for seen in priced.tiers))
        yield (
            "increment",
            f"by {steps}: {format_measured(total, measure)} counts as {format_measured(counted, measure)} {where}",
        )
    if priced.start and rate.tiers:
        yield "position", f"{format_measured(priced.start, measure)} were used before"
    terms = " + ".join(f"{seen.charged} x {seen.tier.price_nanos} / {seen.tier.unit_size}" for seen in priced.tiers)
    exact = Fraction(priced.numerator, priced.denominator * NANOS_PER_UNIT)
    rounding = f"rounded {_ROUNDING[rate.rounding]} to {money(rate.rounding_nanos)}"
    yield (
        "price",
        f"{terms} nanos = {exact} {money.currency}, {rounding}: {money(priced.price_nanos)} {where}",
    )
    if priced.before:
        yield "charged", f"{money(priced.before_nanos)} of it before"
    if priced.nanos < priced.price_nanos - priced.before_nanos:
        yield "maximum", f"reached: {money(priced.nanos)} are left to pay"


def _balance(seen: BalanceSeen, money: _Money, measure: Measure) -> str:
    balance = seen.balance
    owner = f" of {seen.owner}" if seen.owner else ""
    precision = f", prefix length {seen.precision}" if seen.precision else ""
    text = (
        f"{balance.id}{owner} ({balance.kind.value}, weight {balance.weight}{precision}): "
        f"{money.amount(balance.kind, seen.available, measure)} available"
    )
    if balance.rating_subject:
        text += f", rated as {balance.rating_subject}"
    if balance.blocker:
        text += ", blocks what comes after it"
    if seen.why_not:
        return f"{text}; not used: {WHY_NOT[seen.why_not]}"
    if balance.kind is Kind.MONETARY:
        return f"{text}; pays {money(seen.amount)}"
    text += f"; covers {format_measured(seen.usage, measure)}"
    if seen.slice_size > 1:
        text += f" in slices of {format_measured(seen.slice_size, measure)}"
    if seen.factor is not None:
        text += f" x {Fraction(*seen.factor)}"
    if seen.amount != seen.usage:
        text += f" with {money.amount(balance.kind, seen.amount, measure)}"
    if seen.sliced is not None and seen.sliced.covered > seen.usage:
        text += f" (of a slice that was begun: {format_measured(seen.sliced.covered, measure)} in all)"
    return text


def _payment(payment: Payment, part: Part, money: _Money) -> Iterator[Line]:
    """What is not seen from the balances: fees, prices of less than all, overdrafts."""
    if payment.kind == "fee":
        yield "connect fee", f"{money(payment.nanos)}, once"
    if payment.priced is not None and payment.priced != part.price:
        subject = f" at the rate of {payment.priced.subject}" if payment.priced.subject else ""
        yield from _price(payment.priced, money, f"for what money pays{subject}")
    if payment.kind == "overdraft" and payment.nanos:
        debtor = payment.taken[0][0] if payment.taken else ""
        yield "overdraft", f"{money(payment.nanos)} that no credit covers would be owed on {debtor}"


# --- what comes of it ------------------------------------------------------------------------------------------------


def _outcome(explained: Explanation) -> Iterator[Line]:
    money = _Money(explained.currency)
    asked = explained.asked
    kinds = {}
    for part in explained.parts:
        for seen in part.balances:
            name = f"{seen.owner}{OWNER_SEPARATOR}{seen.balance.id}" if seen.owner else seen.balance.id
            kinds[name] = seen.balance.kind
    for name, amount in explained.taken:
        owner, _, balance_id = name.rpartition(OWNER_SEPARATOR)
        text = money.amount(kinds.get(name, Kind.MONETARY), amount, asked.measure)
        yield "paid", f"{text} from {balance_id}" + (f" of {owner}" if owner else "")
    if asked.measure is not Measure.EVENTS:
        yield "initial", _answer(explained.initial, asked.measure)
    if explained.event.result is Result.SUCCESS:
        yield "event", str(int(explained.event.result))
    else:
        yield "refused", f"{int(explained.event.result)}: {explained.event.why}"
    if explained.affordable is not None:
        yield "credit for", f"{format_measured(explained.affordable, asked.measure)} only"
    if any(not part.reason for part in explained.parts):
        yield "cost", money(explained.cost_nanos)


def _answer(answer: Answer, measure: Measure) -> str:
    """What an INITIAL that asks for it gets."""
    text = str(int(answer.result))
    if answer.granted is not None:
        text += f", {format_measured(answer.granted, measure)} granted"
    if answer.validity_time_s is not None:
        text += f" for {answer.validity_time_s} s"
    if answer.change_at_ns is not None:
        text += f", another price at {format_rfc3339(answer.change_at_ns)}"
    if answer.final_unit is not None:
        text += f", then {answer.final_unit.action.name.lower().replace('_', ' ')}"
    return text + (f": {answer.why}" if answer.why else "")
