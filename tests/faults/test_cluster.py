"""Two nodes on one PostgreSQL under load: nodes are killed, PostgreSQL is killed and stands still, and nothing is lost.

The load sends each request to either node; what got no answer goes to the other one, with or without the T bit. Every
session moves between the nodes again and again.

OCS_FAULTS_NODE_KILLS, OCS_FAULTS_POSTGRES_KILLS and OCS_FAULTS_STALL_S set how much happens (`make faults`).
"""

import asyncio
import os
import random
import time

import pytest

from ocs.store.choose import store_of
from tests.faults.checks import check_store
from tests.faults.load import Load

NODE_KILLS = int(os.environ.get("OCS_FAULTS_NODE_KILLS", "4"))
POSTGRES_KILLS = int(os.environ.get("OCS_FAULTS_POSTGRES_KILLS", "3"))
STALL_S = float(os.environ.get("OCS_FAULTS_STALL_S", "5"))
SEED = int(os.environ.get("OCS_FAULTS_SEED", "1"))


@pytest.fixture
async def nodes(make_child, durable_postgres_url):
    url = durable_postgres_url()
    made = [make_child(url, f"ocs{number}.example.com") for number in (1, 2)]
    await asyncio.gather(*(node.start() for node in made))
    return made


async def finish(load, running, nodes, name, capsys, began):
    """Let the load play its sessions to their end, and look at everything that is left."""
    load.stopping.set()
    await running
    for node in nodes:
        await load.ask_all_again(node.diameter, load.plays[-100:])
    assert [await node.end() for node in nodes] == [0, 0]
    assert len(load.origin_state_ids) == 1
    with capsys.disabled():
        print(f"\n{name} in {time.monotonic() - began:.0f} s (seed {SEED}); {load.summary()}")
    await check_store(store_of(nodes[0].store_url), load)


@pytest.mark.conformance("B30")
async def test_a_node_that_is_killed_leaves_its_sessions_to_the_other(nodes, capsys):
    load, dice, began = Load(SEED), random.Random(SEED), time.monotonic()
    addresses = [node.diameter for node in nodes]
    running = asyncio.create_task(load.run(addresses))
    for _ in range(NODE_KILLS):
        await load.answered(dice.randrange(1, 80))
        place = dice.randrange(2)
        await nodes[place].kill()
        await load.answered(20)  # by the other one
        await nodes[place].start(on=addresses[place])
    await load.answered(50)
    await finish(load, running, nodes, f"{NODE_KILLS} kills of a node of two", capsys, began)
    assert load.counts["connections lost"] > 0
    assert load.counts["sent again without an answer"] > 0


async def test_a_postgres_that_is_killed_loses_nothing(nodes, durable_postgres, capsys):
    load, dice, began = Load(SEED), random.Random(SEED), time.monotonic()
    running = asyncio.create_task(load.run([node.diameter for node in nodes]))
    for _ in range(POSTGRES_KILLS):
        await load.answered(dice.randrange(1, 150))
        durable_postgres.kill()
        await asyncio.sleep(dice.random() * 0.5)
        durable_postgres.start()  # its life hangs on the thread that starts it
    await load.answered(50)
    await finish(load, running, nodes, f"{POSTGRES_KILLS} kills of PostgreSQL under two nodes", capsys, began)


async def test_a_postgres_that_stands_still_is_waited_for(nodes, durable_postgres, capsys):
    load, began = Load(SEED), time.monotonic()
    running = asyncio.create_task(load.run([node.diameter for node in nodes]))
    for _ in range(2):
        await load.answered(60)
        durable_postgres.pause()
        await asyncio.sleep(STALL_S)
        durable_postgres.resume()
    await load.answered(60)
    await finish(load, running, nodes, f"two stalls of {STALL_S:.0f} s", capsys, began)
    assert load.counts["answered 3004"] > 0, "nobody waits for ever"
