"""Two nodes on one PostgreSQL: what one causes, the other sends."""

import asyncio

import pytest

from ocs.charging.asking import Whom, look
from ocs.store.choose import store_of
from tests.diameter.clients.avps import UPDATE, rsu, total, usu
from tests.initiative_kit import AUD, MIB, RAR, Gateway, Server, eventually, granted, open_demo, session_of


@pytest.mark.conformance("B31", "B32")
async def test_a_topup_on_one_node_is_told_by_the_node_that_has_the_client(postgres_url: str) -> None:
    stores = [store_of(postgres_url) for _ in range(2)]
    servers = []
    try:
        for store in stores:
            await store.open()
            servers.append(await Server(store).start())
        north, south = servers
        await open_demo(stores[0], 5 * AUD // 100)
        gateway = await Gateway.connect(south)
        assert granted(await gateway.ask()) == 5 * MIB
        await north.top_up()
        assert await gateway.next() == (RAR, session_of(), 101)
        assert granted(await gateway.ask(UPDATE, 1, rsu(), usu(total(MIB)))) == 10 * MIB
        await asyncio.gather(*(node.outbox(look(Whom.ALL, "recall")) for node in servers))
        assert [await gateway.next() for _ in servers] == [(RAR, session_of(), 101)] * 2

        async def emptied():
            return not await stores[0].claim_effects((), 2**62, 2**62, 1, 2**62)

        await eventually(emptied)
        assert gateway.asked.empty(), "each is sent once"
        assert south.counted("diameter_own_requests", command="RA", result="2002") == 3
        await gateway.close()
    finally:
        for server in servers:
            await server.stop()
        for store in stores:
            await store.close()
