"""What runs on connections is tried on both event loops."""

import asyncio

import uvloop

BOTH_LOOPS = ("test_node", "test_transport_tcp", "test_client")


def pytest_asyncio_loop_factories(config, item):
    loops = {"asyncio": asyncio.new_event_loop}
    if item.module.__name__.rpartition(".")[2] in BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops
