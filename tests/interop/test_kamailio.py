"""Kamailio charges calls over Ro, placed by sipp: what it reports is what the account pays, and no credit means 402."""

import re
import threading
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.interop.capture import values
from tests.interop.conftest import SHORT_S
from tests.interop.kamailio import CALLED_PORT, CALLER_PORT, SIP_PORT, called_party, kamailio, place_call, place_calls

NS_PER_S = 1_000_000_000
TALK_MS = 7_000


@pytest.fixture
def switch(namespace, ocs, tmp_path):
    """A Kamailio that is connected to ocs, with a telephone behind it that answers."""
    with kamailio(namespace, tmp_path / "kamailio") as switch, called_party(namespace, tmp_path):
        # Its workers start one by one; the log tells when the peer is open and thus the whole is up.
        switch.wait_for("an open peer", lambda: any_peer_open(ocs))
        yield switch


def any_peer_open(ocs) -> bool:
    return any(peer.get("state") == "open" for peer in ocs.get("/v1/peers")["items"])


def reported_seconds(capture) -> tuple[list[str], int]:
    """The CC-Request-Types of the call in order, and the sum of CC-Time over its Used-Service-Units."""
    requests = capture.trees("diameter.cmd.code == 272 && diameter.flags.request == 1")
    used = list(values(requests, "diameter.Used-Service-Unit_tree"))
    return list(values(requests, "diameter.CC-Request-Type")), sum(map(int, values(used, "diameter.CC-Time")))


def initial_results(capture) -> list[str]:
    """The Result-Codes of the answers to INITIAL requests; that of the command comes before those of its groups."""
    initial = "diameter.cmd.code == 272 && diameter.flags.request == 0 && diameter.CC-Request-Type == 1"
    return [row[0].split(",")[0] for row in capture.fields(initial, "diameter.Result-Code")]


def call_cdr(ocs, account: str):
    ocs.wait_for(f"a CDR of {account}", lambda: ocs.cdrs(account))
    (cdr,) = ocs.cdrs(account)
    return cdr


@pytest.mark.conformance("C1", "C19", "C20")
@pytest.mark.parametrize(
    ("called", "kind", "cost"),
    [
        pytest.param("61412345678", "voice", Decimal(0), id="minutes-included"),
        pytest.param("4915112345678", "monetary", Decimal("0.10"), id="money-by-the-minute"),
    ],
)
def test_call_debits_the_seconds_that_were_reported(switch, namespace, ocs, capture, tmp_path, called, kind, cost):
    before = ocs.balances("demo")
    place_call(namespace, tmp_path, "491700000001", called, TALK_MS)
    cdr = call_cdr(ocs, "demo")
    capture.close()

    kinds, seconds = reported_seconds(capture)
    assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == ("1", {"2"}, "3")
    assert TALK_MS // 1000 <= seconds <= TALK_MS // 1000 + 2
    assert (cdr["usage"], Decimal(cdr["cost"])) == (seconds * NS_PER_S, cost)

    after = ocs.balances("demo")
    moved = {
        before[id_]["kind"]: Decimal(before[id_]["value"]) - Decimal(after[id_]["value"])
        for id_ in before
        if before[id_]["value"] != after[id_]["value"]
    }
    assert moved == {kind: cost if kind == "monetary" else seconds * NS_PER_S}
    assert all(Decimal(balance["held"]) == 0 for balance in after.values())


@pytest.mark.conformance("B12")
def test_call_without_credit_is_refused(switch, namespace, ocs, capture, tmp_path):
    place_call(namespace, tmp_path, "491700000003", "61412345678", TALK_MS)
    switch.wait_for_log("RO-RESULT")
    capture.close()
    assert ["402"] in capture.fields("sip.Status-Code", "sip.Status-Code")
    assert ["200"] not in capture.fields("sip.Status-Code", "sip.Status-Code")
    assert initial_results(capture) == ["4012"]
    assert ocs.balances("demo-empty") == {}


@pytest.mark.conformance("C20")
def test_emergency_call_needs_no_credit(switch, namespace, ocs, capture, tmp_path):
    place_call(namespace, tmp_path, "491700000003", "112", 2_000)
    capture.close()
    assert ["200"] in capture.fields("sip.Status-Code", "sip.Status-Code")
    assert initial_results(capture) == ["2001"]
    assert ocs.balances("demo-empty") == {}


@pytest.mark.conformance("C1", "B26")
def test_several_calls_at_once_and_who_runs_out_of_credit_is_hung_up_on(switch, namespace, ocs, capture, tmp_path):
    calls = {
        "demo": ("491700000001", "61412345678"),
        "demo-money": ("491700000002", "4915112345678"),
        "demo-short": ("491700000005", "61412345678"),
    }
    talk_ms = 11_000
    place_calls(namespace, tmp_path, list(calls.values()), talk_ms)
    charged_s = {account: call_cdr(ocs, account)["usage"] // NS_PER_S for account in calls}
    capture.close()

    spans = talks(capture)
    for account, (caller, _) in calls.items():
        # Kamailio counts whole seconds, from each report to the next.
        talked_s = spans[caller].ended_s - spans[caller].began_s
        assert -1 < charged_s[account] - talked_s < 2, (account, charged_s, talked_s)
    assert charged_s["demo-short"] == SHORT_S < talk_ms // 1000
    # It hangs up on the caller first, and on the called party only where the caller has not agreed by then.
    assert CALLER_PORT in spans[calls["demo-short"][0]].goodbyes
    assert spans[calls["demo"][0]].goodbyes == spans[calls["demo-money"][0]].goodbyes == {SIP_PORT, CALLED_PORT}

    _, reported_s = reported_seconds(capture)
    assert sum(charged_s.values()) == reported_s
    assert ocs.balances("demo-short")["minutes"]["value"] == 0
    assert ocs.balances("demo")["minutes"]["value"] == (6_000 - charged_s["demo"]) * NS_PER_S
    assert Decimal(ocs.balances("demo-money")["money"]["value"]) == Decimal("9.90")
    for account in calls:
        assert all(Decimal(balance["held"]) == 0 for balance in ocs.balances(account).values())
    assert re.fullmatch(r"5 accounts, [1-9]\d* journal entries, 0 differences", ocs.run("ledger", "verify").strip())


@dataclass
class Talk:
    """When it began and ended, in seconds of the capture, and the ports to which a BYE went."""

    began_s: float
    ended_s: float
    goodbyes: set[int]


def talks(capture) -> dict[str, Talk]:
    """The calls that were answered, by caller."""
    callers = dict(capture.fields('sip.Method == "INVITE"', "sip.Call-ID", "sip.from.user"))
    found: dict[str, Talk] = {}
    for call, at in capture.fields('sip.Method == "ACK"', "sip.Call-ID", "frame.time_relative"):
        found.setdefault(callers[call], Talk(float(at), 0, set()))
    for call, at, port in capture.fields('sip.Method == "BYE"', "sip.Call-ID", "frame.time_relative", "udp.dstport"):
        talk = found[callers[call]]
        talk.ended_s = talk.ended_s or float(at)
        talk.goodbyes.add(int(port))
    return found


@pytest.mark.conformance("B31")
def test_it_answers_no_rar_and_its_call_goes_on(switch, namespace, ocs, capture, tmp_path):
    caller = threading.Thread(target=place_call, args=(namespace, tmp_path, "491700000001", "61412345678", TALK_MS))
    caller.start()
    ocs.wait_for("a session", lambda: ocs.get("/v1/sessions?account=demo")["items"])
    (session,) = ocs.get("/v1/sessions?account=demo")["items"]
    ocs.run("sessions", "reauth", session["id"])
    switch.wait_for_log("unhandled receive request on Credit Control Acct session")
    cdr = call_cdr(ocs, "demo")
    caller.join()
    capture.close()
    assert capture.fields("diameter.cmd.code == 258", "diameter.flags.request", "diameter.Session-Id") == [
        ["1", session["id"]]
    ]
    _, seconds = reported_seconds(capture)
    assert cdr["usage"] == seconds * NS_PER_S
    assert TALK_MS // 1000 <= seconds <= TALK_MS // 1000 + 2
