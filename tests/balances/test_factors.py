from __future__ import annotations

import pytest

from ocs.balances.account import Account, Balance, Factor
from ocs.charging.whole import Call, charge
from ocs.rating.units import NS_PER_S, Kind
from tests.charging.world import AUD, MIN, POLICIES, START_NS, money, tariff

MINUTES = (Factor("voice", 1, MIN),)
"""A unit is a minute of talk."""


def after(usage: int, *balances: Balance) -> dict[str, int]:
    account = Account("a", 1, "AUD", "standard", balances=balances)
    charged = charge(account, tariff(), POLICIES["voice"], Call("614", START_NS, usage))
    return {balance.id: balance.value for balance in charged.accounts[0].balances}


@pytest.mark.parametrize(("usage", "taken"), [(1, 1), (30 * NS_PER_S, 1), (MIN, 1), (MIN + 1, 2), (90 * MIN, 90)])
@pytest.mark.parametrize("subject", ["", "standard"])
def test_a_factor_holds_also_for_units_that_pay_together_with_money(usage: int, taken: int, subject: str) -> None:
    values = after(
        usage, Balance("units", Kind.GENERIC, 100, rating_subject=subject, factors=MINUTES), money(100 * AUD)
    )
    assert values["units"] == 100 - taken
    seconds = -(-usage // NS_PER_S) if subject else 0
    assert values["money"] == 100 * AUD - (seconds * 22 * AUD // 100 * 2 + 60) // 120


def test_units_with_a_factor_end_with_the_last_of_them_and_money_pays_the_rest() -> None:
    units = Balance("units", Kind.GENERIC, 2, rating_subject="standard", factors=MINUTES)
    assert after(3 * MIN, units, money(AUD)) == {"units": 0, "money": AUD - 66 * AUD // 100}


def test_units_with_a_factor_stop_where_the_money_that_they_need_ends() -> None:
    units = Balance("units", Kind.GENERIC, 10, rating_subject="standard", factors=MINUTES)
    assert after(3 * MIN, units, money(33 * AUD // 100)) == {"units": 8, "money": -33 * AUD // 100}
