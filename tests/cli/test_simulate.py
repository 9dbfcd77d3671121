"""Whole sessions from the command line against a running server; what they cost is what the CDRs say."""

import socket

import pytest

from tests.cli.conftest import Ran


@pytest.fixture
def simulate(ocs, child):
    def run(*arguments: object) -> Ran:
        return ocs("simulate", *arguments, "--server", "{}:{}".format(*child.diameter), "--url", child.url)

    return run


def value(child, account: str, balance: str) -> str | int:
    return child.balances(account)[balance]["value"]


@pytest.mark.parametrize("pieces", [1, 3, 50])
def test_the_same_usage_costs_the_same_in_any_number_of_pieces(simulate, pieces):
    ran = simulate("data", "--msisdn", "491700000002", "--octets", 308_400, "--pieces", pieces, "--json")
    report = ran.json
    assert (ran.code, report["served"], report["used"]) == (0, True, 308_400)
    assert len(report["steps"]) == pieces + 1
    (cdr,) = report["cdrs"]
    assert (cdr["usage"], cdr["cost"]) == (308_400, "0.002949219")


def test_more_than_a_grant_takes_more_requests(simulate):
    report = simulate("data", "--imsi", "262010000000001", "--octets", 30_000_000, "--json").json
    assert [step["request"] for step in report["steps"]] == ["INITIAL 0", "UPDATE 1", "UPDATE 2", "TERMINATION 3"]
    assert report["used"] == 30_000_000


def test_a_call_is_told_step_by_step(simulate, child):
    minutes = value(child, "demo", "minutes")
    ran = simulate("call", "--from", "491700000001", "--to", "61491570156", "--seconds", 90)
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert [line.split()[0] for line in lines[:3]] == ["INITIAL", "UPDATE", "TERMINATION"]
    assert "2001, used 30 s" in lines[2]
    assert lines[-1].split()[:2] == ["demo", "voice"]
    assert minutes - value(child, "demo", "minutes") == 90_000_000_000


def test_an_emergency_call_needs_no_account(simulate):
    ran = simulate("call", "--from", "499999999999", "--to", "112", "--seconds", 90, "--json")
    assert (ran.code, ran.json["cdrs"][0]["cost"]) == (0, "0.00")


def test_credit_that_runs_out_cuts_the_call(simulate, child):
    ran = simulate("call", "--from", "491700000002", "--to", "61491570156", "--seconds", 9_000, "--json")
    report = ran.json
    assert (ran.code, report["served"]) == (1, False)
    assert report["steps"][-2]["final_unit"] is True
    assert report["used"] + report["left"] == 9_000
    money = child.balances("demo-money")["money"]
    assert money["held"] == "0.00"
    assert 0 <= float(money["value"]) < 0.22 / 60


def test_no_credit_is_a_problem(simulate):
    ran = simulate("call", "--from", "491700000003", "--to", "61491570156")
    assert ran.code == 1
    assert "4012" in ran.out
    assert "not served: 1 min of 1 min" in ran.out


def test_a_short_message_is_one_event(simulate, child):
    before = value(child, "demo", "money")
    report = simulate("sms", "--from", "+491700000001", "--to", "4912345", "--count", 2, "--json").json
    assert [step["request"] for step in report["steps"]] == ["EVENT 0"]
    assert report["cdrs"][0]["cost"] == "0.10"
    assert float(before) - float(value(child, "demo", "money")) == pytest.approx(0.10)


def test_every_answer_can_be_seen_in_full(simulate):
    out = simulate("sms", "--from", "491700000001", "--to", "4912345", "--verbose").out
    assert "Credit-Control-Answer" in out
    assert "Result-Code (268)" in out


def test_who_is_charged_has_to_be_said(simulate):
    ran = simulate("data")
    assert (ran.code, ran.err) == (2, "ocs: say who: --msisdn or --imsi\n")


def test_no_server_is_2(ocs):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = ocs("simulate", "sms", "--from", "1", "--to", "2", "--server", f"127.0.0.1:{port}")
    assert ran.code == 2
    assert f"127.0.0.1:{port} cannot be reached" in ran.err
    assert ocs("simulate", "sms", "--from", "1", "--to", "2", "--server", "nowhere").code == 2
