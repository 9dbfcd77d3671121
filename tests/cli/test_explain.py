"""`ocs explain`: events by files alone, and by a server."""

import re

import pytest

from tests.cli.child import ROOT

AT = "2026-11-21T20:05:00+11:00"


def steps(explained: dict) -> list[tuple[str, str]]:
    return [(step["step"], step["text"]) for step in explained["steps"]]


@pytest.mark.parametrize(
    ("event", "cost", "paid"),
    [
        ("data 491700000002 308400 octets", "0.002949219", [("money", "0.002949219", "AUD")]),
        ("data demo-money 1 MiB", "0.01", [("money", "0.01", "AUD")]),
        ("data demo 10 MiB", "0.00", [("volume", 10_485_760, "octets")]),
        ("voice 491700000002 -> 61491570156 90s", "0.33", [("money", "0.33", "AUD")]),
        ("voice 491700000002 to +61491570156 90s", "0.33", [("money", "0.33", "AUD")]),
        ("voice 491700000001 -> 61491570156 90s", "0.00", [("minutes", 90_000_000_000, "ns")]),
        ("voice 262010000000002 -> 0061291570156 2 h", "0.20", [("money", "0.20", "AUD")]),
        ("voice demo-money -> 491712345 61s", "0.20", [("money", "0.20", "AUD")]),
        ("voice demo-empty -> 112 1 h", "0.00", []),
        ("voice nobody -> 000 1 h", "0.00", []),
        ("sms demo-money -> 4912345 3", "0.15", [("money", "0.15", "AUD")]),
    ],
)
def test_the_cost_is_explained_to_the_nano(ocs, folder, event, cost, paid):
    ran = ocs("explain", event, "--json")
    explained = ran.json
    assert (ran.code, explained["result"], explained["cost"], explained["currency"]) == (0, 2001, cost, "AUD")
    assert [(each["balance"], each["amount"], each["unit"]) for each in explained["paid"]] == paid


def test_the_way_to_the_cost_is_told_step_by_step(ocs, folder):
    found = steps(ocs("explain", "voice demo -> tel:+61-491-570-156 90s", "--at", AT, "--json").json)
    assert [step for step, _ in found] == [
        *("usage", "time", "number", "account", "tariff", "plan", "prefix", "rate", "increment", "price"),
        *("balance", "balance", "balance", "paid", "initial", "event", "cost"),
    ]
    told = dict(found)
    assert told["time"] == "2026-11-21T09:05:00Z"
    assert told["number"] == "tel:+61-491-570-156 is dialled as +61491570156, which is 61491570156"
    assert told["plan"] == "standard"
    assert told["prefix"] == "the longest prefix of 61491570156 is 614: destination au-mobile"
    assert "0.22 AUD/min" in told["rate"]
    assert told["price"].startswith(
        "90000000000 x 220000000 / 60000000000 nanos = 33/100 AUD, rounded half up to 0.000000001 AUD: 0.33 AUD"
    )
    balances = [text for step, text in found if step == "balance"]
    assert [text.split(" ")[1] for text in balances] == ["minutes", "money", "volume"]
    assert balances[0].endswith("covers 1 min 30 s")
    assert balances[1].endswith("not used: nothing is left to pay")
    assert balances[2].endswith("not used: it pays for another kind of usage")


@pytest.mark.parametrize(
    ("event", "result", "why", "affordable"),
    [
        ("sms demo-empty -> 4912345", 4012, "no_credit", 0),
        ("voice demo-money -> 61491570156 2 h", 4012, "no_credit", 2_727_000_000_000),
        ("voice demo-disabled -> 61491570156 1s", 4010, "disabled_account", None),
        ("data nobody 1 MiB", 5030, "unknown_account", None),
    ],
)
def test_a_refusal_says_why_and_what_credit_is_enough_for(ocs, folder, event, result, why, affordable):
    ran = ocs("explain", event, "--json")
    assert (ran.code, ran.json["result"], ran.json["why"], ran.json["affordable"]) == (1, result, why, affordable)
    told = ocs("explain", event).out.splitlines()
    assert [line for line in told if line.startswith("refused") and str(result) in line]


def test_an_event_in_words_of_its_own(ocs, folder):
    ran = ocs("explain", "voice", "491700000002", "to", "61491570156", "90s")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].split() == ["cost", "0.33", "AUD"]


def test_options_say_the_same_as_words(ocs, folder):
    by_options = ocs(
        *("explain", "voice", "--from", "491700000001", "--to", "61491570156", "--usage", "90s", "--at", AT, "--json")
    )
    in_words = ocs("explain", "voice 491700000001 -> 61491570156 90s", "--at", AT, "--json")
    assert by_options.code == 0
    assert by_options.json == in_words.json


def test_the_price_of_a_plan_needs_no_account(ocs, folder):
    ran = ocs("explain", "data", "--plan", "standard", "--usage", "1 GiB", "--json")
    assert (ran.code, ran.json["result"], ran.json["cost"]) == (0, 2001, "10.24")
    assert ran.json["parts"][0]["price"]["exact"] == "256/25"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("phone demo -> 4912", 'there is no service "phone"; known: data, voice, sms'),
        ("voice demo -> 4912 1 MiB", '"1 MiB" is not a duration'),
        ("voice demo 90s", "voice goes to somebody: add to NUMBER"),
        ("voice", "voice goes to somebody: add to NUMBER"),
        (" ", '" " is not SERVICE SUBSCRIBER'),
        ("data", "whose account?"),
        ("data demo two", '"two" is not a volume'),
    ],
)
def test_an_event_that_cannot_be_read_is_a_usage_error(ocs, folder, event, message):
    ran = ocs("explain", event)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("voice demo -> 49123", "--from", "demo", "--to", "49"), "--from and --to: said in words, too"),
        (("data", "--plan", "gold"), 'there is no plan "gold"; known: standard'),
        (("data demo", "--at", "tomorrow"), '"tomorrow" is not a point in time'),
        (("data demo", "--cdr", "1"), "--cdr says which usage is meant"),
        ((), "explain what?"),
        (("data", "--plan", "standard", "--url", "http://127.0.0.1:1"), "a server explains with an account"),
        (("data demo", "--url", "http://127.0.0.1:1"), "does not answer"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(ocs, folder, arguments, message):
    ran = ocs("explain", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_running_server_explains_with_the_account_as_it_is(ocs, child):
    ocs(
        "account", "topup", "demo-empty", "money", "0.05 AUD", "--kind", "monetary", "--reason", "t", "--url", child.url
    )
    ran = ocs("explain", "sms 491700000003 to 4912345", "--url", child.url, "--json")
    assert (ran.code, ran.json["account"]["id"], ran.json["cost"]) == (0, "demo-empty", "0.05")
    assert ran.json["paid"] == [{"balance": "money", "amount": "0.05", "unit": "AUD"}]
    assert ocs("explain", "sms demo-empty to 4912345 2", "--url", child.url).code == 1


def test_a_stored_cdr_is_explained_by_its_price_and_its_journal(ocs, child):
    done = ocs(
        *("simulate", "data", "--msisdn", "491700000002", "--octets", "308400", "--pieces", "3"),
        *("--server", "{}:{}".format(*child.diameter), "--url", child.url),
    )
    assert done.code == 0, done
    row = ocs("cdrs", "--account", "demo-money", "--url", child.url, "--json").json[-1]
    found = ocs("explain", "--cdr", row["id"], "--url", child.url, "--json")
    assert (found.code, found.json["agrees"], found.json["money_cost"]) == (0, True, "0.002949219")
    assert found.json["session_paid"] == [{"balance": "money", "amount": "0.002949219", "unit": "AUD"}]
    told = ocs("explain", "--cdr", row["id"], "--url", child.url).out
    assert "0.002949219 AUD: that is what was charged" in told
    assert told.splitlines()[-1].split() == ["journal", "0.002949219", "AUD", "from", "money"]


@pytest.mark.parametrize("page", ["explain.md", "commands.md"])
def test_the_manual_shows_what_is_printed(ocs, folder, page):
    (shown,) = re.findall(r"```\n\$ ocs (explain .*?)\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    ran = ocs(*shown[0].split())
    version = r"version [0-9a-f]+"
    assert re.sub(version, "version", ran.out) == re.sub(version, "version", shown[1])
