"""Two accounts that share a balance: what one of them uses, the other one's credit pays, in one transaction."""

from pathlib import Path

from tests.cli.child import Child, make_config
from tests.diameter.clients.avps import mscc, rsu, subscription, total, usu
from tests.diameter.clients.builders import INITIAL, TERMINATION, UPDATE, gateway
from tests.end_to_end.test_gateways import exchange, results

TARIFF = """
shared_groups:
  family: {members: [mother, child], strategy: mine_first}
"""
SUBSCRIBERS = """
accounts:
  mother:
    msisdn: "491700000011"
    plan: standard
    balances:
      pot: {kind: monetary, value: 1.00 AUD, shared_group: family}
  child:
    msisdn: "491700000012"
    plan: standard
    balances:
      own: {kind: monetary, value: 0.02 AUD, shared_group: family}
"""


def test_the_credit_of_the_family_pays_and_both_ledgers_are_right(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    (config / "tariffs" / "family.yaml").write_text(TARIFF)
    (config / "subscribers.yaml").write_text(SUBSCRIBERS)
    child = subscription(0, "491700000012")
    with Child(tmp_path) as server, server.client("pgw.example.net") as client:
        blocks = mscc(rsu(), rating_group=100)
        answer = exchange(client, gateway(INITIAL, 0, blocks, ids=child, hop_by_hop=1))[1]
        assert results(answer) == (2001, [2001])
        assert server.balances("child")["own"]["held"] == "0.02"
        assert server.balances("mother")["pot"]["held"] == "0.08"
        report = mscc(rsu(), usu(total(5 * 1_048_576)), rating_group=100)
        exchange(client, gateway(UPDATE, 1, report, ids=child, hop_by_hop=2))
        assert server.balances("child")["own"]["value"] == "0.00"
        assert server.balances("mother")["pot"]["value"] == "0.97"
        exchange(client, gateway(TERMINATION, 2, ids=child, hop_by_hop=3))
        pot = server.balances("mother")["pot"]
        assert (pot["value"], pot["held"]) == ("0.97", "0.00")
        history = server.get("/v1/accounts/mother/history")["items"]
        assert [entry["kind"] for entry in history][-2:] == ["shared", "shared"]
        for account in ("mother", "child"):
            assert server.get(f"/v1/accounts/{account}/ledger")["differences"] == []
