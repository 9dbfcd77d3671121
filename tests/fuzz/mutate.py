"""Messages made wrong: trees of AVPs that are cut and mixed so that the lengths are right, and octets that are not."""

from __future__ import annotations

import random

from ocs.diameter.dictionary import BY_KEY
from ocs.diameter.errors import FramingLost, PeerError, UsageError
from ocs.diameter.types import AvpType
from ocs.diameter.wire import HEADER_OCTETS, Avp, Message, decode_message, split_frames
from ocs.limits import MESSAGE_OCTETS_MAX

GROUPED = frozenset(key for key, row in BY_KEY.items() if row.type is AvpType.GROUPED)
KEYS = sorted(BY_KEY)
NUMBERS = [0, 1, 2, 3, 4, 5, 127, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**62, 2**63, 2**64 - 1]
TEXTS = [
    b"",
    b"\0",
    b"x",
    b"\xff\xfe",
    b"tel:+49170",
    b"sip:@",
    b"sip:a@b;c",
    b"@",
    b"112",
    b"x" * 300,
    b"\xc3\xa4\xc3\xb6",
    b"-1",
]
LENGTHS = [0, 1, 7, 8, 9, 11, 12, 13, 19, 20, 21, 255, 65535, 0xFFFFFF]


def frames_of(data: bytes) -> list[bytes]:
    """The messages in an input; what follows the last whole one is one more."""
    buffer = bytearray(data)
    try:
        frames = split_frames(buffer, MESSAGE_OCTETS_MAX)
    except FramingLost as lost:
        taken = sum(map(len, lost.frames))
        return [*lost.frames, data[taken:]]
    return [*frames, bytes(buffer)] if buffer else frames


def mutated(data: bytes, dice: random.Random) -> bytes:
    """An input a little different: mostly in its AVPs, sometimes in its octets, sometimes in the order of messages."""
    frames = frames_of(data) or [data]
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        at = dice.randrange(len(frames))
        match dice.randrange(12):
            case 0:
                frames[at] = _octets(frames[at], dice)
            case 1:
                frames.insert(dice.randrange(len(frames) + 1), frames[at])
            case 2 if len(frames) > 1:
                del frames[at]
            case 3:
                other = dice.randrange(len(frames))
                frames[at], frames[other] = frames[other], frames[at]
            case 4:
                frames[at] = _header(frames[at], dice)
            case _:
                frames[at] = _tree(frames[at], dice)
    return b"".join(frames)[: 4 * MESSAGE_OCTETS_MAX]


def _octets(frame: bytes, dice: random.Random) -> bytes:
    data = bytearray(frame or b"\1")
    at = dice.randrange(len(data))
    match dice.randrange(4):
        case 0:
            data[at] ^= 1 << dice.randrange(8)
        case 1:
            data[at : at + dice.randint(1, 8)] = dice.randbytes(dice.randint(0, 8))
        case 2:
            at -= at % 4
            data[at + 1 : at + 4] = dice.choice(LENGTHS).to_bytes(3)
        case _:
            data[at:at] = data[at : at + dice.randint(1, 40)]
    if dice.random() < 0.7 and len(data) >= HEADER_OCTETS:  # so that the AVPs are reached
        data += bytes(-len(data) % 4)
        data[:4] = b"\1" + (len(data) & 0xFFFFFF).to_bytes(3)
    return bytes(data)


def _header(frame: bytes, dice: random.Random) -> bytes:
    data = bytearray(frame)
    if len(data) < HEADER_OCTETS:
        return _octets(frame, dice)
    match dice.randrange(4):
        case 0:
            data[4] = dice.choice((0x80, 0xC0, 0xD0, 0x40, 0xE0, 0x00, dice.randrange(256)))
        case 1:
            data[5:8] = dice.choice((257, 258, 271, 272, 274, 275, 280, 282, 0, 0xFFFFFF)).to_bytes(3)
        case 2:
            data[8:12] = dice.choice((0, 3, 4, 16777238, 0xFFFFFFFF)).to_bytes(4)
        case _:
            data[12:20] = dice.randbytes(8)
    return bytes(data)


def _tree(frame: bytes, dice: random.Random) -> bytes:
    try:
        message = decode_message(frame)
    except PeerError:
        return _octets(frame, dice)
    avps = _changed(list(message.avps), dice, 0)
    try:
        return Message(
            message.version,
            message.flags,
            message.command_code,
            message.application_id,
            message.hop_by_hop_id,
            message.end_to_end_id,
            avps,
        ).encode()
    except UsageError:
        return frame


def _changed(avps: list[Avp], dice: random.Random, depth: int) -> list[Avp]:
    if not avps:
        return [_new(dice)]
    at = dice.randrange(len(avps))
    avp = avps[at]
    if (avp.code, avp.vendor_id) in GROUPED and dice.random() < 0.75 and depth < 18:
        try:
            children = avp.children(min(depth + 1, 15))
        except PeerError:
            children = []
        inside = b"".join(child.encode() for child in _changed(children, dice, depth + 1))
        avps[at] = Avp(avp.code, avp.vendor_id, avp.flags, inside)
        return avps
    other = dice.randrange(len(avps))
    match dice.randrange(10):
        case 0:
            del avps[at]
        case 1:
            avps.insert(dice.randrange(len(avps) + 1), avp)
        case 2:
            avps[at], avps[other] = avps[other], avps[at]
        case 3:
            avps.insert(at, _new(dice))
        case 4:
            code, vendor_id = dice.choice(KEYS)
            avps[at] = Avp(code, vendor_id, 0xC0 if vendor_id else 0x40, avp.data)
        case 5:
            avps[at] = Avp(avp.code, avp.vendor_id, avp.flags ^ dice.choice((0x40, 0x20, 0x1F)), avp.data)
        case 6:
            code, vendor_id = dice.choice(
                [(456, 0), (873, 10415), (443, 0), (446, 0), (437, 0), (260, 0), (avp.code, avp.vendor_id)]
            )
            avps[at] = Avp(code, vendor_id, 0xC0 if vendor_id else 0x40, avp.encode())
        case _:
            avps[at] = Avp(avp.code, avp.vendor_id, avp.flags, _value(avp.data, dice))
    return avps


def _new(dice: random.Random) -> Avp:
    code, vendor_id = dice.choice(KEYS) if dice.random() < 0.9 else (dice.randrange(2**32), dice.choice((0, 10415, 7)))
    return Avp(code, vendor_id, 0xC0 if vendor_id else 0x40, _value(b"", dice))


def _value(data: bytes, dice: random.Random) -> bytes:
    match dice.randrange(5):
        case 0:
            return dice.choice(NUMBERS).to_bytes(8)[8 - dice.choice((4, 8)) :]
        case 1:
            return dice.choice(TEXTS)
        case 2:
            return dice.randbytes(dice.randint(0, 12))
        case 3 if data:
            changed = bytearray(data)
            changed[dice.randrange(len(changed))] = dice.randrange(256)
            return bytes(changed)
        case _:
            return int.to_bytes(max(0, int.from_bytes(data[:8]) + dice.choice((-1, 1))) % 2**64, 8)[
                -max(1, min(8, len(data))) :
            ]
