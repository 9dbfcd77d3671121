"""freeDiameter as a peer that watches its connection, and as a relay that finds ocs by realm."""

from decimal import Decimal

import pytest

from tests.interop.client import (
    CCR,
    CREDIT_CONTROL,
    INITIAL,
    PROXIABLE,
    REQUEST,
    RETRANSMISSION,
    TERMINATION,
    UPDATE,
    Client,
    mscc,
    rsu,
    usu,
)
from tests.interop.freediameter import IDENTITY, PORT, free_diameter

GATEWAY = "pgw.example.net"


@pytest.fixture
def relay(namespace, ocs, tmp_path):
    with free_diameter(namespace, tmp_path / "freediameter", clients=GATEWAY) as relay:
        relay.wait_for_log("-> 'STATE_OPEN'	'ocs.example.com'")
        yield relay


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
