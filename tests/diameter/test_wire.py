"""Framing, header and AVPs, octet by octet where the standard draws them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter.errors import FramingLost, PeerError, UsageError
from ocs.diameter.result_codes import ResultCode, is_protocol_error, is_success
from ocs.diameter.wire import (
    AVP_FLAG_MANDATORY,
    AVP_FLAG_VENDOR,
    FLAG_ERROR,
    FLAG_PROXIABLE,
    FLAG_REQUEST,
    FLAG_RETRANSMISSION,
    HEADER_OCTETS,
    Avp,
    Message,
    decode_avps,
    decode_message,
    encode_avp,
    encode_header,
    message_bytes,
    split_frames,
)
from ocs.limits import AVP_COUNT_MAX, AVP_DEPTH_MAX

MAX = 65_536
SESSION_ID = encode_avp(263, b"client;1;2")

plain_avps = st.builds(
    lambda code, flags, data: Avp(code, 0, flags & ~AVP_FLAG_VENDOR, data),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.binary(max_size=40),
)
vendor_avps = st.builds(
    lambda code, vendor_id, flags, data: Avp(code, vendor_id, flags | AVP_FLAG_VENDOR, data),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.binary(max_size=40),
)
avps = plain_avps | vendor_avps
messages = st.builds(
    lambda flags, command, app, hop, end, inner: Message(
        1, flags & ~FLAG_ERROR if flags & FLAG_REQUEST else flags, command, app, hop, end, inner
    ),
    st.integers(0, 255),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(avps, max_size=8),
)


def refused(data: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        decode_message(data)
    return caught.value


def request(*parts: bytes, flags: int = FLAG_REQUEST) -> bytes:
    return message_bytes(flags, 272, 4, 7, 8, b"".join(parts))


# Layout


def test_the_header_is_laid_out_as_rfc_6733_section_3_draws_it():
    data = message_bytes(0xC0, 272, 4, 0x01020304, 0x0A0B0C0D, b"")
    assert data == bytes.fromhex("01000014 c0000110 00000004 01020304 0a0b0c0d")
    message = decode_message(data)
    assert (message.version, message.command_code, message.application_id) == (1, 272, 4)
    assert (message.hop_by_hop_id, message.end_to_end_id, message.avps) == (0x01020304, 0x0A0B0C0D, [])


def test_an_avp_is_laid_out_as_rfc_6733_section_4_1_draws_it():
    assert encode_avp(264, b"host") == bytes.fromhex("00000108 4000000c 686f7374")
    assert encode_avp(873, b"", 10415) == bytes.fromhex("00000369 c000000c 000028af")
    assert encode_avp(269, b"ocs", mandatory=False) == bytes.fromhex("0000010d 0000000b 6f637300")


@pytest.mark.conformance("A25")
@pytest.mark.parametrize("octets", range(9))
def test_padding_fills_up_to_four_octets_and_is_not_counted(octets):
    encoded = encode_avp(1, b"x" * octets)
    assert len(encoded) % 4 == 0
    assert encoded[5:8] == (8 + octets).to_bytes(3)
    assert encoded[8 + octets :] == bytes(-octets % 4)
    assert decode_avps(encoded + SESSION_ID) == [Avp(1, 0, AVP_FLAG_MANDATORY, b"x" * octets), *decode_avps(SESSION_ID)]


@pytest.mark.conformance("A25")
def test_padding_may_be_missing_at_the_end_of_a_group_and_may_hold_anything():
    member = encode_avp(444, b"12345")
    assert decode_avps(member[:-3]) == decode_avps(member)
    assert decode_avps(member[:-3] + b"\xff\xff\xff" + member) == decode_avps(member) * 2


def test_the_bits_of_the_header_have_names():
    bits = {
        FLAG_REQUEST: (True, False, False, False),
        FLAG_PROXIABLE: (False, True, False, False),
        FLAG_ERROR: (False, False, True, False),
        FLAG_RETRANSMISSION: (False, False, False, True),
    }
    for flags, expected in bits.items():
        message = decode_message(message_bytes(flags, 280, 0, 1, 1, b""))
        assert (message.is_request, message.is_proxiable, message.is_error, message.is_retransmission) == expected


def test_find_looks_at_code_and_vendor_in_the_order_of_the_wire():
    message = decode_message(request(encode_avp(2, b"a"), encode_avp(2, b"b", 10415), encode_avp(2, b"c")))
    assert message.find(2) == Avp(2, 0, AVP_FLAG_MANDATORY, b"a")
    assert message.find(2, 10415) == Avp(2, 10415, AVP_FLAG_MANDATORY | AVP_FLAG_VENDOR, b"b")
    assert [avp.data for avp in message.find_all(2)] == [b"a", b"c"]
    assert message.find(3) is None
    assert message.find_all(3) == []


@given(messages)
def test_what_is_encoded_is_decoded_again(message):
    data = message.encode()
    assert decode_message(data) == message
    assert decode_message(data).encode() == data


@given(st.lists(avps, max_size=5), st.integers(1, 6))
def test_groups_in_groups_come_back_as_they_were(members, levels):
    data = b"".join(avp.encode() for avp in members)
    for _ in range(levels):
        data = encode_avp(456, data)
    for depth in range(levels):
        (group,) = decode_avps(data, depth=depth)
        data = group.data
    assert decode_avps(data, depth=levels) == members


@given(st.lists(avps, max_size=5), st.binary(max_size=7), st.binary(max_size=7))
def test_a_part_of_the_octets_can_be_decoded_in_place(members, before, after):
    data = b"".join(avp.encode() for avp in members)
    assert decode_avps(before + data + after, len(before), len(before) + len(data)) == members


# Bits


@pytest.mark.conformance("A14")
def test_reserved_header_bits_are_ignored_and_kept():
    message = decode_message(request(SESSION_ID, flags=FLAG_REQUEST | 0x0F))
    assert message.is_request
    assert not message.is_error
    assert message.encode()[4] == FLAG_REQUEST | 0x0F


@pytest.mark.conformance("A14")
def test_a_request_with_the_error_bit_contradicts_itself():
    error = refused(request(SESSION_ID, flags=FLAG_REQUEST | FLAG_ERROR))
    assert error.result_code == ResultCode.INVALID_HDR_BITS
    assert error.header == Message(1, FLAG_REQUEST | FLAG_ERROR, 272, 4, 7, 8, [])
    assert error.avps == decode_avps(SESSION_ID)


def test_an_answer_may_have_the_error_bit():
    assert decode_message(message_bytes(FLAG_ERROR, 272, 4, 7, 8, SESSION_ID)).is_error


@pytest.mark.conformance("A23")
def test_reserved_avp_bits_are_ignored_and_kept():
    (avp,) = decode_avps(Avp(264, 0, 0x7F, b"host").encode())
    assert (avp.code, avp.vendor_id, avp.data, avp.flags) == (264, 0, b"host", 0x7F)


@pytest.mark.conformance("A23")
def test_without_the_vendor_bit_it_is_another_avp():
    message = decode_message(request(Avp(873, 0, AVP_FLAG_MANDATORY, b"").encode()))
    assert message.find(873, 10415) is None
    assert message.find(873) is not None


# Errors of the header


@pytest.mark.conformance("A11")
def test_another_version_is_refused_with_the_header_at_hand():
    data = b"\x02" + request(SESSION_ID)[1:]
    error = refused(data)
    assert error.result_code == ResultCode.UNSUPPORTED_VERSION
    assert error.header is not None
    assert (error.header.version, error.header.command_code, error.header.hop_by_hop_id) == (2, 272, 7)


@pytest.mark.conformance("A24")
@pytest.mark.parametrize("length", [0, 19, 20, 24, 37, 44, 0xFFFFFF])
def test_a_length_that_is_not_that_of_the_message_is_refused(length):
    data = bytearray(request(SESSION_ID))
    assert len(data) == 40
    data[1:4] = length.to_bytes(3)
    error = refused(bytes(data))
    assert error.result_code == ResultCode.INVALID_MESSAGE_LENGTH
    assert error.header is not None
    assert error.header.end_to_end_id == 8


@pytest.mark.conformance("A24")
def test_a_length_that_is_no_multiple_of_four_is_refused_even_when_it_is_true():
    data = bytearray(request(SESSION_ID) + b"\0")
    data[1:4] = len(data).to_bytes(3)
    assert refused(bytes(data)).result_code == ResultCode.INVALID_MESSAGE_LENGTH


@pytest.mark.parametrize("octets", [0, 1, 4, 19])
def test_less_than_a_header_is_refused_without_one(octets):
    error = refused(request()[:octets])
    assert error.result_code == ResultCode.INVALID_MESSAGE_LENGTH
    assert error.header is None


# Errors of AVPs


@pytest.mark.conformance("A18")
@pytest.mark.parametrize("length", [0, 1, 7, 13, 0xFFFFFF])
def test_a_wrong_avp_length_is_refused_with_a_whole_example_of_the_avp(length):
    offender = (415).to_bytes(4) + b"\x40" + length.to_bytes(3) + b"\0\0\0\1"
    error = refused(request(SESSION_ID, offender))
    assert error.result_code == ResultCode.INVALID_AVP_LENGTH
    assert error.failed_avp == encode_avp(415, bytes(4))
    assert error.avps == decode_avps(SESSION_ID)
    assert error.header == Message(1, FLAG_REQUEST, 272, 4, 7, 8, [])


@pytest.mark.conformance("A18")
@pytest.mark.parametrize(
    ("code", "vendor_id", "minimum"),
    [(263, 0, 0), (55, 0, 4), (421, 0, 8), (257, 0, 6), (456, 0, 0), (1227, 10415, 6), (99999, 0, 0), (2, 9, 0)],
)
def test_the_example_has_the_least_data_of_its_type(code, vendor_id, minimum):
    offender = bytearray(encode_avp(code, bytes(minimum), vendor_id))
    offender[5:8] = b"\xff\xff\xff"
    with pytest.raises(PeerError) as caught:
        decode_avps(bytes(offender))
    assert caught.value.failed_avp == encode_avp(code, bytes(minimum), vendor_id)


@pytest.mark.conformance("A18")
@pytest.mark.parametrize("octets", range(1, 8))
def test_a_header_that_is_cut_off_is_filled_up_with_zeros(octets):
    rest = encode_avp(0x01020304, b"")[:octets]
    with pytest.raises(PeerError) as caught:
        decode_avps(SESSION_ID + rest)
    assert caught.value.result_code == ResultCode.INVALID_AVP_LENGTH
    shown = caught.value.failed_avp
    assert shown is not None
    assert shown[:5] == rest[:5].ljust(5, b"\0")
    assert shown[5:8] == (8).to_bytes(3)


def test_a_vendor_bit_without_room_for_the_vendor_is_a_wrong_length():
    offender = (99999).to_bytes(4) + b"\x80" + (8).to_bytes(3)
    with pytest.raises(PeerError) as caught:
        decode_avps(offender)
    assert caught.value.failed_avp == offender[:4] + b"\x80" + (12).to_bytes(3) + bytes(4)


@pytest.mark.conformance("A18", "A27")
def test_a_wrong_length_in_a_group_is_shown_inside_the_group():
    inner = bytearray(encode_avp(432, bytes(4)))
    inner[5:8] = (200).to_bytes(3)
    (group,) = decode_avps(encode_avp(456, bytes(inner)))
    with pytest.raises(PeerError) as caught:
        group.children()
    assert caught.value.failed_avp == encode_avp(456, encode_avp(432, bytes(4)))


@pytest.mark.conformance("A27")
def test_an_error_can_be_wrapped_in_group_after_group():
    outer = Avp(873, 10415, 0xC0, b"whatever it held")
    inner = Avp(874, 10415, 0xC0, b"")
    error = PeerError(5004, encode_avp(55, bytes(4))).within(inner).within(outer)
    assert error.failed_avp == encode_avp(873, encode_avp(874, encode_avp(55, bytes(4)), 10415), 10415)


@pytest.mark.conformance("A26")
def test_groups_are_opened_to_a_depth_and_no_deeper():
    data = b""
    for _ in range(AVP_DEPTH_MAX + 5):
        data = encode_avp(456, data)
    avp = decode_message(request(data)).avps[0]
    for depth in range(1, AVP_DEPTH_MAX):
        (avp,) = avp.children(depth)
    with pytest.raises(PeerError) as caught:
        avp.children(AVP_DEPTH_MAX)
    assert (caught.value.result_code, caught.value.limit) == (ResultCode.INVALID_AVP_LENGTH, "avp_depth")
    assert caught.value.failed_avp == encode_avp(456, b"")


@pytest.mark.conformance("A26")
def test_the_number_of_avps_in_one_place_is_bounded():
    empty = encode_avp(25, b"")
    assert len(decode_avps(empty * AVP_COUNT_MAX)) == AVP_COUNT_MAX
    error = refused(request(SESSION_ID, empty * AVP_COUNT_MAX))
    assert (error.result_code, error.limit) == (ResultCode.INVALID_AVP_LENGTH, "avp_count")
    assert len(error.avps) == AVP_COUNT_MAX
    assert error.failed_avp == empty


# Framing


@given(st.lists(messages, max_size=6), st.data())
def test_a_stream_cut_anywhere_gives_the_same_messages(sent, data):
    stream = b"".join(message.encode() for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    buffer = bytearray()
    frames = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[start:end]
        frames += split_frames(buffer, MAX)
    assert [decode_message(frame) for frame in frames] == sent
    assert buffer == b""


def test_a_part_of_a_message_stays_in_the_buffer():
    data = request(SESSION_ID)
    buffer = bytearray(data + data[:30])
    assert split_frames(buffer, MAX) == [data]
    assert buffer == data[:30]
    assert split_frames(buffer, MAX) == []
    buffer += data[30:]
    assert split_frames(buffer, MAX) == [data]
    assert buffer == b""


@pytest.mark.conformance("A24", "A26")
@pytest.mark.parametrize(
    ("length", "limit"),
    [(0, ""), (16, ""), (19, ""), (22, ""), (MAX + 4, "message_octets"), (0xFFFFFF, "message_octets")],
)
def test_a_length_that_cannot_be_framed_loses_the_stream(length, limit):
    good = request(SESSION_ID)
    broken = b"\1" + length.to_bytes(3) + good[4:]
    buffer = bytearray(good + broken + good)
    with pytest.raises(FramingLost) as caught:
        split_frames(buffer, MAX)
    lost = caught.value
    assert lost.frames == [good]
    assert lost.header == broken[:HEADER_OCTETS]
    assert (lost.result_code, lost.limit) == (ResultCode.INVALID_MESSAGE_LENGTH, limit)
    assert buffer == b""


@pytest.mark.conformance("A11")
def test_another_version_in_a_stream_loses_it_since_its_length_means_nothing():
    good = request(SESSION_ID)
    with pytest.raises(FramingLost) as caught:
        split_frames(bytearray(good + b"\2" + good[1:]), MAX)
    assert caught.value.result_code == ResultCode.UNSUPPORTED_VERSION
    assert caught.value.frames == [good]
    assert caught.value.header == b"\2" + good[1:HEADER_OCTETS]


def test_the_verdict_on_a_stream_waits_for_a_whole_header():
    buffer = bytearray(b"GET / HTTP/1.1\r\n")
    assert split_frames(buffer, MAX) == []
    buffer += b"Host: ocs.example.com\r\n\r\n"
    with pytest.raises(FramingLost):
        split_frames(buffer, MAX)


@pytest.mark.conformance("A26")
def test_a_message_of_exactly_the_limit_passes():
    data = request(encode_avp(25, bytes(MAX - HEADER_OCTETS - 8)))
    assert len(data) == MAX
    buffer = bytearray(data)
    assert split_frames(buffer, MAX) == [data]


# Our own mistakes


@pytest.mark.parametrize(
    "build",
    [
        lambda: encode_avp(-1, b""),
        lambda: encode_avp(2**32, b""),
        lambda: encode_avp(1, b"", 2**32),
        lambda: encode_avp(1, bytes(2**24 - 8)),
        lambda: encode_header(256, 1, 0, 0, 0, 0),
        lambda: encode_header(0, 2**24, 0, 0, 0, 0),
        lambda: encode_header(0, -1, 0, 0, 0, 0),
        lambda: encode_header(0, 1, 2**32, 0, 0, 0),
        lambda: encode_header(0, 1, 0, 0, 0, 2**24 - 20),
    ],
)
def test_what_does_not_fit_on_the_wire_is_our_own_error(build):
    with pytest.raises(UsageError):
        build()


def test_errors_say_what_happened():
    assert str(refused(request(b"\0" * 4))).startswith("5014: AVP 0 of vendor 0")
    assert str(FramingLost(5015, [], b"", "message length 3")) == "5015: message length 3"


@pytest.mark.parametrize(
    ("code", "success", "protocol"), [(2001, 1, 0), (2002, 1, 0), (3004, 0, 1), (4012, 0, 0), (5030, 0, 0)]
)
def test_classes_of_result_codes(code, success, protocol):
    assert (is_success(code), is_protocol_error(code)) == (bool(success), bool(protocol))


def test_a_group_that_was_opened_is_the_same_avp_as_before():
    opened, other = (Avp(873, 10415, 0xC0, SESSION_ID) for _ in range(2))
    assert opened.children() is opened.children()
    assert opened == other
    assert hash(opened) == hash(other)
    assert opened != Avp(873, 10415, 0xC0, SESSION_ID + SESSION_ID)


def test_the_first_of_each_code_is_found_also_when_the_avps_are_others():
    one, two, third = (
        Avp(2, vendor_id, 0x80 if vendor_id else 0, data) for vendor_id, data in ((0, b"a"), (0, b"b"), (9, b"c"))
    )
    message = Message(1, 0, 272, 4, 1, 1, [third, one, two])
    assert message.firsts() == {2: one}
    assert message == Message(1, 0, 272, 4, 1, 1, [third, one, two])
    assert msgspec.structs.replace(message, avps=[two]).find(2) == two
    assert message != msgspec.structs.replace(message, avps=[two])
