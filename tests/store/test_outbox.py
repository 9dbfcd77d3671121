"""Effects are done at least once, by the node that reaches the peer, and given up in the end."""

import asyncio

import msgspec
import pytest

from ocs.charging.outcome import Effect
from ocs.limits import EFFECT_ATTEMPTS_MAX
from ocs.nms.metrics import Metrics
from ocs.store import outbox
from ocs.store.interface import StoreDown
from ocs.store.leading import Leading
from ocs.store.memory import MemoryStore
from ocs.store.outbox import CLAIM_S, Outbox
from tests.store.controlled import idle
from tests.store.making import outcome

S = 1_000_000_000


class Node:
    """An outbox with the peers that it reaches, and what it did."""

    def __init__(self, store, *peers):
        self.peers = peers
        self.did = []
        self.works = True
        self.now_ns = 10 * S
        self.metrics = Metrics()
        self.outbox = Outbox(store, {"reauth": self.do}, lambda: self.peers, lambda: self.now_ns, self.metrics.store)

    async def do(self, due):
        self.did.append((due.effect.peer, due.effect.session_id))
        if self.works is None:
            raise ZeroDivisionError
        return self.works

    def counted(self, what):
        return self.metrics.registry.get_sample_value("ocs_effects_total", {"outcome": what})


@pytest.fixture
async def store():
    made = MemoryStore(shared=True)
    await made.commit([outcome("a")])
    return made


async def cause(store, *effects, account_id="a", version=2):
    """A commit that has effects."""
    await store.commit([msgspec.structs.replace(outcome(account_id, version), effects=effects)])


async def test_the_node_that_reaches_the_peer_does_it_once(store):
    north, south = Node(store, "pgw1"), Node(store, "pgw2")
    await cause(store, Effect("reauth", "pgw2", "s"), Effect("reauth", "nowhere", "t"))
    await asyncio.gather(north.outbox.round(), south.outbox.round())
    await south.outbox.round()
    assert (north.did, south.did) == ([], [("pgw2", "s")])
    assert south.counted("done") == 1


async def test_what_fails_is_due_again_after_a_while_and_given_up_in_the_end(store):
    node = Node(store, "pgw")
    node.works = False
    await cause(store, Effect("reauth", "pgw", "s"))
    for attempt in range(EFFECT_ATTEMPTS_MAX + 2):
        await node.outbox.round()
        await node.outbox.round()  # not before its time
        assert len(node.did) == min(attempt + 1, EFFECT_ATTEMPTS_MAX)
        node.now_ns += CLAIM_S * S
        node.works = None if attempt == 1 else False
    assert (node.counted("later"), node.counted("given_up")) == (EFFECT_ATTEMPTS_MAX - 1, 1)


async def test_it_is_told_at_once(store):
    node = Node(store, "pgw")
    node.outbox.start()
    await idle()
    await cause(store, Effect("reauth", "pgw", "s"))
    await store.tell("effects", "")
    await idle()
    assert node.did == [("pgw", "s")]
    node.peers = ("pgw", "late")
    await cause(store, Effect("reauth", "late", "t"), version=3)
    node.outbox.wake()
    await idle()
    assert node.did[1:] == [("late", "t")]
    await node.outbox.stop()


async def test_a_node_that_dies_leaves_it_to_another(store):
    north, south = Node(store, "agent"), Node(store, "agent")
    await cause(store, Effect("reauth", "agent", "s"))
    assert await store.claim_effects(("agent",), north.now_ns, north.now_ns + CLAIM_S * S, 1)
    await south.outbox.round()
    assert south.did == []
    south.now_ns += CLAIM_S * S
    await south.outbox.round()
    assert south.did == [("agent", "s")]


async def test_what_is_for_a_peer_that_nobody_reaches_is_tried_by_anybody_and_given_up(store):
    node = Node(store, "pgw")
    node.works = False
    await cause(store, Effect("reauth", "gone", "s"))
    for _ in range(4 * EFFECT_ATTEMPTS_MAX):
        await node.outbox.round()
        node.now_ns += CLAIM_S * S
    assert len(node.did) == EFFECT_ATTEMPTS_MAX
    assert node.counted("given_up") == 1


async def test_one_slow_peer_stops_nobody(store, monkeypatch):
    monkeypatch.setattr(outbox, "EFFECTS_PER_ROUND_MAX", 2)
    node = Node(store, "pgw")
    slow = asyncio.Event()

    async def do(due):
        node.did.append(due.effect.session_id)
        if due.effect.session_id.startswith("slow"):
            await slow.wait()
        return True

    node.do = do
    node.outbox = Outbox(store, {"reauth": do}, lambda: ("pgw",), lambda: node.now_ns, node.metrics.store)
    node.outbox.start()
    await cause(store, *(Effect("reauth", "pgw", name) for name in ("slow", "a", "b", "c", "slow 2", "d")))
    await idle()
    assert node.did == ["slow", "a", "b", "c", "slow 2"]
    slow.set()
    await idle()
    assert node.did[5:] == ["d"]
    assert node.counted("done") == 6
    await node.outbox.stop()


async def test_a_store_that_goes_down_when_it_is_done_leaves_it_to_a_later_time(store, monkeypatch):
    node = Node(store, "pgw")
    await cause(store, Effect("reauth", "pgw", "s"))

    async def down(_):
        raise StoreDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_effect", down)
        await node.outbox.round()
    node.now_ns += CLAIM_S * S
    await node.outbox.round()
    await node.outbox.round()
    assert len(node.did) == 2


async def test_a_store_that_is_down_is_asked_again(store, monkeypatch):
    node = Node(store, "pgw")

    async def down(*_):
        raise StoreDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "claim_effects", down)
        node.outbox.start()
        await idle()
    await cause(store, Effect("reauth", "pgw", "s"))
    node.outbox.wake()
    await idle()
    assert node.did == [("pgw", "s")]
    await node.outbox.stop()


async def test_an_effect_of_no_kind_that_is_known_is_given_up_not_lost_without_a_word(store):
    node = Node(store)
    await cause(store, Effect("unheard of"))
    for _ in range(EFFECT_ATTEMPTS_MAX):
        await node.outbox.round()
        node.now_ns += CLAIM_S * S
    assert node.counted("given_up") == 1


async def test_one_node_leads_until_it_resigns_or_dies():
    now_ns = 0
    store = MemoryStore(shared=True, now_ns=lambda: now_ns)
    north, south = Leading(store, "supervision", "north"), Leading(store, "supervision", "south")
    assert [await north.leads(), await south.leads(), await north.leads()] == [True, False, True]
    await north.resign()
    assert [await south.leads(), await north.leads()] == [True, False]
    now_ns += 6 * S
    assert [await north.leads(), await south.leads()] == [True, False]
