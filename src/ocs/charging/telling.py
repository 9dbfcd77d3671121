"""What an answer tells of cost and account, where the service says so."""

from __future__ import annotations

import msgspec

from ocs.charging.house import HOUSE_ACCOUNT
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, RequestType
from ocs.charging.work import Work
from ocs.rating.units import Kind


def told(answer: ChargingAnswer, outcome: Outcome, work: Work) -> ChargingAnswer:
    """The answer with what its service tells, as things stand after the decision.

    The cost is that of the session so far, or of the one event; a session that was not opened has none. Of the house
    account nothing is told.
    """
    answers, account = work.policy.answers, work.account
    if account.id == HOUSE_ACCOUNT:
        return answer
    if outcome.writes:
        account = outcome.writes[0].account
    cost_nanos = low = None
    if (answers.cost or answers.advice_of_charge) and outcome.session is not None:
        is_event = work.request.type is RequestType.EVENT
        cost_nanos = outcome.writes[0].entry.cost_nanos if is_event else outcome.session.cost_nanos
    money = [balance for balance in account.balances if balance.kind is Kind.MONETARY and not balance.disabled]
    nanos = sum(
        balance.value for balance in money if balance.expires_at_ns is None or balance.expires_at_ns > work.now_ns
    )
    if answers.low_balance_nanos is not None:
        low = nanos < answers.low_balance_nanos
    return msgspec.structs.replace(
        answer,
        accumulated_nanos=cost_nanos,
        balance_nanos=nanos if answers.balance else None,
        low_balance=low,
        account_expires_at_ns=account.expires_at_ns if answers.account_expiry else None,
        currency=account.currency,
    )
