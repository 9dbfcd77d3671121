import pytest

from ocs.api.ports import PeerView, Reloaded
from ocs.store.interface import StoreDown
from tests.api.server import Server, cdr, open_session


@pytest.fixture
def server():
    return Server()


async def test_a_cdr_has_the_agreed_shape(server):
    await server.charge(await server.open_account(), cdr())
    async with server.client() as client:
        answer = await client.get("/v1/cdrs", params={"session": "s;1"})
    (item,) = answer.json()["items"]
    assert isinstance(item.pop("id"), str)
    assert item == {
        "account_id": "demo",
        "session_id": "s;1",
        "service": "data",
        "rating_group": 100,
        "started_at": "2026-11-21T20:05:00Z",
        "ended_at": "2026-11-21T20:06:30.5Z",
        "usage": 308_400,
        "unit": "octets",
        "cost": "0.002949219",
        "currency": "AUD",
        "tariff_version": "t1",
        "cause": "normal",
        "partial": 0,
    }
    assert answer.json()["next"] is None


async def test_cdrs_are_read_on_with_the_cursor_and_by_account(server):
    demo, other = await server.open_account("demo"), await server.open_account("other")
    await server.charge(demo, *(cdr(partial=partial) for partial in range(3)))
    await server.charge(other, cdr("other"))
    async with server.client() as client:
        page = (await client.get("/v1/cdrs", params={"account": "demo", "limit": 2})).json()
        rest = (await client.get("/v1/cdrs", params={"account": "demo", "limit": 2, "after": page["next"]})).json()
        everything = (await client.get("/v1/cdrs")).json()
    assert [item["partial"] for item in page["items"]] == [0, 1]
    assert page["next"] == page["items"][-1]["id"]
    assert [item["partial"] for item in rest["items"]] == [2]
    assert rest["next"] is None
    assert [item["account_id"] for item in everything["items"]] == ["demo", "demo", "demo", "other"]


@pytest.mark.parametrize("after", ["x", "-1", "99999999999999999999", "9223372036854775808"])
async def test_a_cursor_that_is_no_id_is_refused(server, after):
    async with server.client() as client:
        answer = await client.get("/v1/cdrs", params={"after": after})
    assert answer.status_code == 400


async def test_open_sessions_are_listed_with_their_groups(server):
    account = await server.charge(await server.open_account(), session=open_session("s;1"))
    await server.charge(account, session=open_session("s;2"))
    async with server.client() as client:
        page = (await client.get("/v1/sessions", params={"account": "demo", "limit": 1})).json()
        rest = (await client.get("/v1/sessions", params={"after": page["next"]})).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == ["s;1", "s;2"]
    assert page["items"][0]["groups"] == [
        {
            "rating_group": 100,
            "service_id": None,
            "unit": "octets",
            "granted": 10_485_760,
            "used": 1_024,
            "cost": "0.000009766",
            "valid_until": None,
        }
    ]


async def test_peers_are_listed(server):
    server.peer_views = (PeerView("pgw.example.com", "example.com", "open", 1, ("127.0.0.1:40000",)),)
    async with server.client() as client:
        answer = await client.get("/v1/peers")
    assert answer.json()["items"] == [
        {
            "host": "pgw.example.com",
            "realm": "example.com",
            "state": "open",
            "connections": 1,
            "addresses": ["127.0.0.1:40000"],
            "directions": [],
            "transports": [],
            "reconnect_at": None,
            "trouble": "",
        }
    ]


async def test_peers_are_connected_and_disconnected(server):
    async with server.client() as client:
        done = [await client.post(f"/v1/peers/dra.example.com/{what}") for what in ("connect", "disconnect")]
        unknown = await client.post("/v1/peers/x.example.com/connect", json={})
        wrong = await client.post("/v1/peers/dra.example.com/connect", json={"now": True})
    assert [answer.json() for answer in done] == [{"host": "dra.example.com"}] * 2
    assert (unknown.status_code, unknown.json()["detail"]) == (
        404,
        "no peer x.example.com is to connect to in server.yaml",
    )
    assert wrong.status_code == 422
    assert server.steered == [("dra.example.com", True), ("dra.example.com", False), ("x.example.com", True)]


async def test_a_reload_says_what_became_of_it(server):
    async with server.client() as client:
        done = await client.post("/v1/reload")
        wrong = await client.post("/v1/reload", json={"fast": True})
        server.reloaded = Reloaded(done=False, tariff_version="t1", problems=("a.yaml:1:1 x: wrong",))
        refused = await client.post("/v1/reload", json={})
    assert wrong.status_code == 422
    assert (done.status_code, done.json()["tariff_version"]) == (200, "t2")
    assert (refused.status_code, refused.json()["errors"]) == (422, ["a.yaml:1:1 x: wrong"])


async def test_health_says_why_not(server):
    async with server.client() as client:
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        server.reasons = ["draining"]
        unready = await client.get("/readyz")
        live = await client.get("/livez")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert (unready.status_code, unready.json()) == (503, {"ready": False, "reasons": ["draining"]})
    assert live.status_code == 200


async def test_metrics_are_text_for_prometheus(server):
    server.metrics.build_info("1.2.3", "abc")
    async with server.client() as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'ocs_build_info{revision="abc",version="1.2.3"} 1.0' in answer.text


async def test_a_store_that_is_down_is_a_503(server, monkeypatch):
    async def down(*_args: object) -> None:
        raise StoreDown("disk full")

    monkeypatch.setattr(server.store, "cdrs", down)
    async with server.client() as client:
        answer = await client.get("/v1/cdrs")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the store cannot answer now: disk full"


async def test_what_is_not_there_is_a_problem_too(server):
    async with server.client() as client:
        missing = await client.get("/v1/nothing")
        wrong = await client.delete("/v1/cdrs")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert {answer.headers["content-type"] for answer in (missing, wrong)} == {"application/problem+json"}
