"""Requests shaped like those of real clients, over TCP, against a server: what they are answered and charged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.child import Child, make_config
from tests.diameter.clients.avps import mscc, rsu, seconds, subscription, total, usu
from tests.diameter.clients.builders import (
    FINAL,
    INITIAL,
    TERMINATION,
    UPDATE,
    ergw,
    gateway,
    kamailio,
    magma,
    open5gs,
    smsc,
    unknown_mandatory,
)
from tests.interop.client import Answer, Client

MONEY = subscription(0, "491700000002") + subscription(1, "262010000000002")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Child]:
    make_config(tmp_path)
    with Child(tmp_path) as child:
        yield child


def exchange(client: Client, *requests: bytes) -> dict[int, Answer]:
    """Sends all requests in one go; their answers by Hop-by-Hop Identifier, in the order in which they came."""
    client.send(b"".join(requests))
    answers: dict[int, Answer] = {}
    for message in client.messages():
        answers[message.hop_by_hop_id] = Answer(message)
        if len(answers) == len(requests):
            return answers
    raise AssertionError(f"{len(answers)} of {len(requests)} answers")


def results(answer: Answer) -> tuple[int | None, list[int]]:
    """(Result-Code of the command, those of its groups)."""
    return answer.result_code, [int.from_bytes(avp.data, "big") for avp in answer.all(456, 268)]


@pytest.mark.conformance("B5", "B21", "C1")
def test_a_commercial_gateway_asks_for_groups_one_by_one_and_sends_without_waiting(server: Child) -> None:
    groups = range(101, 106)
    with server.client("0001-diamproxy.pgw1.example.net") as client:
        initial = exchange(client, gateway(INITIAL, 0, ids=MONEY, hop_by_hop=1))[1]
        assert results(initial) == (2001, [])
        for number, group in enumerate(groups, start=1):
            block = mscc(rsu(), rating_group=group)
            answer = exchange(client, gateway(UPDATE, number, block, ids=MONEY, hop_by_hop=number))[number]
            assert results(answer) == (2001, [2001])
            assert answer.number(456, 432) == group
        assert server.balances("demo-money")["money"]["held"] == "0.50"
        # Two reports of each group on the wire at once, the later numbers first, vendor AVPs with the M bit in all.
        reports = [
            gateway(
                UPDATE,
                number,
                mscc(rsu(), usu(total(1_048_576)), rating_group=groups[number % 5]),
                ids=MONEY,
                inside=unknown_mandatory(),
                hop_by_hop=100 + number,
            )
            for number in reversed(range(6, 16))
        ]
        answers = exchange(client, *reports)
        assert [results(answer) for answer in answers.values()] == [(2001, [2001])] * 10
        # A repeat of one of them, as a new message without the T bit: the same content, and nothing is charged again.
        repeat = exchange(client, reports[3])[112]
        assert repeat.message.avps == answers[112].message.avps
        end = exchange(client, gateway(TERMINATION, 16, ids=MONEY, hop_by_hop=999))[999]
        assert results(end) == (2001, [])
    money = server.balances("demo-money")["money"]
    assert (money["value"], money["held"]) == ("9.90", "0.00")
    cdrs = server.get("/v1/cdrs?account=demo-money")["items"]
    assert [(cdr["rating_group"], cdr["usage"], cdr["cost"]) for cdr in cdrs] == [
        (group, 2_097_152, "0.02") for group in groups
    ]
    assert "ocs_repeats_total 1.0" in server.get("/metrics")


def test_a_group_refused_leaves_the_others_and_a_final_report_right_after_it_is_answered(server: Child) -> None:
    with server.client("0001-diamproxy.pgw1.example.net") as client:
        both = gateway(INITIAL, 0, mscc(rsu(), rating_group=101), ids=subscription(0, "491700000003"), hop_by_hop=1)
        assert results(exchange(client, both)[1]) == (4012, [4012])
        final = gateway(
            UPDATE, 1, mscc(usu(total(0)), rating_group=101), ids=subscription(0, "491700000003"), hop_by_hop=2
        )
        assert exchange(client, final)[2].result_code == 5002


def test_open5gs_attaches_uses_and_detaches(server: Child) -> None:
    with server.client("smf.localdomain") as client:
        (attach,) = exchange(client, open5gs()).values()
        assert results(attach) == (2001, [2001])
        assert attach.granted_octets == 1_000_000
        assert attach.number(456, 432) is None
        assert attach.number(456, 448) == 3_600
        (update,) = exchange(client, open5gs(UPDATE, 1, uplink=300_000, downlink=8_400, duration_s=9)).values()
        assert results(update) == (2001, [2001])
        (detach,) = exchange(client, open5gs(TERMINATION, 2, uplink=1, downlink=0, reason=FINAL)).values()
        assert results(detach) == (2001, [2001])
    assert 2**30 - server.balances("demo")["volume"]["value"] == 308_401


@pytest.mark.parametrize("build", [ergw, magma])
def test_other_packet_gateways_are_granted_octets_group_by_group(server: Child, build: object) -> None:
    with server.client("pgw.example.net") as client:
        (answer,) = exchange(client, build()).values()  # type: ignore[operator]
        assert answer.result_code == 2001
        assert answer.all(456)
        assert answer.granted_octets
        assert set(results(answer)[1]) == {2001}


def test_kamailio_talks_and_the_seconds_are_charged(server: Child) -> None:
    with server.client("scscf.ims.example.com") as client:
        (invite,) = exchange(client, kamailio()).values()
        assert results(invite)[0] == 2001
        assert invite.granted_s == 30
        (hang_up,) = exchange(client, kamailio(TERMINATION, 1, used_s=7)).values()
        assert results(hang_up)[0] == 2001
    cdr = server.get("/v1/cdrs?account=demo")["items"][0]
    assert (cdr["usage"], cdr["unit"]) == (7_000_000_000, "ns")


def test_a_message_centre_pays_per_message(server: Child) -> None:
    with server.client("smsc.example.net") as client:
        (sent,) = exchange(client, smsc()).values()
        assert sent.result_code == 2001
        (again,) = exchange(client, smsc()).values()
        assert again.message.avps == sent.message.avps
    assert server.balances("demo")["money"]["value"] == "49.95"


def test_seconds_are_refused_where_octets_are_sold_in_that_group_only(server: Child) -> None:
    with server.client("pgw.example.net") as client:
        blocks = mscc(rsu(seconds(60)), rating_group=101), mscc(rsu(), rating_group=102)
        (answer,) = exchange(client, gateway(INITIAL, 0, *blocks, ids=MONEY)).values()
        assert results(answer) == (2001, [5031, 2001])
