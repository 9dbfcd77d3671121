"""Connections that the node opens: capabilities, elections, watchdog, reconnects, goodbyes."""

import asyncio

import msgspec
import pytest

from ocs.config.settings import Connect, PeerRule, Transport
from ocs.diameter import base_messages
from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import RefusedError, result_of
from tests.diameter import server_kit
from tests.diameter.node_kit import LOOPBACK, body, ccr, settings, settle, until
from tests.diameter.samples import avp
from tests.diameter.server_kit import Server, state

DRA = "dra.example.com"


@pytest.fixture
async def server(scene):
    return await scene.server()


async def opened(kit, server, count=1):
    await until(lambda: len(server.sessions) == count and state(kit) == "open")


@pytest.mark.conformance("A10", "A1")
async def test_a_peer_of_the_configuration_is_connected_to(scene, server):
    kit = await scene.node(server.rule())
    assert state(kit) == "connecting"
    await opened(kit, server)
    (cer,) = server.last.requests
    assert (cer.command_code, cer.application_id, cer.is_request) == (257, 0, True)
    assert [cer.find(code).data for code in (264, 296)] == [b"ocs.example.com", b"example.com"]
    assert [int.from_bytes(part.data) for part in cer.find_all(258)] == [4]
    (peer,) = kit.node.peers()
    assert (peer.host, peer.realm, peer.trouble, peer.reconnect_at_ns) == (DRA, "example.com", "", None)
    (connection,) = peer.connections
    assert (connection.direction, connection.transport, connection.remote) == ("out", "tcp", f"127.0.0.1:{server.port}")


async def test_a_peer_that_we_connected_to_is_served(scene, server):
    kit = await scene.node(server.rule())
    await opened(kit, server)
    server.last.say(ccr())
    await until(lambda: server.last.answers)
    assert result_of(server.last.answers[0]) == 2001


@pytest.mark.conformance("A10")
async def test_what_is_not_there_is_tried_again_after_tc(scene, server):
    rule = server.rule()
    await server.close()
    kit = await scene.node(rule)
    await until(lambda: kit.notes.ends)
    (peer,) = kit.node.peers()
    assert peer.state == "closed"
    assert "127.0.0.1: " in peer.trouble
    assert peer.reconnect_at_ns == kit.clock.wall_ns() + 30 * 10**9
    assert kit.notes.ends == [("", "connect")]
    again = await scene.server(port=rule.connect.port)
    kit.clock.advance(29)
    await settle(200)
    assert again.sessions == []
    kit.clock.advance(1.1)
    await opened(kit, again)


@pytest.mark.conformance("A8", "A10")
async def test_a_connection_that_was_lost_comes_back_and_is_proved(scene, server):
    kit = await scene.node(server.rule(watchdog_s=10))
    await opened(kit, server)
    server.last.transport.abort()
    await until(lambda: not kit.node.connections)
    assert kit.notes.states[-1] == (DRA, "closed")
    kit.clock.advance(30)
    await until(lambda: len(server.sessions) == 2 and state(kit) == "reopen")
    for answered in range(1, 4):
        await until(lambda answered=answered: len(kit.notes.rtts) == answered)
        kit.clock.advance(10)
    assert state(kit) == "open"


@pytest.mark.conformance("A8")
async def test_a_peer_that_we_connected_to_is_watched(scene, server):
    server.answers[280] = None
    kit = await scene.node(server.rule(watchdog_s=10))
    await opened(kit, server)
    kit.clock.advance(10)
    await until(lambda: server.last.of(280))
    kit.clock.advance(10)
    assert (state(kit), kit.notes.failovers) == ("suspect", [DRA])
    kit.clock.advance(10)
    await until(lambda: server.last.lost)
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [(DRA, "watchdog")]


@pytest.mark.parametrize(
    ("what", "trouble"),
    [
        ("refused", "the peer refused: 3010 who are you"),
        ("other_host", "mme.example.com answered, but dra.example.com is configured"),
        ("no_application", "no application in common: 16777251 offered"),
        ("nothing", "the CEA has no Origin-Host"),
        ("unreadable", "AVP"),
    ],
)
@pytest.mark.conformance("A10", "A3")
async def test_a_cea_that_does_not_do_is_no_connection(scene, server, what, trouble):
    other = Server("mme.example.com")
    broken = avp("Result-Code", 2001)
    server.answers[257] = {
        "refused": server.refuse(3010, "who are you"),
        "other_host": other.cea,
        "no_application": Server(DRA, applications=(16777251,)).cea,
        "nothing": lambda request: server_kit.answer_bytes(request, broken),
        "unreadable": lambda request: server_kit.answer_bytes(request, broken[:-8] + b"\0\0\1\x0c\x40\0\0\x60"),
    }[what]
    kit = await scene.node(server.rule())
    await until(lambda: kit.notes.ends)
    assert server.last.lost or not kit.node.connections
    (peer,) = kit.node.peers()
    assert trouble in peer.trouble
    assert peer.reconnect_at_ns is not None
    assert kit.notes.ends == [("", "cea_refused")]


async def test_a_cea_that_does_not_come_is_not_waited_for(scene, server):
    server.answers[257] = None
    kit = await scene.node(server.rule())
    await until(lambda: server.sessions and server.last.requests)
    kit.clock.advance(9.9)
    assert state(kit) == "wait_cea"
    kit.clock.advance(0.2)
    await until(lambda: server.last.lost)
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("", "no_cea")]


async def test_something_else_than_a_cea_ends_the_connection(scene, server):
    server.answers[257] = lambda request: base_messages.dwr(server.origin, 1, 2)
    kit = await scene.node(server.rule())
    await until(lambda: kit.notes.ends)
    assert kit.notes.ends == [("", "no_cea")]


async def test_a_pattern_learns_its_peer(scene, server):
    kit = await scene.node(server.rule("dra*.example.com"))
    await until(lambda: kit.node.peers() and state(kit) == "open")
    assert [peer.host for peer in kit.node.peers()] == [DRA]
    server.last.transport.abort()
    await until(lambda: not kit.node.connections)
    assert kit.node.peers()[0].reconnect_at_ns is not None


# Goodbyes


@pytest.mark.conformance("A10", "A9")
@pytest.mark.parametrize(("cause", "again_s"), [(0, 30), (1, 300), (2, None)])
async def test_a_goodbye_says_when_we_are_welcome_again(scene, server, cause, again_s):
    kit = await scene.node(server.rule())
    await opened(kit, server)
    server.dpr(cause)
    await until(lambda: server.last.answers)
    assert (server.last.answers[0].command_code, result_of(server.last.answers[0])) == (282, 2001)
    server.last.transport.close()
    await until(lambda: not kit.node.connections)
    if again_s is None:
        assert kit.node.peers()[0].reconnect_at_ns is None
        assert "does not want to talk to us" in kit.node.peers()[0].trouble
        kit.clock.advance(100_000)
        await settle(200)
        assert len(server.sessions) == 1
        assert kit.node.connect_peer(DRA)
    else:
        kit.clock.advance(again_s - 1)
        await settle(200)
        assert len(server.sessions) == 1
        kit.clock.advance(1)
    await opened(kit, server, 2)


@pytest.mark.conformance("A9")
async def test_drain_says_goodbye_and_does_not_come_back(scene, server):
    kit = await scene.node(server.rule())
    await opened(kit, server)
    await kit.node.drain()
    (dpr,) = server.last.of(282)
    assert int.from_bytes(dpr.find(273).data) == 0
    assert kit.clock.armed == 0
    assert len(server.sessions) == 1


async def test_an_end_while_connecting_leaves_nothing(scene, server):
    kit = await scene.node(server.rule())
    assert state(kit) == "connecting"
    await kit.node.stop()
    assert (kit.node.connections, kit.clock.armed) == (set(), 0)


async def test_by_command(scene, server):
    kit = await scene.node(server.rule())
    await opened(kit, server)
    assert kit.node.disconnect_peer("DRA.example.com")
    await until(lambda: not kit.node.connections)
    assert [int.from_bytes(message.find(273).data) for message in server.last.of(282)] == [2]
    kit.clock.advance(1_000)
    await settle(200)
    assert len(server.sessions) == 1
    assert "by command" in kit.node.peers()[0].trouble
    assert kit.node.connect_peer("DRA.example.com")
    await opened(kit, server, 2)
    assert not kit.node.connect_peer("nobody.example.com")
    assert not kit.node.disconnect_peer("nobody.example.com")


async def test_reload_connects_and_disconnects(scene, server):
    other = await scene.server("dra2.example.com")
    kit = await scene.node(server.rule())
    await opened(kit, server)
    kit.node.reload(settings(server.rule(strict=True), other.rule()))
    await until(lambda: state(kit, 1) == "open")
    assert server.last.of(282) == []
    (connection,) = kit.node.known[DRA].connections
    assert connection.rule.strict
    kit.node.reload(settings(other.rule()))
    await until(lambda: server.last.of(282))
    await until(lambda: len(kit.node.connections) == 1)
    assert kit.node.known[DRA].dialer is None
    kit.clock.advance(20)
    assert len(server.sessions) == 1


# Elections


async def rival(kit, host):
    """A peer of that name connects to the node as well; what comes back is on its way."""
    return asyncio.ensure_future(kit.connect(make_origin(host, "example.com", 1)))


@pytest.mark.conformance("A5")
async def test_the_greater_name_keeps_the_connection_that_it_answers(scene):
    """Ours, "ocs", is greater than "dra": the peer's connection stays, ours goes (RFC 6733 5.6.4)."""
    server = await scene.server()
    server.answers[257] = None
    kit = await scene.node(server.rule(networks=LOOPBACK))
    await until(lambda: server.sessions and server.last.requests)
    client = await (await rival(kit, DRA))
    await until(lambda: server.last.lost)
    await until(lambda: len(kit.node.connections) == 1)
    assert result_of(await client.request(272, 4, body())) == 2001
    assert [each.direction for each in kit.node.peers()[0].connections] == ["in"]
    for _ in range(4):
        kit.clock.advance(10)
        await settle(200)
    assert len(server.sessions) == 1, "it is left alone as long as it has its connection"
    await client.close()
    await until(lambda: not kit.node.connections)
    server.answers[257] = server.cea
    kit.clock.advance(30)
    await opened(kit, server, 2)


@pytest.mark.conformance("A5")
async def test_the_smaller_name_waits_for_its_own_answer(scene):
    server = await scene.server("pgw.example.com")
    server.answers[257] = None
    kit = await scene.node(server.rule(networks=LOOPBACK))
    await until(lambda: server.sessions and server.last.requests)
    waiting = await rival(kit, "pgw.example.com")
    await until(lambda: len(kit.node.connections) == 2)
    await settle(200)
    assert not waiting.done()
    server.last.say(server.cea(server.last.requests[0]))
    with pytest.raises(RefusedError) as refused:
        await waiting
    assert result_of(refused.value.cea) == 4003
    await until(lambda: len(kit.node.connections) == 1)
    assert [each.direction for each in kit.node.peers()[0].connections] == ["out"]


@pytest.mark.conformance("A5")
@pytest.mark.parametrize("how", ["refused", "ended", "timeout"])
async def test_the_other_connection_opens_where_ours_comes_to_nothing(scene, how):
    server = await scene.server("pgw.example.com")
    server.answers[257] = None
    kit = await scene.node(server.rule(networks=LOOPBACK))
    await until(lambda: server.sessions and server.last.requests)
    kit.clock.advance(3)
    waiting = await rival(kit, "pgw.example.com")
    await until(lambda: len(kit.node.connections) == 2)
    await settle(200)
    assert not waiting.done()
    if how == "refused":
        server.last.say(server.refuse(4003)(server.last.requests[0]))
    elif how == "ended":
        server.last.transport.abort()
    else:
        kit.clock.advance(7)
    client = await waiting
    assert result_of(await client.request(272, 4, body())) == 2001


@pytest.mark.conformance("A5")
async def test_a_peer_that_cannot_be_reached_gets_in_all_the_same(scene, monkeypatch):
    """Our own connection hangs in the network; the peer's waits 2 s for it, no longer."""
    started = asyncio.Event()

    async def hanging(_hosts, _port, _accept):
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("ocs.diameter.node._CONNECT", dict.fromkeys(Transport, hanging))
    rule = PeerRule(DRA, LOOPBACK, connect=Connect(("192.0.2.1",), 3868))
    kit = await scene.node(rule)
    await started.wait()
    waiting = await rival(kit, DRA)
    await until(lambda: len(kit.node.connections) == 2)
    await settle(200)
    assert not waiting.done()
    kit.clock.advance(2)
    await waiting
    await until(lambda: len(kit.node.connections) == 1)


@pytest.mark.conformance("A5")
async def test_a_third_connection_does_not_disturb_an_election(scene):
    server = await scene.server("pgw.example.com")
    server.answers[257] = None
    kit = await scene.node(server.rule(networks=LOOPBACK))
    await until(lambda: server.sessions and server.last.requests)
    waiting = await rival(kit, "pgw.example.com")
    await until(lambda: len(kit.node.connections) == 2)
    await settle(200)
    with pytest.raises(RefusedError) as refused:
        await (await rival(kit, "pgw.example.com"))
    assert result_of(refused.value.cea) == 5012
    server.last.transport.abort()
    await waiting


@pytest.mark.conformance("A5")
async def test_no_election_where_both_connections_are_allowed(scene):
    server = await scene.server("pgw.example.com")
    server.answers[257] = None
    kit = await scene.node(server.rule(networks=LOOPBACK, connections=2))
    await until(lambda: server.sessions and server.last.requests)
    await (await rival(kit, "pgw.example.com"))
    server.last.say(server.cea(server.last.requests[0]))
    await until(lambda: len(kit.node.peers()[0].connections) == 2)


@pytest.mark.conformance("A5")
async def test_two_nodes_that_connect_to_each_other_have_one_connection(scene):
    """Whichever is first: with names compared the same way on both sides one connection is left, never none."""
    first = await scene.node(PeerRule("*", LOOPBACK))
    second = await scene.node(PeerRule("*", LOOPBACK), identity="ocs2.example.com")
    ports = [kit.address[1] for kit in (first, second)]
    rules = [
        PeerRule("ocs2.example.com", LOOPBACK, connect=Connect(("127.0.0.1",), ports[1])),
        PeerRule("ocs.example.com", LOOPBACK, connect=Connect(("127.0.0.1",), ports[0])),
    ]
    for kit, rule in zip((first, second), rules, strict=True):
        kit.node.reload(msgspec.structs.replace(kit.node.settings, peers=(rule,)))
    await until(lambda: state(first) == state(second) == "open")
    await until(lambda: len(first.node.connections) == len(second.node.connections) == 1)
    assert {first.node.peers()[0].connections[0].direction, second.node.peers()[0].connections[0].direction} == {
        "in",
        "out",
    }


# Origin-State-Id


@pytest.mark.conformance("A37")
async def test_a_host_that_lost_its_sessions_is_told_of_where_it_is_asked_for(scene, server):
    told = []
    kit = await scene.node(server.rule(release_on_restart=True))
    kit.node.peer_restarted = told.append
    await opened(kit, server)

    def says(state_id):
        origin = make_origin(DRA, "example.com", state_id)
        return base_messages.dwr(origin, 5, 6)

    for state_id in (1, 5, 5, 4, 0, 6):
        server.last.say(says(state_id))
    await until(lambda: len(server.last.answers) == 6)
    assert told == [DRA, DRA]


@pytest.mark.conformance("A37")
async def test_a_restart_is_no_matter_by_default_nor_that_of_an_agent(scene, server):
    told = []
    agent = await scene.server("agent.example.com", applications=(0xFFFF_FFFF,))
    kit = await scene.node(server.rule(), agent.rule(release_on_restart=True))
    kit.node.peer_restarted = told.append
    await until(lambda: state(kit, 0) == state(kit, 1) == "open")
    for each in (server, agent):
        origin = make_origin(each.origin.host, "example.com", 9)
        each.last.say(base_messages.dwr(origin, 5, 6))
        await until(lambda each=each: each.last.answers)
    assert told == []


@pytest.mark.conformance("A37")
async def test_a_host_behind_an_agent_is_known_by_its_requests(scene):
    told = []
    agent = await scene.server("agent.example.com", applications=(0xFFFF_FFFF,))
    kit = await scene.node(agent.rule(release_on_restart=True))
    kit.node.peer_restarted = told.append
    await until(lambda: agent.sessions and state(kit) == "open")
    for state_id in (3, 4):
        agent.last.say(ccr(avp("Origin-State-Id", state_id)))
    await until(lambda: len(agent.last.answers) == 2)
    assert told == ["gw.example.com"]
