"""Which balances may pay, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances.account import Account, Balance
from ocs.balances.choice import Event, choose, look
from ocs.rating.destinations import Destination, PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.tariff import Tariff
from ocs.rating.units import Kind

DESTINATIONS = {"mobile": Destination("mobile", ("614",)), "australia": Destination("australia", ("61",))}
TARIFF = Tariff("v1", "AUD", DESTINATIONS, {}, Numbering(), frozenset(), PrefixTable({}))
NOW_NS = 1_000


def account(*balances: Balance) -> Account:
    """An account with these balances."""
    return Account("a", 1, "AUD", "plan", balances=balances)


def ids(kind: Kind, *balances: Balance, number: str = "61491570156") -> tuple[list[str], list[str]]:
    """Ids of the unit and of the money balances that may pay."""
    units, money = choose(account(*balances), Event(kind, "voice", number, NOW_NS), TARIFF)
    return [balance.id for balance in units], [balance.id for balance in money]


def test_own_units_come_first_then_generic_ones_then_money_and_other_kinds_never() -> None:
    balances = [
        Balance("money", Kind.MONETARY, 1, weight=9),
        Balance("generic", Kind.GENERIC, 1, weight=5),
        Balance("minutes", Kind.VOICE, 1),
        Balance("octets", Kind.DATA, 1, weight=20),
        Balance("texts", Kind.SMS, 1),
    ]
    assert ids(Kind.VOICE, *balances) == (["minutes", "generic"], ["money"])
    assert ids(Kind.DATA, *balances) == (["octets", "generic"], ["money"])
    assert ids(Kind.GENERIC, *balances) == (["generic"], ["money"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"destinations": ("mobile",)}, {"destinations": ("australia",), "weight": 9, "expires_at_ns": 2_000}),
        ({"destinations": ("australia",)}, {"weight": 9}),
        ({"weight": 2, "expires_at_ns": None}, {"weight": 1, "expires_at_ns": 2_000}),
        ({"expires_at_ns": 2_000}, {"expires_at_ns": 3_000}),
        ({"expires_at_ns": 2_000}, {"expires_at_ns": None}),
    ],
)
def test_precision_then_weight_then_expiry_decide(first: dict[str, object], second: dict[str, object]) -> None:
    for kind in (Kind.VOICE, Kind.MONETARY):
        one, other = Balance("z", kind, 1, **first), Balance("a", kind, 1, **second)
        expected = (["z", "a"], []) if kind is Kind.VOICE else ([], ["z", "a"])
        assert ids(Kind.VOICE, one, other) == expected
        assert ids(Kind.VOICE, other, one) == expected


def test_the_id_decides_between_equals() -> None:
    assert ids(Kind.DATA, Balance("b", Kind.DATA, 1), Balance("a", Kind.DATA, 9)) == (["a", "b"], [])


@pytest.mark.parametrize(("expires_at_ns", "used"), [(NOW_NS - 1, False), (NOW_NS, False), (NOW_NS + 1, True)])
def test_a_balance_is_used_before_its_expiry_and_not_at_it(expires_at_ns: int, used: object) -> None:
    assert ids(Kind.DATA, Balance("b", Kind.DATA, 1, expires_at_ns=expires_at_ns)) == (["b"] if used else [], [])


def test_destination_filters_and_exclusions() -> None:
    balances = [
        Balance("mobile", Kind.VOICE, 1, destinations=("mobile",)),
        Balance("not", Kind.VOICE, 1, destinations=("!mobile",)),
        Balance("gone", Kind.VOICE, 1, destinations=("gone",)),
    ]
    assert ids(Kind.VOICE, *balances) == (["mobile"], [])
    assert ids(Kind.VOICE, *balances, number="61291234567") == (["not"], [])
    assert ids(Kind.VOICE, *balances, number="") == (["not"], [])


def test_look_names_the_reason_for_each_that_may_not_pay_and_puts_them_last() -> None:
    found = look(
        account(
            Balance("kind", Kind.DATA, 1, weight=9),
            Balance("expired", Kind.VOICE, 1, weight=9, expires_at_ns=NOW_NS),
            Balance("where", Kind.VOICE, 1, weight=9, destinations=("!mobile",)),
            Balance("good", Kind.MONETARY, 0, destinations=("mobile",)),
        ),
        Event(Kind.VOICE, "voice", "61491570156", NOW_NS),
        TARIFF,
    )
    assert (found[0].balance.id, found[0].why_not, found[0].precision) == ("good", "", 3)
    assert {one.balance.id: one.why_not for one in found[1:]} == {
        "kind": "kind",
        "expired": "expired",
        "where": "destination",
    }


@given(st.permutations(range(6)))
def test_the_order_does_not_depend_on_how_the_balances_are_stored(order: list[int]) -> None:
    balances = [
        Balance("a", Kind.VOICE, 1, destinations=("mobile",)),
        Balance("b", Kind.VOICE, 1, weight=3),
        Balance("c", Kind.VOICE, 1, weight=3, expires_at_ns=2_000),
        Balance("d", Kind.GENERIC, 1),
        Balance("e", Kind.MONETARY, 1, weight=1),
        Balance("f", Kind.MONETARY, 1),
    ]
    assert ids(Kind.VOICE, *[balances[at] for at in order]) == (["a", "c", "b", "d"], ["e", "f"])


def test_an_account_without_balances_pays_with_nothing() -> None:
    assert ids(Kind.VOICE) == ([], [])
