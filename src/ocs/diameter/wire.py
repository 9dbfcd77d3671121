"""Octets to messages and back (RFC 6733 3 and 4): framing, header, AVPs. Pure; nothing here knows a peer or a clock.

Every length is checked against what is really there before it is used, reserved bits are ignored and kept, padding is
neither counted nor looked at. What cannot be read ends in a `PeerError` with the Result-Code to answer.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from ocs.diameter.dictionary import minimum_octets
from ocs.diameter.errors import FramingLost, PeerError, UsageError
from ocs.diameter.result_codes import ResultCode
from ocs.limits import AVP_COUNT_MAX, AVP_DEPTH_MAX

VERSION: Final = 1
HEADER_OCTETS: Final = 20
FLAG_REQUEST: Final = 0x80
FLAG_PROXIABLE: Final = 0x40
FLAG_ERROR: Final = 0x20
FLAG_RETRANSMISSION: Final = 0x10
AVP_FLAG_VENDOR: Final = 0x80
AVP_FLAG_MANDATORY: Final = 0x40

_LENGTH_MASK: Final = 0xFFFFFF
_VERSION_BITS: Final = VERSION << 24
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4

_HEADER: Final = struct.Struct("!IIIII")
_read_header: Final = _HEADER.unpack_from
_pack_header: Final = _HEADER.pack
_read_one: Final = struct.Struct("!I").unpack_from
_read_avp: Final = struct.Struct("!IBBH").unpack_from  # code, flags, length: in parts, as small ints are faster
_pack_plain: Final = struct.Struct("!II").pack
_pack_vendor: Final = struct.Struct("!III").pack
_keep: Final = msgspec.structs.force_setattr  # of what is derived from a value that never changes


class Avp(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One attribute (RFC 6733 4.1): `data` without header and padding, `vendor_id` 0 where the V bit is not set.

    `flags` are the eight bits as they stood on the wire, reserved ones included. `inside` is for `children` alone: what
    it found the first time, since the grammar and the application both open most groups.
    """

    code: int
    vendor_id: int
    flags: int
    data: bytes
    inside: list[Avp] | None = None

    def children(self, depth: int = 1) -> list[Avp]:
        """The AVPs of a Grouped one, not to be changed; `depth` is theirs, the message's own AVPs being at 0.

        Raises PeerError 5014, its Failed-AVP wrapped into this AVP, where the data cannot be cut into AVPs.
        """
        inside = self.inside
        if inside is None:
            try:
                inside = decode_avps(self.data, 0, len(self.data), depth)
            except PeerError as error:
                raise error.within(self) from None
            _keep(self, "inside", inside)
        return inside

    def __eq__(self, other: object) -> bool:
        """What stands on the wire counts, not what was looked at."""
        return isinstance(other, Avp) and self._on_wire() == other._on_wire()

    def __hash__(self) -> int:
        return hash(self._on_wire())

    def _on_wire(self) -> tuple[int, int, int, bytes]:
        return self.code, self.vendor_id, self.flags, self.data

    def encode(self) -> bytes:
        """Header, data and padding."""
        return _encode(self.code, self.vendor_id, self.flags, self.data)

    def around(self, data: bytes) -> bytes:
        """This AVP encoded with other data: what a Failed-AVP needs to show the group of an offender."""
        return _encode(self.code, self.vendor_id, self.flags, data)


class Message(msgspec.Struct, frozen=True, eq=False):
    """One message: the fields of its header (RFC 6733 3) and its AVPs in the order of the wire, groups unopened.

    `index` is for `firsts` alone: the AVPs that it was made of, and what it is.
    """

    version: int
    flags: int
    command_code: int
    application_id: int
    hop_by_hop_id: int
    end_to_end_id: int
    avps: list[Avp]
    index: tuple[list[Avp], dict[int, Avp]] | None = None

    @property
    def is_request(self) -> bool:
        """The R bit."""
        return self.flags & FLAG_REQUEST != 0

    @property
    def is_proxiable(self) -> bool:
        """The P bit."""
        return self.flags & FLAG_PROXIABLE != 0

    @property
    def is_error(self) -> bool:
        """The E bit."""
        return self.flags & FLAG_ERROR != 0

    @property
    def is_retransmission(self) -> bool:
        """The T bit: a hint that this may be a repeat, never evidence by itself."""
        return self.flags & FLAG_RETRANSMISSION != 0

    def firsts(self) -> dict[int, Avp]:
        """The AVPs at the top level that belong to no vendor, by code; of several the first. Not to be changed."""
        index = self.index
        if index is None or index[0] is not self.avps:
            avps = self.avps
            index = avps, {avp.code: avp for avp in reversed(avps) if not avp.vendor_id}
            _keep(self, "index", index)
        return index[1]

    def __eq__(self, other: object) -> bool:
        """What stands on the wire counts, not what was looked at."""
        return isinstance(other, Message) and self._on_wire() == other._on_wire()

    def __hash__(self) -> int:
        return hash(self._on_wire()[:-1])

    def _on_wire(self) -> tuple[object, ...]:
        return (
            self.version,
            self.flags,
            self.command_code,
            self.application_id,
            self.hop_by_hop_id,
            self.end_to_end_id,
            self.avps,
        )

    def find(self, code: int, vendor_id: int = 0) -> Avp | None:
        """The first AVP of that code at the top level."""
        if not vendor_id:
            return self.firsts().get(code)
        for avp in self.avps:
            if avp.code == code and avp.vendor_id == vendor_id:
                return avp
        return None

    def find_all(self, code: int, vendor_id: int = 0) -> list[Avp]:
        """All AVPs of that code at the top level, in order."""
        return [avp for avp in self.avps if avp.code == code and avp.vendor_id == vendor_id]

    def encode(self) -> bytes:
        """The message as octets; equal to what was decoded, but for octets of padding that were not zero."""
        body = b"".join([avp.encode() for avp in self.avps])
        header = encode_header(
            self.flags,
            self.command_code,
            self.application_id,
            self.hop_by_hop_id,
            self.end_to_end_id,
            len(body),
            self.version,
        )
        return header + body


def split_frames(buffer: bytearray, max_octets: int) -> list[bytes]:
    """Cut all complete messages off the front of `buffer`, in place; what is left is the beginning of one.

    A verdict falls only when the 20 octets of a header are there, so that it does not depend on how the stream was cut
    into segments. Raises FramingLost 5011 (a version whose length field means nothing to us) or 5015 (a length below
    20, not a multiple of 4, or above `max_octets`); the buffer is empty afterwards.
    """
    available = len(buffer)
    ends: list[int] = []
    start = 0
    fault: tuple[ResultCode, str, str] | None = None
    while available - start >= HEADER_OCTETS:
        (word,) = _read_one(buffer, start)
        length = word & _LENGTH_MASK
        if word >> 24 != VERSION:
            fault = ResultCode.UNSUPPORTED_VERSION, f"version {word >> 24} in the header of a message", ""
            break
        if length > max_octets:
            fault = ResultCode.INVALID_MESSAGE_LENGTH, f"message of {length} octets", "message_octets"
            break
        if length < HEADER_OCTETS or length & 3:
            fault = ResultCode.INVALID_MESSAGE_LENGTH, f"message length {length}", ""
            break
        start += length
        if start > available:
            break
        ends.append(start)
    frames: list[bytes] = []
    taken = 0
    if ends:
        with memoryview(buffer) as view:
            for end in ends:
                frames.append(bytes(view[taken:end]))
                taken = end
    if fault is not None:
        header = bytes(buffer[taken : taken + HEADER_OCTETS])
        buffer.clear()
        result_code, reason, limit = fault
        raise FramingLost(result_code, frames, header, reason, limit)
    if taken:
        del buffer[:taken]
    return frames


def decode_message(data: bytes) -> Message:
    """One whole message.

    Raises PeerError 5011 (version), 5015 (the length field is not the number of octets), 5014 (an AVP's length) or
    3008 (a request with the E bit); with the header where there is one, and the AVPs before the fault.
    """
    octets = len(data)
    if octets < HEADER_OCTETS:
        raise PeerError(ResultCode.INVALID_MESSAGE_LENGTH, reason=f"{octets} octets are less than a header")
    first, second, application_id, hop_by_hop_id, end_to_end_id = _read_header(data)
    flags = second >> 24
    command_code = second & _LENGTH_MASK
    try:
        if first != _VERSION_BITS | octets or octets & 3:
            raise _header_error(first, octets)
        avps = decode_avps(data, HEADER_OCTETS, octets)
        if flags & FLAG_ERROR and flags & FLAG_REQUEST:
            contradiction = PeerError(ResultCode.INVALID_HDR_BITS, reason="the E bit in a request")
            contradiction.avps = avps
            raise contradiction
    except PeerError as error:
        error.header = Message(first >> 24, flags, command_code, application_id, hop_by_hop_id, end_to_end_id, [])
        raise
    return Message(VERSION, flags, command_code, application_id, hop_by_hop_id, end_to_end_id, avps)


def decode_avps(data: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> list[Avp]:
    """The AVPs in `data[start:end]`, a message's body or a group's data, at nesting `depth`.

    The padding of the last one may be missing, as some peers leave it out at the end of a group. Raises PeerError
    5014; its `avps` are those before the fault.
    """
    if end is None:
        end = len(data)
    if depth >= AVP_DEPTH_MAX:
        raise PeerError(ResultCode.INVALID_AVP_LENGTH, b"", "groups nested too deep", "avp_depth")
    avps: list[Avp] = []
    last = end - 8
    while start <= last:
        code, flags, length_high, length = _read_avp(data, start)
        if length_high:
            length |= length_high << 16
        stop = start + length
        if flags >= AVP_FLAG_VENDOR:
            if length < 12 or stop > end:
                break
            avps.append(Avp(code, _read_one(data, start + 8)[0], flags, data[start + 12 : stop]))
        else:
            if length < 8 or stop > end:
                break
            avps.append(Avp(code, 0, flags, data[start + 8 : stop]))
        start = stop + (-length & 3)
    if start < end:
        raise _length_error(data[start:end], avps)
    if len(avps) > AVP_COUNT_MAX:
        error = PeerError(
            ResultCode.INVALID_AVP_LENGTH, avps[AVP_COUNT_MAX].encode(), f"{len(avps)} AVPs in one place", "avp_count"
        )
        error.avps = avps[:AVP_COUNT_MAX]
        raise error
    return avps


def encode_avp(code: int, data: bytes, vendor_id: int = 0, mandatory: bool = True) -> bytes:
    """One AVP with header and padding; the V bit is set where `vendor_id` is not 0. Raises UsageError."""
    flags = AVP_FLAG_MANDATORY if mandatory else 0
    return _encode(code, vendor_id, flags | AVP_FLAG_VENDOR if vendor_id else flags, data)


def encode_header(
    flags: int,
    command_code: int,
    application_id: int,
    hop_by_hop_id: int,
    end_to_end_id: int,
    body_octets: int,
    version: int = VERSION,
) -> bytes:
    """The 20 octets before a body of `body_octets` (RFC 6733 3). Raises UsageError."""
    length = HEADER_OCTETS + body_octets
    if length > _LENGTH_MASK or not 0 <= command_code <= _LENGTH_MASK:
        raise UsageError(f"message length {length} or command code {command_code} does not fit into 24 bits")
    try:
        return _pack_header(
            version << 24 | length, flags << 24 | command_code, application_id, hop_by_hop_id, end_to_end_id
        )
    except struct.error as error:
        raise UsageError(f"a field of the header is out of range: {error}") from error


def message_bytes(
    flags: int, command_code: int, application_id: int, hop_by_hop_id: int, end_to_end_id: int, body: bytes
) -> bytes:
    """A whole message from the fields of its header and its encoded AVPs. Raises UsageError."""
    return encode_header(flags, command_code, application_id, hop_by_hop_id, end_to_end_id, len(body)) + body


def _encode(code: int, vendor_id: int, flags: int, data: bytes) -> bytes:
    length = len(data) + (12 if flags & AVP_FLAG_VENDOR else 8)
    if length > _LENGTH_MASK:
        raise UsageError(f"AVP {code} of {length} octets does not fit into 24 bits")
    try:
        if flags & AVP_FLAG_VENDOR:
            return _pack_vendor(code, flags << 24 | length, vendor_id) + data + _PADDING[length & 3]
        return _pack_plain(code, flags << 24 | length) + data + _PADDING[length & 3]
    except struct.error as error:
        raise UsageError(f"AVP {code} of vendor {vendor_id} is out of range: {error}") from error


def _header_error(first: int, octets: int) -> PeerError:
    version = first >> 24
    if version != VERSION:
        return PeerError(ResultCode.UNSUPPORTED_VERSION, reason=f"version {version} in the header of a message")
    reason = f"message length {first & _LENGTH_MASK} in a message of {octets} octets"
    return PeerError(ResultCode.INVALID_MESSAGE_LENGTH, reason=reason)


def _length_error(rest: bytes, avps: list[Avp]) -> PeerError:
    """5014 for the AVP at the start of `rest`.

    Failed-AVP gets its header, what is missing of it filled with zeros, and the least data of its type in zeros
    (RFC 6733 7.1.5): the length that was sent would make the answer as unreadable as the request.
    """
    code, word, vendor_id = struct.unpack("!III", rest[:12].ljust(12, b"\0"))
    if not word >> 24 & AVP_FLAG_VENDOR:
        vendor_id = 0
    failed_avp = _encode(code, vendor_id, word >> 24, bytes(minimum_octets(code, vendor_id)))
    reason = f"AVP {code} of vendor {vendor_id}: length {word & _LENGTH_MASK}, {len(rest)} octets are left"
    error = PeerError(ResultCode.INVALID_AVP_LENGTH, failed_avp, reason)
    error.avps = avps
    return error
