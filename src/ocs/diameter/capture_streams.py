"""Diameter messages out of captured packets: links, IPv4 and IPv6, streams of TCP, chunks of SCTP. Pure.

Every port is looked at, and what does not look like Diameter is passed over. A stream whose packets are missing is
picked up again at the next packet that begins with a message.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Final

import msgspec

from ocs.diameter import capture
from ocs.diameter.capture import Packet
from ocs.diameter.errors import FramingLost
from ocs.diameter.wire import HEADER_OCTETS, VERSION, split_frames
from ocs.limits import MESSAGE_OCTETS_MAX

SEGMENTS_WAITING_MAX: Final = 256
"""So many segments of a stream wait for one that is missing."""
CHUNKS_WAITING_MAX: Final = 1_024
_SEEN_MAX: Final = 4_096
_TCP, _SCTP, _FRAGMENT = 6, 132, 44
_IPV6_OPTIONS: Final = frozenset({0, 43, 60})
_VLAN_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_IP_TYPES: Final = frozenset({0x0800, 0x86DD})
_MASK: Final = 0xFFFF_FFFF
_SYN, _FIN, _RST = 2, 1, 4
_DATA: Final = 0
_BEGIN, _END = 2, 1


class Captured(msgspec.Struct, frozen=True):
    """One Diameter message; source, destination: "host:port"."""

    at_ns: int
    source: str
    destination: str
    octets: bytes


class Streams:
    """Takes packets in their order and gives messages. `passed_over`: packets of which nothing could be read."""

    def __init__(self) -> None:
        self.passed_over = 0
        self._tcp: dict[tuple[str, str], _TcpStream] = {}
        self._sctp: dict[tuple[str, str, int], _SctpStream] = {}

    def messages(self, packets: Iterable[Packet]) -> Iterator[Captured]:
        """All messages, in the order in which they were complete."""
        for packet in packets:
            if packet.link_type == capture.EXPORTED_PDU:
                yield from self._exported(packet)
                continue
            ip = _LINKS.get(packet.link_type, _no_ip)(packet.octets)
            transported = None if ip is None else _transported(ip)
            if transported is None:
                self.passed_over += 1
                continue
            protocol, source, destination, data = transported
            taker = self._segment if protocol == _TCP else self._chunks
            try:
                yield from taker(packet.at_ns, source, destination, data)
            except struct.error:
                self.passed_over += 1
        for key, stream in self._tcp.items():
            for frame in stream.rest():
                yield Captured(stream.at_ns, *key, frame)

    def _segment(self, at_ns: int, source: str, destination: str, data: bytes) -> Iterator[Captured]:
        source_port, destination_port, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data)
        key = _named(source, source_port), _named(destination, destination_port)
        stream = self._tcp.get(key)
        if stream is None or flags & _SYN:
            stream = self._tcp[key] = _TcpStream(sequence + 1 & _MASK if flags & _SYN else None)
        stream.at_ns = at_ns
        for frame in stream.take(sequence, data[(offset >> 4) * 4 :]):
            yield Captured(at_ns, *key, frame)

    def _chunks(self, at_ns: int, source: str, destination: str, data: bytes) -> Iterator[Captured]:
        source_port, destination_port, tag = struct.unpack_from("!HHI", data)
        key = _named(source, source_port), _named(destination, destination_port)
        # By the tag, not by addresses: an association may have several.
        stream = self._sctp.setdefault((str(source_port), str(destination_port), tag), _SctpStream())
        at = 12
        while at + 4 <= len(data):
            kind, flags, length = struct.unpack_from("!BBH", data, at)
            if length < 4:
                break
            if kind == _DATA and length > 16:
                (number,) = struct.unpack_from("!I", data, at + 4)
                for message in stream.take(number, flags, data[at + 16 : at + length]):
                    if plausible(message):
                        yield Captured(at_ns, *key, message)
            at += length + (-length & 3)

    def _exported(self, packet: Packet) -> Iterator[Captured]:
        tags: dict[int, bytes] = {}
        at, data = 0, packet.octets
        while at + 4 <= len(data):
            number, length = struct.unpack_from("!HH", data, at)
            tags[number] = data[at + 4 : at + 4 + length]
            at += 4 + length + (-length & 3)
            if number == capture.TAG_END:
                break
        if tags.get(capture.TAG_DISSECTOR) != b"diameter" or not plausible(data[at:]):
            self.passed_over += 1
            return
        names = []
        for hosts, port in (
            (capture.TAG_SOURCE, capture.TAG_SOURCE_PORT),
            (capture.TAG_DESTINATION, capture.TAG_DESTINATION_PORT),
        ):
            host = next((tags[number] for number in hosts.values() if number in tags), bytes(4))
            names.append(_named(_address(host), int.from_bytes(tags.get(port, b""))))
        yield Captured(packet.at_ns, names[0], names[1], data[at:])


class _TcpStream:
    """One direction of a connection. next: the number of the octet that comes next, None: not known yet."""

    def __init__(self, following: int | None) -> None:
        self.next = following
        self.at_ns = 0
        self._buffer = bytearray()
        self._waiting: dict[int, bytes] = {}

    def take(self, sequence: int, data: bytes) -> Iterator[bytes]:
        """Messages that are complete with this segment."""
        if not data:
            return
        if self.next is None:
            if not plausible(data):
                return
            self.next = sequence
        known = self._waiting.get(sequence)
        if known is None or len(known) < len(data):
            self._waiting[sequence] = data
        yield from self._go_on()
        if len(self._waiting) > SEGMENTS_WAITING_MAX:
            yield from self._jump()

    def rest(self) -> Iterator[bytes]:
        """What can still be read when no more segments come."""
        while self._waiting:
            yield from self._jump()

    def _go_on(self) -> Iterator[bytes]:
        following = self.next
        assert following is not None
        while True:
            # Not after what comes next: less than half of all numbers behind it. The farthest first.
            behind = {sequence: following - sequence & _MASK for sequence in self._waiting}
            ready = [sequence for sequence, distance in behind.items() if distance <= _MASK >> 1]
            if not ready:
                break
            for sequence in sorted(ready, key=behind.__getitem__, reverse=True):
                fresh = self._waiting.pop(sequence)[following - sequence & _MASK :]
                self._buffer += fresh
                following = following + len(fresh) & _MASK
        self.next = following
        try:
            yield from split_frames(self._buffer, MESSAGE_OCTETS_MAX)
        except FramingLost as lost:
            yield from lost.frames
            self.next = None

    def _jump(self) -> Iterator[bytes]:
        """A segment is missing for good: go on at the next one that begins with a message."""
        origin = 0 if self.next is None else self.next
        self._buffer.clear()
        for sequence in sorted(self._waiting, key=lambda number: number - origin & _MASK):
            if plausible(self._waiting[sequence]):
                self.next = sequence
                yield from self._go_on()
                return
            del self._waiting[sequence]
        self.next = None


class _SctpStream:
    """One direction of an association: fragments are put together by their numbers, repeats are left out."""

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._waiting: dict[int, tuple[int, bytes]] = {}

    def take(self, number: int, flags: int, data: bytes) -> list[bytes]:
        """The message that is complete with this chunk, if one is."""
        if number in self._seen:
            return []
        self._seen[number] = None
        if len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        if flags & _BEGIN and flags & _END:
            return [data]
        self._waiting[number] = (flags, data)
        if len(self._waiting) > CHUNKS_WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        first = last = number
        while not self._waiting[first][0] & _BEGIN:
            first = first - 1 & _MASK
            if first not in self._waiting:
                return []
        while not self._waiting[last][0] & _END:
            last = last + 1 & _MASK
            if last not in self._waiting:
                return []
        count = (last - first & _MASK) + 1
        return [b"".join(self._waiting.pop(first + index & _MASK)[1] for index in range(count))]


def plausible(data: bytes) -> bool:
    """Whether octets look like the beginning of a Diameter message (RFC 6733 3)."""
    if len(data) < HEADER_OCTETS or data[0] != VERSION:
        return False
    length = int.from_bytes(data[1:4])
    return HEADER_OCTETS <= length <= MESSAGE_OCTETS_MAX and length % 4 == 0 and data[4] & 0x0F == 0


def _ethernet(data: bytes) -> bytes | None:
    at = 12
    while int.from_bytes(data[at : at + 2]) in _VLAN_TAGS:
        at += 4
    return data[at + 2 :] if int.from_bytes(data[at : at + 2]) in _IP_TYPES else None


def _cooked(data: bytes) -> bytes | None:
    return data[16:] if int.from_bytes(data[14:16]) in _IP_TYPES else None


def _cooked_2(data: bytes) -> bytes | None:
    return data[20:] if int.from_bytes(data[:2]) in _IP_TYPES else None


def _loopback(data: bytes) -> bytes | None:
    return data[4:]


def _raw(data: bytes) -> bytes | None:
    return data


def _no_ip(_data: bytes) -> bytes | None:
    return None


_LINKS: Final[dict[int, Callable[[bytes], bytes | None]]] = {
    0: _loopback,  # NULL
    1: _ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: _loopback,  # LOOP
    113: _cooked,  # LINUX_SLL
    228: _raw,  # IPV4
    229: _raw,  # IPV6
    276: _cooked_2,  # LINUX_SLL2
}


def _transported(data: bytes) -> tuple[int, str, str, bytes] | None:
    """(protocol, source, destination, content) of a whole IP packet with TCP or SCTP in it."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        length, _, fragment = struct.unpack_from("!HHH", data, 2)
        if fragment & 0x3FFF:  # not whole: neither more fragments nor an offset
            return None
        protocol, content = data[9], data[(data[0] & 15) * 4 : length or None]  # 0: cut up by the network card
        source, destination = data[12:16], data[16:20]
    elif version == 6 and len(data) >= 40:
        length, protocol = struct.unpack_from("!HB", data, 4)
        content = data[40 : 40 + length] if length else data[40:]
        source, destination = data[8:24], data[24:40]
        while protocol in _IPV6_OPTIONS and len(content) >= 8:
            protocol, content = content[0], content[(content[1] + 1) * 8 :]
    else:
        return None
    if protocol not in (_TCP, _SCTP):
        return None
    return protocol, _address(source), _address(destination), content


def _address(packed: bytes) -> str:
    try:
        return str(ip_address(packed))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - of a message without addresses


def _named(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
