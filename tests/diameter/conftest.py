"""What runs on connections is tried on both event loops."""

import asyncio

import pytest
import uvloop

from tests.diameter import server_kit

BOTH_LOOPS = (
    "test_node",
    "test_node_connect",
    "test_node_send",
    "test_transport_tls",
    "test_transport_tcp",
    "test_client",
)


def pytest_asyncio_loop_factories(config, item):
    loops = {"asyncio": asyncio.new_event_loop}
    if item.module.__name__.rpartition(".")[2] in BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
async def scene():
    """Makes nodes and servers, and clears them away."""
    opened = []

    class Scene:
        async def server(self, host="dra.example.com", **kwargs):
            port, ssl = kwargs.pop("port", 0), kwargs.pop("ssl", None)
            opened.append(await server_kit.Server(host, **kwargs).start(port, ssl))
            return opened[-1]

        async def node(self, *rules, **more):
            kit = await server_kit.start(*rules, **more)
            opened.insert(0, kit)
            return kit

    yield Scene()
    for each in opened:
        await (each.clear() if hasattr(each, "clear") else each.close())
