"""What goes out: accounts, sessions, journal entries and CDRs as JSON objects.

Money is a decimal string, usage an integer in base units, time RFC 3339 in UTC. Nothing depends on the clock, so
two answers about the same state are equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Posting
from ocs.charging.session import Group, Session
from ocs.rating.units import MEASURE_OF_KIND, Kind
from ocs.store.interface import NumberedCdr
from ocs.units import format_money, format_rfc3339

Json = dict[str, object]


def unit_of(kind: Kind, currency: str) -> str:
    """The unit that amounts of a balance are in: the currency, or "ns", "octets", "units"."""
    return currency if kind is Kind.MONETARY else MEASURE_OF_KIND[kind].value


def amount(kind: Kind, value: int, currency: str) -> str | int:
    """An amount of a balance: a decimal string for money, an integer else."""
    return format_money(value, currency) if kind is Kind.MONETARY else value


def time_or_null(at_ns: int | None) -> str | None:
    """RFC 3339 in UTC; None and 0 are null."""
    return format_rfc3339(at_ns) if at_ns else None


def balance_view(balance: Balance, currency: str) -> Json:
    """One balance of an account."""
    return {
        "id": balance.id,
        "kind": balance.kind.value,
        "unit": unit_of(balance.kind, currency),
        "value": amount(balance.kind, balance.value, currency),
        "held": amount(balance.kind, balance.held, currency),
        "available": amount(balance.kind, balance.available, currency),
        "weight": balance.weight,
        "expires_at": time_or_null(balance.expires_at_ns),
    }


def account_view(account: Account) -> Json:
    """`{id, status, currency, balances}`."""
    return {
        "id": account.id,
        "status": account.status.value,
        "currency": account.currency,
        "balances": [balance_view(balance, account.currency) for balance in account.balances],
    }


def session_view(session: Session, currency: str) -> Json:
    """An open session with its rating groups."""
    return {
        "id": session.key,
        "account_id": session.account_id,
        "service": session.service,
        "state": session.state.value,
        "subscriber": session.subscriber,
        "called": session.called,
        "origin_host": session.origin_host,
        "opened_at": time_or_null(session.opened_at_ns),
        "last_at": time_or_null(session.last_at_ns),
        "due_at": time_or_null(session.due_at_ns),
        "groups": [_group_view(group, currency) for group in session.groups],
    }


def _group_view(group: Group, currency: str) -> Json:
    return {
        "rating_group": group.rating_group,
        "service_id": group.service_id,
        "unit": group.measure.value,
        "granted": group.granted,
        "used": group.usage,
        "cost": format_money(group.cost_nanos, currency),
        "valid_until": time_or_null(group.valid_until_ns),
    }


def entry_view(
    entry: Entry, currency: str, kinds: Mapping[str, Kind], after: Mapping[str, tuple[int, int]] | None = None
) -> Json:
    """One journal entry.

    kinds: of the balances by id; amounts of one that is not named are in its base unit. after: what the balances had
    and held after it; null where that is not known.
    """
    return {
        "version": entry.version,
        "kind": entry.kind,
        "at": time_or_null(entry.at_ns),
        "session_id": entry.session_id,
        "request": entry.request,
        "postings": [
            _posting(posting, currency, kinds, (after or {}).get(posting.balance_id)) for posting in entry.postings
        ],
        "cost": format_money(entry.cost_nanos, currency),
        "overdraft": format_money(entry.overdraft_nanos, currency),
        "currency": currency,
        "usage": entry.usage,
        "opened": [balance.id for balance in entry.opened],
        "removed": list(entry.closed),
        "by": entry.by,
        "reason": entry.reason,
    }


def _posting(posting: Posting, currency: str, kinds: Mapping[str, Kind], after: tuple[int, int] | None) -> Json:
    kind = kinds.get(posting.balance_id)
    value_after, held_after = (None, None) if after is None else after
    amounts = {
        "value": posting.value,
        "held": posting.held,
        "value_after": value_after,
        "held_after": held_after,
    }
    return {
        "balance": posting.balance_id,
        "unit": None if kind is None else unit_of(kind, currency),
        **{
            name: number if kind is None or number is None else amount(kind, number, currency)
            for name, number in amounts.items()
        },
    }


def cdr_view(row: NumberedCdr) -> Json:
    """One CDR: one row per session, rating group and partial."""
    cdr = row.cdr
    return {
        "id": str(row.id),
        "account_id": cdr.account_id,
        "session_id": cdr.session_id,
        "service": cdr.service,
        "rating_group": cdr.rating_group,
        "started_at": time_or_null(cdr.started_at_ns),
        "ended_at": time_or_null(cdr.ended_at_ns),
        "usage": cdr.usage,
        "unit": cdr.measure.value,
        "cost": format_money(cdr.cost_nanos, cdr.currency),
        "currency": cdr.currency,
        "tariff_version": cdr.tariff_version,
        "cause": cdr.cause,
        "partial": cdr.partial,
    }
