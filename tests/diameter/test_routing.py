"""Is a request for us?"""

import pytest

from ocs.diameter.routing import check_route, make_local
from tests.diameter.samples import avp, credit_control, message

LOCAL = make_local("ocs.Example.com", ["example.com", "ims.example.com"], {4: frozenset({272})}, ["ocs2.example.com"])


def verdict(*more, command=272, application_id=4, realm="example.com"):
    parts = [part for part in credit_control() if not part.startswith(b"\0\0\1\x1b")]
    if realm is not None:
        parts.append(avp("Destination-Realm", realm))
    refusal = check_route(message(command, [*parts, *more], application_id=application_id), LOCAL)
    return None if refusal is None else int(refusal.result_code)


@pytest.mark.conformance("A13")
def test_application_and_command():
    assert verdict() is None
    assert verdict(application_id=5) == 3007
    assert verdict(application_id=0) == 3007
    assert verdict(application_id=0xFFFFFFFF) == 3007


@pytest.mark.conformance("A12")
@pytest.mark.parametrize("command", [257, 258, 271, 274, 275, 280, 282])
def test_unknown_commands(command):
    assert verdict(command=command) == 3001


@pytest.mark.conformance("A32", "A44")
def test_realms():
    assert verdict(realm="IMS.example.COM") is None
    assert verdict(realm="example.org") == 3003
    assert verdict(realm=b"") == 3003
    assert verdict(realm=None) is None, "the grammar says 5005"


@pytest.mark.conformance("A33", "A44")
def test_hosts():
    assert verdict(avp("Destination-Host", "OCS.example.com")) is None
    assert verdict(avp("Destination-Host", "ocs2.example.com")) is None
    assert verdict(avp("Destination-Host", "other.example.com")) == 3002


@pytest.mark.conformance("A31", "A44")
def test_loops():
    assert verdict(avp("Route-Record", "dra.example.com")) is None
    assert verdict(avp("Route-Record", "dra.example.com"), avp("Route-Record", "ocs.EXAMPLE.com")) == 3005


def test_the_first_thing_wrong_is_the_answer():
    elsewhere = [avp("Destination-Host", "x"), avp("Route-Record", "ocs.example.com")]
    assert verdict(*elsewhere, application_id=5, command=1, realm="x") == 3007
    assert verdict(*elsewhere, command=1, realm="x") == 3001
    assert verdict(*elsewhere, realm="x") == 3003
    assert verdict(*elsewhere) == 3002
    assert verdict(elsewhere[1]) == 3005
