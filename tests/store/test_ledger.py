"""The ledger is right after whatever members of a shared group did, and each fault in it is found."""

import random

import msgspec
import pytest

from ocs.balances.account import Account, Balance
from ocs.balances.adjust import open_account, top_up
from ocs.balances.book import Book
from ocs.balances.choice import shared_with
from ocs.balances.journal import Imbalance
from ocs.balances.refund import opened_terms, refund_charge
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.requests import RequestedAction
from ocs.rating.tariff import SharedGroup
from ocs.rating.units import NS_PER_S, Kind
from ocs.store import ledger
from ocs.store.interface import Applied, StoreDown
from ocs.store.ledger import verify
from ocs.store.memory import MemoryStore
from tests.charging.mix import mixed_tariff
from tests.charging.world import (
    AUD,
    EVENT,
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
    seconds,
)
from tests.store.making import accounts_of

FAMILY = ("a", "b", "c")
TARIFF = msgspec.structs.replace(mixed_tariff("v1"), shared_groups={"family": SharedGroup("family", FAMILY, "lowest")})


class Village:
    """A family, and one who belongs to nobody, in a store; every decision is committed."""

    def __init__(self, store):
        self.store = store
        self.now_ns = START_NS

    async def open(self):
        pots = (
            Balance("pot", Kind.DATA, 9 * MIB, shared_group="family"),
            money(AUD // 10, "cash", shared_group="family"),
            money(AUD, "own", weight=-1),
        )
        for name in (*FAMILY, "single"):
            account, entry = open_account(
                Account(name, 0, "AUD", "standard", balances=pots), self.now_ns, by="t", reason="r"
            )
            await self.commit(Outcome((AccountWrite(account, entry),)))

    async def commit(self, outcome):
        assert await self.store.commit([outcome]) == [Applied.DONE]

    async def send(self, name, sent):
        own, session = await self.store.load(name, sent.session_key)
        others = await accounts_of(self.store, shared_with(own, TARIFF))
        outcome = engine.decide(own, session, sent, TARIFF, POLICIES[sent.service], self.now_ns, others)
        await self.keep(outcome, sent)
        return outcome

    async def keep(self, outcome, sent=None):
        if outcome.writes:
            if sent is not None:
                session, page = remember(outcome.session, sent.type, sent.number, b"x")
                outcome = msgspec.structs.replace(outcome, session=session, page=page)
            await self.commit(outcome)

    async def supervise(self):
        for due in await self.store.due(self.now_ns, 100):
            own, session = await self.store.load(*due)
            others = await accounts_of(self.store, FAMILY)
            others = [other for other in others if other.id != own.id]
            await self.keep(engine.expire(own, session, POLICIES[session.service], TARIFF, self.now_ns, others))

    async def top_up(self, name):
        (account,) = await accounts_of(self.store, [name])
        await self.commit(
            Outcome((AccountWrite(*top_up(account, account.balances[-1], 7, self.now_ns, by="t", reason="r")),))
        )

    async def refund(self, name):
        (account,) = await accounts_of(self.store, [name])
        entries = await self.store.journal(name, 0, 10_000)
        charges = [entry for entry in entries if entry.cost_nanos > 0]
        if charges:
            refunded = refund_charge(account, charges[-1], opened_terms(entries), self.now_ns, by="t", reason="r")
            await self.commit(Outcome((AccountWrite(*refunded),)))

    async def verified(self):
        names = [account.id for account in await self.store.accounts("", 100)]
        return list((await verify(self.store, names)).imbalances)


async def play(village, dice):
    """One thing that can happen."""
    name = dice.choice((*FAMILY, "single"))
    key = f"{name};{dice.randrange(3)}"
    rating_group = dice.choice([100, 101, 102, 103, 900])
    used = [octets(dice.randrange(4 * MIB))] if dice.random() < 0.8 else []
    number = dice.randrange(1, 60)
    match dice.choice(["open", "open", "update", "update", "update", "call", "end", "sms", "top up", "refund", "wait"]):
        case "open":
            groups = [group(rating_group, octets(3 * MIB)), group(100, octets(MIB), used)]
            await village.send(name, request(INITIAL, 0, *groups, session_id=key))
        case "update":
            await village.send(
                name, request(UPDATE, number, group(rating_group, octets(5 * MIB), used), session_id=key)
            )
        case "call":
            call = {"service": "voice", "called": "61291234567", "session_id": f"{key}v"}
            await village.send(name, request(INITIAL, 0, group(None, seconds(60)), **call))
            await village.send(name, request(UPDATE, number, group(None, seconds(60), [seconds(number)]), **call))
        case "end":
            await village.send(name, request(TERMINATION, number, group(rating_group, None, used), session_id=key))
        case "sms":
            sms = {"service": "sms", "called": "61491570156", "action": RequestedAction.DIRECT_DEBITING}
            await village.send(name, request(EVENT, 0, group(None), session_id=f"{key}e{number}", **sms))
        case "top up":
            await village.top_up(name)
        case "refund":
            await village.refund(name)
        case "wait":
            village.now_ns += dice.choice([1, 61, 3_700, 90_000]) * NS_PER_S
            await village.supervise()


@pytest.fixture
async def village():
    made = Village(MemoryStore())
    await made.open()
    return made


@pytest.mark.parametrize("seed", range(12))
async def test_the_ledger_is_right_after_whatever_happened(village, seed):
    dice = random.Random(seed)
    for _ in range(60):
        await play(village, dice)
        assert await village.verified() == []
    audits = await village.store.audit(FAMILY)
    assert sum(audit.folded.cost_nanos for audit in audits) > 0
    village.now_ns += 40 * 86_400 * NS_PER_S
    await village.supervise()
    assert await village.store.count_open_sessions() == {}
    assert await village.verified() == []
    assert {balance.held for account in await village.store.accounts("", 9) for balance in account.balances} == {0}


async def test_the_ledger_is_right_on_every_store(store):
    village = Village(store)
    await village.open()
    dice = random.Random(2)
    for _ in range(40):
        await play(village, dice)
    assert await village.verified() == []
    audits = await store.audit(FAMILY)
    assert sum(audit.cdr_cost_nanos for audit in audits) > 0
    assert any(audit.folded.shared for audit in audits)


# Faults.


@pytest.fixture
async def busy(village):
    """`a` has an ended session, and an open one with usage, which holds on its own money and on that of `c`."""
    await village.send("a", request(INITIAL, 0, group(101, octets(20 * MIB)), session_id="t"))
    await village.send("a", request(TERMINATION, 1, group(101, None, [octets(20 * MIB)]), session_id="t"))
    await village.send("a", request(INITIAL, 0, group(103, octets(8 * MIB)), session_id="s"))
    await village.send("a", request(UPDATE, 1, group(103, octets(8 * MIB), [octets(8 * MIB)]), session_id="s"))
    assert (await village.store.audit(["c"]))[0].folded.shared
    assert (await village.store.audit(["a"]))[0].cdr_cost_nanos
    assert await village.verified() == []
    return village


def changed_balance(account, index, **changes):
    balances = list(account.balances)
    changes = {name: getattr(balances[index], name) + change for name, change in changes.items()}
    balances[index] = msgspec.structs.replace(balances[index], **changes)
    return msgspec.structs.replace(account, balances=tuple(balances))


def whats(found):
    return {(one.account_id, one.what, one.balance_id) for one in found}


async def test_a_debit_that_was_left_out_is_found(busy):
    busy.store._accounts["a"] = changed_balance(busy.store._accounts["a"], 2, value=5)
    (found,) = await busy.verified()
    assert (found.account_id, found.what, found.balance_id, found.here - found.there) == ("a", "value", "own", 5)


async def test_a_hold_that_was_not_released_is_found_on_ones_own_balance_and_on_another_s(busy):
    session = busy.store._sessions["a", "s"]
    silent = [msgspec.structs.replace(one, holds=()) for one in session.groups]
    busy.store._sessions["a", "s"] = msgspec.structs.replace(session, groups=tuple(silent))
    found = await busy.verified()
    assert ("c", "shared") in {(one.account_id, one.what) for one in found}
    assert ("a", "holds") in {(one.account_id, one.what) for one in found}
    shared = next(one for one in found if one.what == "shared")
    assert (shared.other, shared.there) == ("a", 0)
    assert "its open sessions hold 0" in str(shared)


async def test_a_session_that_was_lost_is_found(busy):
    del busy.store._sessions["a", "s"]
    assert {"holds", "shared", "cost"} <= {one.what for one in await busy.verified()}


async def test_a_hold_that_the_owner_knows_nothing_of_is_found(busy):
    journal = busy.store._journal["c"]
    journal[:] = [
        msgspec.structs.replace(entry, kind="charge") if entry.kind == "shared" else entry for entry in journal
    ]
    found = {(one.account_id, one.what, one.other) for one in await busy.verified()}
    assert {("a", "no_owner", "c"), ("c", "holds", "")} <= found


async def test_a_hold_on_an_account_that_is_not_there_is_found(busy):
    del busy.store._accounts["c"]
    assert ("a", "no_owner", "c") in {(one.account_id, one.what, one.other) for one in await busy.verified()}


async def test_what_is_held_on_both_sides_but_not_on_the_balance_is_found(busy):
    busy.store._accounts["c"] = changed_balance(busy.store._accounts["c"], 1, held=-1)
    assert whats(await busy.verified()) == {("c", "held", "cash"), ("c", "holds", "cash")}


async def test_a_cdr_that_is_missing_is_found(busy):
    gone = busy.store._cdrs.pop()
    (found,) = await busy.verified()
    assert (found.account_id, found.what, found.here - found.there) == ("a", "cost", gone.cost_nanos)


async def test_a_charge_that_was_made_twice_is_found(busy):
    """The second time as a request of its own, by a node that did not know of the first."""
    (account,) = await accounts_of(busy.store, ["a"])
    last = next(entry for entry in reversed(await busy.store.journal("a", 0, 99)) if entry.cost_nanos)
    twice = msgspec.structs.replace(last, version=account.version + 1)
    after = account
    for posting in twice.postings:
        index = [balance.id for balance in account.balances].index(posting.balance_id)
        after = changed_balance(after, index, value=posting.value, held=posting.held)
    after = msgspec.structs.replace(after, version=twice.version)
    await busy.commit(Outcome((AccountWrite(after, twice),)))
    found = {one.what: one.here - one.there for one in await busy.verified()}
    assert found["cost"] == last.cost_nanos


async def test_a_journal_entry_that_is_missing_or_doubled_is_found(busy):
    journal = busy.store._journal["a"]
    kept = list(journal)
    journal.pop(1)
    assert ("a", "entries", "") in whats(await busy.verified())
    journal[:] = [*kept, kept[-1]]
    assert ("a", "entries", "") in whats(await busy.verified())


async def test_money_that_came_from_nowhere_is_found(busy):
    account = busy.store._accounts["single"]
    extra = msgspec.structs.replace(account, balances=(*account.balances, money(AUD, "gift")))
    busy.store._accounts["single"] = extra
    assert whats(await busy.verified()) == {("single", "openings", "gift"), ("single", "value", "gift")}


# How it looks.


class Changing(MemoryStore):
    """Between two audits something else may happen; the sizes of the audits are kept."""

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.before = []

    async def audit(self, account_ids):
        self.sizes.append(len(account_ids))
        if self.before:
            self.before.pop(0)()
        return await super().audit(account_ids)


async def test_a_difference_that_is_gone_at_a_second_look_is_not_told(village):
    store = Changing()
    village.store = store
    await village.open()
    right = store._accounts["single"]
    store.before = [
        lambda: store._accounts.update(single=changed_balance(right, 2, value=1)),
        lambda: store._accounts.update(single=right),
    ]
    assert await village.verified() == []
    assert store.sizes == [4, 1]


async def test_many_partners_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(ledger, "LEDGER_ACCOUNTS_MAX", 2)
    store = Changing()
    village = Village(store)
    await village.open()
    for name in FAMILY:
        await village.send(name, request(INITIAL, 0, group(100, octets(20 * MIB)), session_id=name))
    store.sizes.clear()
    assert await village.verified() == []
    assert max(store.sizes[1:]) <= 3
    del store._sessions["a", "a"]
    assert {one.other for one in await village.verified() if one.what == "shared"} == {"a"}


async def test_what_does_not_exist_is_passed_over(village):
    verified = await verify(village.store, ["gone", "single"])
    assert verified == (1, 1, ())


async def test_a_store_that_is_down_says_so(village):
    async def down(account_ids):
        raise StoreDown("no store for the moment")

    village.store.audit = down
    with pytest.raises(StoreDown):
        await village.verified()


def test_an_imbalance_reads_as_a_sentence():
    one = Imbalance("b", "shared", 7, 5, "pot", "a")
    assert str(one) == "account b balance pot: held for sessions of account a is 7, its open sessions hold 5"
    cost = Imbalance("a", "cost", 3, 2)
    assert str(cost) == "account a: by the journal was charged 3, by the CDRs and the open sessions it was 2"


async def test_an_outcome_whose_cost_is_not_what_money_loses_is_never_made(village, monkeypatch):
    monkeypatch.setattr(Book, "debit", lambda self, balance_id, amount: None)
    await village.send("single", request(INITIAL, 0, group(101, octets(MIB)), session_id="s"))
    with pytest.raises(AssertionError, match="what is charged"):
        await village.send("single", request(UPDATE, 1, group(101, None, [octets(19 * MIB)]), session_id="s"))
