"""Traces over HTTP: what is asked for, by whom, and what comes back; on a real node."""

import base64
import json

import msgspec
import pytest

from ocs.daemon.tracing import NodeTracer
from ocs.diameter.applications.subscription import make_order
from ocs.diameter.trace import Decision, GroupDecision
from ocs.limits import TRACES_MAX
from ocs.rating.numbers import Numbering
from tests.api.server import Server, open_session
from tests.diameter import node_kit
from tests.diameter.node_kit import served
from tests.diameter.test_trace import ALICE, ccr

ORDER = make_order((), ("example.com",), Numbering())


@pytest.fixture
async def kit():
    made = await node_kit.start()
    yield made
    await made.clear()


@pytest.fixture
def server(kit):
    made = Server()
    made.tracer = NodeTracer(kit.node, lambda: ORDER)
    return made


@pytest.mark.conformance("J5")
async def test_a_trace_is_begun_read_on_and_ended(kit, server, capsys):
    client = await kit.connect()
    async with server.client() as http:
        begun = await http.post("/v1/traces", json={"msisdn": "+491700000001", "seconds": 30, "by": "op"})
        assert begun.status_code == 201
        trace = begun.json()
        assert (trace["kind"], trace["value"], trace["by"], trace["running"]) == ("msisdn", "491700000001", "op", True)
        await client.exchange(1, ccr("a;1;1", ALICE))
        path = f"/v1/traces/{trace['id']}"
        page = (await http.get(path, params={"limit": 1})).json()
        rest = (await http.get(path, params={"after": page["next"]})).json()
        (request,), (answer,) = page["items"], rest["items"]
        assert base64.b64decode(request["octets"]) == ccr("a;1;1", ALICE)
        assert (request["direction"], request["answers"], request["peer"]) == ("in", None, "pgw.example.com")
        assert (answer["direction"], answer["answers"]) == ("out", request["number"])
        assert rest["next"] == "2", "it still runs"
        kit.clock.advance(30)
        assert (await http.get(path, params={"after": 1})).json()["next"] is None
        assert [one["id"] for one in (await http.get("/v1/traces")).json()["items"]] == [trace["id"]]
        assert (await http.delete(path)).status_code == 200
        assert (await http.get(path)).status_code == (await http.delete(path)).status_code == 404
    log = capsys.readouterr().out
    assert "trace_started" in log
    assert "by=op" in log


async def test_decisions_come_with_answers(kit, server):
    client = await kit.connect()
    kit.service.keep = True
    async with server.client() as http:
        trace = (await http.post("/v1/traces", json={"session": "a;1;1", "by": "op"})).json()
        client.send(ccr("a;1;1"))
        await node_kit.until(lambda: kit.service.kept)
        (context,) = kit.service.kept
        group = GroupDecision(100, 2001, "octets", 1_024, "")
        context.decision = Decision(2001, costs=(("AUD", 150_000_000),), groups=(group,))
        context.answer(served(context))
        items = (await http.get(f"/v1/traces/{trace['id']}")).json()["items"]
    assert items[1]["decision"] == {
        "result": 2001,
        "why": "",
        "repeat": False,
        "costs": [{"cost": "0.15", "currency": "AUD"}],
        "groups": [{"rating_group": 100, "result": 2001, "unit": "octets", "granted": 1_024, "why": ""}],
    }


async def test_open_sessions_of_the_subscriber_are_known_and_those_of_others_not(kit, server):
    account = await server.open_account("491700000001")
    for key, subscriber in (("mine;1#7", "msisdn:491700000001"), ("theirs;1", "msisdn:491700000002")):
        session = msgspec.structs.replace(open_session(key, account.id), subscriber=subscriber)
        account = await server.charge(account, session=session)
    client = await kit.connect()
    async with server.client() as http:
        trace = (await http.post("/v1/traces", json={"msisdn": "491700000001", "by": "op"})).json()
        await client.exchange(1, ccr("theirs;1"))
        await client.exchange(2, ccr("mine;1", hop_by_hop_id=2))
        items = (await http.get(f"/v1/traces/{trace['id']}")).json()["items"]
    assert [base64.b64decode(item["octets"])[12:16] for item in items] == [b"\0\0\0\2"] * 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"by": "op"}, "say what to trace"),
        ({"msisdn": "1", "imsi": "2", "by": "op"}, "say what to trace"),
        ({"msisdn": "alice", "by": "op"}, "international form"),
        ({"msisdn": "1"}, "say who traces"),
        ({"msisdn": "1", "by": "op", "seconds": 0}, "from 1 to 3600"),
        ({"msisdn": "1", "by": "op", "seconds": 3601}, "from 1 to 3600"),
        ({"session": "x" * 1025, "by": "op"}, "1024 octets"),
        ({"everybody": True, "by": "op"}, "everybody"),
    ],
)
async def test_a_wrong_wish_is_refused(server, body, why):
    async with server.client() as http:
        answer = await http.post("/v1/traces", json=body)
    assert answer.status_code == 422
    assert why in json.dumps(answer.json())


async def test_too_many_are_refused_with_who_has_them(server):
    async with server.client() as http:
        for _ in range(TRACES_MAX):
            begun = await http.post("/v1/traces", json={"peer": "a.example.com", "by": "night shift"})
            assert begun.status_code == 201
        answer = await http.post("/v1/traces", json={"peer": "a.example.com", "by": "op"})
    assert answer.status_code == 409
    assert "night shift" in answer.json()["detail"]


async def test_without_a_server_there_is_nothing_to_trace():
    async with Server().client() as http:
        assert (await http.get("/v1/traces")).status_code == 503
