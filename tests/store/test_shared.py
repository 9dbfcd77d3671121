"""Decisions that write several accounts: all of them or none, on what each of them really is."""

import asyncio

import msgspec
import pytest

from ocs.balances.journal import Entry, Posting, differences, fold
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.nms.metrics import Metrics
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from tests.store.controlled import ControlledStore, credited, idle
from tests.store.making import MAIN, outcome


@pytest.fixture
async def store():
    made = ControlledStore()
    await made.commit([outcome("a"), outcome("b"), outcome("c")])
    return made


@pytest.fixture
async def dispatcher(store):
    made = Dispatcher(store, Metrics())
    yield made
    await store.commits.open()
    await made.drain()
    assert made.commands == 0


def taken(account, amount):
    """The account with `amount` less, and its entry."""
    (balance,) = account.balances
    after = msgspec.structs.replace(
        account,
        version=account.version + 1,
        balances=(msgspec.structs.replace(balance, value=balance.value - amount),),
    )
    return AccountWrite(after, Entry(account.id, after.version, "shared", 1, postings=(Posting(MAIN, -amount, 0),)))


class Family:
    """A decision that takes `amount` off each of the accounts; it counts how often it was asked, with whom."""

    def __init__(self, *others, amount=10):
        self.others = others
        self.amount = amount
        self.asked = []

    def __call__(self, account, session, others=None):
        self.asked.append(None if others is None else [(other.id, other.version) for other in others])
        if others is None:
            return Outcome(needs=self.others)
        return Outcome(writes=tuple(taken(each, self.amount) for each in (account, *others)))


async def values(store):
    return {account.id: account.balances[0].value for account in await store.accounts("", 10)}


async def ledger(store):
    """What the journals of all accounts disagree in."""
    return [
        difference
        for account in await store.accounts("", 10)
        for difference in differences(account, fold(await store.journal(account.id, 0, 1_000)))
    ]


async def test_the_other_accounts_are_read_and_all_are_written_together(store, dispatcher):
    family = Family("c", "b")
    await dispatcher.run("a", None, family)
    assert family.asked[-1] == [("b", 1), ("c", 1)]
    assert await values(store) == {"a": 990, "b": 990, "c": 990}
    assert await ledger(store) == []


async def test_those_that_do_not_exist_are_left_out(store, dispatcher):
    family = Family("b", "gone")
    await dispatcher.run("a", None, family)
    assert family.asked[-1] == [("b", 1)]


async def test_another_account_that_moved_on_meanwhile_is_read_again(store, dispatcher):
    family = Family("b")
    store.commits.shut = True
    deciding = asyncio.create_task(dispatcher.run("a", None, family))
    await idle()
    store.commits.shut = False
    await store.elsewhere("b", change=500)
    await store.commits.open()
    await deciding
    assert [each for each in family.asked if each is not None] == [[("b", 1)], [("b", 2)]]
    assert await values(store) == {"a": 990, "b": 1_490, "c": 1_000}
    assert await ledger(store) == []


async def test_the_lane_of_another_account_takes_note(store, dispatcher):
    await dispatcher.run("b", None, lambda account, session: Outcome(writes=(credited(account, 5),)))  # b is cached now
    await dispatcher.run("a", None, Family("b"))
    seen = []

    def look(account, session):
        seen.append(account.balances[0].value)
        return Outcome()

    await dispatcher.run("b", None, look)
    assert seen == [995]


async def test_commands_behind_it_keep_their_order(store, dispatcher):
    order = []

    def follow(account, session):
        order.append(account.balances[0].value)
        return Outcome()

    running = [dispatcher.run("a", None, Family("b")), dispatcher.run("a", None, follow)]
    await asyncio.gather(*running)
    assert order == [990]


async def test_members_that_all_draw_on_each_other_at_once_lose_and_double_nothing(store, dispatcher):
    runs = [dispatcher.run(one, None, Family(other, amount=1)) for one in "abc" for other in "abc" if one != other]
    results = await asyncio.gather(*runs, return_exceptions=True)
    done = [result for result in results if not isinstance(result, Failed)]
    assert len(done) >= len(runs) // 2
    assert sum((await values(store)).values()) == 3_000 - 2 * len(done)
    assert await ledger(store) == []


async def test_a_store_that_is_down_while_the_others_are_read_fails_that_command_only(store, dispatcher):
    await dispatcher.run("a", None, lambda account, session: Outcome(writes=(credited(account, 5),)))
    store.loads.faults.append(StoreDown("no store for the moment"))
    with pytest.raises(Failed):
        await dispatcher.run("a", None, Family("b"))
    await dispatcher.run("a", None, Family("b"))
    assert await values(store) == {"a": 995, "b": 990, "c": 1_000}


async def test_commands_of_many_accounts_draw_on_one_without_a_conflict(store, dispatcher):
    """A hot shared account is decided on in memory, ahead of the store: nothing is decided twice."""
    await asyncio.gather(*(dispatcher.run(one, None, Family("c", amount=1)) for one in "ab"))
    families = [(one, Family("c", amount=1)) for one in "ab" for _ in range(20)]
    await asyncio.gather(*(dispatcher.run(one, None, family) for one, family in families))
    assert all(family.asked[:1] == [None] and len(family.asked) == 2 for _, family in families)
    assert await values(store) == {"a": 979, "b": 979, "c": 958}
    assert await ledger(store) == []


async def test_what_is_told_waits_for_all_that_it_was_decided_on(store, dispatcher):
    """`a` looks at `b`, whose newest state is on its way to the store."""
    store.commits.shut = True
    writing = asyncio.create_task(dispatcher.run("b", None, lambda account, _: Outcome(writes=(credited(account, 5),))))
    await idle()
    seen = []

    def look(account, session, others=None):
        if others is None:
            return Outcome(needs=("b",))
        seen.append(others[0].balances[0].value)
        return Outcome()

    looking = asyncio.create_task(dispatcher.run("a", None, look))
    await idle()
    assert (seen, looking.done()) == ([1_005], False)
    await store.commits.open()
    await asyncio.gather(writing, looking)


async def test_accounts_that_were_only_looked_at_are_given_up_like_all_others(store):
    dispatcher = Dispatcher(store, Metrics(), accounts_max=2)
    for name, other in ("ab", "bc", "ca", "ab"):
        await dispatcher.run(name, None, Family(other, amount=1))
        await dispatcher.run(name, None, lambda account, _: Outcome())
    assert len(dispatcher._lanes._lanes) <= 2
    assert set(dispatcher._lanes._lanes) == set(dispatcher._lanes._resting)


async def test_it_waits_for_the_last_of_them(store, dispatcher):
    """What `b` and `a` have on their way is committed in two batches; `b` looks at both."""
    store.commits.shut = True
    running = [asyncio.create_task(dispatcher.run("b", None, Own()))]
    await idle()  # the first batch
    running.append(asyncio.create_task(dispatcher.run("a", None, Own())))
    await idle()  # the second one, as soon as that is through

    def look(account, session, others=None):
        return Outcome() if others else Outcome(needs=("a",))

    looking = asyncio.create_task(dispatcher.run("b", None, look))
    await idle()
    await store.commits.let()
    assert (running[0].done(), looking.done()) == (True, False)
    await store.commits.let()
    assert (running[1].done(), looking.done()) == (True, True)


class Own:
    """A decision that takes 10 off its own account; it counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, account, session):
        self.asked += 1
        return Outcome(writes=(taken(account, 10),))


async def test_a_conflict_strikes_all_that_was_built_on_it_and_nothing_else(store, dispatcher):
    """c is written elsewhere: what a and b decided on it is decided again; what b wrote before stays, once."""
    await asyncio.gather(dispatcher.run("a", None, Family("c")), dispatcher.run("b", None, Family("c")))
    store.commits.shut = True
    alone, on_c, before, also_on_c, after = Own(), Family("c"), Own(), Family("c"), Own()
    running = [asyncio.create_task(dispatcher.run("a", None, alone))]
    await idle()  # on its way alone; the next ones make one batch
    for one, decide in (("a", on_c), ("b", before), ("b", also_on_c), ("b", after)):
        running.append(asyncio.create_task(dispatcher.run(one, None, decide)))
    await idle()
    await store.elsewhere("c", change=100)
    await store.commits.open()
    await asyncio.gather(*running)
    assert (alone.asked, before.asked, after.asked) == (1, 1, 2)
    assert [[version for _, version in each] for each in on_c.asked if each is not None] == [[3], [4]]
    assert await values(store) == {"a": 970, "b": 960, "c": 1_060}
    assert await ledger(store) == []
