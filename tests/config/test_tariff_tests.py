"""Tests that stand beside a tariff: what passes, and how a failure is told."""

import pytest

from ocs.config import load
from ocs.config.tariff_tests import Tried, run_tests
from tests.config.folder import FILES, SAMPLE, TARIFF, lines, loaded, sound

HEAD = {"name": "n", "service": "voice", "to": '"61491570156"', "at": '"2026-11-23T09:00:00+11:00"', "usage": "90s"}


def entry(expect: str, **fields: str) -> str:
    """One test as YAML; `plan: standard` unless an account is named."""
    plan = {} if "account" in fields else {"plan": "standard"}
    written = {**HEAD, **plan, **fields, "expect": expect}
    body = "".join(f"    {key}: {value}\n" for key, value in written.items() if value)
    return "  - " + body.removeprefix("    ")


def tried(folder, *entries: str) -> list[Tried]:
    text = TARIFF + "tests:\n" + "".join(entries)
    return run_tests(sound(folder, {**FILES, "tariffs/a.yaml": text}))


def failures(folder, *entries: str) -> list[str]:
    return [line for test in tried(folder, *entries) for line in lines(folder, list(test.failures))]


@pytest.mark.parametrize(
    ("expect", "fields"),
    [
        ("{cost: 0.33 AUD}", {}),
        ("{cost: 0.33 AUD, destination: au-mobile}", {}),
        ("{cost: 0.22 AUD, balances: {m: 9.78 AUD, v: 0s}}", {"balances": "{m: 10.00 AUD, v: 30s}"}),
        ("{cost: 0.00 AUD, balances: {v: 30s}}", {"balances": "{v: {kind: voice, value: 2 min, weight: 3}}"}),
        ("{cost: 0.20 AUD}", {"to": '"61291570156"', "usage": "10 h"}),
        ("{refused: no_credit, affordable: 30s}", {"balances": "{m: 0.11 AUD}"}),
        ("{refused: no_credit, balances: {m: 0.11 AUD}}", {"balances": "{m: 0.11 AUD}"}),
        ("{refused: 4012}", {"balances": "{}"}),
        ("{overdraft: 0.22 AUD, cost: 0.33 AUD, balances: {m: -0.22 AUD}}", {"balances": "{m: 0.11 AUD}"}),
        ("{refused: no_destination}", {"to": '"7"'}),
        ("{cost: 0.00 AUD, destination: '*emergency'}", {"to": '"000"'}),
        ("{cost: 0.01 AUD}", {"service": "data", "to": "", "usage": "1 MiB"}),
        ("{balances: {d: 1 KiB}}", {"service": "data", "to": "", "usage": "1 KiB", "balances": "{d: 2 KiB}"}),
        ("{cost: 0.15 AUD}", {"service": "sms", "usage": "3"}),
        ("{cost: 0.00 AUD, balances: {s: 17}}", {"service": "sms", "usage": "3", "balances": "{s: 20}"}),
        ("{cost: 0.33 AUD, balances: {money: 49.67 AUD, minutes: 100 min}}", {"account": "alice"}),
        ("{cost: 0.20 AUD, balances: {minutes: 98 min}}", {"account": "alice", "to": '"612"', "usage": "2 min"}),
    ],
)  # fmt: skip
def test_what_is_as_expected_passes(tmp_path, expect, fields):
    (test,) = tried(tmp_path, entry(expect, **fields))
    assert (test.name, test.failures) == ("n", ())
    assert test.explained is not None


# The tariff of the folder has 14 lines, and `tests:` is the 15th; the entries begin with line 16, `expect` is 22.
@pytest.mark.parametrize(
    ("expect", "fields", "told"),
    [
        ("{cost: 0.34 AUD}", {}, "22:20 tests[0].expect.cost: the cost is 0.33 AUD, expected 0.34 AUD"),
        ("{cost: 0.33 EUR}", {}, "22:20 tests[0].expect.cost: the cost is 0.33 AUD, expected 0.33 EUR"),
        ("{destination: x}", {}, "22:27 tests[0].expect.destination: the destination is au-mobile, expected x"),
        ("{refused: no_credit}", {}, "22:23 tests[0].expect.refused: it is not refused, expected no_credit"),
        ("{overdraft: 1 AUD}", {}, "22:25 tests[0].expect.overdraft: the overdraft is 0.00 AUD, expected 1.00 AUD"),
        ("{affordable: 30s}", {}, "22:26 tests[0].expect.affordable: 1 min 30 s can be paid, expected 30 s"),
        ("{affordable: 90}", {}, "22:26 tests[0].expect.affordable: 1 min 30 s can be paid, expected 90"),
        ("{cost: 0 AUD}", {"to": '"7"'}, "22:13 tests[0].expect: it is refused with no_destination (4010)"),
        (
            "{refused: no_credit}",
            {"to": '"7"'},
            "22:23 tests[0].expect.refused: it is refused with no_destination (4010), expected no_credit",
        ),
        (
            "{balances: {m: 9.68 AUD}}",
            {"balances": "{m: 10 AUD}"},
            "23:28 tests[0].expect.balances.m: m is 9.67 AUD, expected 9.68 AUD",
        ),
        (
            "{balances: {mony: 9 AUD}}",
            {"balances": "{money: 10 AUD}"},
            '23:31 tests[0].expect.balances.mony: the account has no balance "mony", expected one of its balances',
        ),
        (
            "{balances: {m: 9 min}}",
            {"balances": "{m: 10 AUD}"},
            '23:28 tests[0].expect.balances.m: "9 min" is not an amount of money',
        ),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_is_told_with_its_place(tmp_path, expect, fields, told):
    (failure,) = failures(tmp_path, entry(expect, **fields))
    assert failure.startswith(f"tariffs/a.yaml:{told}")


@pytest.mark.parametrize(
    ("expect", "fields", "told"),
    [
        ("{}", {"service": "voise"}, '17:14 tests[0].service: server.yaml has no service "voise"'),
        ("{}", {"plan": "gold"}, '21:11 tests[0].plan: there is no plan or profile "gold"'),
        ("{}", {"account": "alise"}, '21:14 tests[0].account: subscribers.yaml has no account "alise"'),
        ("{}", {"account": "alice", "plan": "standard"}, "16:5 tests[0]: a test is of a plan or of an account"),
        ("{}", {"plan": ""}, "16:5 tests[0]: a test is of a plan or of an account"),
        ("{}", {"account": "bob", "balances": "{m: 1 AUD}"}, "22:15 tests[0].balances: the account has balances"),
        ("{}", {"balances": "{m: much}"}, '22:19 tests[0].balances.m: "much" is not the value of a balance'),
        ("{}", {"balances": "{m: 1 EUR}"}, "22:19 tests[0].balances.m: the value is in EUR"),
        ("{}", {"usage": "long"}, '20:12 tests[0].usage: "long" has no known unit'),
        ("{}", {"at": '"tomorrow"'}, '19:9 tests[0].at: "tomorrow" is not a point in time'),
        ("{}", {"at": ""}, '16:5 tests[0]: "at" is missing'),
        ("{costs: 1 AUD}", {}, '22:14 tests[0].expect.costs: "costs" is not known here'),
        ("{refused: No}", {}, '22:23 tests[0].expect.refused: "No" is not a reason or a Result-Code'),
        (
            "{}",
            {"balances": "{m: {kind: voice, value: 1s, destinations: au-mobil}}"},
            '22:58 tests[0].balances.m.destinations: there is no destination "au-mobil"',
        ),
    ],
)  # fmt: skip
def test_a_test_that_cannot_be_run_fails_with_what_is_wrong_in_it(tmp_path, expect, fields, told):
    (test,) = tried(tmp_path, entry(expect, **fields))
    found = lines(tmp_path, list(test.failures))
    assert [line for line in found if line.startswith(f"tariffs/a.yaml:{told}")], found
    assert test.explained is None


def test_tests_are_run_in_their_order_and_one_that_fails_keeps_none_from_running(tmp_path):
    found = tried(tmp_path, entry("{cost: 1 AUD}", name="first"), entry("{cost: 0.33 AUD}", name="second"))
    assert [(test.name, bool(test.failures)) for test in found] == [("first", True), ("second", False)]
    assert found[0].explained.cost_nanos == 330_000_000


def test_what_is_no_mapping_is_a_problem_of_the_file_not_of_a_test(tmp_path):
    settings, diagnostics = loaded(tmp_path, {**FILES, "tariffs/a.yaml": TARIFF + "tests: [once]\n"})
    assert settings is None
    assert "tests[0]" in str(diagnostics[0])


def test_the_sample_is_tested():

    settings, _ = load(SAMPLE)
    found = run_tests(settings)
    assert len(found) >= 7
    assert [test.failures for test in found if test.failures] == []
