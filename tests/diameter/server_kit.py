"""Peers that a node connects to: they answer capabilities, and the rest as a test wants it."""

import asyncio
from ipaddress import ip_address

import msgspec

from ocs.config.settings import Connect, PeerRule
from ocs.diameter import base_messages
from ocs.diameter.base_answers import answer_bytes, answer_head, answer_tail, base_answer, make_origin
from ocs.diameter.node import Node
from ocs.diameter.wire import decode_message, message_bytes, split_frames
from tests.diameter import node_kit
from tests.diameter.node_kit import FakeClock, Kit, Notes, Service
from tests.diameter.samples import avp


class Session(asyncio.Protocol):
    """One connection that the node opened."""

    def __init__(self, server):
        self.server = server
        self.requests = []
        self.answers = []
        self.lost = False
        self._buffer = bytearray()

    def connection_made(self, transport):
        self.transport = transport
        self.server.sessions.append(self)

    def data_received(self, data):
        self._buffer += data
        for frame in split_frames(self._buffer, 1 << 20):
            self.take(decode_message(frame))

    def connection_lost(self, exc):
        self.lost = True

    def take(self, message):
        if not message.is_request:
            self.answers.append(message)
            return
        self.requests.append(message)
        data = self.server.reply(message, self)
        if data is not None:
            self.transport.write(data)

    def say(self, data):
        self.transport.write(data)

    def of(self, command):
        return [message for message in self.requests if message.command_code == command]


class Server:
    """A Diameter server on a free port of the loopback. `answers`: by command code, None says nothing."""

    def __init__(self, host, realm="example.com", applications=(4,)):
        self.origin = make_origin(host, realm, 1)
        self.applications = applications
        self.sessions = []
        self.answers = {257: self.cea, 280: self.dwa, 282: self.dpa, 258: self.raa}
        self._server = None

    async def start(self, port=0, ssl=None):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), "127.0.0.1", port, ssl=ssl)
        return self

    @property
    def port(self):
        return self._server.sockets[0].getsockname()[1]

    @property
    def last(self):
        return self.sessions[-1]

    def rule(self, host=None, networks=(), *, hosts=("127.0.0.1",), tls=False, **kwargs):
        connect = Connect(hosts, self.port, tls=tls)
        return PeerRule(host or self.origin.host, networks, connect=connect, **kwargs)

    def reply(self, message, session):
        answer = self.answers.get(message.command_code)
        return None if answer is None else answer(message)

    def cea(self, message):
        return base_messages.cea(message, self.origin, ip_address("127.0.0.1"), self.applications)

    def dwa(self, message):
        return base_messages.dwa(message, self.origin)

    def dpa(self, message):
        return base_messages.dpa(message, self.origin)

    def raa(self, message, result=2001):
        body = answer_head(message, result, self.origin) + answer_tail(message)
        return answer_bytes(message, body, error=3000 <= result < 4000)

    def refuse(self, result, message=""):
        return lambda request: base_answer(request, result, self.origin, message=message)

    def dpr(self, cause):
        self.last.say(base_messages.dpr(self.origin, cause, 71, 72))

    async def close(self):
        self._server.close()
        for session in self.sessions:
            session.transport.abort()
        await node_kit.until(lambda: all(session.lost for session in self.sessions))


async def start(*rules, **more):
    """A started node that connects by `rules`, on a clock that is moved by hand."""
    clock, service, notes = FakeClock(), Service(), Notes()
    settings = msgspec.structs.replace(node_kit.settings(*rules), **more)
    node = Node(settings, [service], notes, origin_state_id=17, clock=clock, jitter_ns=lambda: 0)
    await node.start()
    return Kit(node, service, notes, clock)


def redirection(server, hosts, usage=None, cache_s=None):
    def answer(request):
        parts = [answer_head(request, 3006, server.origin)]
        parts += [avp("Redirect-Host", host.encode()) for host in hosts]
        if usage is not None:
            parts.append(avp("Redirect-Host-Usage", usage))
        if cache_s is not None:
            parts.append(avp("Redirect-Max-Cache-Time", cache_s))
        return answer_bytes(request, b"".join(parts), error=True)

    return answer


def forwarded(message, hop_by_hop_id, route_record):
    """A request as a relay sends it on (RFC 6733 6.1.9)."""
    body = b"".join(part.encode() for part in message.avps) + avp("Route-Record", route_record)
    return message_bytes(
        message.flags, message.command_code, message.application_id, hop_by_hop_id, message.end_to_end_id, body
    )


def state(kit, index=0):
    """The state of the peer that was known first, or of a later one."""
    return kit.node.peers()[index].state
