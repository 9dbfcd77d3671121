"""Peers that mean harm, or are broken: each costs bounded memory, is closed and counted, and nobody else notices."""

import asyncio
import contextlib
import os
import random
import resource
import tracemalloc

import pytest

from ocs.config.settings import Transport
from ocs.diameter import base_messages
from ocs.diameter.base_answers import make_origin
from ocs.limits import CER_TIMEOUT_S, CONNECTIONS_MAX, MESSAGE_OCTETS_MAX
from tests.diameter import node_kit
from tests.diameter.node_kit import ccr, until
from tests.diameter.samples import avp

pytestmark = pytest.mark.skipif(node_kit.TRANSPORT is not Transport.TCP, reason="these are about streams of octets")

# `make fuzz` has 10,000.
CONNECTIONS = int(os.environ.get("OCS_HOSTILE_CONNECTIONS", "400"))
ATTACKER = make_origin("attacker.example.com", "example.com", 1)
GOOD = make_origin("good.example.com", "example.com", 1)
MIB = 1 << 20


def cer(origin=ATTACKER, hop_by_hop_id=1):
    return base_messages.cer(origin, "127.0.0.1", (4,), hop_by_hop_id, hop_by_hop_id)


class Place:
    """A node with a peer that behaves well: `served` is how often it was answered."""

    def __init__(self, kit, good):
        self.kit = kit
        self.good = good
        self.served = 0
        self._number = 0

    async def serve(self):
        """The good peer asks and is answered."""
        self._number += 1
        answer = await self.good.exchange(self._number, ccr(hop_by_hop_id=self._number))
        assert answer.find(268).data == (2001).to_bytes(4)
        self.served += 1

    async def admitted(self, origin=ATTACKER):
        raw = await self.kit.raw()
        raw.send(cer(origin))
        assert (await raw.receive()).command_code == 257
        return raw

    async def outlive_watchdogs(self):
        """Time for a silent peer to be asked, suspected and closed; the good one shows that it lives."""
        for _ in range(3):
            self.kit.clock.advance(30)
            await self.serve()

    async def gone(self, reason, peer=""):
        await until(lambda: (peer, reason) in self.kit.notes.ends)

    @property
    def connections(self):
        return len(self.kit.node.connections)


@pytest.fixture
async def place():
    kit = await node_kit.start()
    good = await kit.connect(GOOD)
    made = Place(kit, good)
    await made.serve()
    yield made
    await made.serve()
    assert not made.good.lost.done()
    await kit.clear()


@contextlib.contextmanager
def bounded(octets):
    """What is done inside leaves no more than that behind, and never needs four times as much."""
    tracemalloc.start()
    try:
        yield
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < octets, f"{left} octets are left"
    assert peak < 4 * octets, f"{peak} octets at the peak"


@pytest.mark.conformance("A38")
async def test_octet_by_octet_is_served_and_holds_nobody_up(place):
    raw = await place.kit.raw()
    for octet in cer() + ccr(hop_by_hop_id=2):
        raw.send(bytes([octet]))
        await raw.writer.drain()
        if octet % 32 == 0:
            await place.serve()
    assert [(await raw.receive()).command_code for _ in range(2)] == [257, 272]


@pytest.mark.conformance("A6")
@pytest.mark.parametrize("said", [b"", cer()[:19], cer()[:-1]], ids=["nothing", "half a header", "half a CER"])
async def test_half_a_greeting_is_cut_off_in_time(place, said):
    raws = [await place.kit.raw() for _ in range(20)]
    for raw in raws:
        raw.send(said)
    await until(lambda: place.connections == 21)
    await place.serve()
    place.kit.clock.advance(CER_TIMEOUT_S - 1)
    await node_kit.settle()
    assert place.connections == 21
    place.kit.clock.advance(1)
    await until(lambda: place.connections == 1)
    assert place.kit.notes.ends == [("", "no_cer")] * 20
    assert [await raw.receive() for raw in raws] == [None] * 20


@pytest.mark.conformance("A24", "A26")
@pytest.mark.parametrize("length", [0xFFFFFC, MESSAGE_OCTETS_MAX + 4], ids=["16 MiB", "just too long"])
async def test_a_huge_message_is_refused_at_its_header(place, length):
    stranger = await place.kit.raw()
    peer = await place.admitted()
    with bounded(2 * MIB):
        for raw in (stranger, peer):
            raw.send(b"\1" + length.to_bytes(3) + b"\xc0\0\1\x10\0\0\0\4" + bytes(8) + bytes(60_000))
        await place.gone("framing_lost")
        await place.gone("framing_lost", "attacker.example.com")
    assert place.kit.notes.limits == ["message_octets"] * 2
    answer = await peer.receive()
    assert (answer.command_code, answer.find(268).data) == (272, (5015).to_bytes(4))
    with contextlib.suppress(AssertionError):
        assert await stranger.receive() is None


@pytest.mark.conformance("A26")
async def test_a_message_that_never_ends_is_never_more_than_one(place):
    raw = await place.admitted()
    start = b"\1" + MESSAGE_OCTETS_MAX.to_bytes(3) + b"\xc0\0\1\x10\0\0\0\4" + bytes(8)
    with bounded(2 * MIB):
        raw.send(start)
        for _ in range(60):
            raw.send(bytes(1_000))
            await raw.writer.drain()
            await place.serve()
        # Octets that are no message show no life: the watchdog of RFC 3539 goes on.
        await place.outlive_watchdogs()
        await place.gone("watchdog", "attacker.example.com")


@pytest.mark.conformance("A6")
async def test_garbage_instead_of_a_greeting_is_closed_without_a_word(place):
    source = random.Random(1)
    with bounded(2 * MIB):
        for _ in range(60):
            raw = await place.kit.raw()
            raw.send(
                source.choice([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", source.randbytes(2_000), ccr(), b"\x16\3\1" * 99])
            )
            assert await raw.receive() is None
            raw.writer.close()
        await until(lambda: place.connections == 1)
    reasons = {reason for _, reason in place.kit.notes.ends}
    assert reasons <= {"framing_lost", "no_cer"}
    assert len(place.kit.notes.ends) == 60


@pytest.mark.conformance("A7")
async def test_a_flood_of_greetings_is_answered_and_changes_nothing(place):
    raw = await place.admitted()
    with bounded(4 * MIB):
        for start in range(0, 2_000, 100):
            raw.send(b"".join(cer(hop_by_hop_id=start + n) for n in range(100)))
            await place.serve()
            for _ in range(100):
                assert (await raw.receive()).command_code == 257
    assert place.connections == 2
    assert place.kit.clock.armed <= 4


async def test_many_names_are_not_all_remembered(place, monkeypatch):
    monkeypatch.setattr("ocs.diameter.node.CONNECTIONS_MAX", 16)
    for number in range(60):
        raw = await place.admitted(make_origin(f"x{number}.example.com", "example.com", 1))
        raw.writer.close()
        await until(lambda: place.connections == 1)
    assert len(place.kit.node.known) <= 16
    assert "good.example.com" in place.kit.node.known


@pytest.mark.conformance("A8")
async def test_a_flood_of_watchdogs_holds_nobody_up(place):
    raw = await place.admitted()
    with bounded(4 * MIB):
        for start in range(0, 5_000, 250):
            raw.send(b"".join(base_messages.dwr(ATTACKER, start + n, start + n) for n in range(250)))
            await place.serve()
            for _ in range(250):
                assert (await raw.receive()).command_code == 280
    assert place.kit.clock.armed <= 4


async def test_answers_that_nobody_asked_for_are_counted_and_forgotten(place):
    raw = await place.admitted()
    answers = [node_kit.request(272, [], flags=0x40, hop_by_hop_id=n) for n in range(1_000)]
    answers += [
        node_kit.request(code, [], flags=0, application_id=0, hop_by_hop_id=n)
        for n in range(500)
        for code in (280, 282)
    ]
    with bounded(4 * MIB):
        raw.send(b"".join(answers))
        await until(lambda: len(place.kit.notes.drops) == 2_000)
    assert set(place.kit.notes.drops) == {"unknown_answer"}
    assert place.connections == 2


@pytest.mark.conformance("I6")
async def test_a_peer_that_does_not_read_its_answers_is_held_back_and_cut_off(place, monkeypatch):
    monkeypatch.setattr("ocs.diameter.transports.tcp.DRAIN_TIMEOUT_S", 0.01)
    # Long answers, so that the buffers of the kernel are soon full.
    monkeypatch.setattr(node_kit, "SERVED", [*node_kit.SERVED, avp("Error-Message", "x" * 60_000)])
    raw = await place.admitted()
    transport = raw.writer.transport
    transport.pause_reading()
    many = b"".join(ccr(hop_by_hop_id=n) for n in range(20))
    sent = 0
    with bounded(8 * MIB):
        while transport.get_write_buffer_size() < 8 * len(many) and sent < 16 * MIB:
            raw.send(many)
            sent += len(many)
            await place.serve()
            place.kit.service.seen.clear()
    assert sent < 16 * MIB, "what it sends is not read any more"
    closed = asyncio.Event()
    monkeypatch.setattr(place.kit.notes, "closed", lambda *end: (place.kit.notes.ends.append(end), closed.set()))
    await place.outlive_watchdogs()
    await closed.wait()
    assert place.kit.notes.ends == [("attacker.example.com", "watchdog")]
    assert place.connections == 1


async def test_a_storm_of_reconnects_leaves_nothing_behind(place):
    with bounded(4 * MIB):
        for _ in range(150):
            raw = await place.kit.raw()
            raw.send(cer())
            assert (await raw.receive()).command_code == 257
            raw.writer.transport.abort()
            await until(lambda: place.connections == 1)
        await place.serve()
    assert list(place.kit.node.known) == ["good.example.com", "attacker.example.com"]
    assert place.kit.node.known["attacker.example.com"].connections == []
    assert place.kit.clock.armed <= 2


def room_for_files(count):
    """Raise the soft limit of open files, as far as the hard one lets; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


async def test_thousands_of_connections_are_refused_above_the_bound(place, monkeypatch):
    bound = CONNECTIONS_MAX if CONNECTIONS > CONNECTIONS_MAX else CONNECTIONS // 8
    monkeypatch.setattr("ocs.diameter.node.CONNECTIONS_MAX", bound)
    room_for_files(2 * bound + 1_000)  # both ends are ours
    kept = []
    refused = 0
    with bounded(64 * MIB):
        for _ in range(0, CONNECTIONS, 50):
            raws = [await place.kit.raw() for _ in range(50)]
            await place.serve()
            for raw in raws:
                if len(kept) < bound - 1:
                    kept.append(raw)
                else:
                    assert await raw.receive() is None
                    refused += 1
                    raw.writer.close()
    assert place.connections == bound
    assert refused == CONNECTIONS - bound + 1
    assert place.kit.notes.limits == ["connections"] * refused
    place.kit.clock.advance(CER_TIMEOUT_S)
    await until(lambda: place.connections == 1)
    assert place.kit.notes.ends == [("", "no_cer")] * (bound - 1)
    await place.admitted()
