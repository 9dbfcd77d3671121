"""Several dispatchers on one store: nothing old is told, and what all of them write is written in turns."""

import asyncio

import pytest

from ocs.balances.journal import differences, fold
from ocs.charging.outcome import Outcome
from ocs.limits import HOT_CONFLICTS
from ocs.nms.metrics import Metrics
from ocs.store import pins
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from tests.store.charging import Client
from tests.store.controlled import ControlledStore, credited, idle
from tests.store.making import outcome


@pytest.fixture
async def store():
    made = ControlledStore(shared=True)
    await made.commit([outcome("a"), outcome("b")])
    return made


@pytest.fixture
async def nodes(store):
    made = [Dispatcher(store, Metrics(), holder=name) for name in ("north", "south")]
    yield made
    await store.commits.open()
    for node in made:
        await node.stop()


def take(account, session):
    """A decision that takes 1."""
    return Outcome(writes=(credited(account, -1),))


async def value(store, account_id="a"):
    return (await store.load(account_id, None)).account.balances[0].value


async def test_what_moves_nothing_is_decided_on_what_other_nodes_have_written(store, nodes):
    north, south = (Client(node) for node in nodes)
    north.look()
    await idle()
    await nodes[1].run("a", None, take)
    north.look()
    south.look()
    await idle()
    assert north.told == ["2001 saw 1000", "2001 saw 999"]
    assert south.told == ["2001 saw 999"]


async def test_other_accounts_that_a_decision_only_looks_at_are_not_old_either(store, nodes):
    north, south = nodes
    seen = []

    def decide(account, session, others=None):
        if others is None:
            return Outcome(needs=("b",))
        seen.append(others[0].balances[0].value)
        return Outcome(writes=(credited(account, -1),))

    await north.run("a", None, decide)
    await south.run("b", None, take)
    await north.run("a", None, decide)
    assert (seen[0], seen[-1]) == (1_000, 999)
    assert await value(store) == 998


async def test_a_store_of_one_process_is_not_read_again(nodes):
    store = ControlledStore()
    await store.commit([outcome("a")])
    client = Client(Dispatcher(store, Metrics()))
    client.look()
    await idle()
    client.look()
    await idle()
    assert len(client.told) == 2
    assert len(store.loaded) == 1


async def contended(nodes, commands):
    """Both nodes write `a` as fast as they can."""

    async def gateway(node):
        for _ in range(commands):
            await node.run("a", None, take)

    await asyncio.gather(*(gateway(node) for node in nodes for _ in range(4)))


async def test_a_hot_account_is_written_in_turns(store, nodes, monkeypatch):
    monkeypatch.setattr(pins, "TURN_S", 0.002)
    monkeypatch.setattr(pins, "YIELD_S", 0.001)
    monkeypatch.setattr(pins, "POLL_S", 0.005)
    taken = []
    original = store.take_lease

    async def take_lease(name, holder, ttl_s):
        lease = await original(name, holder, ttl_s)
        if lease.holder == holder:
            taken.append(holder)
        return lease

    monkeypatch.setattr(store, "take_lease", take_lease)
    await contended(nodes, 100)
    assert await value(store) == 1_000 - 800
    account = (await store.load("a", None)).account
    assert differences(account, fold(await store.journal("a", 0, 10_000))) == []
    assert set(taken) == {"north", "south"}


async def test_while_one_node_has_its_turn_the_other_waits_without_conflicts(store, nodes):
    north, south = nodes
    for _ in range(HOT_CONFLICTS):
        south._lanes.pins.conflict("a")
    await idle()
    assert south._lanes.pins.may_decide("a")
    for _ in range(HOT_CONFLICTS):
        north._lanes.pins.conflict("a")
    await idle()
    waiting = asyncio.create_task(north.run("a", None, take))
    await idle()
    assert not waiting.done()
    await south.run("a", None, take)
    await waiting  # its turn came
    assert await value(store) == 998


async def test_a_node_that_died_with_the_lease_holds_nobody_up_for_ever(store, nodes, monkeypatch):
    monkeypatch.setattr(pins, "TTL_S", 0.01)
    await store.take_lease("account:a", "dead", 0.05)
    for _ in range(HOT_CONFLICTS):
        nodes[0]._lanes.pins.conflict("a")
    await nodes[0].run("a", None, take)
    assert await value(store) == 999


async def test_a_store_that_gives_no_leases_pins_nothing(store, nodes, monkeypatch):
    async def down(name, holder, ttl_s):
        raise StoreDown("gone")

    monkeypatch.setattr(store, "take_lease", down)
    for _ in range(HOT_CONFLICTS):
        nodes[0]._lanes.pins.conflict("a")
    await nodes[0].run("a", None, take)
    assert nodes[0]._lanes.pins.may_decide("a")


async def test_an_account_that_cools_down_is_free_again(store, nodes, monkeypatch):
    monkeypatch.setattr(pins, "IDLE_S", 0.0)
    monkeypatch.setattr(pins, "TURN_S", 0.001)
    for _ in range(HOT_CONFLICTS):
        nodes[0]._lanes.pins.conflict("a")
    await asyncio.gather(*nodes[0]._lanes.pins._tasks.values())
    assert nodes[0]._lanes.pins.may_decide("a")
    assert (await store.take_lease("account:a", "south", 1)).holder == "south"


async def test_conflicts_that_were_real_are_counted_for_the_account_that_moved(store, nodes):
    """Only the account that another node wrote gets hot, not those that were written with it."""
    north, _ = nodes
    refused = []
    north._lanes.pins.conflict = refused.append

    def decide(account, session, others=None):
        if others is None:
            return Outcome(needs=("b",))
        return Outcome(writes=(credited(account, -1), credited(others[0], -1)))

    await north.run("a", None, decide)
    await store.elsewhere("b", change=5)
    await north.run("a", None, decide)
    assert refused == ["b"]
    assert (await value(store, "a"), await value(store, "b")) == (998, 1_003)
