"""account, cdrs, sessions, peers: on a running server, and on its store where none runs."""

import socket
import sqlite3

import pytest

from ocs.cli import ledger
from ocs.cli.output import printable
from ocs.cli.reach import runs, server_url
from tests.cli.child import Child, edit


@pytest.fixture
def store(folder):
    """A store that a server made and left; `--config config` leads to it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    edit(folder / "config" / "server.yaml", ("127.0.0.1:0", f"127.0.0.1:{port}"))
    with Child(folder):
        pass
    return ("--config", "config")


def test_an_account_is_shown(ocs, child):
    told = ocs("account", "show", "demo", "--url", child.url).out
    shown = ocs("account", "show", "demo", "--url", child.url, "--json").json
    assert told.startswith("account demo: active, AUD\n")
    assert [line.split()[0] for line in told.splitlines()[2:]] == ["money", "minutes", "volume"]
    assert "1 h 40 min" in told
    assert shown["balances"][0]["value"] == "50.00"


def test_accounts_are_listed(ocs, child):
    names = ["demo", "demo-disabled", "demo-empty", "demo-money"]
    told = ocs("account", "list", "--url", child.url)
    assert [line.split()[0] for line in told.out.splitlines()[1:]] == names
    listed = ocs("account", "list", "--url", child.url, "--limit", 3, "--json").json
    assert [account["id"] for account in listed] == names[:3]


def test_an_account_is_opened_topped_up_and_remembers_it(ocs, child):
    url = ("--url", child.url)
    balance = "main monetary 10.00 AUD"
    created = ocs(
        "account", "create", "new", "--plan", "standard", "--msisdn", "4917099", "--balance", balance, *url, "--json"
    )
    assert (created.code, created.json["balances"][0]["value"]) == (0, "10.00")
    topped = ocs("account", "topup", "new", "minutes", "10 min", "--kind", "voice", "--reason", "gift", *url)
    assert topped.code == 0
    assert "10 min" in topped.out
    history = ocs("account", "history", "new", *url, "--json").json
    assert [(entry["kind"], entry["by"], entry["reason"]) for entry in history] == [
        ("open", "tester", ""),
        ("topup", "tester", "gift"),
    ]
    told = ocs("account", "history", "new", *url).out.splitlines()
    assert "main 10.00 AUD" in told[1]
    assert "minutes 10 min" in told[2]


def test_the_ledger_is_proved(ocs, child):
    ran = ocs("ledger", "verify", "--url", child.url)
    assert (ran.code, ran.out.splitlines()[-1].endswith(" 0 differences")) == (0, True)
    for one in (("demo",), ("--account", "demo")):
        proved = ocs("ledger", "verify", *one, "--url", child.url, "--json").json
        assert proved == {"accounts": 1, "entries": 1, "differing_accounts": 0, "imbalances": []}
    assert ocs("ledger", "verify", "--account", "nobody", "--url", child.url).code == 1


def test_a_ledger_that_is_wrong_is_told_with_1(ocs, folder, store):
    database = folder / "var" / "ocs.db"
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM journal WHERE account_id = 'demo-money'")
    connection.close()
    told = ocs("ledger", "verify", *store)
    assert (told.code, told.out.splitlines()) == (
        1,
        [
            "account demo-money: the version is 1, the number of journal entries is 0",
            "4 accounts, 3 journal entries, 1 differences",
        ],
    )
    (one,) = ocs("ledger", "verify", *store, "--account", "demo-money", "--json").json["imbalances"]
    assert (one["what"], one["here"], one["there"]) == ("entries", 1, 0)
    assert ocs("ledger", "verify", *store, "--account", "demo").code == 0


def test_a_large_ledger_is_proved_page_by_page_with_progress(ocs, store, monkeypatch):
    monkeypatch.setattr(ledger, "LEDGER_ACCOUNTS_MAX", 1)
    monkeypatch.setattr(ledger, "PROGRESS_ACCOUNTS", 2)
    ran = ocs("ledger", "verify", *store)
    assert ran.out == "4 accounts, 4 journal entries, 0 differences\n"
    assert ran.err.splitlines() == ["2 accounts, 0 differ", "4 accounts, 0 differ"]


def test_names_that_clients_chose_do_not_move_the_terminal():
    assert printable("pgw;\x1b[2J\u202e;1") == "pgw;\\x1b[2J\\u202e;1"
    assert printable("naïve 電話") == "naïve 電話"


def test_the_same_key_tops_up_once(ocs, child):
    arguments = ("account", "topup", "demo-empty", "money", "1.00 AUD", "--kind", "monetary", "--reason", "x")
    for _ in range(2):
        ran = ocs(*arguments, "--key", "voucher-1", "--url", child.url, "--json")
    assert ran.json["balances"][0]["value"] == "1.00"


def test_problems_are_1_and_say_what_is_wrong(ocs, child):
    ran = ocs("account", "show", "nobody", "--url", child.url)
    assert (ran.code, ran.out, ran.err) == (1, "", 'ocs: there is no account "nobody"\n')
    wrong = ocs("account", "topup", "demo", "money", "1.00 EUR", "--reason", "x", "--url", child.url)
    assert (wrong.code, wrong.err) == (1, "ocs: amount: the account is in AUD, not in EUR\n")


def test_a_balance_that_cannot_be_read_is_a_usage_error(ocs, child):
    ran = ocs("account", "create", "x", "--plan", "standard", "--balance", "main 10", "--url", child.url)
    assert ran.code == 2


def test_a_server_that_does_not_answer_is_2(ocs):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = ocs("cdrs", "--url", f"http://127.0.0.1:{port}")
    assert ran.code == 2
    assert "Is the server running (ocs serve)?" in ran.err
    assert ocs("cdrs", "--url", "ftp://x").code == 2


def test_peers_are_those_of_the_server(ocs, child):
    with child.client("pgw7.example.net") as gateway:
        gateway.watchdog()
        listed = ocs("peers", "--url", child.url, "--json").json
        told = ocs("peers", "--url", child.url).out
    (peer,) = [peer for peer in listed if peer["host"] == "pgw7.example.net"]
    assert (peer["realm"], peer["state"], peer["connections"]) == ("example.net", "open", 1)
    assert "pgw7.example.net" in told


def test_the_store_is_used_where_no_server_runs(ocs, store):
    assert ocs("account", "show", "demo-money", *store, "--json").json["balances"][0]["value"] == "10.00"
    topped = ocs("account", "topup", "demo-money", "money", "5.00 AUD", "--reason", "x", *store)
    assert topped.code == 0
    assert ocs("account", "show", "demo-money", *store, "--json").json["balances"][0]["value"] == "15.00"
    assert ocs("cdrs", *store).out == "no CDRs\n"
    assert ocs("sessions", *store).out == "no open sessions\n"
    peers = ocs("peers", *store)
    assert (peers.code, peers.err) == (2, "ocs: no server runs, so there are no peers\n")


def test_the_server_of_a_configuration_is_used_where_it_runs(ocs, folder, store):
    with Child(folder) as child:
        child.post("/v1/accounts", {"id": "live", "identities": [], "plan": "standard", "by": "test"})
        assert ocs("account", "show", "live", *store).code == 0
        assert ocs("peers", *store).out == "no peers\n"
        assert ocs("reload", *store).out.startswith("taken over, tariff version ")


def test_a_broken_configuration_is_2(ocs, folder):
    edit(folder / "config" / "server.yaml", ("kind: voice", "kind: voise"))
    ran = ocs("account", "list", "--config", "config")
    assert ran.code == 2
    assert "did you mean voice?" in ran.err


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:2080"),
        ("0.0.0.0", "http://127.0.0.1:2080"),
        ("::", "http://[::1]:2080"),
        ("ocs.example.com", "http://ocs.example.com:2080"),
    ],
)
def test_where_a_server_is_reached_from_here(host, url):
    assert server_url(host, 2080) == url


def test_whether_something_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert runs("127.0.0.1", port)
    assert not runs("127.0.0.1", port)
