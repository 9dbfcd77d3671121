"""freeDiameter as a peer that watches its connection, and as a relay that finds ocs by realm."""

import re
import subprocess
from decimal import Decimal

import pytest

from tests.interop.client import (
    CCR,
    CREDIT_CONTROL,
    EVENT,
    INITIAL,
    PROXIABLE,
    REQUEST,
    RETRANSMISSION,
    TERMINATION,
    UPDATE,
    Client,
    mscc,
    rsu,
    u32,
    usu,
)
from tests.interop.freediameter import IDENTITY, PORT, free_diameter
from tests.interop.ocs_server import PROGRAM

GATEWAY = "pgw.example.net"
SMS_CONTEXT = "32274@3gpp.org"


@pytest.fixture
def relay(namespace, ocs, tmp_path):
    with free_diameter(namespace, tmp_path / "freediameter", clients=GATEWAY) as relay:
        wait_for_open(relay, 1)
        yield relay


def wait_for_open(relay, count: int) -> None:
    """The relay has opened its connection to ocs so many times."""
    relay.wait_for("an open peer", lambda: relay.text().count("-> 'STATE_OPEN'	'ocs.example.com'") == count)


@pytest.fixture
def gateway(namespace, relay):
    """A gateway behind the relay: it knows no address of ocs, only its realm."""
    with Client(namespace.connect(namespace.address, PORT), GATEWAY, "example.net") as client:
        assert client.connect().origin_host == IDENTITY
        yield client
        client.disconnect()


@pytest.mark.conformance("A1", "A8", "A9")
def test_peer_opens_watches_and_closes(relay, capture, ocs):
    relay.wait_for("three watchdogs answered", lambda: relay.text().count("'Device-Watchdog-Answer'") >= 3)
    assert [(peer["host"], peer["state"]) for peer in ocs.get("/v1/peers")["items"]] == [(IDENTITY, "open")]
    relay.stop()
    capture.close()
    answers = capture.fields(
        "diameter.flags.request == 0 && tcp.srcport == 3868", "diameter.cmd.code", "diameter.Result-Code"
    )
    assert answers[:4] == [["257", "2001"], ["280", "2001"], ["280", "2001"], ["280", "2001"]]
    assert answers[-1] == ["282", "2001"]
    assert "SUSPECT" not in relay.text()


@pytest.mark.conformance("A28", "A29", "A30", "A38")
def test_session_through_a_relay_debits_its_usage(gateway, ocs):
    before = ocs.balances("demo")
    data = next(id_ for id_, balance in before.items() if balance["kind"] == "data")
    session = f"{GATEWAY};1;relay"

    initial = gateway.ccr(session, INITIAL, 0, mscc(rsu(), rating_group=100), msisdn="491700000001")
    assert (initial.result_code, initial.origin_host) == (2001, "ocs.example.com")
    granted = initial.granted_octets
    assert granted is not None
    assert ocs.balances("demo")[data]["held"] == granted

    update = gateway.ccr(
        session, UPDATE, 1, mscc(rsu(), usu(total_octets=308_400), rating_group=100), msisdn="491700000001"
    )
    assert update.result_code == 2001
    assert ocs.balances("demo")[data]["value"] == before[data]["value"] - 308_400

    termination = gateway.ccr(
        session, TERMINATION, 2, mscc(usu(total_octets=1_000), rating_group=100), msisdn="491700000001"
    )
    assert termination.result_code == 2001
    after = ocs.balances("demo")
    assert (after[data]["value"], after[data]["held"]) == (before[data]["value"] - 309_400, 0)
    assert {k: v for k, v in after.items() if k != data} == {k: v for k, v in before.items() if k != data}
    assert sum(cdr["usage"] for cdr in ocs.cdrs("demo") if cdr["session_id"] == session) == 309_400


def test_session_through_a_relay_debits_money_to_the_nano(gateway, ocs):
    session = f"{GATEWAY};1;money"
    for kind, number, avps in (
        (INITIAL, 0, [rsu()]),
        (UPDATE, 1, [usu(total_octets=100_000), rsu()]),
        (UPDATE, 2, [usu(input_octets=100_000, output_octets=8_000), rsu()]),
        (TERMINATION, 3, [usu(total_octets=100_400)]),
    ):
        assert gateway.ccr(session, kind, number, mscc(*avps), msisdn="491700000002").result_code == 2001
    (money,) = ocs.balances("demo-money").values()
    assert Decimal(money["value"]) == Decimal(10) - Decimal("0.002949219")
    assert sum(Decimal(cdr["cost"]) for cdr in ocs.cdrs("demo-money")) == Decimal("0.002949219")


@pytest.mark.conformance("B12")
@pytest.mark.parametrize(("msisdn", "result_code"), [("491799999999", 5030), ("491700000003", 4012)])
def test_refusal_comes_back_through_a_relay(gateway, msisdn, result_code):
    assert gateway.ccr(f"{GATEWAY};1;no", INITIAL, 0, mscc(rsu()), msisdn=msisdn).result_code == result_code


@pytest.mark.conformance("A36", "B4")
def test_repeat_through_a_relay_moves_nothing(gateway, ocs):
    session = f"{GATEWAY};1;repeat"
    gateway.ccr(session, INITIAL, 0, mscc(rsu()), msisdn="491700000002")
    report = mscc(rsu(), usu(total_octets=100_000))
    first = gateway.ccr(session, UPDATE, 1, report, msisdn="491700000002")
    debited = ocs.balances("demo-money")
    flags = REQUEST | PROXIABLE | RETRANSMISSION
    second = gateway.ccr(session, UPDATE, 1, report, msisdn="491700000002", flags=flags)
    assert (first.message.command_code, first.message.application_id) == (CCR, CREDIT_CONTROL)
    assert (first.result_code, second.message.avps) == (2001, first.message.avps)
    assert ocs.balances("demo-money") == debited


@pytest.mark.conformance("C1", "C25")
def test_message_center_debits_a_message_at_once(gateway, ocs):
    answer = gateway.ccr(
        f"{GATEWAY};1;event", EVENT, 0, u32(436, 0), mscc(rsu(events=1)), msisdn="491700000002", context=SMS_CONTEXT
    )
    assert answer.result_code == 2001
    (money,) = ocs.balances("demo-money").values()
    assert (Decimal(money["value"]), Decimal(money["held"])) == (Decimal("9.95"), 0)
    assert [(cdr["service"], cdr["usage"], cdr["cost"]) for cdr in ocs.cdrs("demo-money")] == [("sms", 1, "0.05")]


@pytest.mark.conformance("C26")
@pytest.mark.parametrize(("delivered", "left"), [(1, Decimal("9.95")), (0, Decimal(10))])
def test_message_is_paid_when_it_is_delivered(gateway, ocs, delivered, left):
    session = f"{GATEWAY};1;message"
    submit = gateway.ccr(session, INITIAL, 0, mscc(rsu(events=1)), msisdn="491700000002", context=SMS_CONTEXT)
    assert (submit.result_code, submit.number(456, 431, 417)) == (2001, 1)
    (held,) = ocs.balances("demo-money").values()
    assert (Decimal(held["value"]), Decimal(held["held"])) == (Decimal(10), Decimal("0.05"))
    report = mscc(usu(events=delivered))
    end = gateway.ccr(session, TERMINATION, 1, report, msisdn="491700000002", context=SMS_CONTEXT)
    assert end.result_code == 2001
    (money,) = ocs.balances("demo-money").values()
    assert (Decimal(money["value"]), Decimal(money["held"])) == (left, 0)


@pytest.mark.conformance("B45", "B4")
def test_session_goes_on_after_a_loss_of_power(gateway, relay, ocs):
    session = f"{GATEWAY};1;power"
    gateway.ccr(session, INITIAL, 0, mscc(rsu()), msisdn="491700000002")
    report = mscc(rsu(), usu(total_octets=100_000))
    answered = gateway.ccr(session, UPDATE, 1, report, msisdn="491700000002")
    debited = ocs.balances("demo-money")

    ocs.kill()
    ocs.start()
    ocs.wait_until_ready()
    wait_for_open(relay, 2)

    assert ocs.balances("demo-money") == debited
    flags = REQUEST | PROXIABLE | RETRANSMISSION
    repeated = gateway.ccr(session, UPDATE, 1, report, msisdn="491700000002", flags=flags)
    assert (answered.result_code, repeated.message.avps) == (2001, answered.message.avps)
    assert ocs.balances("demo-money") == debited
    end = gateway.ccr(session, TERMINATION, 2, mscc(usu(total_octets=208_400)), msisdn="491700000002")
    assert end.result_code == 2001
    (money,) = ocs.balances("demo-money").values()
    assert (Decimal(money["value"]), Decimal(money["held"])) == (Decimal(10) - Decimal("0.002949219"), 0)


@pytest.mark.conformance("J6")
def test_reload_takes_a_new_price_and_keeps_sessions_and_peers(gateway, relay, namespace, ocs):
    old, new = f"{GATEWAY};1;old", f"{GATEWAY};1;new"
    gateway.ccr(old, INITIAL, 0, mscc(rsu()), msisdn="491700000002")
    tariff = ocs.config / "tariffs" / "standard.yaml"
    tariff.write_text(tariff.read_text().replace("0.01 AUD/MiB", "0.02 AUD/MiB"))
    subprocess.run(namespace.command(PROGRAM, "reload"), check=True)

    assert gateway.ccr(old, TERMINATION, 1, mscc(usu(total_octets=1)), msisdn="491700000002").result_code == 2001
    assert gateway.ccr(new, INITIAL, 0, mscc(rsu()), msisdn="491700000002").result_code == 2001
    end = gateway.ccr(new, TERMINATION, 1, mscc(usu(total_octets=308_400)), msisdn="491700000002")
    assert end.result_code == 2001
    # 302 KiB at 0.02 AUD/MiB, half a nano rounded up.
    assert [cdr["cost"] for cdr in ocs.cdrs("demo-money") if cdr["session_id"] == new] == ["0.005898438"]
    assert re.findall(r"'STATE_OPEN'\t-> .*'ocs.example.com'", relay.text()) == []


@pytest.mark.conformance("A9", "J7")
def test_shutdown_says_goodbye(relay, ocs, capture):
    assert ocs.stop() == 0
    capture.close()
    goodbyes = capture.fields("diameter.cmd.code == 282", "tcp.srcport", "diameter.Disconnect-Cause")
    assert goodbyes[0] == ["3868", "0"]
    answers = capture.fields("diameter.cmd.code == 282 && diameter.flags.request == 0", "diameter.Result-Code")
    assert answers == [["2001"]]
