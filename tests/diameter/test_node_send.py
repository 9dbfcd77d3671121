"""Requests of our own: choice of the peer, ids, deadline, failover with the T bit, redirects, agents."""

import asyncio

import pytest

from ocs.config.settings import PeerRule
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import Client, result_of
from ocs.diameter.node_outgoing import NotDelivered
from ocs.diameter.routes import OwnRequest
from ocs.diameter.wire import FLAG_PROXIABLE, FLAG_REQUEST, FLAG_RETRANSMISSION
from tests.diameter.node_kit import LOOPBACK, settle, until
from tests.diameter.samples import avp
from tests.diameter.server_kit import forwarded, redirection, state

RAR = 258
PGW, DRA, DRA2 = "pgw.example.net", "dra.example.com", "dra2.example.com"
RELAY = (0xFFFF_FFFF,)


def rar(host=PGW, realm="example.net", **kwargs):
    """What an application asks for: a Re-Auth-Request of credit control (RFC 8506 5.5)."""
    parts = avp("Auth-Application-Id", 4) + avp("Re-Auth-Request-Type", 0)
    return OwnRequest(RAR, 4, realm, parts, host, kwargs.pop("session_id", f"{host};1;2"), **kwargs)


async def opened(kit, *servers):
    await until(lambda: all(server.sessions for server in servers))
    await until(lambda: all(peer.state == "open" for peer in kit.node.peers()))


class Gateway(Client):
    """A gateway that connects to us, and answers RARs."""

    def _answer(self, message):
        if message.command_code != RAR:
            super()._answer(message)
            return
        self.requests.append(message)
        self.send(base_answer(message, 2002, self.origin))


async def gateway(kit, host=PGW, realm="example.net"):
    client = await Gateway.connect(*kit.address, make_origin(host, realm, 1))
    kit.opened.append(client)
    return client


@pytest.mark.conformance("B31")
async def test_to_a_peer_that_connected_to_us(scene):
    kit = await scene.node(PeerRule("*", LOOPBACK))
    client = await gateway(kit)
    answer = await kit.node.send(rar())
    assert result_of(answer) == 2002
    (request,) = client.requests
    assert (request.command_code, request.application_id) == (RAR, 4)
    assert request.flags == FLAG_REQUEST | FLAG_PROXIABLE
    assert [part.code for part in request.avps] == [263, 264, 296, 283, 293, 258, 285, 621]
    assert [request.find(code).data for code in (263, 264, 296, 283, 293)] == [
        b"pgw.example.net;1;2",
        b"ocs.example.com",
        b"example.com",
        b"example.net",
        b"pgw.example.net",
    ]
    assert (answer.end_to_end_id, answer.hop_by_hop_id) == (request.end_to_end_id, request.hop_by_hop_id)
    (connection,) = kit.node.connections
    assert (connection.pending, kit.node.outgoing.count) == ({}, 0)
    assert kit.clock.armed == 1, "the watchdog alone"


@pytest.mark.conformance("B31", "A10")
async def test_to_a_peer_that_we_connected_to(scene):
    server = await scene.server(PGW, realm="example.net")
    kit = await scene.node(server.rule())
    await opened(kit, server)
    assert result_of(await kit.node.send(rar())) == 2001
    assert len(server.last.of(RAR)) == 1


@pytest.mark.conformance("B31")
@pytest.mark.parametrize("realms", [(), ("example.net",)], ids=["any_realm", "named_realm"])
async def test_through_a_relay_to_a_gateway_behind_it(scene, realms):
    agent = await scene.server(DRA, applications=RELAY)
    behind = await scene.server(PGW, realm="example.net")
    kit = await scene.node(agent.rule(realms=realms))
    await opened(kit, agent)
    told = []

    def relay(request):
        told.append(forwarded(request, 99, DRA))
        return behind.raa(request)

    agent.answers[RAR] = relay
    answer = await kit.node.send(rar())
    assert (result_of(answer), answer.find(264).data) == (2001, b"pgw.example.net")
    assert len(told) == 1


async def test_a_peer_is_no_agent_for_others_of_its_realm(scene):
    kit = await scene.node(PeerRule("*", LOOPBACK))
    client = await gateway(kit, "mme.example.net")
    with pytest.raises(NotDelivered, match=r"no open peer reaches pgw.example.net in example.net for") as caught:
        await kit.node.send(rar())
    assert caught.value.reason == "no_peer"
    assert result_of(await kit.node.send(rar(None))) == 2002, "any host of the realm will do"
    assert len(client.requests) == 1
    assert kit.node.reaches("mme.example.net", "example.net", 4)
    assert not kit.node.reaches(PGW, "example.net", 4)
    assert not kit.node.reaches("mme.example.net", "example.net", 16777238)


async def test_the_host_itself_before_the_realm_before_any_relay(scene):
    relay = await scene.server("relay.example.com", applications=RELAY)
    agent = await scene.server(DRA, applications=RELAY)
    kit = await scene.node(relay.rule(), agent.rule(realms=("example.net",)), PeerRule("*", LOOPBACK))
    await opened(kit, relay, agent)
    await kit.node.send(rar())
    assert (len(agent.last.of(RAR)), len(relay.last.of(RAR))) == (1, 0)
    client = await gateway(kit)
    await kit.node.send(rar())
    assert len(client.requests) == 1
    await kit.node.send(rar("x.example.org", "example.org"))
    assert len(relay.last.of(RAR)) == 1, "an agent of named realms is asked for no other"
    await kit.node.send(rar(via="relay.example.com"))
    assert len(client.requests) == 2, "the host itself before the agent that the session came through"
    await client.close()
    await kit.node.send(rar(via="Relay.example.com"))
    assert len(relay.last.of(RAR)) == 2, "the agent that the session came through"


async def test_of_several_the_one_that_owes_the_fewest_answers(scene):
    servers = [await scene.server(host, applications=RELAY) for host in (DRA, DRA2)]
    for server in servers:
        server.answers[RAR] = None
    kit = await scene.node(*(server.rule() for server in servers))
    await opened(kit, *servers)
    waiting = [asyncio.ensure_future(kit.node.send(rar())) for _ in range(4)]
    await until(lambda: all(len(server.last.of(RAR)) == 2 for server in servers))
    assert [peer.connections[0].pending for peer in kit.node.peers()] == [2, 2]
    first, second = servers
    for request in first.last.of(RAR):
        first.last.say(first.raa(request))
    await until(lambda: sum(each.done() for each in waiting) == 2)
    waiting += [asyncio.ensure_future(kit.node.send(rar())) for _ in range(2)]
    await until(lambda: len(first.last.of(RAR)) == 4)
    assert len(second.last.of(RAR)) == 2
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert kit.node.outgoing.count == 0
    assert all(connection.pending == {} for connection in kit.node.connections)


# Failover


async def two_relays(scene, **kwargs):
    servers = [await scene.server(host, applications=RELAY) for host in (DRA, DRA2)]
    servers[0].answers[RAR] = None
    kit = await scene.node(*(server.rule(watchdog_s=10, **kwargs) for server in servers))
    await opened(kit, *servers)
    kit.node.known[DRA2].connections[0].sent = 1  # the first one is asked first
    waiting = asyncio.ensure_future(kit.node.send(rar(timeout_s=60)))
    await until(lambda: servers[0].last.of(RAR))
    return kit, *servers, waiting


def sent_again(first, second):
    (before,), (after,) = first.last.of(RAR), second.last.of(RAR)
    assert after.flags == before.flags | FLAG_RETRANSMISSION
    assert after.end_to_end_id == before.end_to_end_id
    assert after.hop_by_hop_id != before.hop_by_hop_id
    assert [part.data for part in after.avps] == [part.data for part in before.avps]


@pytest.mark.conformance("A8", "B30")
async def test_a_lost_connection_sends_what_waits_to_another_peer(scene):
    _kit, first, second, waiting = await two_relays(scene)
    first.last.transport.abort()
    assert result_of(await waiting) == 2001
    sent_again(first, second)


@pytest.mark.conformance("A8")
async def test_a_suspected_one_does_so_too_and_the_first_answer_counts(scene):
    kit, first, second, waiting = await two_relays(scene)
    first.answers[280] = None
    second.answers[RAR] = None
    kit.clock.advance(10)
    await until(lambda: first.last.of(280))
    await until(lambda: len(kit.notes.rtts) == 1)
    kit.clock.advance(10)
    await until(lambda: second.last.of(RAR))
    sent_again(first, second)
    first.last.say(first.raa(first.last.of(RAR)[0], 2002))
    assert result_of(await waiting) == 2002
    second.last.say(second.raa(second.last.of(RAR)[0]))
    await until(lambda: kit.notes.drops)
    assert kit.notes.drops == ["unknown_answer"]


async def test_a_suspect_without_another_peer_may_still_answer(scene):
    server = await scene.server(DRA, applications=RELAY)
    server.answers.update({RAR: None, 280: None})
    kit = await scene.node(server.rule(watchdog_s=10))
    await opened(kit, server)
    waiting = asyncio.ensure_future(kit.node.send(rar(timeout_s=60)))
    await until(lambda: server.last.of(RAR))
    kit.clock.advance(10)
    await until(lambda: server.last.of(280))
    kit.clock.advance(10)
    assert kit.notes.failovers == [DRA]
    with pytest.raises(NotDelivered):
        await kit.node.send(rar())  # nothing new goes there
    server.last.say(server.raa(server.last.of(RAR)[0]))
    assert result_of(await waiting) == 2001


async def test_a_lost_connection_without_another_peer(scene):
    server = await scene.server(DRA, applications=RELAY)
    server.answers[RAR] = None
    kit = await scene.node(server.rule())
    await opened(kit, server)
    waiting = asyncio.ensure_future(kit.node.send(rar()))
    await until(lambda: server.last.of(RAR))
    server.last.transport.abort()
    with pytest.raises(NotDelivered, match="no other peer reaches") as caught:
        await waiting
    assert caught.value.reason == "lost"


@pytest.mark.conformance("A9")
async def test_nothing_new_goes_to_a_peer_that_said_goodbye(scene):
    kit, first, second, waiting = await two_relays(scene)
    first.dpr(0)
    await until(lambda: first.last.answers)
    assert result_of(await kit.node.send(rar())) == 2001
    assert len(second.last.of(RAR)) == 1
    first.last.say(first.raa(first.last.of(RAR)[0], 2002))
    assert result_of(await waiting) == 2002, "what it was sent before it may still answer"


@pytest.mark.conformance("A8")
async def test_a_peer_that_has_to_prove_itself_gets_nothing(scene):
    kit, first, second, waiting = await two_relays(scene)
    second.last.transport.abort()
    await until(lambda: len(kit.node.connections) == 1)
    kit.clock.advance(30)
    await until(lambda: state(kit, 1) == "reopen")
    first.last.transport.abort()
    with pytest.raises(NotDelivered):
        await waiting


@pytest.mark.parametrize("result", [3002, 3004])
async def test_what_one_cannot_deliver_another_may(scene, result):
    _kit, first, second, waiting = await two_relays(scene)
    first.last.say(first.raa(first.last.of(RAR)[0], result))
    assert result_of(await waiting) == 2001
    assert second.last.of(RAR)[0].flags & FLAG_RETRANSMISSION == 0, "the first one said that it did nothing"


async def test_what_nobody_can_deliver_is_told(scene):
    _kit, first, second, waiting = await two_relays(scene)
    second.answers[RAR] = lambda request: second.raa(request, 3002)
    first.last.say(first.raa(first.last.of(RAR)[0], 3004))
    assert result_of(await waiting) == 3002
    assert (len(first.last.of(RAR)), len(second.last.of(RAR))) == (1, 1)


async def test_other_errors_are_answers(scene):
    _kit, first, second, waiting = await two_relays(scene)
    first.last.say(first.raa(first.last.of(RAR)[0], 5002))
    assert result_of(await waiting) == 5002
    assert second.last.of(RAR) == []


# Bounds


async def test_no_answer_in_time(scene):
    kit, first, _, waiting = await two_relays(scene)
    quick = asyncio.ensure_future(kit.node.send(rar(via=DRA, timeout_s=3)))
    await until(lambda: len(first.last.of(RAR)) == 2)
    kit.clock.advance(3)
    with pytest.raises(NotDelivered, match=r"no answer from dra.example.com in 3 s") as caught:
        await quick
    assert caught.value.reason == "no_answer"
    assert kit.notes.limits == ["own_answer_timeout_s"]
    first.last.say(first.raa(first.last.of(RAR)[1]))
    await until(lambda: kit.notes.drops)
    assert kit.notes.drops == ["unknown_answer"], "too late"
    assert not waiting.done()
    waiting.cancel()


async def test_what_waits_has_a_bound(scene, monkeypatch):
    kit, _first, second, waiting = await two_relays(scene)
    monkeypatch.setattr("ocs.diameter.node_outgoing.PEER_OWN_REQUESTS_MAX", 1)
    await kit.node.send(rar(via=DRA))
    assert len(second.last.of(RAR)) == 1, "the first one has all that it can"
    monkeypatch.setattr("ocs.diameter.node_outgoing.OWN_REQUESTS_MAX", 1)
    with pytest.raises(NotDelivered) as caught:
        await kit.node.send(rar())
    assert caught.value.reason == "too_many"
    assert kit.notes.limits == ["peer_own_requests", "own_requests"]
    waiting.cancel()


@pytest.mark.parametrize("how", ["command", "end_to_end", "unreadable"])
async def test_an_answer_that_is_none(scene, how):
    _kit, first, _second, waiting = await two_relays(scene)
    (request,) = first.last.of(RAR)
    data = bytearray(first.raa(request))
    if how == "command":
        data[7] = 0x12
    elif how == "end_to_end":
        data[19] ^= 1
    else:
        data[27] = 0xFF
    first.last.say(bytes(data))
    with pytest.raises(NotDelivered) as caught:
        await waiting
    assert caught.value.reason == "unreadable"


async def test_the_same_answer_twice_is_one(scene):
    kit, first, _, waiting = await two_relays(scene)
    answer = first.raa(first.last.of(RAR)[0])
    first.last.say(answer + answer)
    assert result_of(await waiting) == 2001
    await until(lambda: kit.notes.drops)
    assert kit.notes.drops == ["unknown_answer"]


# Redirects


async def redirecting(scene, hosts, usage=None, cache_s=None):
    first = await scene.server(DRA, applications=RELAY)
    second = await scene.server(DRA2, applications=(4,))
    kit = await scene.node(first.rule(), second.rule())
    await opened(kit, first, second)
    first.answers[RAR] = redirection(first, hosts, usage, cache_s)
    return kit, first, second


@pytest.mark.conformance("A35")
async def test_a_redirect_is_followed(scene):
    kit, first, second = await redirecting(scene, ["aaa://DRA2.example.com:3868;transport=tcp"])
    for sent in range(1, 3):
        assert result_of(await kit.node.send(rar())) == 2001
        assert (len(first.last.of(RAR)), len(second.last.of(RAR))) == (sent, sent)
    (before, _), (after, _) = first.last.of(RAR), second.last.of(RAR)
    assert after.end_to_end_id == before.end_to_end_id
    assert after.flags == before.flags


@pytest.mark.conformance("A35")
@pytest.mark.parametrize(
    ("usage", "same", "other"),
    [
        (1, rar(), rar(session_id="another")),
        (2, rar(session_id="another"), rar(realm="example.org")),
        (3, rar(session_id="another"), rar(realm="example.org")),
        (4, rar(realm="example.org"), None),
        (5, rar(realm="example.org"), None),
        (0, None, rar()),
    ],
    ids=["session", "realm", "realm_and_application", "application", "host", "not_cached"],
)
async def test_a_redirect_is_remembered_as_far_as_it_says(scene, usage, same, other):
    kit, first, second = await redirecting(scene, [f"aaa://{DRA2}"], usage, 60)
    await kit.node.send(rar())
    asked = len(first.last.of(RAR))
    if same is not None:
        await kit.node.send(same)
        assert len(first.last.of(RAR)) == asked
    if other is not None:
        await kit.node.send(other)
        assert len(first.last.of(RAR)) == asked + 1
    kit.clock.advance(20)
    await until(lambda: len(kit.notes.rtts) == 0)
    assert len(second.last.of(RAR)) == 1 + (same is not None) + (other is not None)


@pytest.mark.conformance("A35")
async def test_a_redirect_is_forgotten_in_time(scene):
    kit, first, _second = await redirecting(scene, [f"aaa://{DRA2}"], 2, 20)
    await kit.node.send(rar())
    kit.clock.advance(19)
    await kit.node.send(rar())
    assert len(first.last.of(RAR)) == 1
    kit.clock.advance(2)
    await kit.node.send(rar())
    assert len(first.last.of(RAR)) == 2


@pytest.mark.conformance("A35")
@pytest.mark.parametrize("hosts", [[], ["aaa://nobody.example.com"], ["http://dra2.example.com"], ["aaa://" + DRA]])
async def test_a_redirect_that_leads_nowhere_goes_on_with_the_others(scene, hosts):
    kit, first, _second = await redirecting(scene, hosts, 2, 60)
    assert result_of(await kit.node.send(rar())) == 3006
    assert len(first.last.of(RAR)) == 1


@pytest.mark.conformance("A35")
async def test_redirects_in_a_circle_end(scene):
    kit, first, second = await redirecting(scene, [f"aaa://{DRA2}"])
    second.answers[RAR] = redirection(second, [f"aaa://{DRA}"])
    assert result_of(await kit.node.send(rar())) == 3006
    assert (len(first.last.of(RAR)), len(second.last.of(RAR))) == (1, 1)


@pytest.mark.conformance("A35")
async def test_a_remembered_redirect_to_a_peer_that_is_gone_is_forgotten(scene):
    kit, first, second = await redirecting(scene, [f"aaa://{DRA2}"], 2, 1_000)
    await kit.node.send(rar())
    second.last.transport.abort()
    await until(lambda: len(kit.node.connections) == 1)
    first.answers[RAR] = first.raa
    assert result_of(await kit.node.send(rar())) == 2001
    assert len(first.last.of(RAR)) == 2


async def test_drain_waits_for_nobody_who_does_not_answer(scene):
    kit, _first, _second, waiting = await two_relays(scene)
    await settle()
    await kit.node.stop()
    with pytest.raises(NotDelivered):
        await waiting
