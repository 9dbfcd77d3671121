"""freeDiameter as a peer over SCTP, both ways round, and as a relay."""

import asyncio
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from string import Template

import msgspec
import pytest

from ocs.config.settings import Connect, Listener, PeerRule, Transport
from ocs.diameter.client import result_of
from tests.diameter import node_kit
from tests.diameter.node_kit import request
from tests.diameter.samples import CAPABILITIES, ORIGIN, avp, credit_control
from tests.interop.service import Service
from tests.uml.guest.association import Association, ip, until

IDENTITY, REALM = "fd.transit.example", "transit.example"
THEIRS = ("10.9.0.1", "10.9.0.2")
OURS = ("10.9.0.3", "10.9.0.4")
LINKS = (ip_network("10.9.0.0/24"),)
CONNECT = 'ConnectPeer = "ocs.example.com" {{ ConnectTo = "10.9.0.3"; Port = {}; No_TLS; Realm = "example.com"; }};'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    # freeDiameter leaves 127/8 out of its own addresses.
    ip("link", "set", "dummy0", "up")
    for address in (*THEIRS, *OURS):
        ip("address", "replace", f"{address}/24", "dev", "dummy0")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={IDENTITY}"]
    subprocess.run([*make, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder


def free_diameter(folder, connect=""):
    words = {"identity": IDENTITY, "realm": REALM, "folder": folder, "connect": connect}
    text = (Path(__file__).parent / "freediameter.conf").read_text()
    (folder / "fd.conf").write_text(Template(text).substitute(words))
    (folder / "acl.conf").write_text("ALLOW_IPSEC *.example.com\n")
    log = folder / "freediameter.log"
    log.unlink(missing_ok=True)
    return Service(["freeDiameterd", "-c", str(folder / "fd.conf")], log, stop_s=25)


@pytest.fixture
async def start():
    kits = []

    async def start(*rules):
        configuration = node_kit.settings(*rules)
        listener = Listener(Transport.SCTP, OURS[0], 0, OURS[1:])
        kits.append(await node_kit.start_with(msgspec.structs.replace(configuration, listeners=(listener,))))
        return kits[-1]

    yield start
    for kit in kits:
        await kit.clear()


async def is_open(kit, freediameter):
    """The peer is there, with all addresses; the rest of what a test waits for is a matter of seconds, too."""
    try:
        await until(lambda: (IDENTITY, "open") in kit.notes.states, limit_s=30)
    except TimeoutError:
        pytest.fail(freediameter.text()[-4000:])
    (connection,) = kit.node.connections
    link = connection.link
    assert set(link.remote.rpartition(":")[0].split("+")) >= set(THEIRS)
    assert {link.local_address, *link.local_others} == {ip_address(each) for each in OURS}


@pytest.mark.conformance("A1", "A8", "A9", "A38")
async def test_it_connects_watches_and_says_goodbye(start, certificate):
    kit = await start(PeerRule("*.example", LINKS))
    with free_diameter(certificate, CONNECT.format(kit.address[1])) as freediameter:
        await is_open(kit, freediameter)
        (peer,) = kit.node.peers()
        await until(lambda: kit.node.peers()[0].messages_in > peer.messages_in, limit_s=30)
        await until(lambda: "'Device-Watchdog-Answer'" in freediameter.text())
        kit.clock.advance(31)
        await until(lambda: kit.notes.rtts)
        await asyncio.to_thread(freediameter.stop)
        await until(lambda: kit.notes.ends)
        assert "SUSPECT" not in freediameter.text()
    assert kit.notes.states[-2:] == [(IDENTITY, "leaving"), (IDENTITY, "closed")], "it said goodbye by DPR"
    assert kit.notes.ends == [(IDENTITY, "peer")]
    assert kit.notes.limits == []


def listens():
    """Without a connection to see: it ends itself over one that goes before it is looked at."""
    lines = Path("/proc/net/sctp/eps").read_text().splitlines()
    column = lines[0].split().index("LPORT")
    return any(line.split()[column] == "3868" for line in lines[1:])


@pytest.mark.conformance("A38")
async def test_we_connect_to_it_and_say_goodbye(start, certificate):
    with free_diameter(certificate) as freediameter:
        await until(listens)
        connect = Connect(THEIRS, 3868, Transport.SCTP)
        kit = await start(PeerRule(IDENTITY, (), connect=connect))
        try:
            await until(lambda: (IDENTITY, "open") in kit.notes.states, limit_s=30)
        except TimeoutError:
            pytest.fail(freediameter.text()[-4000:])
        kit.clock.advance(31)
        await until(lambda: kit.notes.rtts)
        await kit.node.drain()
        assert [each for each in kit.notes.ends if each[0]] == [(IDENTITY, "drained")]
        await until(lambda: "'Disconnect-Peer-Request'" in freediameter.text())


@pytest.mark.conformance("A28", "A38")
async def test_a_session_through_it(start, certificate):
    kit = await start(PeerRule("*.example", LINKS))
    with free_diameter(certificate, CONNECT.format(kit.address[1])) as relay:
        await is_open(kit, relay)
        await until(listens)
        gateway = await Association.connect(*((address, 3868) for address in THEIRS))
        gateway.send(request(257, CAPABILITIES, flags=0x80, application_id=0))
        assert result_of((await gateway.receive()).message) == 2001
        for number in range(50):
            gateway.send(request(272, credit_control(), hop_by_hop_id=number), stream=number % 12, unordered=number > 9)
        numbers = set()
        while len(numbers) < 50:
            message = (await gateway.receive()).message
            if not message.is_request:
                assert (message.command_code, result_of(message)) == (272, 2001)
                numbers.add(message.hop_by_hop_id)
        assert len(kit.service.seen) == 50
        assert all(message.find(282).data == b"gw.example.com" for message in kit.service.seen), "Route-Record"
        gateway.send(request(282, [*ORIGIN, avp("Disconnect-Cause", 0)], flags=0x80, application_id=0))
        await gateway.ended()
        gateway.close()
        relay.kill()  # its own end would wait for the peer that is gone
