"""The subcommands that read files only: check, explain, schema; and what all have."""

import subprocess
import sys

import pytest

from ocs import __version__
from tests.cli.child import edit


def test_the_version(ocs):
    assert ocs("--version") == (0, f"ocs {__version__}\n", "")


def test_help_names_every_subcommand(ocs):
    out = ocs("--help").out
    for name in ("serve", "check", "explain", "schema", "simulate", "account", "cdrs", "sessions", "peers", "reload"):
        assert name in out


def test_help_imports_nothing_heavy():
    code = "import sys, ocs.cli.app; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"asyncio", "uvicorn", "starlette", "structlog", "prometheus_client", "msgspec", "yaml", "sqlite3"}
    assert heavy & set(loaded) == set()


def test_usage_errors_are_2(ocs):
    assert ocs("serv").code == 2
    assert ocs("check", "--format", "xml").code == 2


def test_a_good_configuration_is_fine(ocs, folder):
    assert ocs("check", "config") == (0, "fine: no problems\n", "")
    assert ocs("check", "--json").json == {"usable": True, "problems": []}


def test_every_problem_is_shown_with_its_place(ocs, folder):
    edit(folder / "config" / "server.yaml", ("identity: ocs", "identty: ocs"), ("kind: voice", "kind: voise"))
    ran = ocs("check", "config")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert [line for line in lines if line.startswith("config/server.yaml:") and "did you mean identity?" in line]
    assert [line for line in lines if line.startswith("config/server.yaml:") and "did you mean voice?" in line]
    assert lines[-1].startswith("not usable: ")
    problems = ocs("check", "config", "--json").json
    assert problems["usable"] is False
    kind = next(each for each in problems["problems"] if each["path"] == "services.voice.kind")
    assert kind["line"] > 1
    assert kind["severity"] == "error"


def test_problems_for_github_stand_on_their_lines(ocs, folder):
    edit(folder / "config" / "server.yaml", ("kind: voice", "kind: voise"))
    ran = ocs("check", "config", "--format", "github")
    assert ran.code == 1
    (line,) = ran.out.splitlines()
    place, _, message = line.removeprefix("::error ").partition("::")
    assert place.startswith("file=config/server.yaml,line=")
    assert message.startswith("services.voice.kind: ")


def test_a_folder_that_is_not_there_is_a_usage_error(ocs, folder):
    ran = ocs("check", "confg")
    assert (ran.code, ran.err) == (2, "ocs: confg is not a folder\n")


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
    found = steps(ocs("explain", "voice demo -> tel:+61-491-570-156 90s", "--json").json)
    assert [step for step, _ in found] == [
        *("usage", "number", "account", "prefix", "rate", "increment", "price"),
        *("balance", "balance", "balance"),
    ]
    texts = [text for _, text in found]
    assert texts[1] == "tel:+61-491-570-156 is dialled as +61491570156, which is 61491570156"
    assert texts[3] == "the longest prefix of 61491570156 is 614: destination au-mobile"
    assert "0.22 AUD/min" in texts[4]
    assert texts[6].startswith(
        "90000000000 x 220000000 / 60000000000 nanos, rounded half up to 0.000000001 AUD: 0.33 AUD"
    )
    assert [text.split(" ")[0] for text in texts[7:]] == ["minutes", "money", "volume"]
    assert texts[9].endswith("not used: it pays for another kind of usage")


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


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("phone demo -> 4912", 'there is no service "phone"; known: data, voice, sms'),
        ("voice demo -> 4912 1 MiB", '"1 MiB" is not a duration'),
        ("voice demo 90s", "voice goes to somebody: add to NUMBER"),
        ("voice", '"voice" is not SERVICE SUBSCRIBER'),
    ],
)
def test_an_event_that_cannot_be_read_is_a_usage_error(ocs, folder, event, message):
    ran = ocs("explain", event)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize("file", ["server", "tariff", "subscribers"])
def test_schemas_are_json_schema(ocs, file):
    assert ocs("schema", file).json["$schema"].startswith("https://json-schema.org/")


def test_the_module_is_the_command():
    ran = subprocess.run([sys.executable, "-m", "ocs", "--version"], check=True, capture_output=True, text=True)
    assert ran.stdout == f"ocs {__version__}\n"
    assert ran.stderr == ""
