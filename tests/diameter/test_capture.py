"""Captures are read as another implementation writes them, and written as it reads them."""

import io
import itertools
import random
import struct

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.utils import RawPcapReader, wrpcap, wrpcapng

from ocs.diameter import capture
from ocs.diameter.capture import CaptureError, packets
from ocs.diameter.capture_streams import CHUNKS_WAITING_MAX, SEGMENTS_WAITING_MAX, Streams, plausible
from ocs.diameter.wire import message_bytes
from tests.diameter.samples import avp, credit_control

GATEWAY, SERVER = "10.0.0.1", "10.0.0.2"
MESSAGES = [
    message_bytes(0xC0, 272, 4, number, number, b"".join([*credit_control(1, number), avp("User-Name", "x" * number)]))
    for number in range(1, 8)
]
STREAM = b"".join(MESSAGES)


def cuts(data, *places):
    edges = [0, *places, len(data)]
    return [(start, data[start:end]) for start, end in itertools.pairwise(edges)]


def segment(sequence, data, flags="PA", link=Ether):
    ip = IP(src=GATEWAY, dst=SERVER) / TCP(sport=40_000, dport=3868, seq=sequence & 0xFFFF_FFFF, flags=flags)
    return link() / ip / data


def read(file, streams=None):
    with file.open("rb") as source:
        return list((streams or Streams()).messages(packets(source)))


def read_packets(tmp_path, *frames, streams=None):
    file = tmp_path / "a.pcap"
    wrpcap(str(file), list(frames))
    return [captured.octets for captured in read(file, streams)]


@pytest.mark.parametrize("write", [wrpcap, wrpcapng])
def test_both_kinds_of_files_are_read(tmp_path, write):
    frames = [segment(7, b"", "S"), segment(8, MESSAGES[0])]
    for at, frame in zip((1_700_000_000, 1_700_000_001.5), frames, strict=True):
        frame.time = at
    file = tmp_path / "a.cap"
    write(str(file), frames)
    (captured,) = read(file)
    assert (captured.source, captured.destination) == ("10.0.0.1:40000", "10.0.0.2:3868")
    assert captured.octets == MESSAGES[0]
    assert captured.at_ns == 1_700_000_001_500_000_000


@pytest.mark.parametrize("first", [1000, 0xFFFF_FF00], ids=["plain", "the numbers begin again"])
def test_a_stream_is_put_together_however_it_was_cut(tmp_path, first):
    source = random.Random(first)
    for _ in range(30):
        pieces = cuts(STREAM, *sorted(source.sample(range(1, len(STREAM)), source.randint(0, 12))))
        frames = [segment(first + 1 + start, data) for start, data in pieces]
        frames += source.sample(frames, min(3, len(frames)))  # sent again
        start = segment(first, b"", "S")
        if source.random() < 0.7:
            source.shuffle(frames)
        assert read_packets(tmp_path, start, *frames) == MESSAGES


def test_segments_that_overlap_bring_each_octet_once(tmp_path):
    half = len(STREAM) // 2
    frames = [segment(1, STREAM[:half]), segment(1, STREAM[: half + 50]), segment(half - 20, STREAM[half - 21 :])]
    assert read_packets(tmp_path, segment(0, b"", "S"), *frames) == MESSAGES


def test_a_stream_that_had_begun_before_and_one_with_a_hole_are_picked_up(tmp_path):
    tail = MESSAGES[0][-40:]
    assert read_packets(tmp_path, segment(500, tail), segment(540, MESSAGES[1])) == [MESSAGES[1]]
    ends = list(itertools.accumulate(map(len, MESSAGES)))
    frames = [segment(1 + start, data) for start, data in cuts(STREAM, *ends[:-1], ends[-2] + 20)]
    del frames[2]
    assert read_packets(tmp_path, segment(0, b"", "S"), *frames) == [*MESSAGES[:2], *MESSAGES[3:]]


def test_a_message_whose_middle_is_missing_does_not_spoil_the_next(tmp_path):
    begin, end = MESSAGES[0][:100], MESSAGES[0][200:]
    frames = [segment(0, b"", "S"), segment(1, begin), segment(201, end), segment(1 + len(MESSAGES[0]), MESSAGES[1])]
    assert read_packets(tmp_path, *frames) == [MESSAGES[1]]


def test_the_longer_of_two_segments_that_wait_counts(tmp_path):
    first, rest = STREAM[:100], STREAM[100:]
    frames = [segment(0, b"", "S"), segment(101, rest[:50]), segment(101, rest), segment(1, first)]
    assert read_packets(tmp_path, *frames) == MESSAGES
    frames = [segment(0, b"", "S"), segment(101, rest), segment(101, rest[:50]), segment(1, first)]
    assert read_packets(tmp_path, *frames) == MESSAGES


def test_ports_that_are_used_again_are_a_new_stream(tmp_path):
    frames = [segment(0, b"", "S"), segment(1, MESSAGES[0]), segment(0, b"", "S"), segment(1, MESSAGES[1])]
    assert read_packets(tmp_path, *frames) == MESSAGES[:2]


@pytest.mark.parametrize(("resolution", "ticks"), [(9, 1_500_000_001), (3, 1_500), (0x80 | 1, 3)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_times_of_an_interface_have_its_resolution(resolution, ticks, order):
    def block(kind, body):
        length = struct.pack(f"{order}I", len(body) + 12)
        return struct.pack(f"{order}I", kind) + length + body + length

    packet = bytes(segment(1, MESSAGES[0]))
    packet += bytes(-len(packet) % 4)
    file = b"".join(
        (
            block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)),
            block(1, struct.pack(f"{order}HHIHHBxxxHH", 1, 0, 0, 9, 1, resolution, 0, 0)),
            block(5, bytes(12)),  # statistics: nobody's business
            block(6, struct.pack(f"{order}IIIII", 0, 0, ticks, len(packet), len(packet)) + packet),
        )
    )
    (found,) = packets(io.BytesIO(file))
    assert found.at_ns == (1_500_000_001 if resolution == 9 else 1_500_000_000)
    assert found.octets == packet


def test_what_waits_for_a_missing_segment_is_bounded():
    streams = Streams()
    count = SEGMENTS_WAITING_MAX + 1
    frames = [segment(0, b"", "S"), *(segment(10_000 * n, MESSAGES[0]) for n in range(1, count + 1))]
    found = list(streams.messages(capture.Packet(0, 1, bytes(frame)) for frame in frames))
    (stream,) = streams._tcp.values()
    assert len(found) == count
    assert not stream._waiting
    chunks = Streams()
    sctp = [SCTPChunkData(tsn=2 * n, beginning=1, ending=0, data=b"x") for n in range(CHUNKS_WAITING_MAX + 9)]
    made = [capture.Packet(0, 101, bytes(IP() / SCTP(tag=1) / chunk)) for chunk in sctp]
    assert list(chunks.messages(made)) == []
    (stream,) = chunks._sctp.values()
    assert len(stream._waiting) == CHUNKS_WAITING_MAX


@pytest.mark.parametrize(
    ("link_type", "head"),
    [
        (1, Ether() / IP(src=GATEWAY, dst=SERVER)),
        (1, Ether() / Dot1Q(vlan=7) / Dot1Q(vlan=8) / IPv6(src="2001:db8::1", dst="2001:db8::2")),
        (101, IP(src=GATEWAY, dst=SERVER)),
        (113, CookedLinux(proto=0x0800) / IP(src=GATEWAY, dst=SERVER)),
    ],
    ids=["ethernet", "vlans and IPv6", "raw", "cooked"],
)
def test_links_are_unwrapped(link_type, head):
    packet = head / TCP(sport=1, dport=2, seq=1, flags="PA") / MESSAGES[0]
    (found,) = Streams().messages([capture.Packet(5, link_type, bytes(packet))])
    assert found.octets == MESSAGES[0]
    assert found.source in {"10.0.0.1:1", "[2001:db8::1]:1"}


def test_chunks_of_sctp_are_put_together_once(tmp_path):
    def chunk(number, data, begin, end):
        return SCTPChunkData(tsn=number, beginning=begin, ending=end, proto_id=46, data=data)

    whole, long = MESSAGES[0], MESSAGES[6]
    parts = [chunk(11, long[:100], 1, 0), chunk(12, long[100:200], 0, 0), chunk(13, long[200:], 0, 1)]
    ip = IP(src=GATEWAY, dst=SERVER)
    frames = [
        Ether() / ip / SCTP(sport=1, dport=3868, tag=9) / chunk(10, whole, 1, 1) / parts[2],
        Ether() / ip / SCTP(sport=1, dport=3868, tag=9) / parts[0],
        Ether() / IP(src="10.1.0.1", dst="10.1.0.2") / SCTP(sport=1, dport=3868, tag=9) / chunk(10, whole, 1, 1),
        Ether() / IP(src="10.1.0.1", dst="10.1.0.2") / SCTP(sport=1, dport=3868, tag=9) / parts[1],
    ]
    assert read_packets(tmp_path, *frames) == [whole, long]


def test_what_is_no_diameter_is_passed_over(tmp_path):
    streams = Streams()
    http = segment(1, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
    pieces = fragment(IP(src=GATEWAY, dst=SERVER) / TCP(seq=1) / (MESSAGES[0] * 4), 600)
    assert read_packets(tmp_path, http, *(Ether() / piece for piece in pieces), streams=streams) == []
    assert streams.passed_over == len(pieces)
    assert not plausible(MESSAGES[0][:19])
    assert not plausible(b"\2" + MESSAGES[0][1:])


def test_what_is_written_is_read_by_others_and_by_us(tmp_path):
    file = tmp_path / "trace.pcap"
    records = [
        capture.record(1_700_000_000_000_000_001, "10.0.0.1:40000", "10.0.0.2+10.1.0.2:3868", "sctp", MESSAGES[0]),
        capture.record(1_700_000_001_000_000_000, "[2001:db8::2]:3868", "[2001:db8::1]:5", "tls", bytes(MESSAGES[1])),
    ]
    file.write_bytes(capture.file_header() + b"".join(records))
    with RawPcapReader(str(file)) as reader:
        assert (reader.linktype, reader.nano) == (252, True)
        raw = [(data, meta) for data, meta in reader]
    assert [(meta.sec, meta.usec) for _, meta in raw] == [(1_700_000_000, 1), (1_700_000_001, 0)]
    first = raw[0][0]
    assert first.startswith(
        struct.pack(">HH8s", 12, 8, b"diameter") + struct.pack(">HH4s", 20, 4, bytes([10, 0, 0, 1]))
    )
    assert first.endswith(bytes(4) + MESSAGES[0])
    found = read(file)
    assert [(one.at_ns, one.source, one.destination, one.octets) for one in found] == [
        (1_700_000_000_000_000_001, "10.0.0.1:40000", "10.0.0.2:3868", MESSAGES[0]),
        (1_700_000_001_000_000_000, "[2001:db8::2]:3868", "[2001:db8::1]:5", MESSAGES[1]),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither a pcap nor"),
        (b"text", "neither a pcap nor"),
        (b"\x1f\x8b\x08\x00", "gunzip"),
        (capture.file_header()[:10], "ends in the middle"),
        (capture.file_header() + b"\0" * 7, "ends in the middle"),
        (capture.file_header() + struct.pack(">IIII", 0, 0, 1 << 30, 1 << 30), "damaged"),
        (b"\x0a\x0d\x0d\x0a" + bytes(8), "byte order"),
        (b"\x0a\x0d\x0d\x0a\0\0\0\7\x1a\x2b\x3c\x4d", "impossible length"),
        (struct.pack(">4sIIIII", b"\x0a\x0d\x0d\x0a", 16, 0x1A2B3C4D, 16, 6, 12) + bytes(4), "damaged"),
    ],
)
def test_a_file_that_is_none_is_refused(data, why):
    with pytest.raises(CaptureError, match=why):
        list(packets(io.BytesIO(data)))


def test_any_damage_is_an_error_or_fewer_messages(tmp_path):
    file = tmp_path / "a.pcapng"
    wrpcapng(str(file), [segment(1 + start, data) for start, data in cuts(STREAM, 300, 700, 1500)])
    good = file.read_bytes()
    source = random.Random(5)
    outcomes = set()
    for _ in range(400):
        data = bytearray(good)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            outcomes.add(len(list(Streams().messages(packets(io.BytesIO(data))))) <= len(MESSAGES))
        except CaptureError:
            outcomes.add("error")
    assert outcomes == {True, "error"}
