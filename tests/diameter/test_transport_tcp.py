"""TCP below the node, on both loops: framing, one write per batch, bounds, hostile and slow clients."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.config.settings import PeerRule
from ocs.diameter.client import result_of
from ocs.diameter.node import Node
from ocs.diameter.transports import tcp
from ocs.diameter.wire import decode_message, encode_header, split_frames
from tests.diameter import node_kit
from tests.diameter.node_kit import LOOPBACK, FakeClock, Notes, Service, body, ccr, request, settings, settle, until
from tests.diameter.samples import CAPABILITIES, ORIGIN, avp

CER = request(257, CAPABILITIES, flags=0x80, application_id=0)


@pytest.fixture
async def kit():
    kit = await node_kit.start(PeerRule("*", LOOPBACK, connections=50))
    yield kit
    await kit.clear()


async def admitted(kit):
    raw = await kit.raw()
    raw.send(CER)
    assert result_of(await raw.receive()) == 2001
    return raw


def link_of(kit):
    (connection,) = kit.node.connections
    return connection.link


class Writes:
    """The transport of a link, with its writes counted."""

    def __init__(self, link):
        self.sizes = []
        self._transport = link._transport
        link._transport = self

    def write(self, data):
        self.sizes.append(len(data))
        self._transport.write(data)

    def __getattr__(self, name):
        return getattr(self._transport, name)


@pytest.mark.conformance("A38")
async def test_many_messages_in_one_segment_are_answered_in_one_write(kit):
    raw = await admitted(kit)
    writes = Writes(link_of(kit))
    raw.send(b"".join(ccr(hop_by_hop_id=number) for number in range(30)))
    answers = [await raw.receive() for _ in range(30)]
    assert [answer.hop_by_hop_id for answer in answers] == list(range(30))
    assert {result_of(answer) for answer in answers} == {2001}
    assert len(writes.sizes) == 1


async def test_answers_that_come_later_leave_in_one_write_per_turn(kit):
    kit.service.keep = True
    raw = await admitted(kit)
    raw.send(b"".join(ccr(hop_by_hop_id=number) for number in range(10)))
    await until(lambda: len(kit.service.kept) == 10)
    writes = Writes(link_of(kit))
    kit.service.release()
    for _ in range(10):
        await raw.receive()
    assert len(writes.sizes) == 1


@pytest.mark.conformance("A38")
async def test_one_message_octet_by_octet(kit):
    raw = await kit.raw()
    raw.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in CER + ccr():
        raw.send(bytes([octet]))
        await asyncio.sleep(0)
    assert result_of(await raw.receive()) == 2001
    assert result_of(await raw.receive()) == 2001
    assert len(kit.service.seen) == 1


async def test_the_socket_sends_small_segments_at_once(kit):
    await kit.connect()
    connected = link_of(kit)._transport.get_extra_info("socket")
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.conformance("A11", "A24")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (encode_header(0xC0, 272, 4, 5, 6, 0, version=2), 5011),
        (b"\x01\0\0\x13" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:], 5015),
        (b"\x01\0\0\x17" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:], 5015),
        (b"\x01\xff\xff\xfc" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:], 5015),
    ],
    ids=["version", "below_a_header", "not_by_four", "too_long"],
)
async def test_lost_framing_is_answered_once_then_closed(kit, header, expected):
    raw = await admitted(kit)
    raw.send(ccr(hop_by_hop_id=1) + header + ccr(hop_by_hop_id=2))
    first, last = await raw.receive(), await raw.receive()
    assert (first.hop_by_hop_id, result_of(first)) == (1, 2001), "what was whole before is served"
    assert (last.hop_by_hop_id, last.end_to_end_id, result_of(last), last.is_error) == (5, 6, expected, True)
    assert await raw.receive() is None
    assert kit.notes.ends == [("gw.example.com", "framing_lost")]
    assert kit.notes.refusals == [expected]


@pytest.mark.conformance("A26")
async def test_a_message_above_the_bound_is_counted_as_such(kit):
    raw = await admitted(kit)
    raw.send(b"\x01\x01\x00\x04" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:])
    assert result_of(await raw.receive()) == 5015
    assert await raw.receive() is None
    assert kit.notes.limits == ["message_octets"]


@pytest.mark.conformance("A6")
@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(64), b"\xff" * 64, b"\x01\0\0\x14" * 9], ids=range(4)
)
async def test_garbage_before_a_cer_closes_without_a_word(kit, garbage):
    raw = await kit.raw()
    raw.send(garbage)
    assert await raw.receive() is None
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends[0][0] == ""
    assert not kit.node.connections


async def test_an_answer_that_breaks_the_framing_is_not_answered(kit):
    raw = await admitted(kit)
    raw.send(encode_header(0, 280, 0, 5, 6, 0, version=3))
    assert await raw.receive() is None
    assert kit.notes.refusals == []


async def test_a_client_that_never_finishes_a_message_costs_one_message(kit):
    raw = await admitted(kit)
    raw.send(encode_header(0xC0, 272, 4, 5, 6, 65_536 - 20) + bytes(60_000))
    link = link_of(kit)
    await until(lambda: len(link._buffer) == 60_020)
    raw.send(bytes(6_000) + ccr(hop_by_hop_id=9))
    answer = await raw.receive()
    assert (answer.hop_by_hop_id, result_of(answer)) == (5, 5014)


async def test_a_client_that_does_not_read_is_not_read_then_cut_off(kit, monkeypatch):
    monkeypatch.setattr(tcp, "WRITE_HIGH_WATER_OCTETS", 4_096)
    monkeypatch.setattr(tcp, "PEER_OUTPUT_OCTETS_MAX", 1_048_576)
    kit.service.keep = True
    raw = await admitted(kit)
    link = link_of(kit)
    for number in range(3):
        raw.send(ccr(hop_by_hop_id=number))
    await until(lambda: len(kit.service.kept) == 3)
    held = kit.service.kept
    small = link._transport.get_extra_info("socket")
    small.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    raw.writer.transport.pause_reading()
    context = held.pop(0)
    context.answer(bytes(900_000))
    link._flush()
    await until(lambda: link._held == tcp._HELD_BY_OUTPUT)
    held.pop(0).answer(bytes(900_000))
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("gw.example.com", "output")]
    assert kit.notes.limits == ["peer_output_octets"]
    held.pop(0).answer(b"x")
    assert kit.notes.drops[-1] == "connection_gone"


async def test_output_of_one_turn_is_bounded_too(kit, monkeypatch):
    monkeypatch.setattr(tcp, "PEER_OUTPUT_OCTETS_MAX", 10_000)
    kit.service.keep = True
    raw = await admitted(kit)
    raw.send(b"".join(ccr(hop_by_hop_id=number) for number in range(3)))
    await until(lambda: len(kit.service.kept) == 3)
    for context in kit.service.kept:
        context.answer(bytes(5_000))
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("gw.example.com", "output")]
    assert await raw.receive() is None


@pytest.mark.conformance("I6")
async def test_what_waits_in_the_kernel_is_known(kit):
    raw = await admitted(kit)
    link = link_of(kit)
    assert link.unread() == 0
    link.hold_reading(held=True)
    raw.send(ccr() * 3)
    await until(lambda: link.unread() == 3 * len(ccr()))
    link.hold_reading(held=False)
    assert result_of(await raw.receive()) == 2001
    assert link.unread() == 0
    link.abort()
    assert link.unread() == 0


async def test_reading_goes_on_when_the_client_has_caught_up(kit, monkeypatch):
    monkeypatch.setattr(tcp, "WRITE_HIGH_WATER_OCTETS", 4_096)
    kit.service.keep = True
    raw = await admitted(kit)
    raw.send(ccr())
    await until(lambda: kit.service.kept)
    link = link_of(kit)
    answer = request(272, [bytes(0)], flags=0)
    kit.service.kept.pop().answer(answer * 200_000)
    await until(lambda: link._held == tcp._HELD_BY_OUTPUT)
    for _ in range(200_000):
        await raw.receive()
    await until(lambda: link._held == 0)
    kit.service.keep = False
    raw.send(ccr(hop_by_hop_id=77))
    assert (await raw.receive()).hop_by_hop_id == 77


async def test_an_end_in_the_middle_of_a_message(kit):
    raw = await admitted(kit)
    raw.send(ccr()[:100])
    raw.writer.close()
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("gw.example.com", "peer")]
    assert kit.service.seen == []


async def test_answers_after_the_client_has_gone_are_harmless(kit):
    kit.service.keep = True
    client = await kit.connect()
    client.send(ccr() + ccr())
    await until(lambda: len(kit.service.kept) == 2)
    link = link_of(kit)
    link._transport.close()
    kit.service.kept.pop().answer(b"late")
    client.abort()
    await until(lambda: not kit.node.connections)
    kit.service.kept.pop().answer(b"later")
    assert kit.notes.drops == ["connection_gone"] * 2


async def test_fifty_connections_at_once(kit):
    clients = [await kit.connect() for _ in range(50)]
    answers = await asyncio.gather(*(client.request(272, 4, body()) for client in clients for _ in range(4)))
    assert {result_of(answer) for answer in answers} == {2001}
    assert kit.notes.open == 50
    assert kit.notes.waiting == 0


# Whatever comes, the node answers or closes.

PIECES = st.sampled_from([
    CER,
    ccr(),
    ccr()[:-4],
    ccr(b"\0\0\1\x08\x40\0\0\x50"),
    request(280, ORIGIN, flags=0x80, application_id=0),
    request(280, [], flags=0x80, application_id=0),
    request(282, [*ORIGIN, avp("Disconnect-Cause", 0)], flags=0x80, application_id=0),
    request(282, [], flags=0, application_id=0),
    request(257, [], flags=0x80, application_id=0),
    request(275, ORIGIN),
    bytes(20),
    b"\x01\0\0\x14",
])  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.binary(max_size=60)), max_size=12), st.integers(1, 400))
def test_whatever_comes_is_answered_in_whole_messages_or_closed(pieces, segment_octets):
    async def run():
        notes = Notes()
        node = Node(settings(), [Service()], notes, origin_state_id=1, clock=FakeClock())
        link, wire = tcp.TcpLink(node._accept), Nowhere()
        link.connection_made(wire)
        stream = b"".join(pieces)
        for start in range(0, len(stream), segment_octets):
            if not wire.closed:
                link.data_received(stream[start : start + segment_octets])
        await settle(3)
        link.connection_lost(None)
        await node.stop()
        assert not node.connections
        assert ("", "internal") not in notes.ends
        assert ("gw.example.com", "internal") not in notes.ends
        for frame in split_frames(wire.written, 65_536):
            assert decode_message(frame).find(264).data == b"ocs.example.com"
        assert wire.written == b""

    asyncio.run(run())


class Nowhere(asyncio.Transport):
    """A transport that only keeps what is written."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2), "socket": self})
        self.closed = False
        self.written = bytearray()

    def setsockopt(self, *_):
        pass

    def fileno(self):
        return -1

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return self.closed

    def write(self, data):
        assert not self.closed
        self.written += data

    def close(self):
        self.closed = True

    abort = close

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


# Connections of our own


async def test_connect_takes_the_first_address_that_answers(kit):
    links = []
    _, port = kit.address
    await tcp.connect(["127.0.0.9", "127.0.0.1"], port, links.append)
    assert [(link.transport, link.remote, link.certificate_names) for link in links] == [
        ("tcp", f"127.0.0.1:{port}", None)
    ]


async def test_connect_says_why_nobody_answered(kit):
    _, port = kit.address
    with pytest.raises(OSError, match=r"127.0.0.8: .*; 127.0.0.9: "):
        await tcp.connect(["127.0.0.8", "127.0.0.9"], port, lambda _link: None)
