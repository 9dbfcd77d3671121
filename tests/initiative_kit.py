"""Nodes of a cluster in one process: each with its dispatcher, Diameter and outbox, all on one store; and gateways."""

import asyncio
import random
import time
from pathlib import Path

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.adjust import open_account, set_status, top_up
from ocs.charging.asking import followed
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.config.load import load
from ocs.config.settings import Listener, PeerRule, Transport
from ocs.daemon.initiative import Initiative
from ocs.daemon.timers import Timers
from ocs.diameter.applications.credit_control import CreditControl
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import Client
from ocs.diameter.node import Node
from ocs.nms.metrics import Metrics
from ocs.rating.units import Kind
from ocs.store.dispatcher import Dispatcher
from tests.diameter.clients.avps import INITIAL, mscc, rsu, subscription
from tests.diameter.clients.builders import gateway
from tests.diameter.node_kit import LOOPBACK

ROOT = Path(__file__).parent.parent
RAR, ASR = 258, 274
AUD = 1_000_000_000
MIB = 1_048_576
LIMIT_S = 20
"""Nothing here takes a second; what takes this long never comes."""
IDS = subscription(0, "4912345")
PGW = "0001-diamproxy.pgw1.example.net"
RULE = PeerRule("*", LOOPBACK)


def settings(*rules, **more):
    """The sample configuration, on a free port."""
    read, _ = load(ROOT / "config")
    listeners = (Listener(Transport.TCP, "127.0.0.1", 0),)
    return msgspec.structs.replace(read, listeners=listeners, peers=rules or (RULE,), **more)


class Server:
    """One node. `skew_ns` is what its clock is ahead."""

    def __init__(self, store, configuration=None):
        self.store = store
        self.settings = configuration or settings()
        self.skew_ns = 0
        self.metrics = Metrics()
        self.dispatcher = Dispatcher(store, self.metrics, holder=str(random.random()))
        self.credit_control = CreditControl(
            self.settings,
            self.dispatcher.charge,
            self.metrics.diameter,
            self.metrics.charging,
            lambda _refusal: None,
            self.now_ns,
        )
        self.node = Node(self.settings, [self.credit_control], self.metrics.diameter, origin_state_id=1)
        timers = Timers(lambda: self.settings, self.dispatcher)
        self.initiative = Initiative(store, self.dispatcher, timers, lambda: self.settings, self.metrics, self.now_ns)

    def now_ns(self):
        return time.time_ns() + self.skew_ns

    async def start(self):
        await self.node.start()
        self.initiative.start(self.node)
        return self

    async def stop(self):
        await self.initiative.stop()
        await self.node.stop()
        await self.dispatcher.stop()

    async def change(self, account_id, change, **more):
        """A change by people, with what it means for open sessions."""

        def decide(account, _session):
            outcome = Outcome((AccountWrite(*change(account, now_ns=self.now_ns(), by="ada", reason="test", **more)),))
            return followed(account, outcome)

        return await self.dispatcher.run(account_id, None, decide)

    async def top_up(self, account_id="demo", aud=1):
        balance = Balance("money", Kind.MONETARY, 0)
        return await self.change(account_id, lambda account, **who: top_up(account, balance, aud * AUD, **who))

    async def set_status(self, status, account_id="demo"):
        return await self.change(account_id, lambda account, **who: set_status(account, status, **who))

    async def outbox(self, effect, account_id="demo"):
        """Leave one effect."""
        await self.initiative.looks.tell(account_id, (effect,), by="ada", reason="test")

    def counted(self, name, **which):
        return self.metrics.registry.get_sample_value(f"ocs_{name}_total", which)


async def open_demo(store, nanos, account_id="demo", identity="msisdn:4912345", group=""):
    """An account with so much money."""
    balance = Balance("money", Kind.MONETARY, nanos, shared_group=group)
    account, entry = open_account(
        Account(account_id, 0, "AUD", "standard", balances=(balance,)), time.time_ns(), by="test", reason="opening"
    )
    await store.commit([Outcome((AccountWrite(account, entry, (identity,)),))])


class Gateway:
    """A client with sessions: it answers what the server asks, and keeps it."""

    def __init__(self, client, host):
        self.client = client
        self.host = host
        self.asked = asyncio.Queue()
        self.result = {RAR: 2002, ASR: 2001}
        client.answers = {RAR: self.take, ASR: self.take}
        self.hop_by_hop = 0

    @classmethod
    async def connect(cls, server, host=PGW):
        client = await Client.connect(*server.node.listening[0], make_origin(host, "example.net", 1))
        return cls(client, host)

    def take(self, message):
        self.asked.put_nowait(message)
        result = self.result[message.command_code]
        return None if result is None else base_answer(message, result, self.client.origin)

    async def next(self):
        """The next request of the server: its command, session, and rating group if it names one."""
        message = await asyncio.wait_for(self.asked.get(), LIMIT_S)
        group = message.find(432)
        session = message.find(263).data.decode()
        return message.command_code, session, None if group is None else int.from_bytes(group.data)

    async def ask(
        self, kind=INITIAL, number=0, *inside, rating_group=101, ids=IDS, origin=None, session="5b8d80;1", others=b""
    ):
        """A CCR for one group, of the gateway or of one behind it; its answer."""
        self.hop_by_hop += 1
        blocks = mscc(*(inside or (rsu(),)), rating_group=rating_group)
        own = {"origin": origin or self.host, "others": others, "hop_by_hop": self.hop_by_hop}
        data = gateway(kind, number, blocks, ids=ids, **own).replace(b"5b8d80;1", session.encode())
        return await self.client.exchange(self.hop_by_hop, data)

    async def close(self):
        await self.client.close()


def session_of(host=PGW, session="5b8d80;1"):
    """The session that a gateway has."""
    return f"{host};{session}"


def granted(answer):
    """CC-Total-Octets granted in the first group, None where there is no grant."""
    block = answer.find(456)
    unit = None if block is None else next((avp for avp in block.children() if avp.code == 431), None)
    return None if unit is None else next(int.from_bytes(a.data) for a in unit.children() if a.code == 421)


async def eventually(condition):
    """Wait for what other tasks bring about."""
    end = time.monotonic() + LIMIT_S
    while not (found := await condition()):
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0)
    return found
