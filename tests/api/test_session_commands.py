"""What clients of open sessions are told by command, and by what is done to their accounts."""

import msgspec
import pytest

from ocs.charging.asking import LOOK, Look, Whom, read_look
from ocs.charging.effects import Detail, read_detail
from ocs.charging.session import SessionState
from tests.api.server import Server, money, open_session

WHO = {"by": "ada", "reason": "why not"}
ID = "pgw.example.net;1;2/x#7"
PATH = "/v1/sessions/pgw.example.net;1;2%2Fx%237"


@pytest.fixture
async def server():
    made = Server()
    account = await made.open_account("demo", money(5_000_000_000))
    session = msgspec.structs.replace(open_session(ID), origin_host="PGW.example.net")
    await made.charge(account, session=session)
    return made


async def effects(server):
    """What has been left in the outbox, any peer's."""
    found = await server.store.claim_effects((), 2**62, 2**62, 100, 2**62)
    return [due.effect for due in found]


@pytest.mark.conformance("B32")
async def test_a_session_is_told_to_ask_again_and_the_journal_knows_who_wanted_it(server):
    async with server.client() as client:
        answer = await client.post(f"{PATH}/reauth", json={**WHO, "rating_group": 100})
        assert (answer.status_code, answer.json()) == (
            200,
            {"account_id": "demo", "session_id": ID, "asked": "reauth", "ended": False},
        )
        assert (await client.post(f"{PATH}/reauth", json=WHO)).status_code == 200
        history = (await client.get("/v1/accounts/demo/history")).json()["items"]
    named, whole = await effects(server)
    assert (named.kind, named.peer, named.session_id) == ("reauth", "pgw.example.net", "pgw.example.net;1;2/x")
    assert read_detail(named) == Detail(rating_group=100, sub_session_id=7, cause="command")
    assert read_detail(whole) == Detail(sub_session_id=7, cause="command")
    assert [(e["kind"], e["by"], e["reason"], e["session_id"]) for e in history[-2:]] == [
        ("reauth", "ada", "why not", ID)
    ] * 2


@pytest.mark.conformance("B32")
async def test_a_session_is_told_to_stop_and_ended_where_that_is_forced(server):
    async with server.client(keys=False) as client:
        key = {"Idempotency-Key": "k"}
        first = await client.post(f"{PATH}/abort", json=WHO, headers=key)
        assert (first.json()["asked"], first.json()["ended"], server.ended) == ("abort", False, [])
        assert (await client.post(f"{PATH}/abort", json=WHO, headers=key)).json() == first.json()
        other = await client.post(f"{PATH}/abort", json={**WHO, "force": True}, headers=key)
        assert other.status_code == 422, "the key stands for another command"
        again = {"Idempotency-Key": "l"}
        for _ in range(2):  # a repeat is ended, too: the first may have died before
            forced = await client.post(f"{PATH}/abort", json={**WHO, "force": True}, headers=again)
            assert forced.json()["ended"]
    assert server.ended == [("demo", ID, "aborted")] * 2
    assert [effect.kind for effect in await effects(server)] == ["abort", "abort"]


async def test_who_cannot_be_told_is_said_clearly(server):
    session = msgspec.structs.replace(open_session("over"), state=SessionState.EXPIRED)
    account = (await server.store.load("demo", None)).account
    await server.charge(account, session=session)

    async def refused(path, more=None):
        answer = await client.post(f"/v1/sessions/{path}", json={**WHO, **(more or {})})
        return answer.status_code, answer.json()["detail"]

    async with server.client() as client:
        assert await refused("nobody/reauth") == (
            404,
            'there is no session "nobody"; `ocs sessions` lists those that are open',
        )
        assert await refused("over/abort") == (409, 'session "over" is over: it is expired')
        assert await refused(f"{PATH.removeprefix('/v1/sessions/')}/reauth", {"rating_group": 3}) == (
            422,
            "rating_group: the session has no 3, only 100",
        )
        status, detail = await refused("over/abort", {"by": " "})
        assert (status, detail.split(":")[0]) == (422, "by")
        assert (await client.post(f"{PATH}/reauth?x=1", json=WHO)).status_code == 400
        assert (await client.post("/v1/accounts/none/recall", json=WHO)).status_code == 404
        await client.post(f"{PATH}/reauth", json=WHO, headers={"Idempotency-Key": "own"})
        assert (await refused("*command:demo:own/abort"))[0] == 404, "a key is no session"
    async with server.client(keys=False) as client:
        assert (await client.post(f"{PATH}/reauth", json=WHO)).status_code == 400
    assert len(await effects(server)) == 1


@pytest.mark.conformance("B32")
async def test_a_recall_a_topup_and_barring_leave_word_for_all_sessions(server):
    async with server.client() as client:

        async def post(path, **more):
            assert (await client.post(f"/v1/accounts/demo/{path}", json={**WHO, **more})).status_code == 200

        await post("recall")
        await post("topup", balance="money", amount="1.00 AUD")
        await post("adjust", change="set", balance="money", value="1.00 AUD")
        await post("adjust", change="disable")
        await post("adjust", change="enable")
    left = await effects(server)
    assert {(effect.kind, effect.peer) for effect in left} == {(LOOK, "")}
    assert [read_look(effect) for effect in left] == [
        Look(Whom.ALL, "recall", "ada"),
        Look(Whom.SHORT, "topup", "ada"),
        Look(Whom.STOP, "barred", "ada"),
    ]
