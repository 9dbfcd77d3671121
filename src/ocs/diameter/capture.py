"""Captures of packets: pcap and pcapng files to packets, and Diameter messages to a pcap file. Pure.

What is written has the link type of exported PDUs (LINKTYPE_WIRESHARK_UPPER_PDU): a message with its addresses and
"diameter" as its dissector, whatever the port and the transport was, and however long it is. Nothing of TCP, SCTP or
TLS is invented around it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import BinaryIO, Final

import msgspec

EXPORTED_PDU: Final = 252
PACKET_OCTETS_MAX: Final = 16 * 1_048_576
"""No tool cuts packets longer than this; a longer one is a damaged file."""

_SECOND_NS: Final = 1_000_000_000
_SNAPLEN: Final = 262_144
_MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_NG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
_NG_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_TSRESOL: Final = 9

TAG_END, TAG_DISSECTOR, TAG_PORT_TYPE, TAG_SOURCE_PORT, TAG_DESTINATION_PORT = 0, 12, 24, 25, 26
TAG_SOURCE: Final = {4: 20, 6: 22}
TAG_DESTINATION: Final = {4: 21, 6: 23}
PORT_TYPES: Final = {"sctp": 1, "tcp": 2, "tls": 2}


class CaptureError(Exception):
    """The file is no capture, or damaged; the message says what is wrong with it."""


class Packet(msgspec.Struct, frozen=True):
    """One packet: when (Unix time), the LINKTYPE of its first octets, and whether all of it was captured."""

    at_ns: int
    link_type: int
    octets: bytes
    whole: bool = True


def packets(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a pcap (microseconds or nanoseconds) or pcapng file, in its order. Raises CaptureError."""
    magic = file.read(4)
    if magic == _NG_MAGIC:
        yield from _blocks(file)
    elif magic in _MAGICS:
        yield from _records(file, *_MAGICS[magic])
    elif magic[:2] == b"\x1f\x8b":
        raise CaptureError("it is compressed: unpack it with gunzip")
    else:
        raise CaptureError("it is neither a pcap nor a pcapng file")


def _records(file: BinaryIO, order: str, ns: int) -> Iterator[Packet]:
    link_type = struct.unpack(f"{order}I", _read(file, 20)[16:])[0] & 0xFFFF
    header = struct.Struct(f"{order}IIII")
    while head := file.read(16):
        seconds, fraction, length, original = header.unpack(head + _read(file, 16 - len(head)))
        yield Packet(seconds * _SECOND_NS + fraction * ns, link_type, _read(file, length), length == original)


def _blocks(file: BinaryIO) -> Iterator[Packet]:
    """RFC draft-ietf-opsawg-pcapng: sections, the interfaces of each, packets that name theirs."""
    order, interfaces, last_ns = ">", [(0, 1)], 0
    kind = _NG_MAGIC
    while kind:
        kind += _read(file, 4 - len(kind))
        length_octets = _read(file, 4)
        if kind == _NG_MAGIC:
            magic = _read(file, 4)
            if magic not in _NG_ORDERS:
                raise CaptureError("a section has no byte order")
            order, interfaces = _NG_ORDERS[magic], []
            body = magic + _read(file, _body(order, length_octets) - 4)
        else:
            body = _read(file, _body(order, length_octets))
        _read(file, 4)
        number = struct.unpack(f"{order}I", kind)[0]
        try:
            if number == _INTERFACE:
                interfaces.append(_interface(order, body))
            elif number in (_PACKET, _OLD_PACKET):
                packet = _packet(order, body, interfaces, old=number == _OLD_PACKET)
                last_ns = packet.at_ns
                yield packet
            elif number == _SIMPLE_PACKET:
                (original,) = struct.unpack_from(f"{order}I", body)
                yield Packet(last_ns, interfaces[0][0], body[4 : 4 + original], original <= len(body) - 4)
        except (struct.error, IndexError):
            raise CaptureError("a block of it is damaged") from None
        kind = file.read(4)


def _body(order: str, length: bytes) -> int:
    octets = int(struct.unpack(f"{order}I", length)[0]) - 12
    if octets < 0 or octets % 4:
        raise CaptureError("a block of it has an impossible length")
    return octets


def _interface(order: str, body: bytes) -> tuple[int, int]:
    """(link type, units of its times in a second)."""
    (link_type,) = struct.unpack_from(f"{order}H", body)
    at, units = 8, 1_000_000
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        if code == 0:
            break
        if code == _TSRESOL and length == 1:
            value = body[at + 4]
            units = 2 ** (value & 0x7F) if value & 0x80 else 10 ** (value & 0x7F)
        at += 4 + length + (-length & 3)
    return link_type, units


def _packet(order: str, body: bytes, interfaces: list[tuple[int, int]], *, old: bool) -> Packet:
    interface, high, low, length, original = struct.unpack_from(f"{order}IIIII", body)
    if old:  # the number of the interface, then how many packets were dropped
        (interface,) = struct.unpack_from(f"{order}H", body)
    if length > len(body) - 20:
        raise CaptureError("a packet of it is longer than its block")
    link_type, units = interfaces[interface]
    at_ns = (high << 32 | low) * _SECOND_NS // units
    return Packet(at_ns, link_type, body[20 : 20 + length], length == original)


def _read(file: BinaryIO, octets: int) -> bytes:
    if octets > PACKET_OCTETS_MAX:
        raise CaptureError(f"a packet of it has {octets} octets, so it is damaged")
    data = file.read(octets)
    if len(data) < octets:
        raise CaptureError("it ends in the middle of a packet")
    return data


def file_header() -> bytes:
    """The beginning of a pcap file with times in nanoseconds, whose packets are exported PDUs."""
    return struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _SNAPLEN, EXPORTED_PDU)


def record(at_ns: int, source: str, destination: str, transport: str, message: bytes) -> bytes:
    """One Diameter message as a packet of such a file; source, destination: "host:port", "[host]:port"."""
    (source_host, source_port), (destination_host, destination_port) = _endpoint(source), _endpoint(destination)
    data = b"".join(
        (
            _tag(TAG_DISSECTOR, b"diameter"),
            _tag(TAG_SOURCE[source_host.version], source_host.packed),
            _tag(TAG_DESTINATION[destination_host.version], destination_host.packed),
            _tag(TAG_PORT_TYPE, PORT_TYPES.get(transport, 0).to_bytes(4)),
            _tag(TAG_SOURCE_PORT, source_port.to_bytes(4)),
            _tag(TAG_DESTINATION_PORT, destination_port.to_bytes(4)),
            _tag(TAG_END, b""),
            message,
        )
    )
    seconds, ns = divmod(at_ns, _SECOND_NS)
    return struct.pack(">IIII", seconds, ns, len(data), len(data)) + data


def _tag(number: int, value: bytes) -> bytes:
    return struct.pack(">HH", number, len(value)) + value + bytes(-len(value) & 3)


def _endpoint(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    host, _, port = text.rpartition(":")
    # An association shows all its addresses; the first stands for it.
    return ip_address(host.partition("+")[0].strip("[] ")), int(port)
