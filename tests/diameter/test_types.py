"""The data types of AVPs: what is packed comes back, and what is no value of a type is the peer's error."""

import ipaddress
import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter import types
from ocs.diameter.errors import PeerError, UsageError
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import AvpType, DiameterUri
from ocs.diameter.wire import AVP_FLAG_MANDATORY, AVP_FLAG_VENDOR, Avp, encode_avp

FIRST_TIME = -61_505_152  # 20 January 1968
LAST_TIME = 4_233_462_143  # 26 February 2104

names = st.text("abcXYZ019.-", min_size=1, max_size=30)
VALUES = {
    AvpType.OCTET_STRING: st.binary(max_size=30),
    AvpType.INTEGER32: st.integers(-(2**31), 2**31 - 1),
    AvpType.INTEGER64: st.integers(-(2**63), 2**63 - 1),
    AvpType.UNSIGNED32: st.integers(0, 2**32 - 1),
    AvpType.UNSIGNED64: st.integers(0, 2**64 - 1),
    AvpType.FLOAT32: st.floats(width=32, allow_nan=False),
    AvpType.FLOAT64: st.floats(allow_nan=False),
    AvpType.GROUPED: st.lists(st.builds(Avp, st.integers(0, 999), st.just(0), st.just(64), st.binary(max_size=9))),
    AvpType.ADDRESS: st.ip_addresses() | st.text("0123456789", min_size=1, max_size=15),
    AvpType.TIME: st.integers(FIRST_TIME, LAST_TIME),
    AvpType.UTF8_STRING: st.text(max_size=30),
    AvpType.DIAMETER_IDENTITY: names,
    AvpType.DIAMETER_URI: st.builds(
        DiameterUri,
        st.sampled_from(["aaa", "aaas"]),
        names,
        st.integers(1, 65535),
        st.sampled_from(["tcp", "sctp", "udp"]),
        st.sampled_from(["diameter", "radius", "tacacs+"]),
    ),
    AvpType.ENUMERATED: st.integers(-(2**31), 2**31 - 1),
    AvpType.IP_FILTER_RULE: st.builds("permit in {} from {} to any".format, st.sampled_from(["ip", "17"]), names),
    AvpType.QOS_FILTER_RULE: st.builds("tag out ip from {} to {} DSCP 8".format, names, names),
}


def avp(data: bytes, code: int = 99) -> Avp:
    return Avp(code, 0, AVP_FLAG_MANDATORY, data)


def refused(avp_type: AvpType, offender: Avp) -> PeerError:
    with pytest.raises(PeerError) as caught:
        types.UNPACK[avp_type](offender)
    return caught.value


def value_or_error(avp_type: AvpType, read: Avp) -> object:
    try:
        return types.UNPACK[avp_type](read)
    except PeerError as error:
        return error


@pytest.mark.parametrize("avp_type", AvpType)
@given(data=st.data())
def test_what_is_packed_comes_back(avp_type, data):
    value = data.draw(VALUES[avp_type])
    assert types.UNPACK[avp_type](avp(types.PACK[avp_type](value))) == value


@pytest.mark.parametrize("avp_type", AvpType)
@given(octets=st.binary(max_size=24))
def test_any_octets_are_a_value_or_the_peers_error(avp_type, octets):
    value = value_or_error(avp_type, avp(octets))
    if isinstance(value, PeerError):
        assert value.result_code in {ResultCode.INVALID_AVP_LENGTH, ResultCode.INVALID_AVP_VALUE}
        assert value.failed_avp is not None
    elif avp_type not in {AvpType.DIAMETER_URI, AvpType.GROUPED}:  # defaults are written out, padding is made zero
        again = types.PACK[avp_type](value)
        assert again == octets or value != value  # noqa: PLR0124 - a NaN may come back as another NaN


@pytest.mark.conformance("A18")
@pytest.mark.parametrize(("avp_type", "octets"), types.FIXED_OCTETS.items())
@pytest.mark.parametrize("difference", [-4, -1, 1, 4])
def test_another_length_of_a_fixed_type_is_5014_with_the_avp(avp_type, octets, difference):
    offender = Avp(55, 10415, AVP_FLAG_VENDOR, bytes(octets + difference))
    error = refused(avp_type, offender)
    assert error.result_code == ResultCode.INVALID_AVP_LENGTH
    assert error.failed_avp == offender.encode()


@pytest.mark.conformance("A42")
@pytest.mark.parametrize(
    ("octets", "moment"),
    [
        ("80000000", "1968-01-20T03:14:08+00:00"),
        ("83aa7e80", "1970-01-01T00:00:00+00:00"),
        ("ffffffff", "2036-02-07T06:28:15+00:00"),
        ("00000000", "2036-02-07T06:28:16+00:00"),
        ("7fffffff", "2104-02-26T09:42:23+00:00"),
    ],
)
def test_time_is_seconds_since_1900_and_wraps_in_2036(octets, moment):
    unix_s = int(datetime.fromisoformat(moment).timestamp())
    assert types.unpack_time(avp(bytes.fromhex(octets))) == unix_s
    assert types.pack_time(unix_s) == bytes.fromhex(octets)


@pytest.mark.conformance("A43")
@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("0001 0a000001", ipaddress.ip_address("10.0.0.1")),
        ("0002 20010db8000000000000000000000001", ipaddress.ip_address("2001:db8::1")),
        ("0008 343931373030303030303031", "491700000001"),
    ],
)
def test_addresses_begin_with_their_family(octets, value):
    assert types.unpack_address(avp(bytes.fromhex(octets))) == value
    assert types.pack_address(value) == bytes.fromhex(octets)
    assert types.pack_address(str(value)) == bytes.fromhex(octets)


@pytest.mark.conformance("A43")
@pytest.mark.parametrize(
    ("octets", "result_code"),
    [
        ("", 5014),
        ("00", 5014),
        ("0001 0a0000", 5014),
        ("0001 0a00000102", 5014),
        ("0002 0a000001", 5014),
        ("0000 00000000", 5004),
        ("0003 0a000001", 5004),
        ("0008", 5004),
        ("0008 34397a", 5004),
    ],
)
def test_addresses_that_are_none(octets, result_code):
    error = refused(AvpType.ADDRESS, avp(bytes.fromhex(octets), 257))
    assert error.result_code == result_code
    assert error.failed_avp == encode_avp(257, bytes.fromhex(octets))


@pytest.mark.conformance("A45")
@pytest.mark.parametrize("octets", [b"\xff", b"caf\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"abc\xe2\x82"])
def test_text_that_is_not_utf_8_is_5004_with_the_avp(octets):
    error = refused(AvpType.UTF8_STRING, avp(octets, 461))
    assert error.result_code == ResultCode.INVALID_AVP_VALUE
    assert error.failed_avp == encode_avp(461, octets)


@pytest.mark.conformance("A44")
@given(names)
def test_identities_are_the_same_whatever_their_case(name):
    assert types.same_identity(name.upper(), name.lower())
    assert not types.same_identity(name, name + "x")


@pytest.mark.parametrize("octets", [b"", b"h\xc3\xb6st.example.com"])
def test_identities_are_names_in_ascii(octets):
    assert refused(AvpType.DIAMETER_IDENTITY, avp(octets)).result_code == ResultCode.INVALID_AVP_VALUE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("aaa://host.example.com", DiameterUri("aaa", "host.example.com", 3868, "tcp", "diameter")),
        ("aaas://host.example.com", DiameterUri("aaas", "host.example.com", 5658, "tcp", "diameter")),
        (
            "aaa://host.example.com:1813;transport=udp;protocol=radius",
            DiameterUri("aaa", "host.example.com", 1813, "udp", "radius"),
        ),
        (
            "aaa://host.example.com:6666;transport=sctp",
            DiameterUri("aaa", "host.example.com", 6666, "sctp", "diameter"),
        ),
        (
            "aaa://host.example.com;protocol=diameter",
            DiameterUri("aaa", "host.example.com", 3868, "tcp", "diameter"),
        ),
    ],
)
def test_the_uris_of_rfc_6733_section_4_3_1(text, value):
    assert types.unpack_diameter_uri(avp(text.encode())) == value


@pytest.mark.parametrize(
    "text", ["", "http://host", "aaa://", "aaa://host:0", "aaa://host:65536", "aaa://h;transport=x"]
)
def test_uris_that_are_none(text):
    assert refused(AvpType.DIAMETER_URI, avp(text.encode())).result_code == ResultCode.INVALID_AVP_VALUE


@pytest.mark.parametrize(
    "text", ["", "permit", "allow in ip from any to any", "permit up ip from any to any", "permit in"]
)
def test_filter_rules_that_are_none(text):
    assert refused(AvpType.IP_FILTER_RULE, avp(text.encode())).result_code == ResultCode.INVALID_AVP_VALUE
    assert refused(AvpType.QOS_FILTER_RULE, avp(text.encode())).result_code == ResultCode.INVALID_AVP_VALUE


@pytest.mark.parametrize(
    ("pack", "value"),
    [
        (types.pack_unsigned32, -1),
        (types.pack_unsigned32, 2**32),
        (types.pack_unsigned64, 2**64),
        (types.pack_integer32, 2**31),
        (types.pack_integer64, -(2**63) - 1),
        (types.pack_enumerated, 2**31),
        (types.pack_float32, 1e300),
        (types.pack_unsigned32, "1"),
        (types.pack_time, FIRST_TIME - 1),
        (types.pack_time, LAST_TIME + 1),
        (types.pack_address, "10.0.0.256"),
        (types.pack_address, "+49170"),
        (types.pack_utf8_string, "\ud800"),
        (types.pack_diameter_identity, ""),
        (types.pack_diameter_identity, "höst"),
        (types.pack_diameter_uri, DiameterUri("http", "host", 1, "tcp", "diameter")),
        (types.pack_diameter_uri, DiameterUri("aaa", "host", 0, "tcp", "diameter")),
        (types.pack_ip_filter_rule, "allow all"),
        (types.pack_ip_filter_rule, "permit in ip from ö to any"),
        (types.pack_qos_filter_rule, "permit in ip from any to any"),
    ],
)
def test_what_a_type_cannot_hold_is_our_own_error(pack, value):
    with pytest.raises(UsageError):
        pack(value)


def test_a_group_is_packed_from_avps_and_from_octets():
    member = encode_avp(444, b"12345")
    assert types.pack_grouped([avp(b"12345", 444), member]) == member * 2


def test_not_a_number_stays_one():
    assert math.isnan(types.unpack_float64(avp(types.pack_float64(math.nan))))
