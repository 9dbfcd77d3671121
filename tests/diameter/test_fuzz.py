"""Whatever octets come: a message, or an error with a Result-Code that can be answered, and never much memory."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ocs.diameter.dictionary import describe
from ocs.diameter.errors import FramingLost, PeerError
from ocs.diameter.grammar import REQUESTS, check_answer, check_request
from ocs.diameter.wire import HEADER_OCTETS, decode_avps, decode_message, encode_avp, message_bytes, split_frames
from ocs.limits import MESSAGE_OCTETS_MAX
from tests.diameter import samples

ANSWERABLE = {3008, 5001, 5004, 5005, 5007, 5008, 5009, 5011, 5014, 5015}
LENGTHS = [0, 1, 7, 8, 9, 11, 12, 13, 19, 20, 21, 255, 256, 65535, 65536, 0xFFFFFF]


def seeds() -> list[bytes]:
    kinds = [samples.credit_control(kind, kind) for kind in (1, 2, 3, 4)]
    requests = [*((272, parts) for parts in kinds), *samples.REQUESTS.items()]
    return [message_bytes(0xC0, command_code, 4, 7, 8, b"".join(parts)) for command_code, parts in requests]


def flip(data: bytearray, source: random.Random) -> None:
    for _ in range(source.randint(1, 4)):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def overwrite(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    data[at : at + source.randint(1, 8)] = source.randbytes(source.randint(1, 8))


def cut(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    del data[at : at + source.randint(1, 40)]


def double(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    data[at:at] = data[at : at + source.randint(1, 60)]


def lie_about_a_length(data: bytearray, source: random.Random) -> None:
    at = source.randrange(0, len(data) - 4, 4) + 1
    data[at : at + 3] = source.choice(LENGTHS).to_bytes(3)


def lie_about_a_type(data: bytearray, source: random.Random) -> None:
    at = source.randrange(0, len(data) - 4, 4)
    data[at : at + 4] = source.choice([263, 264, 456, 446, 421, 443, 260, 257, 268, 873]).to_bytes(4)


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    flip,
    overwrite,
    cut,
    double,
    lie_about_a_length,
    lie_about_a_type,
]


def rearranged(data: bytes, source: random.Random) -> bytearray:
    """The same AVPs in another order, some lost, some twice, some put into another."""
    avps = [avp.encode() for avp in decode_avps(data, HEADER_OCTETS)]
    for _ in range(source.randint(1, 3)):
        one = source.randrange(len(avps))
        other = source.randrange(len(avps))
        match source.randrange(4):
            case 0:
                avps[one], avps[other] = avps[other], avps[one]
            case 1:
                avps[one] = b""
            case 2:
                avps[one] += avps[other]
            case _:
                avps[one] = encode_avp(source.choice([456, 446, 443, 260, 279]), avps[other])
    return bytearray(data[:HEADER_OCTETS] + b"".join(avps))


def mutants(seed: int, count: int) -> Iterator[bytes]:
    source = random.Random(seed)
    good = seeds()
    for _ in range(count):
        data = bytearray(source.choice(good))
        if source.random() < 0.5:
            data = rearranged(data, source)
        for _ in range(source.randint(0, 3)):
            if len(data) > HEADER_OCTETS:
                source.choice(MUTATIONS)(data, source)
        if source.random() < 0.7:  # a header that is in order again, so that the AVPs are reached
            data += bytes(-len(data) % 4)
            data[:4] = b"\1" + len(data).to_bytes(3)
        yield bytes(data)


def whole_avps(encoded: bytes | None) -> bool:
    """A Failed-AVP must not be as broken as what it tells of."""
    return encoded is None or b"".join(avp.encode() for avp in decode_avps(encoded)) == encoded


def check(data: bytes, strict: bool) -> PeerError | None:
    try:
        message = decode_message(data)
        check_request(message, strict)
    except PeerError as error:
        return error
    assert len(message.encode()) == len(data)
    return None


def settle(data: bytes, strict: bool) -> int:
    """The Result-Code with which a message of these octets would be answered; 2001 where nothing is wrong."""
    error = check(data, strict)
    if error is None:
        return 2001
    assert error.result_code in ANSWERABLE
    assert whole_avps(error.failed_avp)
    assert error.reason
    return error.result_code


@pytest.mark.conformance("A18", "A24", "A26")
@pytest.mark.parametrize("seed", range(10))
def test_every_mutant_is_a_message_or_has_a_result_code(seed):
    outcomes = Counter(settle(data, strict=index % 2 == 0) for index, data in enumerate(mutants(seed, 2000)))
    assert outcomes.total() == 2000
    assert {2001, 5001, 5004, 5005, 5008, 5009, 5014, 5015} <= set(outcomes)


@pytest.mark.parametrize("command_code", REQUESTS)
def test_every_mutant_of_an_answer_passes_or_is_the_peers_error(command_code):
    source = random.Random(command_code)
    parts = [samples.avp("Result-Code", 2001), *samples.REQUESTS[command_code]]
    good = message_bytes(0x40, command_code, 4, 7, 8, b"".join(parts))
    outcomes: Counter[int] = Counter()
    for _ in range(150):
        data = bytearray(good)
        source.choice(MUTATIONS[:2])(data, source)
        try:
            check_answer(decode_message(bytes(data)))
            outcomes[2001] += 1
        except PeerError as error:
            outcomes[error.result_code] += 1
    assert set(outcomes) <= {2001, *ANSWERABLE}
    assert len(outcomes) > 2


def test_a_dump_of_any_mutant_is_text():
    shown = 0
    for data in mutants(77, 400):
        try:
            message = decode_message(data)
        except PeerError as error:
            message = error.header
        if message is not None:
            shown += len(describe(message).splitlines()) > len(message.avps)
    assert shown > 300


def frames_of(buffer: bytearray) -> tuple[list[bytes], FramingLost | None]:
    try:
        return split_frames(buffer, MESSAGE_OCTETS_MAX), None
    except FramingLost as fault:
        return fault.frames, fault


@pytest.mark.conformance("A24", "A26")
@pytest.mark.parametrize("seed", range(4))
def test_a_stream_of_any_octets_ends_in_frames_or_is_lost(seed):
    source = random.Random(1000 + seed)
    good = seeds()
    lost = 0
    for _ in range(300):
        pieces = [source.choice(good) for _ in range(source.randint(0, 3))]
        pieces.append(source.randbytes(source.randint(0, 200)))
        buffer = bytearray(b"".join(pieces))
        if source.random() < 0.3 and buffer:
            flip(buffer, source)
        before = bytes(buffer)
        frames, fault = frames_of(buffer)
        if fault is None:
            assert b"".join(frames) + buffer == before
        else:
            lost += 1
            taken = sum(map(len, frames))
            assert fault.result_code in {5011, 5015}
            assert fault.header == before[taken : taken + HEADER_OCTETS]
            assert buffer == b""
        assert before.startswith(b"".join(frames))
        assert {settle(frame, strict=True) for frame in frames} <= {2001, *ANSWERABLE}
    assert lost > 100


def test_random_octets_are_never_more_than_an_error():
    source = random.Random(4711)
    for size in [*range(64), *(source.randint(64, 2000) for _ in range(300))]:
        body = source.randbytes(size)
        assert settle(body, strict=True) in ANSWERABLE
        framed = message_bytes(0x80, 272, 4, 1, 1, body + bytes(-size % 4))
        assert settle(framed, strict=True) in ANSWERABLE


def nested(octets: int, code: int, vendor_id: int) -> bytes:
    data = b""
    while len(data) < octets - 12:
        data = encode_avp(code, data, vendor_id)
    return data


BODY = MESSAGE_OCTETS_MAX - HEADER_OCTETS - 2048
BOMBS = {
    "groups in groups": nested(BODY, 456, 0),
    "service information in service information": nested(BODY, 873, 10415),
    "thousands of empty AVPs": encode_avp(25, b"") * (BODY // 8),
    "thousands of empty services": encode_avp(456, b"") * (BODY // 8),
    "thousands of empty AVPs in a service": encode_avp(456, encode_avp(439, bytes(4)) * (BODY // 12 - 1)),
    "a wide and deep tree": encode_avp(456, encode_avp(446, encode_avp(872, bytes(4), 10415) * 40) * (BODY // 650)),
    "one long text": encode_avp(1, b"x" * (BODY - 8)),
}


@pytest.mark.conformance("A26")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_64_kib_takes_little_memory(name):
    data = message_bytes(0x80, 272, 4, 7, 8, b"".join(samples.credit_control()[:-1]) + BOMBS[name])
    assert len(data) <= MESSAGE_OCTETS_MAX
    tracemalloc.start()
    try:
        outcome = settle(data, strict=True)
        (_, peak) = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome in {2001, *ANSWERABLE}
    assert peak < 32 * MESSAGE_OCTETS_MAX
