"""An explanation as a JSON object. Money is a decimal string, usage an integer in base units, time RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ocs.api.explain_text import Line, cdr_lines, lines
from ocs.api.views import Json, amount, time_or_null, unit_of
from ocs.balances.choice import OWNER_SEPARATOR
from ocs.charging.explain_cdr import CdrExplained
from ocs.charging.explained import Answer, BalanceSeen, Explanation, Part, Payment, Priced, SubjectSeen, WindowSeen
from ocs.rating.prices import Rate
from ocs.rating.units import NANOS_PER_UNIT, Kind
from ocs.units import format_money


def explanation_view(explained: Explanation) -> Json:
    """The explanation of an event: `steps` tells it in words, the rest is the same as values."""
    asked, currency = explained.asked, explained.currency
    account = explained.account
    return {
        "service": asked.service.name,
        "unit": asked.measure.value,
        "usage": asked.usage,
        "at": time_or_null(asked.at_ns),
        "called": asked.called,
        "number": explained.number,
        "rating_group": explained.rating_group,
        "account": None
        if account is None
        else {
            "id": account.id,
            "status": account.status.value,
            "plan": account.plan,
            "expires_at": time_or_null(account.expires_at_ns),
            "usable": explained.usable,
        },
        "free_for_everybody": None
        if explained.house is None
        else {"destination": explained.house[0], "prefix": explained.house[1]},
        "tariff": {
            "version": explained.version,
            "valid_from": time_or_null(explained.valid_from_ns),
            "next_version": explained.next_version or None,
            "next_from": time_or_null(explained.next_from_ns),
        },
        "parts": [_part(part, currency) for part in explained.parts],
        "cost": format_money(explained.cost_nanos, currency),
        "connect_fee": format_money(explained.fee_nanos, currency),
        "overdraft": format_money(explained.overdraft_nanos, currency),
        "by_units": explained.unit_usage,
        "currency": currency,
        "paid": _paid(explained),
        "result": int(explained.event.result),
        "why": explained.event.why,
        "affordable": explained.affordable,
        "initial": _answer(explained.initial, currency, _kinds(explained)),
        "steps": _steps(lines(explained)),
    }


def cdr_explanation_view(explained: CdrExplained, cdr_view: Json, paid: Sequence[Json] | None) -> Json:
    """The explanation of a CDR; paid: what its session took off balances by the journal, None = not looked up."""
    of = explained.explanation
    return {
        "cdr": cdr_view,
        "used_before": explained.position,
        "version_loaded": explained.version_loaded,
        "by_money": explained.by_money,
        "money_cost": None if explained.money_nanos is None else format_money(explained.money_nanos, of.currency),
        "connect_fee": format_money(explained.fee_nanos, of.currency),
        "agrees": explained.agrees,
        "session_paid": paid,
        "now": explanation_view(of),
        "steps": _steps(cdr_lines(explained)),
    }


def _steps(told: Sequence[Line]) -> list[Json]:
    return [{"step": step, "text": text} for step, text in told]


def _kinds(explained: Explanation) -> dict[str, Kind]:
    """Kinds of the balances by the names that they have in a decision."""
    return {
        f"{seen.owner}{OWNER_SEPARATOR}{seen.balance.id}" if seen.owner else seen.balance.id: seen.balance.kind
        for part in explained.parts
        for seen in part.balances
    }


def _paid(explained: Explanation) -> list[Json]:
    kinds = _kinds(explained)
    return [_taken(name, value, kinds, explained.currency) for name, value in explained.taken]


def _taken(name: str, value: int, kinds: dict[str, Kind], currency: str) -> Json:
    """What is taken off a balance; one that is not known is the one that was made for a debt: money."""
    kind = kinds.get(name, Kind.MONETARY)
    owner, separator, balance_id = name.rpartition(OWNER_SEPARATOR)
    found: Json = {
        "balance": balance_id,
        "amount": amount(kind, value, currency),
        "unit": unit_of(kind, currency),
    }
    return found | ({"account": owner} if separator else {})


def _answer(answer: Answer, currency: str, kinds: dict[str, Kind]) -> Json:
    return {
        "result": int(answer.result),
        "why": answer.why,
        "granted": answer.granted,
        "validity_time_s": answer.validity_time_s,
        "final_unit": None if answer.final_unit is None else answer.final_unit.action.name.lower(),
        "price_changes_at": time_or_null(answer.change_at_ns),
        "holds": [_taken(hold.balance_id, hold.amount, kinds, currency) for hold in answer.holds],
    }


def _part(part: Part, currency: str) -> Json:
    return {
        "at": time_or_null(part.at_ns),
        "until": time_or_null(part.until_ns),
        "usage": part.usage,
        "used_before": part.position,
        "no_rate": part.reason or None,
        "version": part.version or None,
        "prefix": None if part.rate is None else part.prefix,
        "destination": part.destination_id or None,
        "tried": [_subject(tried) for tried in part.tried],
        "rate": None if part.rate is None else _rate(part.rate, currency),
        "price": None if part.price is None else _priced(part.price, currency),
        "payments": [_payment(payment, currency) for payment in part.payments],
        "balances": [_balance(seen, currency) for seen in part.balances],
        "by_units": part.unit_usage,
        "cost": format_money(part.cost_nanos, currency),
        "connect_fee": format_money(part.fee_nanos, currency),
        "overdraft": format_money(part.overdraft_nanos, currency),
    }


def _subject(tried: SubjectSeen) -> Json:
    activation = tried.activation
    return {
        "subject": tried.subject,
        "through": tried.name,
        "plan": None if activation is None else activation.plan_id,
        "active_from": None if activation is None else time_or_null(activation.from_ns),
        "fallbacks": [] if activation is None else list(activation.fallbacks),
        "prefixes": [
            {"prefix": seen.prefix, "windows": [_window(window) for window in seen.windows]} for seen in tried.prefixes
        ],
        "no_rate": tried.reason or None,
    }


def _window(seen: WindowSeen) -> Json:
    timing = seen.window.timing
    return {
        "rate": seen.window.rate.id,
        "destination": seen.window.destination_id,
        "timing": None if timing is None else timing.id,
        "zone": None if timing is None else str(timing.zone),
        "weight": seen.window.weight,
        "holds": seen.holds,
        "since": None if seen.since is None else seen.since.isoformat(),
        "taken": seen.taken,
    }


def _rate(rate: Rate, currency: str) -> Json:
    return {
        "id": rate.id,
        "unit": rate.measure.value,
        "free": rate.free,
        "price": format_money(rate.price_nanos, currency),
        "per": rate.unit_size,
        "increment": rate.increment,
        "connect_fee": format_money(rate.connect_fee_nanos, currency),
        "connect_fee_per": "rating group" if rate.fee_per_group else "session",
        "rounded_to": format_money(rate.rounding_nanos, currency),
        "rounding": rate.rounding,
        "tiers": [
            {
                "from": tier.start,
                "price": format_money(tier.price_nanos, currency),
                "per": tier.unit_size,
                "increment": tier.increment,
            }
            for tier in rate.tiers
        ],
        "max_cost": None if rate.max_cost_nanos is None else format_money(rate.max_cost_nanos, currency),
        "after_max_cost": None if rate.max_cost_nanos is None else "disconnect" if rate.disconnect else "free",
    }


def _priced(priced: Priced, currency: str) -> Json:
    return {
        "rate": priced.rate.id,
        "subject": priced.subject or None,
        "used_before": priced.start,
        "priced_before": priced.before,
        "charged_before": format_money(priced.before_nanos, currency),
        "usage": priced.usage,
        "tiers": [
            {
                "from": seen.tier.start,
                "counted": seen.charged,
                "price": format_money(seen.tier.price_nanos, currency),
                "per": seen.tier.unit_size,
                "increment": seen.tier.increment,
            }
            for seen in priced.tiers
        ],
        "exact": str(Fraction(priced.numerator, priced.denominator * NANOS_PER_UNIT)),
        "rounded": format_money(priced.price_nanos, currency),
        "charged": format_money(priced.nanos, currency),
    }


def _payment(payment: Payment, currency: str) -> Json:
    return {
        "kind": payment.kind,
        "usage": payment.usage,
        "money": format_money(payment.nanos, currency),
        "price": None if payment.priced is None else _priced(payment.priced, currency),
    }


def _balance(seen: BalanceSeen, currency: str) -> Json:
    balance = seen.balance
    return {
        "id": balance.id,
        "account": seen.owner or None,
        "kind": balance.kind.value,
        "unit": unit_of(balance.kind, currency),
        "available": amount(balance.kind, seen.available, currency),
        "weight": balance.weight,
        "precision": seen.precision,
        "expires_at": time_or_null(balance.expires_at_ns),
        "blocker": balance.blocker,
        "why_not": seen.why_not or None,
        "covers": seen.usage,
        "pays": amount(balance.kind, seen.amount, currency),
        "factor": None if seen.factor is None else str(Fraction(*seen.factor)),
        "slice": seen.slice_size if seen.slice_size > 1 else None,
        "rating_subject": balance.rating_subject or None,
    }
