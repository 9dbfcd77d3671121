"""The sample configuration says what the manual promises: names, prices, accounts."""

from ipaddress import ip_network

import pytest

from ocs.balances.account import Status
from ocs.charging.policy import FailureHandling
from ocs.config import load
from ocs.config.settings import Listener, Transport
from ocs.rating.numbers import international
from ocs.rating.prices import price
from ocs.rating.tariff import Found, NotFound, find_rate
from ocs.rating.units import NS_PER_S, Kind
from tests.config.folder import SAMPLE

MINUTE = 60 * NS_PER_S


@pytest.fixture(scope="module")
def sample():
    settings, diagnostics = load(SAMPLE)
    assert diagnostics == []
    return settings


def found(sample, service, number, rating_group=None):
    rate = find_rate(sample.tariff, "standard", service, rating_group, number)
    assert isinstance(rate, Found)
    return rate


def test_names_and_addresses(sample):
    assert sample.identity == "ocs.example.com"
    assert sample.realms == ("example.com", "ims.example.com", "localdomain")
    assert sample.listeners == (Listener(Transport.TCP, "127.0.0.1", 3868),)
    assert (sample.http_host, sample.http_port) == ("127.0.0.1", 2080)
    assert sample.store_url == "sqlite:var/ocs.db"


def test_any_peer_from_the_local_networks(sample):
    (rule,) = sample.peers
    assert rule.host == "*"
    assert rule.networks == tuple(ip_network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "::1/128"))


def test_services_and_their_grants(sample):
    data, voice, sms = (sample.services[name] for name in ("data", "voice", "sms"))
    assert (data.kind, data.contexts, data.default_rating_group) == (Kind.DATA, ("32251",), 100)
    assert (voice.kind, voice.contexts) == (Kind.VOICE, ("32260",))
    assert (sms.kind, sms.contexts) == (Kind.SMS, ("32274",))
    assert (data.grant.slice, data.grant.minimum, data.grant.maximum) == (10 * 2**20, 64 * 2**10, 100 * 2**20)
    assert (voice.grant.slice, voice.grant.minimum, voice.grant.maximum) == (MINUTE, NS_PER_S, 10 * MINUTE)
    assert (sms.grant.slice, sms.grant.maximum) == (1, 100)
    assert data.session_failover
    assert data.failure_handling is FailureHandling.TERMINATE


@pytest.mark.parametrize(
    ("service", "number", "usage", "connect_fee", "nanos"),
    [
        ("voice", "61412345678", MINUTE, 0, 220_000_000),
        ("voice", "61412345678", NS_PER_S, 0, 3_666_667),
        ("voice", "61412345678", NS_PER_S // 10, 0, 3_666_667),
        ("voice", "61291234567", 100 * MINUTE, 200_000_000, 0),
        ("voice", "61312345678", 1, 200_000_000, 0),
        ("voice", "61712345678", 1, 200_000_000, 0),
        ("voice", "61812345678", 1, 200_000_000, 0),
        ("voice", "611300123456", 1, 250_000_000, 0),
        ("voice", "611800123456", 1, 250_000_000, 0),
        ("voice", "4930123456", MINUTE + 1, 0, 200_000_000),
        ("data", "", 308_400, 0, 2_949_219),
        ("data", "", 1, 0, 9_766),
        ("sms", "61412345678", 3, 0, 150_000_000),
        ("sms", "", 1, 0, 50_000_000),
    ],
)
def test_prices(sample, service, number, usage, connect_fee, nanos):
    rate = found(sample, service, number).rate
    assert (rate.connect_fee_nanos, price(rate, usage)) == (connect_fee, nanos)
    assert not rate.fee_per_group


def test_data_has_one_price_in_every_rating_group(sample):
    assert {found(sample, "data", "", group).rate.id for group in (None, 0, 100, 2**32 - 1)} == {"standard/data/*any"}


def test_what_is_not_sold(sample):
    assert find_rate(sample.tariff, "standard", "voice", None, "33123456789") == NotFound("no_destination")
    assert find_rate(sample.tariff, "standard", "voice", None, "61112345678") == NotFound("no_destination")


def test_emergency_numbers_are_free_and_exact(sample):
    assert sample.tariff.emergency_numbers == {"000", "112"}
    for number in ("000", "112"):
        assert international(number, sample.tariff.numbering, sample.tariff.emergency_numbers) == number
    assert sample.tariff.free_prefixes.find("0001") is None


def test_dialled_numbers_find_their_destination(sample):
    for dialled in ("+61412345678", "0061412345678", "61412345678"):
        number = international(dialled, sample.tariff.numbering)
        assert found(sample, "voice", number).destination_id == "au-mobile"


def test_subscribers(sample):
    by_id = {subscriber.id: subscriber for subscriber in sample.subscribers}
    assert {name: each.identities for name, each in by_id.items()} == {
        "demo": ("msisdn:491700000001", "imsi:262010000000001"),
        "demo-money": ("msisdn:491700000002", "imsi:262010000000002"),
        "demo-empty": ("msisdn:491700000003", "imsi:262010000000003"),
        "demo-disabled": ("msisdn:491700000004", "imsi:262010000000004"),
    }
    assert [each.id for each in sample.subscribers if each.status is Status.DISABLED] == ["demo-disabled"]
    assert by_id["demo-empty"].balances == ()
    assert {(each.kind, each.value) for each in by_id["demo-money"].balances} == {(Kind.MONETARY, 10_000_000_000)}
    assert {(each.kind, each.value, each.destinations) for each in by_id["demo"].balances} == {
        (Kind.MONETARY, 50_000_000_000, ()),
        (Kind.VOICE, 100 * MINUTE, ("au-fixed", "au-mobile")),
        (Kind.DATA, 2**30, ()),
    }
