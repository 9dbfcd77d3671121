"""Run inside a namespace: a node that connects to an agent, and asks a gateway behind it to report (RAR).

    python -m tests.interop.reauthorize AGENT ADDRESS PORT GATEWAY REALM SESSION

Prints the Result-Code of the answer.
"""

import asyncio
import sys
import time

from ocs.config.settings import Connect, PeerRule, Settings
from ocs.diameter.client import result_of
from ocs.diameter.node import Node
from ocs.diameter.routes import OwnRequest
from tests.interop.client import CREDIT_CONTROL, RAR, u32


class Nothing:
    """Credit control that is advertised, and never asked."""

    application_id = CREDIT_CONTROL
    commands = frozenset({RAR})

    def handle(self, message: object, context: object) -> None:
        raise AssertionError("nobody asks")


async def ask(agent: str, address: str, port: int, gateway: str, realm: str, session_id: str) -> int:
    rule = PeerRule(agent, (), connect=Connect((address,), port))
    settings = Settings(
        identity="ocs2.example.com",
        realms=("example.com",),
        listeners=(),
        peers=(rule,),
        services={},
        store_url="memory:",
        http_host="127.0.0.1",
        http_port=0,
        tariff=None,  # type: ignore[arg-type]
        subscribers=(),
    )
    node = Node(settings, [Nothing()], origin_state_id=int(time.time()))
    await node.start()
    async with asyncio.timeout(20):
        while not node.reaches(gateway, realm, CREDIT_CONTROL):  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.05)
    avps = u32(258, CREDIT_CONTROL) + u32(285, 0)
    answer = await node.send(OwnRequest(RAR, CREDIT_CONTROL, realm, avps, gateway, session_id))
    await node.drain()
    return result_of(answer)


if __name__ == "__main__":
    agent, address, port, *rest = sys.argv[1:]
    print(asyncio.run(ask(agent, address, int(port), *rest)))
