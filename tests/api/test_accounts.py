import msgspec
import pytest

from ocs.api import history
from ocs.balances.account import Balance, Status
from ocs.balances.journal import differences, fold
from ocs.rating.units import Kind
from tests.api.server import NOW_NS, Server, money

PROBLEM = "application/problem+json"
NEW = {"id": "new", "identities": ["msisdn:491"], "plan": "standard", "by": "test", "reason": "contract 9"}
TOP_UP = {"balance": "money", "amount": "5.00 AUD", "by": "ann", "reason": "voucher 7"}


@pytest.fixture
def server():
    return Server()


async def test_an_account_is_shown_in_the_agreed_shape(server):
    minutes = Balance("minutes", Kind.VOICE, 6_000_000_000_000, weight=10, expires_at_ns=NOW_NS)
    await server.open_account("demo", money(9_997_050_781), minutes, Balance("volume", Kind.DATA, 1_024))
    async with server.client() as client:
        answer = await client.get("/v1/accounts/demo")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "demo",
        "status": "active",
        "currency": "AUD",
        "balances": [
            {
                "id": "money",
                "kind": "monetary",
                "unit": "AUD",
                "value": "9.997050781",
                "held": "0.00",
                "available": "9.997050781",
                "weight": 0,
                "expires_at": None,
            },
            {
                "id": "minutes",
                "kind": "voice",
                "unit": "ns",
                "value": 6_000_000_000_000,
                "held": 0,
                "available": 6_000_000_000_000,
                "weight": 10,
                "expires_at": "2026-11-21T20:05:00Z",
            },
            {
                "id": "volume",
                "kind": "data",
                "unit": "octets",
                "value": 1_024,
                "held": 0,
                "available": 1_024,
                "weight": 0,
                "expires_at": None,
            },
        ],
    }


async def test_an_account_that_is_not_there_is_a_problem(server):
    async with server.client() as client:
        answer = await client.get("/v1/accounts/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"] == 'there is no account "nobody"'
    assert answer.json()["status"] == 404


async def test_accounts_are_listed_page_by_page(server):
    for name in ("c", "a", "b"):
        await server.open_account(name, status=Status.DISABLED)
    seen, after = [], ""
    async with server.client() as client:
        while after is not None:
            page = (await client.get("/v1/accounts", params={"after": after, "limit": 2})).json()
            seen += [(item["id"], item["status"]) for item in page["items"]]
            after = page["next"]
    assert seen == [("a", "disabled"), ("b", "disabled"), ("c", "disabled")]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", 'limit "0" is not a number from 1 to 1000'),
        ("limit=1001", 'limit "1001" is not a number from 1 to 1000'),
        ("limit=x", 'limit "x" is not a number from 1 to 1000'),
        ("limt=1", 'unknown parameter "limt"; known: after, limit'),
        ("limit=1&limit=2", 'parameter "limit" is given more than once; known: after, limit'),
    ],
)
async def test_wrong_parameters_are_named(server, query, detail):
    async with server.client() as client:
        answer = await client.get(f"/v1/accounts?{query}")
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


async def test_an_account_is_created_with_its_journal(server):
    balances = [
        {"id": "money", "kind": "monetary", "value": "10.00 AUD"},
        {"id": "minutes", "kind": "voice", "value": "100 min", "weight": 10, "expires_at": "2027-01-01T00:00:00Z"},
        {"id": "volume", "kind": "data", "value": "1 GiB"},
        {"id": "messages", "kind": "sms", "value": "20"},
    ]
    async with server.client() as client:
        answer = await client.post("/v1/accounts", json={**NEW, "balances": balances, "reason": "opened"})
        assert (answer.status_code, answer.headers["location"]) == (201, "/v1/accounts/new")
        shown = (await client.get("/v1/accounts/new")).json()
    assert shown == answer.json()
    values = {balance["id"]: (balance["value"], balance["unit"]) for balance in shown["balances"]}
    assert values == {
        "money": ("10.00", "AUD"),
        "minutes": (6_000_000_000_000, "ns"),
        "volume": (2**30, "octets"),
        "messages": (20, "units"),
    }
    account = (await server.store.load("new", None)).account
    assert differences(account, fold(await server.store.journal("new", 0, 10))) == []
    assert await server.store.find_account(["msisdn:491"]) == "new"


async def test_an_account_or_an_identity_that_is_taken_is_a_conflict(server):
    async with server.client() as client:
        assert (await client.post("/v1/accounts", json=NEW)).status_code == 201
        same_id = await client.post("/v1/accounts", json={**NEW, "identities": ["msisdn:492"]})
        same_number = await client.post("/v1/accounts", json={**NEW, "id": "other"})
    assert (same_id.status_code, same_number.status_code) == (409, 409)
    assert "already" in same_id.json()["detail"]
    assert same_number.json()["detail"] == '"msisdn:491" belongs to account "new"'


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"plan": "gold"}, 'plan: there is no "gold"; known: standard'),
        ({"id": "*house"}, "id: not empty, without a slash, and not beginning with *"),
        ({"identities": ["491"]}, 'identities: "491" does not begin with one of msisdn:, imsi:, sip:, nai:, private:'),
        ({"paln": "x"}, "Object contains unknown field `paln`"),
        ({"status": "asleep"}, "Invalid enum value 'asleep' - at `$.status`"),
        ({"expires_at": "tomorrow"}, 'expires_at: "tomorrow" is not a point in time'),
        ({"balances": [{"id": "m", "kind": "monetary", "value": "1.00 EUR"}]}, "balances[0].value: the account is in"),
        ({"balances": [{"id": "m", "kind": "monetary", "value": "-1.00 AUD"}]}, "balances[0].value: a negative amount"),
        ({"balances": [{"id": "m", "kind": "data", "value": "1 min"}]}, 'balances[0].value: "1 min" is not a volume'),
        ({"balances": [{"id": "m", "kind": "data", "value": "1 B", "x": 1}]}, "Object contains unknown field `x`"),
    ],
)
async def test_what_is_wrong_in_a_new_account_is_named(server, change, detail):
    async with server.client() as client:
        answer = await client.post("/v1/accounts", json={**NEW, **change})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)
    assert (await server.store.accounts("", 10)) == []


async def test_a_top_up_adds_to_a_balance_and_stands_in_the_history(server):
    await server.open_account("demo", money(1_500_000_000))
    async with server.client() as client:
        answer = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        history = (await client.get("/v1/accounts/demo/history")).json()
    assert answer.json()["balances"][0]["value"] == "6.50"
    assert [entry["kind"] for entry in history["items"]] == ["open", "topup"]
    top_up = history["items"][1]
    assert top_up["postings"] == [
        {
            "balance": "money",
            "unit": "AUD",
            "value": "5.00",
            "held": "0.00",
            "value_after": "6.50",
            "held_after": "0.00",
        }
    ]
    assert (top_up["by"], top_up["reason"], top_up["at"]) == ("ann", "voucher 7", "2026-11-21T20:05:00Z")
    assert history["next"] is None


async def test_a_top_up_makes_a_balance_when_its_kind_is_said(server):
    await server.open_account("demo")
    body = {**TOP_UP, "balance": "minutes", "amount": "10 min"}
    async with server.client() as client:
        refused = await client.post("/v1/accounts/demo/topup", json=body)
        answer = await client.post("/v1/accounts/demo/topup", json={**body, "kind": "voice"})
    assert refused.status_code == 422
    assert "kind" in refused.json()["detail"]
    assert answer.json()["balances"][0]["value"] == 600_000_000_000


async def test_the_same_idempotency_key_never_tops_up_twice(server):
    await server.open_account("demo", money(0))
    async with server.client(**{"Idempotency-Key": "k1"}) as client:
        first = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        second = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        other = await client.post("/v1/accounts/demo/topup", json={**TOP_UP, "amount": "6.00 AUD"})
    assert first.status_code == second.status_code == 200
    assert second.content == first.content
    assert other.status_code == 422
    account = (await server.store.load("demo", None)).account
    assert account.balances[0].value == 5_000_000_000


async def test_each_key_counts(server):
    await server.open_account("demo", money(0))
    async with server.client() as client:
        for _ in range(2):
            answer = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
    assert answer.json()["balances"][0]["value"] == "10.00"


ADJUST = {"change": "reset", "balance": "money", "by": "ann", "reason": "complaint 12"}
CHANGES = [("/v1/accounts", NEW), ("/v1/accounts/demo/topup", TOP_UP), ("/v1/accounts/demo/adjust", ADJUST)]


@pytest.mark.parametrize(("path", "body"), CHANGES)
@pytest.mark.parametrize("key", [None, "", "  "])
async def test_a_change_without_a_key_is_refused(server, path, body, key):
    await server.open_account("demo", money(7))
    async with server.client(keys=False, **({} if key is None else {"Idempotency-Key": key})) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Idempotency-Key: the header is missing or blank; give each change")
    assert [account.version for account in await server.store.accounts("", 10)] == [1]


@pytest.mark.parametrize(("path", "body"), CHANGES)
@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"by": None}, 'by: missing or blank; say who makes the change, for the journal: "by": "..."'),
        ({"by": " \t"}, "by: missing or blank"),
        ({"by": "x" * 256}, "by: longer than 255 characters"),
        ({"reason": None}, "reason: missing or blank; say why the change is made"),
        ({"reason": ""}, "reason: missing or blank"),
        ({"reason": "x" * 1_001}, "reason: longer than 1000 characters"),
    ],
)
async def test_a_change_that_does_not_say_who_and_why_is_refused(server, path, body, change, detail):
    await server.open_account("demo", money(7))
    sent = {name: value for name, value in {**body, **change}.items() if value is not None}
    async with server.client() as client:
        answer = await client.post(path, json=sent)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)
    assert [account.version for account in await server.store.accounts("", 10)] == [1]


async def test_all_that_a_change_does_not_say_is_named_at_once(server):
    async with server.client() as client:
        answer = await client.post("/v1/accounts/demo/adjust", json={"change": "enable"})
    assert [error.partition(":")[0] for error in answer.json()["errors"]] == ["by", "reason"]


async def test_an_account_is_opened_once_under_a_key(server):
    async with server.client(**{"Idempotency-Key": "k"}) as client:
        first, again = [await client.post("/v1/accounts", json=NEW) for _ in range(2)]
        other = await client.post("/v1/accounts", json={**NEW, "reason": "another contract"})
    async with server.client() as client:
        late = await client.post("/v1/accounts", json=NEW)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["location"]) == (first.content, "/v1/accounts/new")
    assert (other.status_code, late.status_code) == (422, 409)
    assert len(await server.store.journal("new", 0, 10)) == 1


async def test_an_adjustment_is_made_once_under_a_key_and_the_key_is_of_one_account(server):
    await server.open_account("demo", money(7))
    await server.open_account("other", money(7))
    async with server.client(**{"Idempotency-Key": "k"}) as client:
        answers = [await client.post("/v1/accounts/demo/adjust", json=ADJUST) for _ in range(2)]
        elsewhere = await client.post("/v1/accounts/other/adjust", json=ADJUST)
        as_top_up = await client.post("/v1/accounts/demo/topup", json=TOP_UP)
    assert answers[0].content == answers[1].content
    assert (elsewhere.status_code, as_top_up.status_code) == (200, 422)
    assert [account.version for account in await server.store.accounts("", 10)] == [2, 2]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"amount": "0.00 AUD"}, 409),
        ({"amount": "5"}, 422),
        ({"kind": "voice", "amount": "5 min"}, 409),
        ({"by": 7}, 422),
        ({"sum": "1.00 AUD"}, 422),
    ],
)
async def test_a_top_up_that_makes_no_sense_changes_nothing(server, change, status):
    await server.open_account("demo", money(7))
    async with server.client() as client:
        answer = await client.post("/v1/accounts/demo/topup", json={**TOP_UP, **change})
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert (await server.store.load("demo", None)).account.balances[0].value == 7


async def test_nobody_can_be_topped_up(server):
    async with server.client() as client:
        answer = await client.post("/v1/accounts/nobody/topup", json=TOP_UP)
    assert answer.status_code == 404


async def test_history_is_paged_by_version(server):
    await server.open_account("demo", money(0))
    async with server.client() as client:
        for _ in range(3):
            await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        page = (await client.get("/v1/accounts/demo/history?limit=3")).json()
        rest = (await client.get(f"/v1/accounts/demo/history?after={page['next']}")).json()
    assert [entry["version"] for entry in page["items"]] == [1, 2, 3]
    assert [entry["version"] for entry in rest["items"]] == [4]


async def test_the_last_of_the_history_is_read_backwards(server):
    await server.open_account("demo", money(0))
    async with server.client() as client:
        for _ in range(4):
            await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        seen, before = [], "9000"
        while before is not None:
            page = (await client.get(f"/v1/accounts/demo/history?before={before}&limit=2")).json()
            seen.append(
                [
                    (entry["version"], entry["postings"][0]["value_after"])
                    for entry in page["items"][-2:]
                    if entry["postings"]
                ]
            )
            before = page["next"]
        both = await client.get("/v1/accounts/demo/history?before=3&after=1")
        none = await client.get("/v1/accounts/demo/history?before=1")
    assert seen == [[(4, "15.00"), (5, "20.00")], [(2, "5.00"), (3, "10.00")], []]
    assert both.status_code == 400
    assert none.json() == {"items": [], "next": None}


async def test_the_history_says_what_was_there_after_each_change(server):
    await server.open_account("demo", money(0))
    bonus = {**TOP_UP, "balance": "bonus", "amount": "10 min", "kind": "voice"}
    async with server.client() as client:
        await client.post("/v1/accounts/demo/topup", json=bonus)
        await client.post("/v1/accounts/demo/adjust", json={**ADJUST, "change": "remove", "balance": "bonus"})
        items = (await client.get("/v1/accounts/demo/history")).json()["items"]
        first = (await client.get("/v1/accounts/demo/history?limit=2")).json()["items"]
    assert [(entry["kind"], entry["opened"], entry["removed"]) for entry in items] == [
        ("open", ["money"], []),
        ("topup", ["bonus"], []),
        ("remove", [], ["bonus"]),
    ]
    assert [entry["postings"][0]["value_after"] for entry in items[1:]] == [600_000_000_000, 0]
    assert items[2]["postings"][0]["value"] == -600_000_000_000
    assert first == items[:2]


async def test_what_is_too_far_back_is_shown_without_what_was_there_after_it(server, monkeypatch):
    monkeypatch.setattr(history, "PAGE_ROWS_MAX", 1)
    await server.open_account("demo", money(0))
    async with server.client() as client:
        for _ in range(3):
            await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        items = [
            (await client.get(f"/v1/accounts/demo/history?after={after}&limit=1")).json()["items"][0]
            for after in (1, 2, 3)
        ]
    assert [entry["postings"][0]["value_after"] for entry in items] == [None, "10.00", "15.00"]


async def test_the_ledger_of_an_account_is_proved_or_not(server):
    account = await server.open_account("demo", money(7))
    async with server.client() as client:
        await client.post("/v1/accounts/demo/topup", json=TOP_UP)
        right = (await client.get("/v1/accounts/demo/ledger")).json()
        await server.forge(msgspec.structs.replace(account, version=3))
        wrong = (await client.get("/v1/accounts/demo/ledger")).json()
    assert right == {"id": "demo", "version": 2, "entries": 2, "differences": [], "imbalances": []}
    (difference,) = wrong["differences"]
    assert difference == "account demo balance money: the value is 7, by the journal it is 5000000007"


def adjustment(change, **more):
    return {"change": change, "by": "ann", "reason": "complaint 12", **more}


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (adjustment("set", balance="money", value="3.25 AUD"), ("active", [("money", "3.25"), ("old", "1.00")])),
        (adjustment("reset", balance="money"), ("active", [("money", "0.00"), ("old", "1.00")])),
        (adjustment("remove", balance="money"), ("active", [("old", "1.00")])),
        (adjustment("remove_expired"), ("active", [("money", "5.00")])),
        (adjustment("disable"), ("disabled", [("money", "5.00"), ("old", "1.00")])),
        (adjustment("enable"), ("active", [("money", "5.00"), ("old", "1.00")])),
    ],
)
async def test_an_adjustment_changes_what_it_says_and_leaves_the_ledger_right(server, change, shown):
    old = msgspec.structs.replace(money(1_000_000_000), id="old", expires_at_ns=1)
    await server.open_account("demo", money(5_000_000_000), old)
    async with server.client() as client:
        answer = await client.post("/v1/accounts/demo/adjust", json=change)
        ledger = (await client.get("/v1/accounts/demo/ledger")).json()
        last = (await client.get("/v1/accounts/demo/history")).json()["items"][-1]
    account = answer.json()
    assert (account["status"], [(balance["id"], balance["value"]) for balance in account["balances"]]) == shown
    assert (ledger["entries"], ledger["differences"]) == (2, [])
    assert (last["by"], last["reason"]) == ("ann", "complaint 12")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (adjustment("remove", balance="gone"), 409),
        (adjustment("remove_expired"), 409),
        (adjustment("set", balance="money", value="3"), 422),
        (adjustment("double", balance="money"), 422),
    ],
)
async def test_an_adjustment_that_makes_no_sense_changes_nothing(server, change, status):
    await server.open_account("demo", money(7))
    async with server.client() as client:
        answer = await client.post("/v1/accounts/demo/adjust", json=change)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert (await server.store.load("demo", None)).account.version == 1
