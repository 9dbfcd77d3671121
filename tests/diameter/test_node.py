"""The node over loopback: capabilities, base checks, watchdog, second connections, drain."""

import asyncio
from ipaddress import ip_address, ip_network

import msgspec
import pytest
from structlog.testing import capture_logs

from ocs.config.settings import PeerRule
from ocs.diameter import base_messages
from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import RefusedError, result_of
from ocs.diameter.errors import PeerError
from ocs.diameter.node import Node
from ocs.diameter.peer_machine import SECOND_NS
from ocs.diameter.types import unpack_address
from ocs.diameter.wire import decode_message
from tests.diameter import node_kit
from tests.diameter.node_kit import LOOPBACK, PGW, body, ccr, request, settings, settle, until
from tests.diameter.samples import CAPABILITIES, ORIGIN, avp, credit_control

QUICK = PeerRule("*", LOOPBACK, watchdog_s=10)


@pytest.fixture
async def start():
    kits = []

    async def start(*rules, **kwargs):
        kits.append(await node_kit.start(*rules, **kwargs))
        return kits[-1]

    yield start
    for kit in kits:
        await kit.clear()


@pytest.fixture
async def kit(start):
    return await start(QUICK)


def numbers(message, code):
    return [int.from_bytes(part.data) for part in message.find_all(code)]


async def refused(kit, origin=PGW, **kwargs):
    with pytest.raises(RefusedError) as caught:
        await kit.connect(origin, **kwargs)
    await until(lambda: not kit.node.connections)
    return caught.value.cea


# Capabilities


@pytest.mark.conformance("A1")
async def test_cea(kit):
    cea = (await kit.connect()).cea
    assert result_of(cea) == 2001
    assert cea.find(264).data == b"ocs.example.com"
    assert cea.find(296).data == b"example.com"
    assert unpack_address(cea.find(257)) == ip_address("127.0.0.1")
    assert numbers(cea, 266) == [0]
    assert (cea.find(269).data, cea.find(269).flags) == (b"ocs", 0)
    assert numbers(cea, 278) == [17]
    assert numbers(cea, 265) == [10415]
    assert numbers(cea, 258) == [4]
    assert [(part.code, int.from_bytes(part.data)) for part in cea.find(260).children()] == [(266, 10415), (258, 4)]
    assert cea.find(267).flags == 0
    assert not cea.is_error


@pytest.mark.conformance("A2")
async def test_unknown_peer(start):
    kit = await start(PeerRule("*.other.example.com", LOOPBACK), PeerRule("*", (ip_network("10.0.0.0/8"),)))
    with capture_logs() as logs:
        cea = await refused(kit)
    (told,) = [log for log in logs if log["event"] == "peer_refused"]
    assert told["add"] == '- host: "pgw.example.com"\n  from: ["127.0.0.1/32"]'
    assert result_of(cea) == 3010
    assert cea.is_error
    assert kit.notes.ends == [("", "unknown_peer")]
    assert kit.node.peers() == ()


@pytest.mark.conformance("A3")
async def test_no_common_application(kit):
    cea = await refused(kit, applications=[16777238])
    assert result_of(cea) == 5010
    assert not cea.is_error
    assert numbers(cea, 258) == []
    assert unpack_address(cea.find(257)) == ip_address("127.0.0.1")
    assert kit.notes.ends == [("", "refused")]


@pytest.mark.conformance("A3")
async def test_a_relay_has_every_application(kit):
    assert result_of((await kit.connect(applications=[0xFFFFFFFF])).cea) == 2001


@pytest.mark.conformance("A4")
async def test_no_common_security(kit):
    raw = await kit.raw()
    raw.send(request(257, [*CAPABILITIES, avp("Inband-Security-Id", 1)], flags=0x80, application_id=0))
    assert result_of(await raw.receive()) == 5017
    assert await raw.receive() is None


@pytest.mark.conformance("A17")
async def test_a_cer_without_what_it_needs(kit):
    raw = await kit.raw()
    raw.send(request(257, ORIGIN, flags=0x80, application_id=0))
    answer = await raw.receive()
    assert result_of(answer) == 5005
    assert answer.find(279) is not None
    assert await raw.receive() is None
    assert kit.notes.refusals == [5005]


@pytest.mark.conformance("A18")
async def test_a_cer_that_cannot_be_cut_into_avps(kit):
    raw = await kit.raw()
    raw.send(request(257, [*CAPABILITIES, b"\0\0\1\x08\x40\0\0\x50"], flags=0x80, application_id=0))
    answer = await raw.receive()
    assert (result_of(answer), answer.is_error) == (5014, True)
    assert await raw.receive() is None


@pytest.mark.conformance("A7")
async def test_a_cer_on_an_open_connection_is_answered_and_changes_nothing(kit):
    client = await kit.connect()
    kit.service.keep = True
    waiting = asyncio.ensure_future(client.request(272, 4, body()))
    await until(lambda: kit.service.kept)
    cer = base_messages.cer(PGW, ip_address("127.0.0.1"), [4], 77, 78)
    again = await client.exchange(77, cer)
    assert result_of(again) == 2001
    assert again.find(258) is not None
    kit.service.release()
    assert result_of(await waiting) == 2001
    other = base_messages.cer(make_origin("x.example.com", "example.com", 1), ip_address("127.0.0.1"), [4], 79, 80)
    assert result_of(await client.exchange(79, other)) == 5012
    assert [peer.host for peer in kit.node.peers()] == ["pgw.example.com"]


@pytest.mark.conformance("A6")
@pytest.mark.parametrize(
    "data",
    [
        ccr(),
        request(280, ORIGIN, flags=0x80, application_id=0),
        request(282, [*ORIGIN, avp("Disconnect-Cause", 0)], flags=0x80, application_id=0),
        request(280, ORIGIN, flags=0x00, application_id=0),
        request(257, CAPABILITIES, flags=0x80, application_id=4),
    ],
    ids=["ccr", "dwr", "dpr", "dwa", "cer_of_an_application"],
)
async def test_anything_before_a_cer_closes(kit, data):
    raw = await kit.raw()
    raw.send(data)
    assert await raw.receive() is None
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("", "no_cer")]
    assert kit.service.seen == []


@pytest.mark.conformance("A6")
async def test_no_cer_in_time(kit):
    client = await kit.connect_only()
    await until(lambda: kit.node.connections)
    kit.clock.advance(9.9)
    await settle()
    assert not client.lost.done()
    kit.clock.advance(0.2)
    await client.lost
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("", "no_cer")]


async def test_a_gone_connection_leaves_no_timer(kit):
    client = await kit.connect()
    assert kit.clock.armed == 1
    await client.close()
    await until(lambda: not kit.node.connections)
    assert kit.clock.armed == 0


# Base checks


async def test_a_request_is_served(kit):
    client = await kit.connect()
    answer = await client.request(272, 4, body())
    assert result_of(answer) == 2001
    assert kit.notes.answers == 1
    (peer,) = kit.node.peers()
    assert (peer.host, peer.state, peer.messages_in, peer.messages_out, peer.inflight) == (
        "pgw.example.com",
        "open",
        1,
        2,
        0,
    )
    assert peer.connections[0].since_ns == kit.clock.wall_ns()
    assert peer.connections[0].local == "{}:{}".format(*kit.address)


def changed(name, value):
    """A CCR's AVPs with one of them changed."""
    old = avp(name, value)
    return b"".join([old if part[:4] == old[:4] else part for part in credit_control()])


@pytest.mark.parametrize(
    ("command", "application", "avps", "expected"),
    [
        pytest.param(272, 9, body(), 3007, marks=pytest.mark.conformance("A13")),
        pytest.param(257, 9, body(), 3007, marks=pytest.mark.conformance("A13")),
        pytest.param(275, 4, body(), 3001, marks=pytest.mark.conformance("A12")),
        pytest.param(257, 4, body(), 3001, marks=pytest.mark.conformance("A12")),
        pytest.param(272, 4, changed("Destination-Realm", "x.org"), 3003, marks=pytest.mark.conformance("A32")),
        pytest.param(
            272, 4, body(avp("Destination-Host", "x.example.com")), 3002, marks=pytest.mark.conformance("A33")
        ),
        pytest.param(
            272, 4, body(avp("Route-Record", "OCS.example.com")), 3005, marks=pytest.mark.conformance("A31", "A44")
        ),
        pytest.param(272, 4, body(avp("Result-Code", 2001)), 5008, marks=pytest.mark.conformance("A21")),
    ],
)
async def test_what_is_not_served(kit, command, application, avps, expected):
    client = await kit.connect()
    answer = await client.request(command, application, avps)
    assert result_of(answer) == expected
    assert answer.avps[0].code == 263
    assert answer.is_error == (3000 <= expected < 4000)
    assert (answer.command_code, answer.application_id) == (command, application)
    assert kit.notes.refusals == [expected]
    assert kit.service.seen == []
    assert not client.lost.done()


@pytest.mark.conformance("A14")
async def test_contradicting_and_reserved_header_bits(kit):
    client = await kit.connect()
    answer = await client.exchange(5, ccr(hop_by_hop_id=5, flags=0xE0))
    assert (result_of(answer), answer.is_error) == (3008, True)
    answer = await client.exchange(6, ccr(hop_by_hop_id=6, flags=0xCF))
    assert (result_of(answer), answer.flags) == (2001, 0x40)


@pytest.mark.conformance("A18", "A28")
async def test_an_avp_that_is_longer_than_its_message(kit):
    client = await kit.connect()
    answer = await client.exchange(5, ccr(b"\0\0\1\x08\x40\0\0\x50", hop_by_hop_id=5))
    assert (result_of(answer), answer.is_error) == (5014, True)
    assert answer.find(279) is not None
    assert answer.avps[0].code == 263


@pytest.mark.conformance("A28", "A30")
async def test_what_an_error_gives_back(kit):
    client = await kit.connect()
    proxies = [
        avp("Proxy-Info", [avp("Proxy-Host", f"dra{number}.example.com"), avp("Proxy-State", b"\7")])
        for number in (3, 1, 2)
    ]
    avps = b"".join([*credit_control(), *proxies, avp("Route-Record", "dra.example.com"), avp("Result-Code", 1)])
    answer = decode_message((await client.request(272, 4, avps)).encode())
    assert [part.encode() for part in answer.find_all(284)] == proxies
    assert answer.find(282) is None
    assert [part.code for part in answer.avps] == [263, 268, 264, 296, 258, 416, 415, 279, 281, 284, 284, 284]
    assert answer.is_proxiable
    assert not answer.is_error
    assert answer.find(279).data == avp("Result-Code", 1)


@pytest.mark.conformance("A29")
async def test_answers_leave_on_the_connection_of_their_request(start):
    kit = await start(PeerRule("*", LOOPBACK, connections=2))
    kit.service.keep = True
    first, second = await kit.connect(), await kit.connect()
    waiting = [
        asyncio.ensure_future(client.exchange(9, ccr(hop_by_hop_id=9), 10)) for client in (second, first, second)[:2]
    ]
    await until(lambda: len(kit.service.kept) == 2)
    kit.service.release()
    assert [result_of(answer) for answer in await asyncio.gather(*waiting)] == [2001, 2001]
    assert (first.unmatched, second.unmatched) == (0, 0)


async def test_an_application_that_fails_is_answered_for(kit):
    client = await kit.connect()
    kit.service.fail = PeerError(5031, avp("Rating-Group", 3), "no rate")
    answer = await client.request(272, 4, body())
    assert (result_of(answer), answer.find(279).data) == (5031, avp("Rating-Group", 3))
    kit.service.fail = ZeroDivisionError()
    answer = await client.request(272, 4, body())
    assert (result_of(answer), answer.is_error) == (5012, False)
    assert kit.node.inflight == {}


async def test_answers_without_a_request_are_dropped(kit):
    client = await kit.connect()
    client.send(request(280, ORIGIN, flags=0, application_id=0) + request(272, [], flags=0))
    assert result_of(await client.request(272, 4, body())) == 2001
    assert kit.notes.drops == ["unknown_answer", "unknown_answer"]


async def test_an_answer_for_a_connection_that_is_gone_is_dropped(kit):
    kit.service.keep = True
    client = await kit.connect()
    client.send(ccr())
    await until(lambda: kit.service.kept)
    client.abort()
    await until(lambda: not kit.node.connections)
    kit.service.release()
    assert kit.notes.drops == ["connection_gone"]
    assert kit.node.inflight == {}
    assert kit.notes.answers == 0


@pytest.mark.conformance("A34")
async def test_what_is_not_answered_in_time_is_answered_3004(kit):
    kit.service.keep = True
    client = await kit.connect()
    first = asyncio.ensure_future(client.request(272, 4, body()))
    await until(lambda: len(kit.service.kept) == 1)
    kit.clock.advance(3)
    second = asyncio.ensure_future(client.request(272, 4, body()))
    await until(lambda: len(kit.service.kept) == 2)
    kit.clock.advance(2.9)
    await settle()
    assert not first.done(), "an application has a little more than its own deadline"
    kit.clock.advance(0.1)
    assert result_of(await first) == 3004
    assert not second.done()
    kit.clock.advance(3)
    assert result_of(await second) == 3004
    kit.service.release()
    await settle()
    assert client.unmatched == 0
    assert kit.notes.limits == ["answer_deadline_s"] * 2


@pytest.mark.conformance("A34")
async def test_too_much_in_flight_is_answered_3004_and_not_read_on(kit, monkeypatch):
    monkeypatch.setattr("ocs.diameter.node_requests.PEER_INFLIGHT_MAX", 4)
    monkeypatch.setattr("ocs.diameter.node.PEER_INFLIGHT_MAX", 4)
    monkeypatch.setattr("ocs.diameter.node._OVERDUE_NS", 1_000 * SECOND_NS)
    kit.service.keep = True
    raw = await kit.raw()
    raw.send(request(257, CAPABILITIES, flags=0x80, application_id=0))
    assert result_of(await raw.receive()) == 2001
    raw.send(b"".join(ccr(hop_by_hop_id=number) for number in range(6)))
    for number in (4, 5):
        answer = await raw.receive()
        assert (answer.hop_by_hop_id, result_of(answer), answer.is_error) == (number, 3004, True)
    assert kit.notes.limits == ["peer_inflight"] * 2
    raw.send(ccr(hop_by_hop_id=99))
    await settle(200)
    assert len(kit.service.seen) == 4, "the connection is not read"
    kit.clock.advance(60)
    assert kit.notes.states == [("gw.example.com", "open")], "nor is it suspected for that"
    kit.service.keep = False
    kit.service.release()
    assert sorted([(await raw.receive()).hop_by_hop_id for _ in range(5)]) == [0, 1, 2, 3, 99]


async def test_a_limit_of_all_peers_together(kit, monkeypatch):
    monkeypatch.setattr("ocs.diameter.node_requests.INFLIGHT_MAX", 1)
    kit.service.keep = True
    client = await kit.connect()
    client.send(ccr())
    await until(lambda: kit.service.kept)
    other = await kit.connect(make_origin("smf.example.com", "example.com", 1))
    assert result_of(await other.request(272, 4, body())) == 3004
    assert kit.notes.limits == ["inflight"]


async def test_too_many_connections_are_not_taken(kit, monkeypatch):
    monkeypatch.setattr("ocs.diameter.node.CONNECTIONS_MAX", 1)
    await kit.connect()
    with pytest.raises(ConnectionError):
        await kit.connect(make_origin("smf.example.com", "example.com", 1))
    assert kit.notes.limits == ["connections"]
    assert kit.notes.open == 1


async def test_peers_that_are_remembered_have_a_bound(kit, monkeypatch):
    for number in range(4):
        await (await kit.connect(make_origin(f"pgw{number}.example.com", "example.com", 1))).close()
        monkeypatch.setattr("ocs.diameter.node.CONNECTIONS_MAX", 3)
    assert [peer.host for peer in kit.node.peers()] == ["pgw1.example.com", "pgw2.example.com", "pgw3.example.com"]


# Watchdog


@pytest.mark.conformance("A8")
async def test_dwr_is_answered(kit):
    client = await kit.connect()
    answer = await client.exchange(5, base_messages.dwr(PGW, 5, 6))
    assert (result_of(answer), numbers(answer, 278)) == (2001, [17])
    assert answer.find(264).data == b"ocs.example.com"


@pytest.mark.conformance("A8", "A17")
async def test_a_dwr_without_origin(kit):
    client = await kit.connect()
    answer = await client.exchange(5, request(280, [], flags=0x80, application_id=0, hop_by_hop_id=5))
    assert (result_of(answer), answer.is_error) == (5005, False)


@pytest.mark.conformance("A8")
async def test_a_quiet_peer_is_watched(kit):
    client = await kit.connect()
    kit.clock.advance(10)
    await until(lambda: kit.notes.rtts)
    assert [message.command_code for message in client.requests] == [280]
    assert numbers(client.requests[0], 278) == [17]
    assert kit.node.peers()[0].watchdog_rtt_ns == 0
    client.answer_watchdogs = False
    kit.clock.advance(10)
    await until(lambda: len(client.requests) == 2)
    kit.clock.advance(10)
    assert kit.notes.failovers == ["pgw.example.com"]
    assert kit.node.peers()[0].state == "suspect"
    assert result_of(await client.request(272, 4, body())) == 2001
    assert kit.node.peers()[0].state == "open"
    kit.clock.advance(20)
    await client.lost
    await until(lambda: kit.notes.ends)
    assert len(client.requests) == 2, "one DWR pending at a time"
    assert kit.notes.ends == [("pgw.example.com", "watchdog")]
    assert [state for _, state in kit.notes.states] == ["open", "suspect", "open", "suspect", "closed"]


@pytest.mark.conformance("A8")
async def test_a_peer_that_was_lost_has_to_answer_three_times(kit):
    (await kit.connect()).abort()
    await until(lambda: not kit.node.connections)
    client = await kit.connect()
    assert kit.node.peers()[0].state == "reopen"
    assert result_of(await client.request(272, 4, body())) == 2001
    for answered in range(1, 4):
        await until(lambda answered=answered: len(kit.notes.rtts) == answered)
        assert kit.node.peers()[0].state == ("open" if answered == 3 else "reopen")
        kit.clock.advance(10)
    await client.close()
    await until(lambda: not kit.node.connections)
    await kit.connect()
    assert kit.node.peers()[0].state == "open", "a peer that said goodbye was not lost"


# Second connections


@pytest.mark.conformance("A5")
async def test_a_second_connection_is_turned_away_while_the_first_one_answers(kit):
    first = await kit.connect()
    cea = await refused_second(kit)
    assert result_of(cea) == 5012
    assert [message.command_code for message in first.requests] == [280]
    assert result_of(await first.request(272, 4, body())) == 2001
    assert kit.notes.ends == [("", "rival")]


async def refused_second(kit):
    with pytest.raises(RefusedError) as caught:
        await kit.connect(make_origin("PGW.example.com", "example.com", 1))
    await until(lambda: len(kit.node.connections) == 1)
    return caught.value.cea


@pytest.mark.conformance("A5")
async def test_a_second_connection_replaces_one_that_is_dead(kit):
    first = await kit.connect()
    first.answer_watchdogs = False
    second = asyncio.ensure_future(kit.connect())
    await until(lambda: first.requests)
    with pytest.raises(RefusedError):
        await kit.connect()  # one at a time asks
    kit.clock.advance(1.9)
    await settle()
    assert not second.done()
    kit.clock.advance(0.2)
    client = await second
    await first.lost
    assert result_of(await client.request(272, 4, body())) == 2001
    assert ("pgw.example.com", "replaced") in kit.notes.ends
    assert len(kit.node.peers()[0].connections) == 1


async def test_a_second_connection_takes_the_place_of_one_that_ends(kit):
    first = await kit.connect()
    first.answer_watchdogs = False
    second = asyncio.ensure_future(kit.connect())
    await until(lambda: first.requests)
    await first.close()
    assert result_of((await second).cea) == 2001
    await until(lambda: len(kit.node.connections) == 1)
    assert len(kit.node.peers()[0].connections) == 1


async def test_a_second_connection_that_gives_up_harms_nobody(kit):
    first = await kit.connect()
    first.answer_watchdogs = False
    second = await kit.connect_only()
    second.send(base_messages.cer(PGW, ip_address("127.0.0.1"), [4], 1, 2))
    await until(lambda: first.requests)
    second.abort()
    await until(lambda: len(kit.node.connections) == 1)
    kit.clock.advance(3)
    await settle()
    assert not first.lost.done()
    assert kit.node.known["pgw.example.com"].rival is None


async def test_a_second_connection_that_does_not_wait_for_its_cea_is_closed(kit):
    first = await kit.connect()
    first.answer_watchdogs = False
    second = await kit.connect_only()
    second.send(base_messages.cer(PGW, ip_address("127.0.0.1"), [4], 1, 2) + ccr())
    await second.lost
    assert kit.service.seen == []


async def test_peers_may_be_allowed_several_connections(start):
    kit = await start(PeerRule("*", LOOPBACK, connections=2))
    first, second = await kit.connect(), await kit.connect()
    with pytest.raises(RefusedError):
        await kit.connect()
    first.answer_watchdogs = False
    third = asyncio.ensure_future(kit.connect())
    await until(lambda: len(first.requests) == 2 and len(kit.notes.rtts) == 3)
    kit.clock.advance(2)
    await third
    await first.lost
    assert not second.lost.done()
    assert len(kit.node.peers()[0].connections) == 2


# Ends


@pytest.mark.conformance("A9")
async def test_dpr_is_answered(kit):
    client = await kit.connect()
    answer = await client.exchange(5, base_messages.dpr(PGW, 0, 5, 6))
    assert result_of(answer) == 2001
    assert result_of(await client.exchange(7, ccr(hop_by_hop_id=7))) == 3004, "what comes after it is not served"
    assert kit.service.seen == []
    kit.clock.advance(5)
    await client.lost
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("pgw.example.com", "peer")]


@pytest.mark.conformance("A9", "A34")
async def test_drain(kit):
    kit.service.keep = True
    client = await kit.connect()
    waiting = asyncio.ensure_future(client.request(272, 4, body()))
    await until(lambda: kit.service.kept)
    host, port = kit.address
    draining = asyncio.ensure_future(kit.node.drain())
    await settle()
    assert kit.service.kept[0].draining
    assert client.requests == type(client.requests)(), "no DPR before what is in flight is answered"
    with pytest.raises(ConnectionRefusedError):
        await node_kit.RAWS[node_kit.TRANSPORT].connect(host, port)
    kit.service.release()
    assert result_of(await waiting) == 2001
    await draining
    await client.lost
    assert [(message.command_code, numbers(message, 273)) for message in client.requests] == [(282, [0])]
    assert kit.notes.ends == [("pgw.example.com", "drained")]
    assert kit.clock.armed == 0


@pytest.mark.conformance("A9")
async def test_drain_does_not_wait_for_ever(kit):
    kit.service.keep = True
    raw = await kit.raw()
    raw.send(request(257, CAPABILITIES, flags=0x80, application_id=0) + ccr(hop_by_hop_id=1))
    assert result_of(await raw.receive()) == 2001
    await until(lambda: kit.service.kept)
    draining = asyncio.ensure_future(kit.node.drain())
    await settle()
    kit.clock.advance(5)
    assert (await raw.receive()).command_code == 282
    raw.send(ccr(hop_by_hop_id=2))
    assert result_of(await raw.receive()) == 3004
    kit.clock.advance(1)
    assert result_of(await raw.receive()) == 3004
    kit.clock.advance(4)
    assert await raw.receive() is None
    await draining


async def test_a_connection_is_held_for_its_last_answer(kit):
    """The DPA may come while a request that crossed our DPR is still being worked on."""
    kit.service.keep = True
    raw = await kit.raw()
    raw.send(request(257, CAPABILITIES, flags=0x80, application_id=0) + ccr(hop_by_hop_id=1))
    assert result_of(await raw.receive()) == 2001
    await until(lambda: kit.service.kept)
    (connection,) = kit.node.connections
    connection.stop(base_messages.REBOOTING, "drained")
    dpr = await raw.receive()
    raw.send(request(282, ORIGIN, flags=0, application_id=0, hop_by_hop_id=dpr.hop_by_hop_id))
    await settle(200)
    kit.service.release()
    assert result_of(await raw.receive()) == 2001
    assert await raw.receive() is None


async def test_a_connection_that_breaks_after_its_dpa_lets_its_last_answer_go(kit):
    kit.service.keep = True
    raw = await kit.raw()
    raw.send(request(257, CAPABILITIES, flags=0x80, application_id=0) + ccr(hop_by_hop_id=1))
    assert result_of(await raw.receive()) == 2001
    await until(lambda: kit.service.kept)
    (connection,) = kit.node.connections
    connection.stop(base_messages.REBOOTING, "drained")
    dpr = await raw.receive()
    raw.send(request(282, ORIGIN, flags=0, application_id=0, hop_by_hop_id=dpr.hop_by_hop_id))
    await settle(200)
    connection.link.abort()
    await until(lambda: not kit.node.connections)
    kit.service.release()
    assert kit.node.inflight == {}
    assert kit.notes.drops == ["connection_gone"]


async def test_stop_ends_at_once(kit):
    client = await kit.connect()
    await kit.node.stop()
    await client.lost
    assert client.requests == type(client.requests)()
    assert kit.notes.open == 0


# Reload


async def test_reload_treats_peers_anew(kit):
    client = await kit.connect()
    other = await kit.connect(make_origin("smf.example.com", "example.com", 1))
    rules = (PeerRule("pgw.*", LOOPBACK, strict=True, watchdog_s=20),)
    kit.node.reload(msgspec.structs.replace(settings(*rules), realms=("new.example.com",)))
    await other.lost
    assert [numbers(message, 273) for message in other.requests] == [[2]]
    answer = await client.request(272, 4, body())
    assert (result_of(answer), answer.find(296).data) == (3003, b"new.example.com")
    strange = avp("Service-Information", [b"\0\0\x27\x0f\x40\0\0\x0c\0\0\0\0"])
    parts = [part for part in credit_control() if part[:4] != strange[:4]]
    parts[3] = avp("Destination-Realm", "new.example.com")
    assert result_of(await client.request(272, 4, b"".join([*parts, strange]))) == 5001


async def test_a_busy_port_is_named(kit):
    _, port = kit.address
    busy = msgspec.structs.replace(settings(), listeners=(msgspec.structs.replace(settings().listeners[0], port=port),))
    with pytest.raises(OSError, match=f"127.0.0.1:{port}/{node_kit.TRANSPORT.value}"):
        await Node(busy, [], origin_state_id=1).start()


@pytest.mark.conformance("A38")
async def test_ipv6(start):
    kit = await start(host="::1", fake_clock=False)
    client = await kit.connect()
    assert unpack_address(client.cea.find(257)) == ip_address("::1")
    assert result_of(await client.request(272, 4, body())) == 2001
    assert kit.node.peers()[0].connections[0].remote.startswith("[::1]:")
    await client.close()
