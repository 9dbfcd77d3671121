"""Accounts that pay for each other with balances of a shared group: in which order, and what is written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from ocs.balances.account import Account, Balance, Status
from ocs.balances.choice import Event, choose, ref, shared_with
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingRequest, Result, Units
from ocs.charging.session import Session
from ocs.charging.whole import Call, Charged, charge, max_usage
from ocs.rating.tariff import SharedGroup, Tariff
from ocs.rating.units import Kind
from tests.charging.world import (
    AUD,
    INITIAL,
    MIB,
    POLICIES,
    START_NS,
    TERMINATION,
    UPDATE,
    group,
    money,
    octets,
    request,
    tariff,
)

DATA = POLICIES["data"]
EVENT = Event(Kind.DATA, "data", "", START_NS)


def sharing(strategy: str = "mine_first", *members: str) -> Tariff:
    family = SharedGroup("family", members or ("a", "b", "c"), strategy)
    return msgspec.structs.replace(tariff(), shared_groups={"family": family})


def account(name: str, *balances: Balance, **more: object) -> Account:
    fields = {"status": Status.ACTIVE, **more}
    return msgspec.structs.replace(Account(name, 1, "AUD", "standard", balances=balances), **fields)


def pot(name: str, mib: int, **more: object) -> Balance:
    terms = {"shared_group": "family", **more}
    return msgspec.structs.replace(Balance(name, Kind.DATA, mib * MIB), **terms)


def order(one: Tariff, own: Account, *others: Account) -> list[str]:
    units, money_ = choose(own, EVENT, one, others)
    return [balance.id.replace("\x1f", "/") for balance in (*units, *money_)]


# --- the order ------------------------------------------------------------------------------------------------------

OWN = account("a", pot("p", 5), pot("q", 50))
OTHERS = (account("b", pot("p", 1)), account("c", pot("p", 9), pot("heavy", 7, weight=3)))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("mine_first", ["p", "q", "c/heavy", "b/p", "c/p"]),
        ("mine_lowest", ["p", "q", "b/p", "c/heavy", "c/p"]),
        ("mine_highest", ["p", "q", "c/p", "c/heavy", "b/p"]),
        ("lowest", ["b/p", "p", "c/heavy", "c/p", "q"]),
        ("highest", ["q", "c/p", "c/heavy", "p", "b/p"]),
    ],
)
def test_each_strategy_has_its_order(strategy: str, expected: list[str]) -> None:
    assert order(sharing(strategy), OWN, *OTHERS) == expected
    # whoever comes first in the store
    assert order(sharing(strategy), OWN, *reversed(OTHERS)) == expected


def test_balances_of_the_group_stand_where_the_first_own_one_does_each_kind_for_itself() -> None:
    own = account("a", Balance("first", Kind.DATA, 1, weight=9), pot("p", 5), Balance("last", Kind.DATA, 1, weight=-1),
                  money(AUD, "cash", shared_group="family"), money(AUD, "more"))  # fmt: skip
    other = account("b", pot("p", 1, weight=99), money(AUD, "cash", shared_group="family", weight=99))
    assert order(sharing(), own, other) == ["first", "p", "b/p", "last", "cash", "b/cash", "more"]


def test_what_comes_after_several_own_balances_of_the_group_still_pays() -> None:
    own = account("a", pot("p", 5), pot("q", 5), Balance("last", Kind.DATA, 1, weight=-1), money(AUD))
    assert order(sharing(), own, account("b", pot("p", 1))) == ["p", "q", "b/p", "last", "money"]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([account("b", pot("p", 1, shared_group="club"))], ["p"]),
        ([account("b", pot("p", 1, shared_group=""))], ["p"]),
        ([account("d", pot("p", 1))], ["p"]),  # no member
        ([account("b", pot("p", 1), status=Status.DISABLED)], ["p"]),
        ([account("b", pot("p", 1), expires_at_ns=START_NS)], ["p"]),
        ([account("b", pot("p", 1, disabled=True))], ["p"]),
        ([account("b", pot("p", 1, expires_at_ns=START_NS))], ["p"]),
        ([account("b", pot("p", 1, categories=("voice",)))], ["p"]),
        ([account("b", pot("p", 1, categories=("data",)))], ["p", "b/p"]),
    ],
)
def test_who_shares_nothing_pays_nothing(others: Sequence[Account], expected: list[str]) -> None:
    assert order(sharing(), account("a", pot("p", 5)), *others) == expected


def test_who_has_no_balance_of_the_group_or_is_no_member_shares_in_nothing() -> None:
    other = account("b", pot("p", 1))
    assert order(sharing(), account("a", Balance("x", Kind.DATA, 1)), other) == ["x"]
    assert order(sharing("lowest", "b", "c"), account("a", pot("p", 5)), other) == ["p"]


def test_the_accounts_that_have_to_be_at_hand_are_the_other_members() -> None:
    assert shared_with(account("a", pot("p", 5), pot("q", 5)), sharing()) == ("b", "c")
    assert shared_with(account("a", pot("p", 5, shared_group="club")), sharing()) == ()
    assert shared_with(account("a", Balance("x", Kind.DATA, 1)), sharing()) == ()


# --- decisions ------------------------------------------------------------------------------------------------------


class Family:
    """Some accounts and the sessions of the first one."""

    def __init__(self, one: Tariff, *accounts: Account) -> None:
        self.tariff = one
        self.accounts = {account.id: account for account in accounts}
        self.session: Session | None = None

    def send(self, sent: ChargingRequest) -> Outcome:
        own = self.accounts["a"]
        others = [self.accounts[name] for name in shared_with(own, self.tariff) if name in self.accounts]
        outcome = engine.decide(own, self.session, sent, self.tariff, DATA, START_NS, others)
        for write in outcome.writes:
            assert write.account.version == self.accounts[write.account.id].version + 1
            assert write.entry.version == write.account.version
            self.accounts[write.account.id] = write.account
        assert outcome.session is not None
        self.session, _ = remember(outcome.session, sent.type, sent.number, b"")
        return outcome

    def standing(self) -> dict[str, tuple[int, int]]:
        return {
            f"{account.id}/{balance.id}": (balance.value, balance.held)
            for account in self.accounts.values()
            for balance in account.balances
        }


def test_a_grant_holds_on_several_accounts_and_a_report_takes_from_them_each_with_its_own_entry() -> None:
    family = Family(
        sharing(), account("a", pot("p", 2), money(AUD)), account("b", pot("p", 3)), account("c", pot("p", 4))
    )
    first = family.send(request(INITIAL, 0, group(100, octets(4 * MIB))))
    assert first.answer is not None
    assert first.answer.groups[0].granted == 4 * MIB
    assert family.standing() == {
        "a/p": (2 * MIB, 2 * MIB),
        "a/money": (AUD, 0),
        "b/p": (3 * MIB, 2 * MIB),
        "c/p": (4 * MIB, 0),
    }
    assert [(write.account.id, write.entry.kind, write.entry.by) for write in first.writes] == [
        ("a", "charge", "pgw.example.com"),
        ("b", "shared", "a"),
    ]
    last = family.send(request(TERMINATION, 1, group(100, used=[octets(3 * MIB)])))
    assert family.standing() == {
        "a/p": (0, 0),
        "a/money": (AUD, 0),
        "b/p": (2 * MIB, 0),
        "c/p": (4 * MIB, 0),
    }
    assert [(write.entry.postings[0].value, write.entry.postings[0].held) for write in last.writes] == [
        (-2 * MIB, -2 * MIB),
        (-MIB, -2 * MIB),
    ]
    assert [(cdr.unit_usage, cdr.cost_nanos) for cdr in last.cdrs] == [(3 * MIB, 0)]


def test_who_does_not_pay_is_not_written() -> None:
    family = Family(sharing(), account("a", pot("p", 20)), account("b", pot("p", 3)))
    outcome = family.send(request(INITIAL, 0, group(100, Units())))
    assert [write.account.id for write in outcome.writes] == ["a"]


def test_shared_money_pays_and_a_debt_is_the_own_account_s() -> None:
    shared = money(AUD // 100, "cash", shared_group="family")
    family = Family(sharing(), account("a", shared), account("b", shared))
    given = family.send(request(INITIAL, 0, group(100, octets(5 * MIB))))
    assert given.answer is not None
    assert given.answer.groups[0].granted == 2 * MIB
    family.send(request(TERMINATION, 1, group(100, used=[octets(5 * MIB)])))
    assert family.standing() == {"a/cash": (-3 * AUD // 100, 0), "b/cash": (0, 0)}


def test_an_exhausted_group_is_refused_and_a_balance_of_another_is_not_touched() -> None:
    family = Family(sharing(), account("a", pot("p", 0)), account("b", pot("p", 0), money(AUD)))
    outcome = family.send(request(INITIAL, 0, group(100, Units()), refuse_in_group=True))
    assert outcome.answer is not None
    assert outcome.answer.groups[0].result is Result.CREDIT_LIMIT_REACHED
    assert family.standing()["b/money"] == (AUD, 0)


def test_a_member_that_is_disabled_while_its_balance_is_held_still_pays_what_was_held() -> None:
    family = Family(sharing(), account("a", pot("p", 1)), account("b", pot("p", 3)))
    family.send(request(INITIAL, 0, group(100, octets(3 * MIB))))
    family.accounts["b"] = msgspec.structs.replace(family.accounts["b"], status=Status.DISABLED)
    family.send(request(UPDATE, 1, group(100, None, [octets(3 * MIB)])))
    assert family.standing() == {"a/p": (0, 0), "b/p": (MIB, 0)}


def test_a_whole_call_is_paid_by_all_of_them() -> None:
    own, other = account("a", pot("p", 1)), account("b", pot("p", 3))
    call = Call("", START_NS, 10 * MIB)
    assert max_usage(own, sharing(), DATA, call, (other,)) == 4 * MIB
    done = charge(own, sharing(), DATA, Call("", START_NS, 3 * MIB), (other,))
    assert isinstance(done, Charged)
    assert done.taken == {"p": MIB, ref("b", "p"): 2 * MIB}
    assert [(one.id, one.balances[0].value) for one in done.accounts] == [("a", 0), ("b", MIB)]
