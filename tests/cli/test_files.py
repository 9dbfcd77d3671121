"""Subcommands that read files only: check, schema; and what all have."""

import re
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
    assert ocs("check", "config", "--no-tests") == (0, "fine: no problems\n", "")
    found = ocs("check", "--json").json
    assert (found["usable"], found["problems"], found["tests"]["failed"]) == (True, [], [])


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


def test_the_tests_of_the_tariff_are_run_and_counted(ocs, folder):
    ran = ocs("check", "config")
    assert ran.code == 0
    assert re.fullmatch(r"fine: no problems; \d+ tests passed\n", ran.out)


def test_a_test_that_fails_is_shown_with_its_place_and_why(ocs, folder):
    tariff = folder / "config" / "tariffs" / "standard.yaml"
    edit(tariff, ("price: 0.22 AUD/min", "price: 0.24 AUD/min"))
    line = next(n for n, text in enumerate(tariff.read_text().splitlines(), 1) if "expect: {cost: 0.22 AUD" in text)
    ran = ocs("check", "config")
    assert ran.code == 1
    told = ran.out.splitlines()
    place = f"config/tariffs/standard.yaml:{line}:20 tests[0].expect.cost: "
    assert told[0] == f"{place}the cost is 0.24 AUD, expected 0.22 AUD"
    assert [text for text in told if text.split()[:1] == ["rate"] and "0.24 AUD/min" in text]
    assert told[-1].startswith("failed: no problems; 1 of ")
    found = ocs("check", "config", "--json").json
    (failed,) = found["tests"]["failed"]
    assert (found["usable"], failed["line"] < line, failed["explanation"]["cost"]) == (True, True, "0.24")
    assert (found["tests"]["run"] - found["tests"]["passed"], failed["failures"][0]["line"]) == (1, line)
    github = ocs("check", "config", "--format", "github")
    assert (github.code, github.out.startswith("::error file=config/tariffs/standard.yaml,line=")) == (1, True)
    assert ocs("check", "config", "--no-tests").code == 0


def test_a_folder_that_is_not_there_is_a_usage_error(ocs, folder):
    ran = ocs("check", "confg")
    assert (ran.code, ran.err) == (2, "ocs: confg is not a folder\n")


@pytest.mark.parametrize("file", ["server", "tariff", "subscribers"])
def test_schemas_are_json_schema(ocs, file):
    assert ocs("schema", file).json["$schema"].startswith("https://json-schema.org/")


def test_the_module_is_the_command():
    ran = subprocess.run([sys.executable, "-m", "ocs", "--version"], check=True, capture_output=True, text=True)
    assert ran.stdout == f"ocs {__version__}\n"
    assert ran.stderr == ""
