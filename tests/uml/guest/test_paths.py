"""Multi-homing: associations over two cables, of which one fails."""

import asyncio
from ipaddress import ip_address, ip_network

import msgspec
import pytest
from structlog.testing import capture_logs

from ocs.config.settings import Connect, Listener, PeerRule, Transport
from ocs.diameter.client import result_of
from ocs.diameter.transports import sctp, sctp_socket
from ocs.diameter.transports.sctp_socket import IPPROTO_SCTP, _packed, peer_addresses
from ocs.diameter.types import unpack_address
from tests.diameter import node_kit
from tests.diameter.node_kit import ccr, request
from tests.diameter.samples import CAPABILITIES
from tests.uml.guest.association import BINDX_ADD, Association, Namespace, Taker, ip, make_socket, until

CER = request(257, CAPABILITIES, flags=0x80, application_id=0)
CABLES = (ip_network("10.9.0.0/16"),)
OURS, THEIRS = ([ip_address(each) for each in side] for side in (Namespace.ours, Namespace.theirs))


@pytest.fixture(scope="module")
def cables():
    with Namespace() as namespace:
        yield namespace


@pytest.fixture
def namespace(cables, monkeypatch):
    monkeypatch.setattr(sctp_socket, "SCTP_HEARTBEAT_MS", 500)
    monkeypatch.setattr(sctp_socket, "SCTP_RTO_MAX_MS", 1_000)
    monkeypatch.setattr(sctp_socket, "SCTP_PATH_RETRIES", 2)
    yield cables
    if cables.broken:
        cables.heal()


@pytest.fixture
async def start(namespace):
    kits = []

    async def start(*rules):
        configuration = node_kit.settings(*rules)
        listener = Listener(Transport.SCTP, Namespace.ours[0], 0, Namespace.ours[1:])
        kits.append(await node_kit.start_with(msgspec.structs.replace(configuration, listeners=(listener,))))
        return kits[-1]

    yield start
    for kit in kits:
        await kit.clear()


@pytest.fixture
async def connect(namespace):
    made = []

    async def connect(kit):
        addresses = [(host, kit.address[1]) for host in Namespace.ours]
        made.append(await Association.connect(*addresses, bind=Namespace.theirs, inside=namespace))
        made[-1].send(CER)
        return made[-1]

    yield connect
    for association in made:
        association.abort()


FAILURES = {"cable": Namespace.cut, "loss": Namespace.swallow}


@pytest.mark.conformance("A38")
@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
async def test_an_association_outlives_a_path(namespace, start, connect, fail):
    kit = await start(PeerRule("*", CABLES))
    association = await connect(kit)
    assert result_of((await association.receive()).message) == 2001
    (connection,) = kit.node.connections
    link = connection.link
    assert link.remote.rpartition(":")[0] == "+".join(Namespace.theirs)
    assert {link.local_address, *link.local_others} == set(OURS)
    with capture_logs() as logs:
        fail(namespace, 1)
        for number in range(20):
            association.send(ccr(hop_by_hop_id=number))
            answer = (await association.receive()).message
            assert (answer.hop_by_hop_id, result_of(answer)) == (number, 2001)
        await until(lambda: ("gw.example.com", "unreachable") in kit.notes.paths)
    told = next(each for each in logs if each["event"] == "path_changed" and each["state"] == "unreachable")
    assert (told["peer"], told["address"], told["log_level"]) == ("gw.example.com", Namespace.theirs[0], "warning")
    association.send(ccr(hop_by_hop_id=99))
    assert (await association.receive()).message.hop_by_hop_id == 99
    assert kit.notes.ends == []


async def test_a_path_comes_back_and_then_the_other_one_may_go(namespace, start, connect):
    kit = await start(PeerRule("*", CABLES))
    association = await connect(kit)
    await association.receive()
    namespace.cut(1)
    await until(lambda: ("gw.example.com", "unreachable") in kit.notes.paths)
    namespace.mend(1)
    await until(lambda: ("gw.example.com", "available") in kit.notes.paths)
    namespace.cut(2)
    for number in range(5):
        association.send(ccr(hop_by_hop_id=number))
        assert (await association.receive()).message.hop_by_hop_id == number
    assert kit.notes.ends == []


async def test_an_association_without_any_path_ends(namespace, start, connect, monkeypatch):
    monkeypatch.setattr(sctp_socket, "SCTP_ASSOCIATION_RETRIES", 3)
    kit = await start(PeerRule("*", CABLES))
    association = await connect(kit)
    await association.receive()
    namespace.swallow(1)
    namespace.swallow(2)
    await until(lambda: kit.notes.ends, limit_s=30)
    assert kit.notes.ends == [("gw.example.com", "peer")]


def listening():
    """What listens on both far ends, without ocs."""
    made = make_socket()
    made.bind((Namespace.theirs[0], 0))
    made.setsockopt(IPPROTO_SCTP, BINDX_ADD, _packed([(Namespace.theirs[1], made.getsockname()[1])]))
    made.listen()
    return made


async def test_what_we_connect_outlives_a_path(namespace):
    listener = namespace.run(listening)
    takers = []
    await sctp.connect(
        Namespace.theirs, listener.getsockname()[1], lambda link: takers.append(Taker(link)) or takers[-1]
    )
    association = Association(listener.accept()[0])
    (taker,) = takers
    assert taker.link.remote.rpartition(":")[0] in {"+".join(Namespace.theirs), "+".join(reversed(Namespace.theirs))}
    namespace.swallow(1)
    for number in range(10):
        message = ccr(hop_by_hop_id=number)
        taker.link.write(message)
        assert (await association.receive()).data == message
        association.send(message)
        await until(lambda message=message: taker.frames and taker.frames[-1] == message)
    await until(lambda: (Namespace.theirs[0], "unreachable") in taker.paths)
    taker.link.close()
    assert await association.ended() == "closed"
    association.close()
    await until(lambda: taker.ends)
    listener.close()


async def test_either_address_of_a_peer_will_do_to_connect(namespace):
    """The association comes up over the second address where the first one is dead."""
    listener = namespace.run(listening)
    namespace.swallow(1)
    takers = []
    await sctp.connect(
        Namespace.theirs, listener.getsockname()[1], lambda link: takers.append(Taker(link)) or takers[-1]
    )
    takers[0].link.abort()
    listener.close()
    await until(lambda: takers[0].ends)


@pytest.mark.conformance("A1", "A38")
async def test_the_cea_has_every_address_of_the_association(start, connect):
    kit = await start(PeerRule("*", CABLES))
    association = await connect(kit)
    cea = (await association.receive()).message
    assert {unpack_address(each) for each in cea.find_all(257)} == set(OURS)


@pytest.mark.conformance("A2", "A38")
@pytest.mark.parametrize(("network", "expected"), [("10.9.1.0/24", 2001), ("10.9.2.0/24", 3010)])
async def test_the_address_that_the_association_came_from_is_to_be_admitted(start, connect, network, expected):
    kit = await start(PeerRule("*", (ip_network(network),)))
    association = await connect(kit)
    assert result_of((await association.receive()).message) == expected


async def test_what_we_connect_comes_from_where_we_listen(namespace, start):
    listener = namespace.run(listening)
    rule = PeerRule("far.example.com", (), connect=Connect(Namespace.theirs, listener.getsockname()[1], Transport.SCTP))
    ip("address", "replace", "10.9.3.1/32", "dev", "lo")
    kit = await start(rule)
    await until(lambda: kit.node.connections)
    association = Association(await asyncio.get_running_loop().run_in_executor(None, lambda: listener.accept()[0]))
    cer = (await association.receive()).message
    assert {unpack_address(each) for each in cer.find_all(257)} == set(OURS)
    assert set(peer_addresses(association.socket)) == set(OURS)
    association.abort()
    listener.close()
