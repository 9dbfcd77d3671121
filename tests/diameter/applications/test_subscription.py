"""Who is charged: kinds, forms, order, and what is no name at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter.applications.subscription import KINDS, identities, make_order
from ocs.diameter.errors import PeerError
from ocs.rating.numbers import Numbering
from tests.diameter.applications.world import read
from tests.diameter.clients import builders
from tests.diameter.clients.avps import group, raw, subscription, text, u32

REALMS = ("ims.example.com", "Example.COM")
ORDER = make_order(KINDS, REALMS, Numbering("00", "0", "49"))


def names(kind: str, data: str) -> list[str]:
    return [identity for _, identity in identities(kind, data, ORDER)]


def subscribers(ids: bytes, **changes: object) -> tuple[str, ...]:
    return read(builders.gateway(ids=ids), **changes).subscriber


@pytest.mark.conformance("B36")
@pytest.mark.parametrize(
    ("number", "data", "expected"),
    [
        (0, "491700000001", "msisdn:491700000001"),
        (1, "262010000000001", "imsi:262010000000001"),
        (2, "sip:alice@example.org", "sip:alice@example.org"),
        (3, "alice@Example.ORG", "nai:alice@example.org"),
        (4, "Customer-17", "private:Customer-17"),
        (9, "who-knows", "private:who-knows"),
    ],
)
def test_each_type_of_subscription_id(number, data, expected):
    assert subscribers(subscription(number, data)) == (expected,)


@pytest.mark.conformance("B36")
def test_the_configured_order_decides_which_counts_first():
    ids = subscription(1, builders.IMSI) + subscription(0, builders.MSISDN)
    msisdn, imsi = f"msisdn:{builders.MSISDN}", f"imsi:{builders.IMSI}"
    assert subscribers(ids) == (msisdn, imsi)
    assert subscribers(ids, subscription_order=("imsi", "msisdn")) == (imsi, msisdn)


def test_kinds_that_the_order_does_not_name_come_last():
    ids = subscription(4, "x") + subscription(1, builders.IMSI)
    assert subscribers(ids, subscription_order=("imsi",)) == (f"imsi:{builders.IMSI}", "private:x")


def test_a_name_that_comes_twice_is_there_once():
    data = builders.kamailio(caller="tel:+491700000001")
    assert read(data).subscriber == ("msisdn:491700000001",)


@pytest.mark.conformance("B36")
@pytest.mark.parametrize(
    ("code_name", "data", "expected"),
    [
        ("Subscription-Id-E164", "+491700000001", "msisdn:491700000001"),
        ("Subscription-Id-IMSI", "262010000000001", "imsi:262010000000001"),
        ("Subscription-Id-SIP-URI", "sip:a@example.org", "sip:a@example.org"),
        ("Subscription-Id-NAI", "a@example.org", "nai:a@example.org"),
        ("Subscription-Id-Private", "a", "private:a"),
    ],
)
def test_the_extension_says_the_same(code_name, data, expected):
    extension = group("Subscription-Id-Extension", text(code_name, data))
    assert subscribers(extension) == (expected,)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("msisdn", "+491700000001", ["msisdn:491700000001"]),
        ("msisdn", "00491700000001", ["msisdn:491700000001"]),
        ("msisdn", "01700000001", ["msisdn:491700000001"]),
        ("msisdn", " 491700000001\0", ["msisdn:491700000001"]),
        ("msisdn", "TEL:+49-170-0000001;phone-context=x", ["msisdn:491700000001"]),
        ("msisdn", "alice", []),
        ("msisdn", "", []),
        ("imsi", " 262010000000001 ", ["imsi:262010000000001"]),
        ("imsi", "", []),
        ("private", "a\0b", []),
        ("sip", "tel:+491700000001", ["msisdn:491700000001"]),
        ("sip", "+491700000001", ["msisdn:491700000001"]),
        ("sip", "sip:alice@IMS.example.com:5060;transport=tcp", ["sip:alice@ims.example.com"]),
        ("sip", "sips:Alice@ims.example.com", ["sip:Alice@ims.example.com"]),
        ("sip", "alice@ims.example.com", ["sip:alice@ims.example.com"]),
        ("sip", "sip:0170;phone-context=+49@example.com", ["sip:0170;phone-context=+49@example.com", "msisdn:49170"]),
        ("sip", "sip:1170@example.com?x=y", ["sip:1170@example.com", "msisdn:1170"]),
        ("msisdn", "sip:+49170@example.com", ["sip:+49170@example.com", "msisdn:49170"]),
    ],
)
def test_forms(kind, data, expected):
    assert names(kind, data) == expected


def test_a_number_may_not_hide_in_other_digits():
    assert names("msisdn", "४९१७०") == []


def test_a_name_that_is_no_text_is_refused():
    ids = group("Subscription-Id", u32("Subscription-Id-Type", 0), raw("Subscription-Id-Data", b"\xff\xfe"))
    with pytest.raises(PeerError) as caught:
        subscribers(ids)
    assert caught.value.result_code == 5004


def test_inside_service_information_it_is_passed_over():
    bad = group("Subscription-Id", u32("Subscription-Id-Type", 0), raw("Subscription-Id-Data", b"\xff\xfe"))
    request = read(builders.gateway(ids=b"", inside=bad + subscription(1, builders.IMSI)))
    assert request.subscriber == (f"imsi:{builders.IMSI}",)


def test_the_user_name_does_not_count_beside_a_subscription_id():
    data = builders.gateway(ids=subscription(0, builders.MSISDN), others=text("User-Name", "other@example.org"))
    assert read(data).subscriber == (f"msisdn:{builders.MSISDN}",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alice@example.org", ("nai:alice@example.org",)),
        ("262010000000001", ("imsi:262010000000001", "msisdn:262010000000001")),
        ("tel:+491700000001", ("msisdn:491700000001",)),
    ],
)
def test_the_user_name_alone(name, expected):
    found = read(builders.gateway(ids=b"", others=text("User-Name", name))).subscriber
    assert set(found) == set(expected)


def test_nobody_is_named():
    assert read(builders.gateway(ids=b"")).subscriber == ()


@given(kind=st.sampled_from(KINDS), data=st.text(max_size=40))
def test_any_text_gives_well_formed_names(kind, data):
    for rank, identity in identities(kind, data, ORDER):
        found, colon, name = identity.partition(":")
        assert colon
        assert found in KINDS
        assert rank in ORDER.rank.values()
        if found == "msisdn":
            assert name.isascii()
            assert name.isdigit()
