"""Erlang/OTP as a strict client and server: each message of ours stands in its grammar, flags and all."""

import socket
import threading
from decimal import Decimal
from typing import Any

import pytest
import yaml

from ocs.diameter.wire import encode_avp, message_bytes
from tests.interop.client import EVENT, INITIAL, PROXIABLE, TERMINATION, UPDATE, Client, text, u32
from tests.interop.erlang import StrictPeer, compile_peer
from tests.interop.ocs_server import DIAMETER_PORT, ROOT, OcsServer

HOST = "ergw.example.net"
PORT = 13868
DEMO, MONEY, EMPTY, NOBODY = "491700000001", "491700000002", "491700000003", "491799999999"
SMS = "32274@3gpp.org"
DIRECT_DEBITING, REFUND_ACCOUNT, CHECK_BALANCE, PRICE_ENQUIRY = range(4)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    return compile_peer(tmp_path_factory.mktemp("erlang"))


@pytest.fixture
def ocs(namespace, capture, tmp_path):
    """A server that tells everything that it can tell."""
    services = yaml.load((ROOT / "config" / "server.yaml").read_text(), yaml.BaseLoader)["services"]
    services["data"] |= {
        "quota": {
            "threshold": "1 MiB",
            "holding_time": "10 min",
            "triggers": ["rat", "location"],
            "furnish": "tariff standard",
        },
        "answers": {"cost": "true", "advice_of_charge": "true", "balance": "true", "low_balance": "5.00 AUD"},
        "final_unit": {"action": "redirect", "redirect_to": "https://portal.example.com/topup"},
    }
    with OcsServer(namespace, tmp_path / "ocs", services=services) as ocs:
        ocs.wait_until_ready()
        yield ocs


@pytest.fixture
def peer(namespace, ocs, compiled, tmp_path):
    """An Erlang node that is connected; afterwards its library may have warned of nothing."""
    with StrictPeer(namespace, compiled, tmp_path / "erlang", HOST) as peer:
        hello = peer.connect("127.0.0.1", DIAMETER_PORT)
        assert (hello["Result-Code"], hello["Origin-Host"]) == (2001, "ocs.example.com")
        yield peer
        peer.say_goodbye()
        assert peer.text() == ""


def group(number: int, *, used: int | None = None, ask: bool = True, **more: Any) -> dict[str, Any]:
    """A Multiple-Services-Credit-Control that asks for octets, and reports some."""
    block: dict[str, Any] = {"Rating-Group": number}
    if ask:
        block["Requested-Service-Unit"] = {}
    if used is not None:
        block["Used-Service-Unit"] = [{"CC-Total-Octets": used}]
    return block | more


def results(answer: dict[str, Any]) -> tuple[int, dict[int, int]]:
    """(Result-Code of the command, those of its groups)."""
    groups = answer.get("Multiple-Services-Credit-Control", ())
    return answer["Result-Code"], {block["Rating-Group"]: block["Result-Code"] for block in groups}


def money(ocs) -> tuple[Decimal, Decimal]:
    (balance,) = ocs.balances("demo-money").values()
    return Decimal(balance["value"]), Decimal(balance["held"])


def decimal(unit_value: dict[str, int]) -> Decimal:
    return Decimal(unit_value["Value-Digits"]).scaleb(unit_value.get("Exponent", 0))


@pytest.mark.conformance("A1", "A8", "A9")
def test_it_opens_watches_and_says_goodbye(peer, capture):
    def watched() -> bool:
        peer.tell("statistics")
        return bool(peer.expect("statistics")["DWA"])

    peer.wait_for("a watchdog that was answered", watched)
    assert peer.say_goodbye() == 0
    capture.close()
    goodbye = capture.fields("diameter.cmd.code == 282", "diameter.flags.request", "diameter.Result-Code")
    assert goodbye == [["1", ""], ["0", "2001"]]


@pytest.mark.conformance("B1", "B34", "C4", "C5", "C7", "C11", "C12", "C13")
def test_a_session_with_several_groups_and_all_that_can_be_told(peer, ocs):
    session = f"{HOST};1;groups"
    bearer = {"PS-Information": {"ThreeGPP-Charging-Id": 7}}
    more = {"msisdn": MONEY, "Service_Information": bearer, "AoC_Request_Type": 1, "Multiple_Services_Indicator": 1}
    initial = peer.ccr(
        session, INITIAL, 0, mscc=[group(101), group(102), group(103, **{"Service-Identifier": 9})], **more
    )
    assert results(initial) == (2001, {101: 2001, 102: 2001, 103: 2001})
    assert [block.get("Service-Identifier") for block in initial["Multiple-Services-Credit-Control"]] == [
        None,
        None,
        [9],
    ]
    for block in initial["Multiple-Services-Credit-Control"]:
        assert block["Granted-Service-Unit"] == {"CC-Total-Octets": 10 * 2**20}
        assert (block["Volume-Quota-Threshold"], block["Quota-Holding-Time"]) == (2**20, 600)
        assert block["Trigger"] == [{"Trigger-Type": [4, 3]}]
        assert block["PS-Furnish-Charging-Information"] == {
            "ThreeGPP-Charging-Id": 7,
            "PS-Free-Format-Data": "tariff standard",
            "PS-Append-Free-Format-Data": 1,
        }
    assert money(ocs) == (Decimal("10.00"), Decimal("0.30"))

    used = 10 * 2**20
    update = peer.ccr(session, UPDATE, 1, mscc=[group(101, used=used), group(102, used=used)], **more)
    assert results(update) == (2001, {101: 2001, 102: 2001})
    assert decimal(update["Cost-Information"]["Unit-Value"]) == Decimal("0.20")
    assert decimal(update["AoC-Information"]["AoC-Cost-Information"]["Accumulated-Cost"]) == Decimal("0.20")
    assert decimal(update["Remaining-Balance"]["Unit-Value"]) == Decimal("9.80")
    assert (update["Remaining-Balance"]["Currency-Code"], update["Low-Balance-Indication"]) == (36, 0)

    last = [group(number, used=2**20, ask=False) for number in (101, 102, 103)]
    end = peer.ccr(session, TERMINATION, 2, mscc=last, Termination_Cause=1, **more)
    assert results(end) == (2001, {101: 2001, 102: 2001, 103: 2001})
    assert money(ocs) == (Decimal("9.77"), Decimal(0))


PORTAL = {
    "Final-Unit-Action": 1,
    "Redirect-Server": {"Redirect-Address-Type": 2, "Redirect-Server-Address": "https://portal.example.com/topup"},
}


@pytest.mark.conformance("B26", "B28", "B32")
def test_who_has_no_credit_is_sent_to_the_portal_and_comes_back_from_it(peer, ocs):
    session = f"{HOST};1;none"
    answer = peer.ccr(session, INITIAL, 0, mscc=[group(101)], msisdn=EMPTY)
    (block,) = answer["Multiple-Services-Credit-Control"]
    assert (block["Result-Code"], block["Granted-Service-Unit"]) == (2001, {"CC-Total-Octets": 0})
    portal = {"Redirect-Address-Type": 2, "Redirect-Server-Address": "https://portal.example.com/topup"}
    assert block["Final-Unit-Indication"] == {"Final-Unit-Action": 1, "Redirect-Server": portal}
    assert answer["Low-Balance-Indication"] == 1

    topup = ("account", "topup", "demo-empty", "money", "9.00 AUD", "--kind", "monetary", "--reason", "voucher")
    ocs.run(*topup)
    asked = peer.message("request")
    assert (asked["header"]["name"], asked["body"]["Session-Id"]) == ("RAR", session)
    report = [group(101, used=0, **{"Reporting-Reason": 7})]
    (block,) = peer.ccr(session, UPDATE, 1, mscc=report, msisdn=EMPTY)["Multiple-Services-Credit-Control"]
    assert block["Granted-Service-Unit"] == {"CC-Total-Octets": 10 * 2**20}
    assert "Final-Unit-Indication" not in block


@pytest.mark.conformance("A36", "B4")
def test_a_repeat_with_the_t_bit_gets_the_same_answer_and_moves_nothing(peer, ocs):
    session = f"{HOST};1;repeat"
    peer.ccr(session, INITIAL, 0, mscc=[group(101)], msisdn=MONEY)
    report = [group(101, used=2**20)]
    first = peer.ccr(session, UPDATE, 1, mscc=report, msisdn=MONEY)
    debited = money(ocs)
    again = peer.ccr(session, UPDATE, 1, mscc=report, msisdn=MONEY, repeat=True)
    assert again == first
    assert money(ocs) == debited == (Decimal("9.99"), Decimal("0.10"))


@pytest.mark.conformance("B12")
@pytest.mark.parametrize(
    ("msisdn", "expected"), [(NOBODY, (5030, {})), (EMPTY, (4012, {300: 4012}))], ids=["unknown", "no-credit"]
)
def test_refusals_stand_in_the_grammar(peer, msisdn, expected):
    message = {"Rating-Group": 300, "Requested-Service-Unit": {"CC-Service-Specific-Units": 1}}
    answer = peer.ccr(f"{HOST};1;no", INITIAL, 0, mscc=[message], msisdn=msisdn, context=SMS)
    assert results(answer) == expected


@pytest.mark.conformance("A32", "B3", "B12")
def test_errors_stand_in_the_grammar(peer):
    unknown = peer.ccr(f"{HOST};1;late", UPDATE, 1, mscc=[group(101, used=1)], msisdn=MONEY)
    assert unknown["Result-Code"] == 5002
    unsold = peer.ccr(f"{HOST};1;unsold", INITIAL, 0, mscc=[group(101)], msisdn=MONEY, context="99999@3gpp.org")
    assert unsold["Result-Code"] == 5031
    elsewhere = peer.ccr(f"{HOST};1;else", INITIAL, 0, mscc=[group(101)], Destination_Realm="nowhere.example")
    assert elsewhere["Result-Code"] == 3003


@pytest.mark.conformance("B9", "B11")
def test_events_of_all_four_kinds(peer, ocs):
    def event(name: str, action: int, **more: Any) -> dict[str, Any]:
        one = {"Requested-Service-Unit": {"CC-Service-Specific-Units": 2}}
        return peer.ccr(
            f"{HOST};1;{name}", EVENT, 0, mscc=[one | more], msisdn=MONEY, context=SMS, Requested_Action=action
        )

    price = event("price", PRICE_ENQUIRY)
    assert (price["Result-Code"], decimal(price["Cost-Information"]["Unit-Value"])) == (2001, Decimal("0.10"))
    assert price["Cost-Information"]["Currency-Code"] == 36
    check = event("check", CHECK_BALANCE)
    assert (check["Result-Code"], check["Check-Balance-Result"]) == (2001, 0)
    assert money(ocs) == (Decimal("10.00"), Decimal(0))

    debit = event("debit", DIRECT_DEBITING)
    assert (debit["Result-Code"], debit["Direct-Debiting-Failure-Handling"]) == (2001, 0)
    (block,) = debit["Multiple-Services-Credit-Control"]
    assert block["Granted-Service-Unit"] == {"CC-Service-Specific-Units": 2}
    assert money(ocs) == (Decimal("9.90"), Decimal(0))

    linked = {"Refund-Information": bytes.fromhex(block["Refund-Information"].removeprefix("0x"))}
    assert event("refund", REFUND_ACCOUNT, **linked)["Result-Code"] == 2001
    assert money(ocs) == (Decimal("10.00"), Decimal(0))
    unlinked = event("nothing", REFUND_ACCOUNT)
    assert unlinked["Result-Code"] == 5012


@pytest.mark.conformance("B31", "B32", "A40")
def test_it_is_told_to_ask_again_and_to_stop(peer, ocs):
    session = f"{HOST};1;told"
    peer.ccr(session, INITIAL, 0, mscc=[group(101), group(102)], msisdn=MONEY)

    ocs.run("sessions", "reauth", session, "--rating-group", "102")
    asked = peer.message("request")
    assert (asked["header"]["name"], asked["header"]["proxiable"]) == ("RAR", True)
    expected = {
        "Session-Id": session,
        "Destination-Host": HOST,
        "Destination-Realm": "example.net",
        "Rating-Group": 102,
    }
    expected |= {"Auth-Application-Id": 4, "Re-Auth-Request-Type": 0}
    assert {name: asked["body"].get(name) for name in expected} == expected
    report = [group(102, used=2**20, **{"Reporting-Reason": 7})]
    assert results(peer.ccr(session, UPDATE, 1, mscc=report, msisdn=MONEY)) == (2001, {102: 2001})

    ocs.run("sessions", "abort", session, "--reason", "stolen")
    stop = peer.message("request")
    assert (stop["header"]["name"], stop["body"]["Session-Id"]) == ("ASR", session)
    end = peer.ccr(session, TERMINATION, 2, mscc=[group(101, used=2**20, ask=False)], msisdn=MONEY)
    assert end["Result-Code"] == 2001
    assert money(ocs) == (Decimal("9.98"), Decimal(0))
    assert "0 differences" in ocs.run("ledger", "verify")


@pytest.mark.conformance("B31")
def test_a_session_that_it_does_not_know_is_ended(peer, ocs):
    session = f"{HOST};1;lost"
    peer.ccr(session, INITIAL, 0, mscc=[group(101)], msisdn=MONEY)
    peer.tell("{on_request, 5002}")
    ocs.run("sessions", "reauth", session)
    assert peer.message("request")["header"]["name"] == "RAR"
    ocs.wait_for("the session to end", lambda: not ocs.get("/v1/sessions?account=demo-money")["items"])
    assert money(ocs) == (Decimal("10.00"), Decimal(0))


@pytest.mark.conformance("A1", "A10", "A9")
def test_ocs_connects_to_it(namespace, capture, compiled, tmp_path):
    rule = {
        "host": HOST,
        "watchdog": "6s",
        "connect": {"host": namespace.address, "port": str(PORT), "reconnect": "1s"},
    }
    with (
        StrictPeer(namespace, compiled, tmp_path / "erlang", HOST) as peer,
        OcsServer(namespace, tmp_path / "ocs", peers=[rule]) as ocs,
    ):
        ocs.wait_until_ready()
        peer.listen(namespace.address, PORT)
        hello = peer.message("up")
        assert (hello["header"]["name"], hello["body"]["Origin-Host"]) == ("CER", "ocs.example.com")
        session = f"{HOST};1;served"
        assert results(peer.ccr(session, INITIAL, 0, mscc=[group(101)], msisdn=MONEY)) == (2001, {101: 2001})
        end = peer.ccr(session, TERMINATION, 1, mscc=[group(101, used=2**20, ask=False)], msisdn=MONEY)
        assert end["Result-Code"] == 2001
        assert money(ocs) == (Decimal("9.99"), Decimal(0))
        assert ocs.stop() == 0
        assert peer.expect("down")
        capture.close()
        goodbye = "diameter.cmd.code == 282 && diameter.flags.request == 0"
        assert capture.fields(goodbye, "diameter.Result-Code") == [["2001"]]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (b"", None),
        (encode_avp(448, b"\0\0\1"), "5014"),
        (u32(418, 7), "5004"),
        (u32(64_000, 1), "5001"),
        (encode_avp(64_000, b"", mandatory=False), "{unknown,64000,undefined}"),
        (encode_avp(418, b"\0\0\0\1", mandatory=False), "{'CC-Session-Failover',"),
        (text(283, "example.com"), "5001"),
    ],
    ids=["right", "length", "value", "unknown-mandatory", "unknown", "m-bit", "not-in-the-grammar"],
)
def test_the_judge_is_judged(namespace, compiled, tmp_path, wrong, complaint):
    def serve() -> None:
        connection, _ = listener.accept()
        with Client(connection, "ocs.example.com", "example.com") as server:
            for request in server.messages():
                ours = u32(268, 2001) + server.origin + u32(258, 4)
                if request.command_code == 257:
                    ours += encode_avp(257, b"\0\1\x7f\0\0\1") + u32(266, 0) + encode_avp(269, b"x", mandatory=False)
                else:
                    ours = text(263, f"{HOST};1;1") + ours + u32(416, 1) + u32(415, 0) + wrong
                ids = request.hop_by_hop_id, request.end_to_end_id
                server.send(
                    message_bytes(request.flags & PROXIABLE, request.command_code, request.application_id, *ids, ours)
                )

    with (
        namespace.inside(lambda: socket.create_server(("127.0.0.1", DIAMETER_PORT))) as listener,
        StrictPeer(namespace, compiled, tmp_path / "erlang", HOST) as peer,
    ):
        threading.Thread(target=serve, daemon=True).start()
        peer.connect("127.0.0.1", DIAMETER_PORT)
        if complaint is None:
            assert peer.ccr(f"{HOST};1;1", INITIAL, 0)["Result-Code"] == 2001
        else:
            with pytest.raises(AssertionError) as error:
                peer.ccr(f"{HOST};1;1", INITIAL, 0)
            (received,) = error.value.args
            assert complaint in str(received)
