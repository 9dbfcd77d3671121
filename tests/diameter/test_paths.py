"""Where requests of our own go to a host that is no peer: the way that its own came."""

import pytest

from ocs.diameter import paths
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import result_of
from ocs.diameter.node_outgoing import NotDelivered
from ocs.diameter.paths import Path, Paths
from ocs.diameter.routes import OwnRequest
from tests.diameter import samples
from tests.diameter.node_kit import start, until
from tests.diameter.samples import avp, credit_control

RAR = 258
BEHIND = "gw.example.com"  # the Origin-Host of the samples


def heard(host, realm="example.net"):
    return samples.message(272, [avp("Origin-Host", host), avp("Origin-Realm", realm)])


def test_the_last_peer_counts_and_names_have_no_case():
    known = Paths()
    known.learn("dra1", heard("PGW.example.net"))
    known.learn("dra2", heard("pgw.example.net", "elsewhere.net"))
    assert known.find("pgw.EXAMPLE.net") == Path("dra2", "elsewhere.net")
    known.learn("dra2", heard("pgw2.example.net"))
    known.learn("dra1", heard("pgw3.example.net"))
    assert known.hosts({"dra2", "dra3"}) == {"pgw.example.net", "pgw2.example.net"}
    assert known.find("pgw4.example.net") is None


def test_what_names_nobody_is_no_way():
    known = Paths()
    known.learn("dra", samples.message(272, []))
    known.learn("dra", samples.message(272, [avp("Origin-Host", "pgw")]))
    assert known.find("pgw") == Path("dra", "")
    assert known.hosts({"dra"}) == {"pgw"}


def test_the_one_learned_first_goes_first(monkeypatch):
    monkeypatch.setattr(paths, "PATHS_MAX", 2)
    known = Paths()
    for host in ("a", "b", "a", "c"):
        known.learn("dra", heard(host))
    assert known.hosts({"dra"}) == {"b", "c"}
    known.learn("other", heard("b"))
    known.learn("dra", heard("d"))
    assert (known.hosts({"dra"}), known.hosts({"other"})) == ({"d"}, {"b"}), "a way that moved is new"


@pytest.mark.conformance("B31")
async def test_through_the_agent_that_it_was_heard_of_through_whatever_that_agent_says_of_itself():
    kit = await start()
    agents = [await kit.connect(make_origin(f"dra{n}.example.org", "example.org", 1)) for n in (1, 2)]
    for agent in agents:
        agent.answers[RAR] = lambda message, agent=agent: base_answer(message, 2001, agent.origin)
    request = OwnRequest(RAR, 4, "example.com", avp("Auth-Application-Id", 4), BEHIND, "s")
    try:
        with pytest.raises(NotDelivered, match="no open peer reaches"):
            await kit.node.send(request)
        assert kit.node.reachable() == {"dra1.example.org", "dra2.example.org"}
        for agent in (*agents, agents[0]):
            assert result_of(await agent.request(272, 4, b"".join(credit_control()))) == 2001
        assert kit.node.reachable() == {"dra1.example.org", "dra2.example.org", BEHIND}
        assert kit.node.paths.find(BEHIND) == Path("dra1.example.org", "example.com")
        via = OwnRequest(RAR, 4, "example.com", request.avps, BEHIND, "s", via="dra1.example.org")
        assert result_of(await kit.node.send(via)) == 2001
        assert [len(agent.requests) for agent in agents] == [1, 0]
        assert agents[0].requests[0].find(293).data == BEHIND.encode()
        agents[0].abort()
        await until(lambda: kit.node.peers()[0].state != "open")
        assert kit.node.reachable() == {"dra2.example.org"}, "what was behind it went with it"
    finally:
        await kit.clear()


async def test_who_waits_for_a_peer_is_told_when_it_opens():
    kit = await start()
    told = []
    kit.node.peer_opened = lambda: told.append(kit.node.reachable())
    try:
        client = await kit.connect()
        await kit.connect(make_origin("other.example.com", "example.com", 1))
        await client.close()
        await until(lambda: kit.node.peers()[0].state == "closed")
    finally:
        await kit.clear()
    assert told == [{"pgw.example.com"}, {"pgw.example.com", "other.example.com"}]
