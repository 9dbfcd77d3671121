"""A node that loses its network: the other one serves its sessions, and what it still had in hand harms nobody.

The node lives in a network namespace of its own, with one cable to the outside, over which it is asked and over which
it reaches PostgreSQL. The cable is pulled, and put back.
"""

import asyncio
import contextlib
import os
import random
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from ocs.store.choose import store_of
from tests.faults.checks import check_store
from tests.faults.load import Load

CUTS = int(os.environ.get("OCS_FAULTS_CUTS", "2"))
SEED = int(os.environ.get("OCS_FAULTS_SEED", "1"))
CLIENTS_WAIT_S = 3
HERE, THERE = "10.231.77.1", "10.231.77.2"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Cable:
    """A namespace and the cable to it."""

    def __init__(self):
        self.namespace = f"ocs-cut-{os.getpid()}"
        self.near = f"ocs{os.getpid() % 100_000}a"
        self.far = f"ocs{os.getpid() % 100_000}b"

    def lay(self):
        ip("netns", "add", self.namespace)
        ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.namespace)
        ip("address", "add", f"{HERE}/30", "dev", self.near)
        ip("link", "set", self.near, "up")
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{THERE}/30", "dev", self.far)):
            ip("-n", self.namespace, *words)
        ip("-n", self.namespace, "link", "set", self.far, "up")

    def pull(self):
        ip("link", "set", self.near, "down")

    def put_back(self):
        ip("link", "set", self.near, "up")

    def remove(self):
        subprocess.run(["ip", "link", "delete", self.near], check=False)
        ip("netns", "delete", self.namespace)


@pytest.fixture
def cable():
    made = Cable()
    made.lay()
    yield made
    made.remove()


@contextlib.asynccontextmanager
async def way_to(url):
    """PostgreSQL listens on the loopback only: what comes to the cable's end is passed on to it."""
    target = urlsplit(url)
    tasks, writers = set(), []

    async def pass_on(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        there, back = await asyncio.open_connection(target.hostname, target.port)
        writers.extend((writer, back))
        for one in (pass_on(reader, back), pass_on(there, writer)):
            task = asyncio.create_task(one)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, HERE, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield target._replace(netloc=f"{target.username}@{HERE}:{port}").geturl()
    finally:
        server.close()
        for writer in writers:  # the other side may not hear a goodbye
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def test_a_node_that_loses_its_network(make_child, durable_postgres_url, cable, capsys):
    url = durable_postgres_url()
    async with way_to(url) as way:
        stays = make_child(url, "ocs1.example.com")
        cut = make_child(way, "ocs2.example.com", ("ip", "netns", "exec", cable.namespace), THERE)
        await asyncio.gather(stays.start(), cut.start())
        load, dice, began = Load(SEED), random.Random(SEED), time.monotonic()
        running = asyncio.create_task(load.run([stays.diameter, cut.diameter], timeout_s=CLIENTS_WAIT_S))
        for _ in range(CUTS):
            await load.answered(dice.randrange(50, 200))
            cable.pull()
            await load.answered(100)  # by the one that stays
            await asyncio.sleep(CLIENTS_WAIT_S + dice.uniform(1, 5))
            cable.put_back()
        await load.answered(200)
        load.stopping.set()
        await running
        for node in (stays, cut):
            await load.ask_all_again(node.diameter, load.plays[-100:])
        assert [await stays.end(), await cut.end()] == [0, 0]
    with capsys.disabled():
        print(f"\n{CUTS} losses of the network in {time.monotonic() - began:.0f} s (seed {SEED}); {load.summary()}")
    assert load.counts["connections lost"] > 0
    await check_store(store_of(url), load)
