"""GET /v1/explain: accounts as they are now, and stored CDRs."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.api.explain_text import lines
from ocs.api.explain_view import explanation_view
from ocs.balances.account import Account, Balance
from ocs.balances.journal import Entry, Posting
from ocs.charging.explain import explain
from ocs.charging.explained import Asked
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.rating.tariff import SharedGroup
from ocs.rating.units import NS_PER_S, Kind, Measure
from ocs.units import parse_decimal
from tests.api.server import NOW_NS, SETTINGS, Server, cdr, money
from tests.charging.sheets import payers, sheets, tariff_of
from tests.charging.world import AUD, MIB, MOBILE, POLICIES, tariff

AT = "2026-11-21T20:05:00Z"


@pytest.fixture
def server():
    made = Server()
    groups = {"family": SharedGroup("family", ("demo", "other"))}
    sold = msgspec.structs.replace(tariff("t1"), shared_groups=groups)
    made.settings = msgspec.structs.replace(SETTINGS, services=POLICIES, tariff=sold)
    return made


async def explained(server, status: int = 200, **parameters: object) -> dict:
    async with server.client() as client:
        answer = await client.get("/v1/explain", params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()


def step(found: dict, name: str) -> str:
    return next(each["text"] for each in found["steps"] if each["step"] == name)


async def test_the_whole_chain_is_told_as_values_and_in_words(server):
    await server.open_account("demo", money(10 * AUD), Balance("minutes", Kind.VOICE, 30_000_000_000))
    found = await explained(server, service="voice", account="demo", to="+61491570156", usage="90s", at=AT)
    assert (found["number"], found["account"]["id"], found["tariff"]["version"]) == ("61491570156", "demo", "t1")
    (part,) = found["parts"]
    assert (part["prefix"], part["rate"]["price"], part["rate"]["per"]) == ("614", "0.22", 60_000_000_000)
    assert (part["price"]["exact"], part["price"]["rounded"]) == ("33/100", "0.33")
    assert [(each["id"], each["why_not"], each["pays"], each["unit"]) for each in part["balances"]] == [
        ("minutes", None, 30_000_000_000, "ns"),
        ("money", None, "0.22", "AUD"),
    ]
    assert found["paid"] == [
        {"balance": "minutes", "amount": 30_000_000_000, "unit": "ns"},
        {"balance": "money", "amount": "0.22", "unit": "AUD"},
    ]
    assert (found["cost"], found["currency"], found["result"], found["why"]) == ("0.22", "AUD", 2001, "")
    assert (found["initial"]["granted"], found["initial"]["holds"][1]["amount"]) == (90_000_000_000, "0.22")
    assert step(found, "cost") == "0.22 AUD"


async def test_nothing_is_changed_by_an_explanation(server):
    before = await server.open_account("demo", money(AUD))
    await explained(server, service="data", account="demo", usage="10 MiB")
    assert (await server.store.load("demo", None)).account == before


async def test_the_time_is_now_and_the_usage_a_usual_one_where_nothing_is_said(server):
    await server.open_account("demo", money(AUD))
    found = await explained(server, service="data", msisdn="demo")
    assert (found["at"], found["usage"], found["rating_group"]) == (AT, MIB, 100)


async def test_an_msisdn_finds_its_account_with_or_without_a_plus(server):
    await server.open_account("demo", money(AUD))
    for query in ("msisdn=demo", "msisdn=%2Bdemo"):
        async with server.client() as client:
            found = (await client.get(f"/v1/explain?service=data&{query}")).json()
        assert found["account"]["id"] == "demo"
    nobody = await explained(server, service="data", msisdn="4917")
    assert (nobody["account"], nobody["result"], nobody["why"]) == (None, 5030, "unknown_account")


async def test_a_plus_in_the_query_need_not_be_quoted(server):
    await server.open_account("demo", money(AUD))
    async with server.client() as client:
        path = "/v1/explain?service=voice&account=demo&to=+61491570156&at=2026-11-22T07:05:00+11:00&usage=60s"
        found = (await client.get(path)).json()
    assert (found["called"], found["at"], found["cost"]) == ("+61491570156", AT, "0.22")


async def test_a_refusal_says_which_and_what_can_be_paid(server):
    await server.open_account("demo", money(11 * AUD // 100))
    found = await explained(server, service="voice", account="demo", to="61491570156", usage="60s")
    assert (found["result"], found["why"], found["affordable"]) == (4012, "no_credit", 30_000_000_000)
    assert (found["cost"], found["overdraft"]) == ("0.22", "0.11")
    assert step(found, "refused") == "4012: no_credit"


async def test_accounts_that_share_balances_are_looked_at(server):
    await server.open_account(
        "demo", money(AUD // 100).__class__("own", Kind.MONETARY, AUD // 100, shared_group="family")
    )
    await server.open_account("other", Balance("purse", Kind.MONETARY, AUD, shared_group="family"))
    found = await explained(server, service="voice", account="demo", to="61491570156", usage="60s")
    assert found["paid"] == [
        {"balance": "own", "amount": "0.01", "unit": "AUD"},
        {"balance": "purse", "amount": "0.21", "unit": "AUD", "account": "other"},
    ]


@pytest.mark.parametrize(
    ("parameters", "status", "detail"),
    [
        ({}, 400, "service: one of data, voice, sms"),
        ({"service": "voise", "account": "demo"}, 400, 'there is no service "voise"; known: data, voice, sms'),
        ({"service": "data"}, 400, "account or msisdn: one of them"),
        ({"service": "data", "account": "demo", "msisdn": "49"}, 400, "account or msisdn: one of them"),
        ({"service": "data", "account": "nobody"}, 404, 'there is no account "nobody"'),
        ({"service": "data", "account": "demo", "usage": "much"}, 400, '"much" has no known unit'),
        ({"service": "data", "account": "demo", "at": "noon"}, 400, '"noon" is not a point in time'),
        ({"service": "data", "account": "demo", "rating_group": "-1"}, 400, 'rating_group "-1" is not a number'),
        ({"service": "data", "account": "demo", "rating_group": 2**32}, 400, "is not a number from 0"),
        ({"service": "data", "acount": "demo"}, 400, 'unknown parameter "acount"'),
        ({"cdr": "1", "service": "data"}, 400, "with cdr nothing else is asked: service"),
        ({"cdr": "0"}, 400, 'cdr "0" is not the id of a CDR'),
        ({"cdr": "x"}, 400, 'cdr "x" is not the id of a CDR'),
        ({"cdr": "999"}, 404, 'there is no CDR "999"'),
    ],
)
async def test_what_cannot_be_explained_is_a_problem(server, parameters, status, detail):
    await server.open_account("demo", money(AUD))
    assert detail in (await explained(server, status, **parameters))["detail"]


async def test_a_stored_cdr_is_explained_with_what_its_session_paid(server):
    account = await server.open_account("demo", money(AUD))
    entry = Entry("demo", 2, "charge", NOW_NS, "s;1", "T/1", (Posting("money", -2_949_219, 0),), cost_nanos=2_949_219)
    charged = msgspec.structs.replace(account, version=2, balances=(money(AUD - 2_949_219),))
    other = msgspec.structs.replace(entry, version=3, session_id="s;2", postings=(Posting("money", -5, 0),))
    later = msgspec.structs.replace(charged, version=3, balances=(money(AUD - 2_949_224),))
    await server.store.commit([Outcome((AccountWrite(charged, entry),), cdrs=(cdr(),))])
    await server.store.commit([Outcome((AccountWrite(later, other),))])
    row = (await server.store.cdrs("demo", None, 0, 10))[-1]
    found = await explained(server, cdr=row.id)
    assert (found["cdr"]["id"], found["version_loaded"], found["agrees"]) == (str(row.id), True, True)
    assert (found["by_money"], found["money_cost"], found["used_before"]) == (308_400, "0.002949219", 0)
    assert found["session_paid"] == [{"balance": "money", "amount": "0.002949219", "unit": "AUD"}]
    assert found["now"]["parts"][0]["balances"][0]["available"] == "0.997050776"
    assert step(found, "version") == "t1 is loaded: prices here are those of the CDR"
    assert step(found, "by formula").endswith("that is what was charged")


async def test_a_cdr_of_a_version_that_is_gone_says_so(server):
    account = await server.open_account("demo", money(AUD))
    await server.charge(account, cdr(tariff_version="t0", cost_nanos=1))
    found = await explained(server, cdr=1)
    assert (found["version_loaded"], found["agrees"]) == (False, False)
    assert step(found, "version") == "t0 is no longer loaded: prices here are those of t1 and may differ"
    assert step(found, "by formula").endswith("not what was charged")


async def test_records_before_place_a_cdr_in_its_session(server):
    account = await server.open_account("demo", money(AUD))
    first = cdr(partial=0, usage=MIB, cost_nanos=AUD // 100)
    second = cdr(partial=1, usage=MIB, cost_nanos=AUD // 100)
    await server.charge(account, first, cdr(rating_group=101, usage=7), second)
    rows = await server.store.cdrs("demo", None, 0, 10)
    found = await explained(server, cdr=rows[-1].id)
    assert (found["used_before"], found["agrees"]) == (MIB, True)
    assert step(found, "before") == "1 MiB stand in records before"


async def test_a_cdr_of_a_service_that_is_gone_cannot_be_explained(server):
    account = await server.open_account("demo", money(AUD))
    await server.charge(account, cdr(service="fax"))
    assert 'the service "fax"' in (await explained(server, 404, cdr=1))["detail"]


async def test_every_value_of_an_explanation_is_json(server):
    await server.open_account("demo", money(AUD))
    found = await explained(server, service="sms", account="demo", to="112", usage="2")
    assert found["free_for_everybody"] == {"destination": "*emergency", "prefix": "112"}
    assert json.loads(json.dumps(found)) == found


@settings(max_examples=60)
@given(
    data=st.data(), usage=st.integers(1, 3 * 3_600), owned=payers(Kind.VOICE, rich=False), called=st.sampled_from("67")
)
def test_any_explanation_can_be_shown(data, usage, owned, called):
    sold = tariff_of(data.draw(sheets(Measure.TIME, NOW_NS, ("6",))), "voice", {"special": MOBILE})
    asked = Asked(POLICIES["voice"], called, usage * NS_PER_S, Measure.TIME, NOW_NS)
    made = explain(asked, Account("demo", 1, "AUD", "standard", balances=tuple(owned)), sold)
    shown = json.loads(json.dumps(explanation_view(made)))
    assert [(each["step"], each["text"]) for each in shown["steps"]] == lines(made)
    amounts = [parse_decimal(each["amount"]) if each["unit"] == "AUD" else each["amount"] for each in shown["paid"]]
    assert amounts == [amount for _, amount in made.taken]
    assert parse_decimal(shown["cost"]) == made.cost_nanos
    assert sum(step == "balance" for step, _ in lines(made)) == sum(len(part.balances) for part in made.parts)
