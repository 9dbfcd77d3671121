"""What of SCTP needs no kernel that has it: layouts, messages, and what is said where it is missing.

The rest runs inside a kernel with SCTP: tests/uml/guest.
"""

import asyncio
import errno
import socket
import struct
from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ocs.config.settings import Connect, Listener, PeerRule, Transport
from ocs.diameter.errors import FramingLost
from ocs.diameter.node import Node
from ocs.diameter.transports import TransportMissing, sctp, sctp_socket
from ocs.diameter.transports.sctp_socket import Association, Path, read_notification
from ocs.diameter.wire import encode_header, split_frames
from ocs.nms.metrics import Metrics
from tests.diameter.node_kit import FakeClock, Notes, Service, settings, until

# Layouts are those of <linux/sctp.h>: type, flags, length, then the event's own.


def association_change(state):
    return struct.pack("=HHIHHHHi", 0x8001, 0, 20, state, 0, 10, 10, 1)


def address_change(family, address, state):
    return struct.pack("=HHI128siii", 0x8002, 0, 148, struct.pack("=H", family) + address, state, 0, 1)


IPV4 = (socket.AF_INET, struct.pack("!H4s", 3868, socket.inet_aton("10.9.1.2")))
IPV6 = (socket.AF_INET6, struct.pack("!HI16s", 3868, 0, socket.inet_pton(socket.AF_INET6, "2001:db8::1")))
MAPPED = (socket.AF_INET6, struct.pack("!HI16s", 3868, 0, socket.inet_pton(socket.AF_INET6, "::ffff:10.9.1.2")))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (association_change(0), Association.GOES_ON),
        (association_change(1), Association.OVER),
        (association_change(2), Association.OVER),
        (association_change(3), Association.OVER),
        (association_change(4), Association.OVER),
        (address_change(*IPV4, 0), Path(ip_address("10.9.1.2"), "available")),
        (address_change(*IPV4, 1), Path(ip_address("10.9.1.2"), "unreachable")),
        (address_change(*IPV6, 5), Path(ip_address("2001:db8::1"), "confirmed")),
        (address_change(*MAPPED, 1), Path(ip_address("10.9.1.2"), "unreachable")),
        (address_change(*IPV4, 99), Path(ip_address("10.9.1.2"), "99")),
        (struct.pack("=HHI", 0x8005, 0, 12) + bytes(4), Association.GOES_ON),
        (struct.pack("=HHI", 0x8006, 0, 24) + bytes(16), Association.TORN),
        (struct.pack("=HHI", 0x8001, 0, 8), Association.GOES_ON),
    ],
)
def test_notifications(data, expected):
    assert read_notification(data) == expected


def test_addresses_are_packed_one_after_the_other():
    packed = sctp_socket._packed([("10.9.1.2", 3868), ("fe80::1%lo", 3869, 0, 7)])
    assert packed[:16] == struct.pack("=H", socket.AF_INET) + b"\x0f\x1c\x0a\x09\x01\x02" + bytes(8)
    assert packed[16:] == (
        struct.pack("=H", socket.AF_INET6) + b"\x0f\x1d" + bytes(4) + b"\xfe\x80" + bytes(13) + b"\1" + b"\7\0\0\0"
    )


# Messages


@given(st.one_of(st.binary(max_size=60), st.integers(0, 16).map(lambda n: encode_header(0x80, 272, 4, 1, 2, n * 4))))
def test_a_message_is_whole_where_a_stream_would_hold_just_this_one(data):
    try:
        buffer = bytearray(data)
        whole = split_frames(buffer, 65_536) == [data] and not buffer
    except FramingLost:
        whole = False
    assert (sctp.fault_of(data) is None) == whole


@pytest.mark.parametrize(
    ("data", "code", "limit"),
    [
        (b"\x01\0\0\x14", 5015, ""),
        (encode_header(0x80, 272, 4, 1, 2, 0, version=2), 5011, ""),
        (encode_header(0x80, 272, 4, 1, 2, 4), 5015, ""),
        (encode_header(0x80, 272, 4, 1, 2, 65_520), 5015, "message_octets"),
        (encode_header(0x80, 272, 4, 1, 2, 0) + bytes(70_000), 5015, "message_octets"),
    ],
)
def test_what_is_wrong_with_a_message(data, code, limit):
    lost = sctp.fault_of(data)
    assert (lost.result_code, lost.limit, len(lost.header)) == (code, limit, 20)


# A kernel without SCTP


@pytest.fixture(params=[errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT])
def without_sctp(request, monkeypatch):
    make = socket.socket

    def refuse(family=-1, kind=-1, protocol=-1, fileno=None):
        if protocol == sctp_socket.IPPROTO_SCTP:
            raise OSError(request.param, "no such protocol")
        return make(family, kind, protocol, fileno)

    monkeypatch.setattr(sctp_socket.socket, "socket", refuse)


def node_with(notes, *listeners, peers=()):
    configuration = msgspec.structs.replace(settings(*peers), listeners=listeners)
    return Node(configuration, [Service()], notes, origin_state_id=1, clock=FakeClock(), jitter_ns=lambda: 0)


@pytest.mark.conformance("A38")
async def test_where_the_kernel_has_none_the_start_is_refused_and_the_cure_named(without_sctp):
    listener = Listener(Transport.SCTP, "127.0.0.1", 3868, ("127.0.0.2",))
    node = node_with(Notes(), Listener(Transport.TCP, "127.0.0.1", 0), listener)
    with pytest.raises(OSError, match="modprobe sctp") as caught:
        await node.start()
    assert "127.0.0.1+127.0.0.2:3868/sctp" in str(caught.value)
    assert "`optional: true`" in str(caught.value)
    assert node.listening == [], "the other listener is closed again"
    await node.stop()


@pytest.mark.conformance("A38")
async def test_where_the_kernel_has_none_an_optional_listener_is_left_out(without_sctp):
    notes = Notes()
    node = node_with(
        notes,
        Listener(Transport.SCTP, "127.0.0.1", 3868, optional=True),
        Listener(Transport.TCP, "127.0.0.1", 0),
    )
    with capture_logs() as logs:
        await node.start()
    (told,) = [log for log in logs if log["event"] == "listener_missing"]
    assert (told["transport"], told["address"], told["log_level"]) == ("sctp", "127.0.0.1:3868", "warning")
    assert "modprobe sctp" in told["reason"]
    assert notes.listeners == [("sctp", "127.0.0.1:3868", False), ("tcp", "127.0.0.1:0", True)]
    assert len(node.listening) == 1
    await node.stop()


async def test_optional_covers_nothing_else(monkeypatch):
    def busy(addresses, backlog):
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(sctp, "listening_socket", busy)
    node = node_with(Notes(), Listener(Transport.SCTP, "127.0.0.1", 3868, optional=True))
    with pytest.raises(OSError, match="in use"):
        await node.start()
    await node.stop()


async def test_a_listen_that_the_kernel_cannot_do_is_a_kernel_without_sctp(monkeypatch):
    monkeypatch.setattr(sctp_socket, "_socket", lambda addresses, cure: Unable())
    with pytest.raises(TransportMissing, match="modprobe sctp"):
        await sctp.listen(["127.0.0.1"], 3868, lambda link: None)


class Unable:
    """SCTP without its cookie's hash: everything but listen() works."""

    family = socket.AF_INET

    def setsockopt(self, *_):
        pass

    def bind(self, _):
        pass

    def listen(self, _):
        raise OSError(errno.ENOSYS, "Function not implemented")

    def close(self):
        pass


async def test_a_connection_of_ours_says_why_there_is_none(without_sctp):
    with pytest.raises(OSError, match="modprobe sctp") as caught:
        await sctp.connect(["127.0.0.1"], 3868, lambda link: None)
    assert "optional" not in str(caught.value)
    rule = PeerRule("far.example.com", (), connect=Connect(("127.0.0.1",), 3868, Transport.SCTP))
    node = node_with(Notes(), Listener(Transport.TCP, "127.0.0.1", 0), peers=[rule])
    with capture_logs() as logs:
        await node.start()
        await until(lambda: any(log["event"] == "connect_failed" for log in logs))
    assert any("modprobe sctp" in log.get("why", "") for log in logs)
    await node.stop()


def test_metrics_tell_of_listeners_and_paths():
    metrics = Metrics()
    metrics.diameter.listener("sctp", "127.0.0.1:3868", up=False)
    metrics.diameter.path("gw.example.com", "unreachable")
    value = metrics.registry.get_sample_value
    assert value("ocs_diameter_listener_up", {"transport": "sctp", "address": "127.0.0.1:3868"}) == 0
    assert value("ocs_sctp_path_changes_total", {"state": "unreachable"}) == 1


# A link on a socket that plays a part


class Part:
    """A connected socket that hands out what a test says."""

    def __init__(self, *received):
        self.received = list(received)
        self.sent = []

    def recvmsg(self, _):
        if not self.received:
            raise BlockingIOError
        data, flags = self.received.pop(0)
        return data, [], flags, None

    def getpeername(self):
        return "127.0.0.1", 2

    def getsockname(self):
        return "127.0.0.1", 1

    def fileno(self):
        return 0

    def close(self):
        pass


EOR = int(socket.MSG_EOR)
FRAME = encode_header(0x80, 280, 0, 1, 2, 0)


class Taken:
    def __init__(self):
        self.frames = []
        self.ends = 0

    def frames_received(self, frames):
        self.frames += frames

    def disconnected(self):
        self.ends += 1


@pytest.fixture
def link(monkeypatch):
    here = [ip_address("127.0.0.1")]
    monkeypatch.setattr(sctp, "peer_addresses", lambda _: here)
    monkeypatch.setattr(sctp, "local_addresses", lambda _: here)

    def link(*received):
        made = sctp.SctpLink(Part(*received))
        made._handler = Taken()
        return made

    return link


async def test_what_was_torn_is_forgotten(link):
    torn = struct.pack("=HHI", 0x8006, 0, 24) + bytes(16)
    made = link((FRAME[:12], 0), (torn, sctp_socket.MSG_NOTIFICATION | EOR), (FRAME, EOR))
    made._readable()
    assert made._handler.frames == [FRAME]


async def test_a_restart_of_the_peer_is_the_end(link):
    made = link((FRAME, EOR), (association_change(2), sctp_socket.MSG_NOTIFICATION | EOR), (FRAME, EOR))
    taken = made._handler
    made._readable()
    await asyncio.sleep(0)
    assert (taken.frames, taken.ends) == ([FRAME], 1)
    assert not made.write(FRAME)


async def test_one_turn_takes_a_bounded_number_of_messages(link):
    made = link(*[(FRAME, EOR)] * (sctp.READ_BATCH + 1))
    made._readable()
    assert len(made._handler.frames) == sctp.READ_BATCH
