from __future__ import annotations

import pytest

from ocs.balances.account import Account, Balance
from ocs.charging.whole import Call, charge
from ocs.rating.units import Kind
from tests.charging.world import AUD, MIB, POLICIES, START_NS, money, tariff

CALL = Call("", START_NS, 100 * MIB, 100)
"""Costs 1.00 AUD."""


def after(*balances: Balance, allow_negative: bool) -> tuple[dict[str, int], int]:
    """(values after the call, what of it was an overdraft)."""
    account = Account("a", 1, "AUD", "standard", balances=balances, allow_negative=allow_negative)
    charged = charge(account, tariff(), POLICIES["data"], CALL)
    return {balance.id: balance.value for balance in charged.accounts[0].balances}, charged.overdraft_nanos


@pytest.mark.parametrize("allow_negative", [False, True])
@pytest.mark.parametrize(
    "terms",
    [
        {"expires_at_ns": START_NS},
        {"disabled": True},
        {"destinations": ("mobile",)},
        {"categories": ("voice",)},
        {"timings": ("night",)},
    ],
    ids=lambda terms: next(iter(terms)),
)
def test_a_balance_that_may_not_pay_for_the_call_does_not_pay_its_debt_either(
    terms: dict[str, object], allow_negative: bool
) -> None:
    values, overdraft_nanos = after(money(10 * AUD, "gift", **terms), allow_negative=allow_negative)
    assert values == {"gift": 10 * AUD, "*default": -AUD}
    assert overdraft_nanos == (0 if allow_negative else AUD)


@pytest.mark.parametrize("allow_negative", [False, True])
def test_a_debt_is_that_of_the_balance_that_was_used_last(allow_negative: bool) -> None:
    values, _ = after(money(AUD // 4, "first", weight=10), money(AUD // 4, "last"), allow_negative=allow_negative)
    assert values == {"first": 0, "last": -AUD // 2}


def test_the_default_balance_is_used_after_all_others_where_the_account_may_be_negative() -> None:
    values, _ = after(money(AUD // 4, "own"), money(AUD // 4, "*default"), allow_negative=True)
    assert values == {"own": 0, "*default": -AUD // 2}


def test_weights_hold_also_where_the_account_may_be_negative() -> None:
    values, _ = after(
        money(AUD, "first", weight=10), money(5 * AUD, "last"), Balance("sms", Kind.SMS, 3), allow_negative=True
    )
    assert values == {"first": 0, "last": 5 * AUD, "sms": 3}
