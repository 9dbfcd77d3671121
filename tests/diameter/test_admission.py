"""Who is let in: rules, the checks of a CER."""

from ipaddress import ip_address, ip_network

import pytest
import yaml

from ocs.config.settings import PeerRule
from ocs.diameter.admission import admit, find_rule, offered_applications, plain_address, rule_to_add
from ocs.diameter.errors import PeerError
from tests.diameter.samples import CAPABILITIES, avp, message

HERE = ip_address("127.0.0.1")
LOOPBACK = (ip_network("127.0.0.0/8"),)
ANY = (PeerRule("*", LOOPBACK),)
NAMED = [part for part in CAPABILITIES if not part.startswith((b"\0\0\1\2", b"\0\0\1\4"))]  # without 258 and 260


def cer(*parts):
    return message(257, list(parts or CAPABILITIES), flags=0x80, application_id=0)


def refusal(request, rules=ANY, address=HERE):
    with pytest.raises(PeerError) as caught:
        admit(request, address, rules, {4})
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("*", "pgw1.example.com", True),
        ("*.pgw.example.com", "a.b.pgw.example.com", True),
        ("*.pgw.example.com", "pgw.example.com", False),
        ("*.PGW.example.com", "x.pgw.Example.COM", True),
        ("pgw*.example.com", "pgw17.example.com", True),
        ("pgw.example.com", "pgwxexample.com", False),
        ("pgw.example.com", "pgw.example.com.attacker.net", False),
        ("pgw[1].example.com", "pgw1.example.com", False),
    ],
)
@pytest.mark.conformance("A2", "A44")
def test_patterns_of_hosts(pattern, host, fits):
    assert (find_rule((PeerRule(pattern, LOOPBACK),), host, HERE) is not None) == fits


def test_the_first_rule_that_fits_counts_and_networks_matter():
    rules = (
        PeerRule("*.a.example.com", (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")), watchdog_s=11),
        PeerRule("*", (ip_network("10.1.0.0/16"),), watchdog_s=12),
    )
    assert find_rule(rules, "x.a.example.com", ip_address("10.1.0.1")).watchdog_s == 11
    assert find_rule(rules, "x.b.example.com", ip_address("10.1.0.1")).watchdog_s == 12
    assert find_rule(rules, "x.b.example.com", ip_address("10.2.0.1")) is None
    assert find_rule(rules, "x.a.example.com", ip_address("2001:db8::7")).watchdog_s == 11
    assert find_rule(rules, "x.a.example.com", ip_address("::1")) is None


def test_addresses_of_sockets():
    assert plain_address("::ffff:10.0.0.1") == ip_address("10.0.0.1")
    assert plain_address("fe80::1%eth0") == ip_address("fe80::1")


def test_a_peer_that_fits_is_let_in():
    found = admit(cer(), HERE, ANY, {4})
    assert (found.host, found.realm, found.rule) == ("gw.example.com", "example.com", ANY[0])


@pytest.mark.conformance("A2")
def test_an_unknown_peer_is_3010_whatever_else_is_wrong():
    assert refusal(cer(), rules=()).result_code == 3010
    assert refusal(cer(), address=ip_address("192.0.2.1")).result_code == 3010
    assert refusal(cer(avp("Origin-Host", "gw.example.com")), rules=()).result_code == 3010


def test_the_lines_to_add_let_the_peer_in():
    (rule,) = yaml.safe_load(rule_to_add("gw.example.com", HERE))
    assert rule == {"host": "gw.example.com", "from": ["127.0.0.1/32"]}
    (rule,) = yaml.safe_load(rule_to_add('x", from: ["0.0.0.0/0"]\n#', ip_address("2001:db8::1")))
    assert rule == {"host": 'x", from: ["0.0.0.0/0"]\n#', "from": ["2001:db8::1/128"]}


@pytest.mark.conformance("A17")
def test_what_is_missing_is_5005():
    error = refusal(cer(*[part for part in CAPABILITIES if not part.startswith(b"\0\0\1\x0d")]))  # Product-Name
    assert error.result_code == 5005
    assert error.failed_avp == avp("Product-Name", b"")
    assert refusal(cer(*CAPABILITIES[1:])).failed_avp == avp("Origin-Host", b"")


@pytest.mark.parametrize("host", [b"", b"gw\n.example.com", b"gw example.com", b"gw\xff", b"x" * 256])
def test_a_name_that_is_none_is_5004(host):
    assert refusal(cer(avp("Origin-Host", host), *CAPABILITIES[1:])).result_code == 5004


@pytest.mark.conformance("A3")
@pytest.mark.parametrize(
    "offer",
    [
        avp("Auth-Application-Id", 4),
        avp("Auth-Application-Id", 0xFFFFFFFF),
        avp("Acct-Application-Id", 0xFFFFFFFF),
        avp("Auth-Application-Id", 16777238) + avp("Auth-Application-Id", 4),
        avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", 10415), avp("Auth-Application-Id", 4)]),
    ],
)
def test_an_application_in_common(offer):
    assert admit(cer(*NAMED, offer), HERE, ANY, {4}).host == "gw.example.com"


@pytest.mark.conformance("A3")
@pytest.mark.parametrize("offer", [b"", avp("Auth-Application-Id", 16777238), avp("Acct-Application-Id", 4)])
def test_no_application_in_common_is_5010(offer):
    assert refusal(cer(*NAMED, offer)).result_code == 5010


def test_applications_of_other_vendors_do_not_count():
    strange = avp("Auth-Application-Id", 4)[:4] + b"\xc0" + (16).to_bytes(3) + (999).to_bytes(4) + (4).to_bytes(4)
    assert offered_applications(message(257, [strange], flags=0x80, application_id=0)) == set()


@pytest.mark.conformance("A4")
@pytest.mark.parametrize(
    ("offered", "accepted"), [([], True), ([0], True), ([1, 0], True), ([1], False), ([1, 2], False)]
)
def test_security(offered, accepted):
    request = cer(*CAPABILITIES, *[avp("Inband-Security-Id", kind) for kind in offered])
    if accepted:
        assert admit(request, HERE, ANY, {4}).host == "gw.example.com"
    else:
        assert refusal(request).result_code == 5017
