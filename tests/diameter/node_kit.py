"""A node to try things on: time that is moved by hand, an observer that remembers, applications that obey."""

import asyncio
import heapq
import os
from ipaddress import ip_network

from ocs.config.settings import Listener, PeerRule, Settings, Transport
from ocs.diameter.base_answers import answer_bytes, answer_head, answer_tail, make_origin
from ocs.diameter.client import Client
from ocs.diameter.node import Node
from ocs.diameter.observer import NullObserver
from ocs.diameter.peer_machine import SECOND_NS
from ocs.diameter.wire import decode_message, message_bytes, split_frames
from tests.diameter.samples import avp, credit_control
from tests.diameter.sctp_ends import SctpClient, SctpRaw

# Tests of the node run over SCTP, too, in a kernel that has it (tests/uml).
TRANSPORT = Transport(os.environ.get("OCS_TEST_TRANSPORT", "tcp"))
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PGW = make_origin("pgw.example.com", "example.com", 1)
SERVED = [avp("Auth-Application-Id", 4), avp("CC-Request-Type", 1), avp("CC-Request-Number", 0)]


def settings(*rules, host="127.0.0.1", **more):
    return Settings(
        identity="ocs.example.com",
        realms=("example.com", "ims.example.com"),
        listeners=(Listener(TRANSPORT, host, 0),),
        peers=rules or (PeerRule("*", LOOPBACK),),
        services={},
        store_url="memory:",
        http_host="127.0.0.1",
        http_port=0,
        tariff=None,
        subscribers=(),
        **more,
    )


class FakeTimer:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeClock:
    """Monotonic time that stands still until it is told to go."""

    def __init__(self):
        self._now_ns = 0
        self._queue = []
        self._count = 0

    def now_ns(self):
        return self._now_ns

    def wall_ns(self):
        return 1_700_000_000 * SECOND_NS + self._now_ns

    def call_at(self, when_ns, callback):
        timer = FakeTimer()
        self._count += 1
        heapq.heappush(self._queue, (when_ns, self._count, timer, callback))
        return timer

    def advance(self, seconds):
        end_ns = self._now_ns + round(seconds * SECOND_NS)
        while self._queue and self._queue[0][0] <= end_ns:
            when_ns, _, timer, callback = heapq.heappop(self._queue)
            if not timer.cancelled:
                self._now_ns = max(self._now_ns, when_ns)
                callback()
        self._now_ns = end_ns

    @property
    def armed(self):
        return sum(not timer.cancelled for _, _, timer, _ in self._queue)


class Notes(NullObserver):
    """Remembers what the node told."""

    def __init__(self):
        self.states = []
        self.ends = []
        self.limits = []
        self.drops = []
        self.refusals = []
        self.failovers = []
        self.rtts = []
        self.paths = []
        self.listeners = []
        self.answers = 0
        self.open = 0
        self.waiting = 0
        self.shed_ones = []
        self.delay_s = self.percent = 0

    def peer_state(self, peer, state):
        self.states.append((peer, state.value))

    def closed(self, peer, reason):
        self.ends.append((peer, reason))

    def limit(self, name):
        self.limits.append(name)

    def dropped(self, peer, what):
        self.drops.append(what)

    def refused(self, peer, command, application, result_code):
        self.refusals.append(int(result_code))

    def shed(self, kind, priority):
        self.shed_ones.append((kind, priority))

    def overload(self, seconds, percent):
        self.delay_s, self.percent = seconds, percent

    def failover(self, peer):
        self.failovers.append(peer)

    def watchdog_rtt(self, peer, seconds):
        self.rtts.append(seconds)

    def path(self, peer, state):
        self.paths.append((peer, state))

    def listener(self, transport, address, up):
        self.listeners.append((transport, address, up))

    def answered(self, peer, command, application, seconds):
        self.answers += 1

    def connections(self, count):
        self.open = count

    def inflight(self, count):
        self.waiting = count


class Service:
    """Answers 2001 at once, or keeps what comes until it is told."""

    application_id = 4
    commands = frozenset({272})

    def __init__(self):
        self.keep = False
        self.kept = []
        self.seen = []
        self.fail = None

    def handle(self, message, context):
        if self.fail is not None:
            raise self.fail
        self.seen.append(message)
        if self.keep:
            self.kept.append(context)
        else:
            context.answer(served(context))

    def release(self):
        kept, self.kept = self.kept, []
        for context in kept:
            context.answer(served(context))


def served(context):
    request = context.message
    body = answer_head(request, 2001, context.origin) + b"".join(SERVED) + answer_tail(request)
    return answer_bytes(request, body)


class Kit:
    """A started node, and clients of it that are cleared away."""

    def __init__(self, node, service, notes, clock):
        self.node = node
        self.service = service
        self.notes = notes
        self.clock = clock
        self.opened = []

    @property
    def address(self):
        return self.node.listening[0]

    async def connect(self, origin=PGW, **kwargs):
        client = await CLIENTS[TRANSPORT].connect(*self.address, origin, **kwargs)
        self.opened.append(client)
        return client

    async def connect_only(self):
        client = await CLIENTS[TRANSPORT].connect_only(*self.address, PGW)
        self.opened.append(client)
        return client

    async def raw(self):
        raw = await RAWS[TRANSPORT].connect(*self.address)
        self.opened.append(raw.writer)
        return raw

    async def clear(self):
        for client in self.opened:
            if isinstance(client, Client):
                client.abort()
                await client.lost
            else:
                client.close()
        await self.node.stop()


async def start(*rules, host="127.0.0.1", fake_clock=True):
    return await start_with(settings(*rules, host=host), fake_clock=fake_clock)


async def start_with(configuration, *, fake_clock=True):
    clock = FakeClock() if fake_clock else None
    service, notes = Service(), Notes()
    node = Node(configuration, [service], notes, origin_state_id=17, clock=clock, jitter_ns=lambda: 0)
    await node.start()
    return Kit(node, service, notes, clock)


class Raw:
    """A connection on which a test says exactly what it wants."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self._buffer = bytearray()
        self._frames = []

    @classmethod
    async def connect(cls, host, port):
        return cls(*await asyncio.open_connection(host, port))

    def send(self, data):
        self.writer.write(data)

    async def receive(self):
        """The next message, None at the end of the connection."""
        while not self._frames:
            try:
                data = await self.reader.read(65_536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
            self._frames = split_frames(self._buffer, 1 << 20)
        return decode_message(self._frames.pop(0))


CLIENTS = {Transport.TCP: Client, Transport.SCTP: SctpClient}
RAWS = {Transport.TCP: Raw, Transport.SCTP: SctpRaw}


def request(command, parts, *, flags=0xC0, application_id=4, hop_by_hop_id=1000, end_to_end_id=2000):
    return message_bytes(flags, command, application_id, hop_by_hop_id, end_to_end_id, b"".join(parts))


def ccr(*more, hop_by_hop_id=1000, flags=0xC0):
    return request(272, [*credit_control(), *more], hop_by_hop_id=hop_by_hop_id, flags=flags)


def body(*more):
    return b"".join([*credit_control(), *more])


async def settle(turns=20):
    """Let the loop run what is ready; octets on loopback are."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition, turns=100_000):
    """Wait for something that other ends of connections bring about."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")
