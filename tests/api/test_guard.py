"""A page that a browser shows, from wherever it came, is no way to the accounts."""

import socket

import pytest

from ocs.limits import REQUEST_BODY_OCTETS_MAX
from tests.api.server import Server, money

TOP_UP = {"balance": "money", "amount": "5.00 AUD", "by": "ann", "reason": "x"}


@pytest.fixture
async def server():
    server = Server()
    await server.open_account("demo", money(0))
    return server


async def value(server: Server) -> int:
    return (await server.store.load("demo", None)).account.balances[0].value


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:2080", "Origin": "http://evil.example:2080"},
        {"Host": "[::1"},
        {"Host": ""},
    ],
)
async def test_other_sites_may_neither_write_nor_read(server, headers):
    async with server.client(**headers) as client:
        written = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        read = await client.get("/v1/accounts/demo")
    assert (written.status_code, read.status_code) == (403, 403)
    assert await value(server) == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_can_send_is_refused(server, content_type):
    body = '{"balance": "money", "amount": "5.00 AUD", "by": "ann", "reason": "x"}'
    async with server.client() as client:
        answer = await client.post(
            "/v1/accounts/demo/topup", content=body, headers={"Content-Type": content_type} if content_type else {}
        )
    assert answer.status_code == 415
    assert await value(server) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:2080"},
        {"Host": "[::1]:2080"},
        {"Host": "192.0.2.7"},
        {"Host": "OCS.example.com:2080"},
        {"Host": socket.gethostname()},
        {"Origin": "http://127.0.0.1:2080", "Sec-Fetch-Site": "same-origin"},
        {"Content-Type": "application/json; charset=utf-8"},
    ],
)
async def test_those_who_belong_here_may(server, headers):
    async with server.client(**headers) as client:
        answer = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
    assert answer.status_code == 200
    assert await value(server) == 5_000_000_000


async def test_health_and_metrics_are_for_every_name(server):
    async with server.client(Host="ocs.monitoring.svc") as client:
        statuses = [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/metrics")]
    assert statuses == [200, 200, 200]


async def test_a_body_is_bounded(server):
    async with server.client() as client:
        answer = await client.post(
            "/v1/accounts/demo/topup",
            content=b'"' + b"x" * REQUEST_BODY_OCTETS_MAX + b'"',
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"balance": "\xff"}'])
async def test_a_body_that_is_no_json_is_a_400(server, body):
    async with server.client() as client:
        answer = await client.post(
            "/v1/accounts/demo/topup", content=body, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 400
