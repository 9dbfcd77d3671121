"""Associations of a node with sockets of the kernel: streams, order, payload protocol, boundaries, ends."""

import asyncio
import socket
import struct

import pytest

from ocs.config.settings import PeerRule
from ocs.diameter.client import result_of
from ocs.diameter.transports import sctp
from ocs.diameter.wire import encode_header
from tests.diameter import node_kit
from tests.diameter.node_kit import LOOPBACK, ccr, request
from tests.diameter.samples import CAPABILITIES, ORIGIN, avp
from tests.uml.guest.association import IPPROTO_SCTP, Association, Taker, make_socket, until

CER = request(257, CAPABILITIES, flags=0x80, application_id=0)
DWR = request(280, ORIGIN, flags=0x80, application_id=0)
MESSAGE = encode_header(0x80, 280, 0, 1, 2, 0)


@pytest.fixture
async def kit():
    kit = await node_kit.start(PeerRule("*", LOOPBACK, connections=300))
    yield kit
    await kit.clear()


@pytest.fixture
async def connect(kit):
    """An association with the node; those that are left are aborted."""
    made = []

    async def connect(*, admitted=True):
        association = await Association.connect(kit.address)
        made.append(association)
        if admitted:
            association.send(CER)
            assert result_of((await association.receive()).message) == 2001
        return association

    yield connect
    for association in made:
        association.abort()


def link_of(kit):
    (connection,) = kit.node.connections
    return connection.link


@pytest.mark.conformance("A38")
async def test_in_order_until_the_peer_has_spoken_after_the_cea_then_unordered(kit, connect):
    association = await connect(admitted=False)
    association.send(CER)
    cea = await association.receive()
    assert (cea.message.command_code, cea.stream, cea.ppid, cea.unordered) == (257, 0, 46, False)
    kit.clock.advance(31)
    dwr = await association.receive()
    assert (dwr.message.command_code, dwr.stream, dwr.ppid, dwr.unordered) == (280, 0, 46, False)
    association.send(ccr())
    answer = await association.receive()
    assert (answer.message.command_code, answer.stream, answer.ppid, answer.unordered) == (272, 0, 46, True)


@pytest.mark.conformance("A38")
async def test_messages_are_taken_from_any_stream_in_any_order_under_any_ppid(kit, connect):
    association = await connect()
    sent = range(60)
    for number in sent:
        association.send(
            ccr(hop_by_hop_id=number), stream=number % 16, ppid=(0, 46, 47, 60)[number % 4], unordered=number % 3 == 0
        )
    answers = [await association.receive() for _ in sent]
    assert sorted(answer.message.hop_by_hop_id for answer in answers) == list(sent)
    assert {(answer.stream, answer.ppid, answer.unordered) for answer in answers} == {(0, 46, True)}


async def test_the_peer_has_as_many_streams_as_we_take(kit, connect):
    association = await connect()
    assert association.streams == (16, 16)


async def test_a_thousand_requests_are_answered(kit, connect):
    association = await connect()
    for number in range(1_000):
        association.send(ccr(hop_by_hop_id=number))
        answer = await association.receive()
        assert (answer.message.hop_by_hop_id, result_of(answer.message)) == (number, 2001)


async def test_many_messages_at_once_are_handed_over_in_one_call(kit, connect):
    association = await connect()
    connection = next(iter(kit.node.connections))
    connection.link.hold_reading(held=True)
    for number in range(30):
        association.send(ccr(hop_by_hop_id=number))
    calls = []
    taken = connection.frames_received
    connection.link._handler = Taker(connection.link)
    connection.link._handler.frames_received = lambda frames: (calls.append(len(frames)), taken(frames))
    connection.link.hold_reading(held=False)
    assert {(await association.receive()).message.hop_by_hop_id for _ in range(30)} == set(range(30))
    assert calls == [30]
    connection.link._handler = connection


@pytest.mark.parametrize("read_octets", [65_536, 1_000])
@pytest.mark.conformance("A38")
async def test_the_longest_message_comes_whole(kit, connect, monkeypatch, read_octets):
    monkeypatch.setattr(sctp, "READ_OCTETS", read_octets)
    association = await connect()
    room = 65_536 - len(ccr()) - 8
    message = ccr(avp("User-Name", "x" * room))
    assert len(message) == 65_536
    association.send(message, stream=3)
    assert result_of((await association.receive()).message) == 2001
    assert kit.service.seen[0].find(1).data == b"x" * room


@pytest.mark.parametrize("octets", [65_540, 180_000])
@pytest.mark.conformance("A26", "A38")
async def test_a_message_above_the_bound_is_answered_once_then_closed(kit, connect, octets):
    association = await connect()
    association.send(encode_header(0xC0, 272, 4, 5, 6, octets - 20) + bytes(octets - 20))
    answer = (await association.receive()).message
    assert (answer.hop_by_hop_id, answer.end_to_end_id, result_of(answer)) == (5, 6, 5015)
    assert await association.ended() == "closed"
    assert kit.notes.ends == [("gw.example.com", "framing_lost")]
    assert kit.notes.limits == ["message_octets"]


@pytest.mark.conformance("A11", "A24", "A38")
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (encode_header(0xC0, 272, 4, 5, 6, 0, version=2), 5011),
        (b"\x01\0\0\x10" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:], 5015),
        (b"\x01\0\0\x18" + encode_header(0xC0, 272, 4, 5, 6, 0)[4:], 5015),
        (encode_header(0xC0, 272, 4, 5, 6, 0) + MESSAGE, 5015),
        (encode_header(0xC0, 272, 4, 5, 6, 1) + b"x", 5015),
    ],
    ids=["version", "shorter", "longer", "two_messages", "not_by_four"],
)
async def test_a_message_that_is_none_is_answered_once_then_closed(kit, connect, wrong, expected):
    association = await connect()
    association.send(ccr(hop_by_hop_id=1))
    association.send(wrong)
    first, last = (await association.receive()).message, (await association.receive()).message
    if first.hop_by_hop_id == 5:
        first, last = last, first
    assert (first.hop_by_hop_id, result_of(first)) == (1, 2001), "what was whole before is served"
    assert (last.hop_by_hop_id, last.end_to_end_id, result_of(last)) == (5, 6, expected)
    assert await association.ended() == "closed"
    assert kit.notes.refusals == [expected]


@pytest.mark.conformance("A6")
@pytest.mark.parametrize("garbage", [b"x", b"GET / HTTP/1.1\r\n\r\n", bytes(64), MESSAGE], ids=range(4))
async def test_garbage_before_a_cer_closes_without_a_word(kit, connect, garbage):
    association = await connect(admitted=False)
    association.send(garbage)
    assert await association.receive() is None
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends[0][0] == ""


async def test_less_than_a_header_on_an_open_connection_is_not_answered(kit, connect):
    association = await connect()
    association.send(b"\x01\0\0\x14\x80")
    assert await association.receive() is None
    assert kit.notes.refusals == []


async def test_close_sends_what_is_queued_and_takes_what_still_comes(kit, connect, monkeypatch):
    monkeypatch.setattr(sctp, "DRAIN_TIMEOUT_S", 1_000)
    kit.service.keep = True
    association = await connect()
    for number in range(200):
        association.send(ccr(hop_by_hop_id=number))
    await until(lambda: len(kit.service.kept) == 200)
    link = link_of(kit)
    link.hold_reading(held=True)
    for number in range(50):
        association.send(ccr(hop_by_hop_id=1_000 + number))
    kit.service.release()
    link.close()
    assert not link.write(MESSAGE)
    got = [await association.receive() for _ in range(200)]
    assert sorted(each.message.hop_by_hop_id for each in got) == list(range(200))
    assert await association.receive() is None
    await until(lambda: not kit.node.connections)
    assert len(kit.service.seen) == 200, "what came after the end is not looked at"


async def test_the_peers_abort_and_its_shutdown_are_ends(kit, connect):
    first, second = await connect(), await connect()
    first.abort()
    second.close()
    await until(lambda: len(kit.notes.ends) == 2)
    assert kit.notes.ends == [("gw.example.com", "peer")] * 2
    assert not kit.node.connections


async def test_abort_aborts(kit, connect):
    association = await connect()
    link = link_of(kit)
    link.abort()
    link.abort()
    assert await association.ended() == "aborted"
    await until(lambda: not kit.node.connections)
    assert kit.notes.ends == [("gw.example.com", "peer")]
    assert not link.write(MESSAGE)
    link.close()
    link.hold_reading(held=True)


async def test_a_message_too_long_to_send_is_counted_and_the_connection_stays(kit, connect):
    association = await connect()
    link = link_of(kit)
    assert link.write(bytes(1 << 20))
    assert link.write(DWR)
    assert (await association.receive()).message.command_code == 280
    assert kit.notes.drops == ["too_long"]
    association.send(ccr())
    assert result_of((await association.receive()).message) == 2001


async def test_what_is_not_read_stays_with_the_peer(kit, connect):
    association = await connect()
    link = link_of(kit)
    link.hold_reading(held=True)
    for _ in range(100_000):
        try:
            association.send(ccr())
        except BlockingIOError:
            break
    else:
        pytest.fail("the kernel takes everything")
    assert not kit.service.seen
    link.hold_reading(held=False)
    await association.receive()
    assert kit.service.seen


async def test_a_peer_that_does_not_read_is_held_and_goes_on_when_it_has_caught_up(kit, connect):
    kit.service.keep = True
    association, other = await connect(), await Association.connect(kit.address)
    association.send(ccr())
    await until(lambda: kit.service.kept)
    link = link_of_peer(kit, association)
    answer = request(272, [bytes(4_000)], flags=0)
    flushes = count_flushes(link)
    for _ in range(500):
        assert link.write(answer)
    await until(lambda: link._held)
    before = flushes[0]
    other.send(CER)
    assert result_of((await other.receive()).message) == 2001, "others are served meanwhile"
    assert flushes[0] - before < 10, "it waits for the kernel instead of asking again and again"
    for _ in range(500):
        assert (await association.receive()).data == answer
    await until(lambda: not link._held and not link._writing)
    kit.service.keep = False
    association.send(ccr(hop_by_hop_id=77))
    assert (await association.receive()).message.hop_by_hop_id == 77
    other.abort()


async def test_a_peer_that_never_reads_is_cut_off(kit, connect, monkeypatch):
    monkeypatch.setattr(sctp, "PEER_OUTPUT_OCTETS_MAX", 1_000_000)
    association = await connect()
    link = link_of(kit)
    written = 0
    while link.write(bytes(4_000)):
        written += 1
        await asyncio.sleep(0)
        assert written < 1_000
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("gw.example.com", "output")]
    assert kit.notes.limits == ["peer_output_octets"]
    assert await association.ended() == "aborted"


async def test_a_close_that_is_not_taken_ends_after_a_while(kit, connect, monkeypatch):
    monkeypatch.setattr(sctp, "DRAIN_TIMEOUT_S", 0.2)
    association = await connect()
    link = link_of(kit)
    for _ in range(500):
        link.write(bytes(4_000))
    link.close()
    await until(lambda: not kit.node.connections)
    assert await association.ended() == "aborted"


async def test_two_hundred_associations_at_once(kit):
    associations = await asyncio.gather(*(Association.connect(kit.address) for _ in range(200)))
    for association in associations:
        association.send(CER)
    for association in associations:
        assert result_of((await association.receive()).message) == 2001
    assert kit.notes.open == 200
    for association in associations:
        association.abort()
    await until(lambda: not kit.node.connections)


@pytest.mark.conformance("A38")
@pytest.mark.parametrize("hosts", [["::1"], ["127.0.0.1", "::1"], ["::1", "127.0.0.1"], ["localhost"]], ids=str)
async def test_ipv6_and_both(hosts):
    takers = []
    server = await sctp.listen(hosts, 0, lambda link: takers.append(Taker(link)) or takers[-1])
    port = server.sockets[0].getsockname()[1]
    for host in hosts:
        association = await Association.connect((host.replace("localhost", "127.0.0.1"), port))
        association.send(MESSAGE)
        await until(lambda: takers and takers[-1].frames)
        taker = takers.pop()
        assert str(taker.link.remote_address) in {"::1", "127.0.0.1"}
        if len(hosts) == 2:
            assert {str(each) for each in (taker.link.local_address, *taker.link.local_others)} == {"::1", "127.0.0.1"}
        association.abort()
        await until(lambda taker=taker: taker.ends)
    server.close()


async def test_a_port_that_is_taken(kit):
    with pytest.raises(OSError, match="in use"):
        await sctp.listen(["127.0.0.1"], kit.address[1], Taker)


async def test_nobody_is_admitted_where_there_are_too_many(monkeypatch):
    server = await sctp.listen(["127.0.0.1"], 0, lambda link: None)
    association = await Association.connect(server.sockets[0].getsockname())
    assert await association.ended() == "aborted"
    association.close()
    server.close()
    assert server.sockets == ()
    server.close()


# Connecting


async def listening():
    """A socket that listens, for the other side of a connection of ours."""
    made = make_socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


@pytest.mark.conformance("A38")
async def test_what_connects_is_in_order_until_it_is_answered(kit):
    listener = await listening()
    takers = []
    await sctp.connect(["127.0.0.1"], listener.getsockname()[1], lambda link: takers.append(Taker(link)) or takers[-1])
    connected, _ = listener.accept()
    association = Association(connected)
    assert association.streams == (16, 16)
    (taker,) = takers
    assert (taker.link.transport, taker.link.remote) == ("sctp", f"127.0.0.1:{listener.getsockname()[1]}")
    taker.link.write(CER)
    taker.link.write(DWR)
    for _ in range(2):
        received = await association.receive()
        assert (received.stream, received.ppid, received.unordered) == (0, 46, False)
    association.send(MESSAGE)
    await until(lambda: taker.frames == [MESSAGE])
    taker.link.write(DWR)
    assert (await association.receive()).unordered
    taker.link.close()
    assert await association.ended() == "closed"
    association.close()
    await until(lambda: taker.ends == 1)
    listener.close()


async def test_nobody_listens():
    listener = await listening()
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(OSError, match=r"^127\.0\.0\.1: Connection refused$"):
        await sctp.connect(["127.0.0.1"], port, Taker)


async def test_nobody_answers(monkeypatch, silent_address):
    monkeypatch.setattr(sctp, "CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(OSError, match="no answer in"):
        await sctp.connect([silent_address], 3868, Taker)


async def test_who_cancels_leaves_nothing_behind(silent_address):
    attempt = asyncio.ensure_future(sctp.connect([silent_address], 3868, Taker))
    await asyncio.sleep(0.1)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_an_end_that_comes_with_the_beginning(kit):
    """Whoever aborts before it is accepted costs nothing."""
    for _ in range(20):
        association = make_socket()
        association.connect(kit.address)
        association.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
        association.close()
    client = await kit.connect()
    assert result_of(client.cea) == 2001
    await until(lambda: len(kit.node.connections) == 1)


async def test_options_of_the_listener_hold_for_what_it_accepts(kit, connect):
    await connect()
    connected = link_of(kit)._socket
    assert connected.getsockopt(IPPROTO_SCTP, 3) == 1
    assert struct.unpack("=iIII", connected.getsockopt(IPPROTO_SCTP, 0, 16))[1:] == (500, 2_000, 200)
    assert not connected.getblocking()


def link_of_peer(kit, association):
    port = association.socket.getsockname()[1]
    return next(each.link for each in kit.node.connections if each.link.remote.endswith(f":{port}"))


def count_flushes(link):
    calls = [0]
    flush = link._flush

    def counted():
        calls[0] += 1
        flush()

    link._flush = counted
    return calls
