"""The clients of `node_kit` over SCTP, so that the node's tests run over it as they are."""

import asyncio

from ocs.diameter.client import Client
from ocs.diameter.transports import sctp
from ocs.diameter.wire import decode_message


class SctpClient(Client):
    """`Client` with an association in place of its TCP connection."""

    @classmethod
    async def connect_only(cls, host, port, origin):
        client = cls(origin)

        def accept(link):
            client.connection_made(_Transport(link))
            return _Handler(client.data_received, lambda: client.connection_lost(None))

        await sctp.connect([host], port, accept, sources=[host])
        return client


class SctpRaw:
    """`Raw` with an association: what is sent is cut where lengths in headers say so, the rest is one message, too."""

    def __init__(self):
        self.writer = None
        self._received = asyncio.Queue()

    @classmethod
    async def connect(cls, host, port):
        raw = cls()

        def accept(link):
            raw.writer = _Transport(link)
            return _Handler(raw._received.put_nowait, lambda: raw._received.put_nowait(None))

        await sctp.connect([host], port, accept, sources=[host])
        return raw

    def send(self, data):
        self.writer.write(data)

    async def receive(self):
        """The next message, None at the end of the association."""
        data = await self._received.get()
        if data is None:
            self._received.put_nowait(None)
            return None
        return decode_message(data)


class _Transport:
    """As much of an asyncio transport as clients use."""

    def __init__(self, link):
        self.link = link
        self.close = link.close
        self.abort = link.abort

    def get_extra_info(self, name):
        return {"sockname": (str(self.link.local_address), 0)}[name]

    def is_closing(self):
        return self.link._closing or self.link._gone

    def write(self, data):
        for message in cut(data):
            self.link.write(message)


class _Handler:
    def __init__(self, received, lost):
        self._received = received
        self.disconnected = lost

    def frames_received(self, frames):
        for frame in frames:
            self._received(frame)

    def framing_lost(self, lost):
        raise lost

    def overflowed(self):
        raise AssertionError("the server does not read")

    def path_changed(self, address, state):
        pass

    def unsendable(self, octets):
        raise AssertionError(f"a message of {octets} octets was not sent")


def cut(data):
    """The messages that `data` consists of, by the lengths in their headers."""
    while data:
        length = max(int.from_bytes(data[1:4], "big"), 1)
        yield data[:length]
        data = data[length:]
