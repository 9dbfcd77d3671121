from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances import adjust
from ocs.balances.account import Account, Balance, Counter
from ocs.balances.adjust import AdjustError
from ocs.balances.choice import Event
from ocs.balances.journal import Entry, differences, fold
from ocs.balances.refund import Counted, Increment, opened_terms, refund, refund_charge, refund_increments
from ocs.charging.requests import RequestType
from ocs.limits import BALANCE_MAX
from ocs.rating.units import Kind
from tests.charging.world import AUD, MIB, World, group, money, octets, request

NOW_NS = 1_795_000_000_000_000_000
WHO = {"by": "operator", "reason": "complaint"}


def opened(*balances: Balance, counters: tuple[Counter, ...] = ()) -> tuple[Account, list[Entry]]:
    account, entry = adjust.open_account(
        Account("a", 0, "AUD", "standard", balances=balances, counters=counters), NOW_NS, **WHO
    )
    return account, [entry]


def values(account: Account) -> dict[str, int]:
    return {balance.id: balance.value for balance in account.balances}


def test_increments_go_back_to_the_balances_that_paid_them_units_and_money_apart() -> None:
    account, journal = opened(Balance("minutes", Kind.VOICE, 10), money(100))
    increments = [
        Increment(nanos=2, money_balance="money"),
        Increment(3, "minutes", 2, "money"),
        Increment(4, "minutes"),
    ]
    after, entry = refund_increments(account, increments, {}, NOW_NS, **WHO)
    assert values(after) == {"minutes": 17, "money": 104}
    assert (entry.kind, entry.cost_nanos, after.version) == ("refund", 0, 2)
    assert differences(after, fold([*journal, entry])) == []


@given(used=st.integers(1, 3_000 * MIB), bundle=st.integers(1, 2_000 * MIB), credit=st.integers(0, 20 * AUD))
def test_a_charge_that_is_refunded_whole_leaves_every_balance_as_it_was_overdrafts_included(
    used: int, bundle: int, credit: int
) -> None:
    world = World(Balance("bundle", Kind.DATA, bundle), money(credit))
    world.send(request(RequestType.INITIAL, 0, group(ask=octets(0))))
    world.send(request(RequestType.TERMINATION, 1, group(used=[octets(used)])))
    charged = world.account
    assert charged is not None
    assert values(charged) != {"bundle": bundle, "money": credit}
    after, entry = refund_charge(charged, world.journal[-1], {}, NOW_NS, **WHO)
    assert values(after) == {"bundle": bundle, "money": credit}
    assert entry.cost_nanos == 0  # no CDR tells of it
    assert (entry.session_id, entry.request) == ("s", "T/1")
    assert differences(after, fold([*world.journal, entry])) == []


def test_a_balance_that_is_gone_is_made_again_with_its_terms_and_never_refunded_into_nothing() -> None:
    gift = money(5 * AUD, "gift", weight=7, destinations=("mobile",), expires_at_ns=NOW_NS + 1)
    account, journal = opened(gift, money(AUD))
    account, entry = adjust.remove_balance(account, "gift", NOW_NS, **WHO)
    journal.append(entry)
    after, entry = refund(account, {"gift": 3}, opened_terms(journal), NOW_NS, **WHO)
    assert after.balances[-1] == msgspec.structs.replace(gift, value=3)
    assert differences(after, fold([*journal, entry])) == []


def test_a_balance_that_is_gone_and_whose_terms_nobody_knows_is_said_and_nothing_is_moved() -> None:
    account, _ = opened(money(AUD))
    with pytest.raises(AdjustError, match="gift of account a is gone"):
        refund(account, {"gift": 3, "money": 1}, {}, NOW_NS, **WHO)


def test_units_are_not_given_back_as_money_to_a_balance_that_took_the_name() -> None:
    account, journal = opened(Balance("gift", Kind.DATA, 5), money(AUD))
    before = opened_terms(journal)
    account, _ = adjust.remove_balance(account, "gift", NOW_NS, **WHO)
    account, _ = adjust.top_up(account, money(0, "gift"), 1, NOW_NS, **WHO)
    with pytest.raises(AdjustError, match="gift of account a was data, and is monetary now"):
        refund(account, {"gift": 3}, before, NOW_NS, **WHO)


def test_no_balance_is_refunded_beyond_what_any_may_have() -> None:
    account, _ = opened(money(BALANCE_MAX - 1))
    assert values(refund(account, {"money": 1}, {}, NOW_NS, **WHO)[0]) == {"money": BALANCE_MAX}
    with pytest.raises(AdjustError, match="cannot hold as much"):
        refund(account, {"money": 2}, {}, NOW_NS, **WHO)


def test_what_cost_nothing_gives_nothing_back_and_is_noted_all_the_same() -> None:
    account, journal = opened(money(AUD))
    after, entry = refund(account, {"money": 0, "gone": 0}, {}, NOW_NS, **WHO)
    assert (values(after), entry.kind, entry.postings) == ({"money": AUD}, "refund", ())
    assert differences(after, fold([*journal, entry])) == []


def test_a_refund_that_would_take_is_refused() -> None:
    account, _ = opened(money(AUD))
    with pytest.raises(AdjustError):
        refund(account, {"money": -1}, {}, NOW_NS, **WHO)


def test_only_charges_of_the_same_account_are_refunded_whole() -> None:
    account, (opening,) = opened(money(AUD))
    with pytest.raises(AdjustError, match="is no charge but open"):
        refund_charge(account, opening, {}, NOW_NS, **WHO)
    with pytest.raises(AdjustError, match="account b"):
        refund_charge(account, msgspec.structs.replace(opening, account_id="b", kind="charge"), {}, NOW_NS, **WHO)


def test_counters_go_back_by_what_is_refunded() -> None:
    counters = (
        Counter("talked", Kind.VOICE, of_balance=False, value=60),
        Counter("spent", Kind.MONETARY, of_balance=False, value=9),
        Counter("minutes", Kind.VOICE, of_balance=True, value=60),
        Counter("sent", Kind.SMS, of_balance=False, value=1),
    )
    account, _ = opened(Balance("minutes", Kind.VOICE, 0), money(0), counters=counters)
    counted = Counted(Event(Kind.VOICE, "voice", "614", NOW_NS), {})
    after, _ = refund_increments(
        account, [Increment(20, "minutes", 4, "money", usage=25)], {}, NOW_NS, counted=counted, **WHO
    )
    assert {counter.id: counter.value for counter in after.counters} == {
        "talked": 35,
        "spent": 5,
        "minutes": 40,
        "sent": 1,
    }
