"""The short way to read Subscription-Id says the same as the long one, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter.applications.subscription import make_order, read_subscriber
from ocs.diameter.errors import PeerError
from ocs.diameter.subscription_id import usual
from ocs.diameter.wire import Avp, decode_avps, encode_avp
from ocs.rating.numbers import Numbering

ORDER = make_order(("msisdn", "imsi"), ("example.com",), Numbering("00", "0", "49"))
WELL_FORMED = encode_avp(450, bytes(4)) + encode_avp(444, b"4917100")


def octets_around(group):
    """The group with one octet changed, cut off or put after it."""
    changed = st.tuples(st.integers(0, len(group) - 1), st.integers(0, 255)).map(
        lambda change: group[: change[0]] + bytes([change[1]]) + group[change[0] + 1 :]
    )
    cut = st.integers(0, len(group)).map(lambda end: group[:end])
    longer = st.binary(max_size=13).map(lambda more: group + more)
    return st.one_of(changed, cut, longer)


@given(octets_around(WELL_FORMED))
def test_what_is_usual_is_what_the_avps_say(group):
    found = usual(group)
    if found is None:
        return
    kind, data = decode_avps(group)
    assert (kind.code, kind.vendor_id, kind.flags, int.from_bytes(kind.data)) == (450, 0, 0x40, found[0])
    assert (data.code, data.vendor_id, data.flags, data.data) == (444, 0, 0x40, found[1])


@pytest.mark.parametrize("text", [b"", b"1", b"12", b"123", b"1234", b"sip:a@example.com"])
@pytest.mark.parametrize("kind", [0, 1, 4, 77, 2**32 - 1])
def test_every_length_of_text_is_usual(text, kind):
    assert usual(encode_avp(450, kind.to_bytes(4)) + encode_avp(444, text)) == (kind, text)


@pytest.mark.parametrize(
    "group",
    [
        encode_avp(444, b"1") + encode_avp(450, bytes(4)),
        encode_avp(450, bytes(4), mandatory=False) + encode_avp(444, b"1"),
        encode_avp(450, bytes(4)) + encode_avp(444, b"1", mandatory=False),
        encode_avp(450, bytes(4)) + encode_avp(444, "ü".encode()),
        WELL_FORMED + encode_avp(444, b"2"),
    ],
)
def test_another_form_is_not(group):
    assert usual(group) is None


@given(
    st.integers(0, 6),
    st.text("0123456789+ -sip:@examplcotm\0ü", max_size=18),
)
def test_both_ways_name_the_same_subscriber(kind, text):
    avps = encode_avp(450, kind.to_bytes(4)), encode_avp(444, text.encode())
    short, long = (Avp(443, 0, 0x40, b"".join(order)) for order in (avps, avps[::-1]))
    assert named(short) == named(long)


def test_a_number_that_the_numbering_plan_makes_no_number_names_nobody():
    order = make_order((), (), Numbering("00", "0", "+49"))
    assert (
        read_subscriber([Avp(443, 0, 0x40, encode_avp(450, bytes(4)) + encode_avp(444, b"0171"))], [], None, order)
        == ()
    )


def named(avp):
    try:
        return read_subscriber([avp], [], None, ORDER)
    except PeerError as error:
        return error.result_code
