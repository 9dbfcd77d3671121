"""account, cdrs, sessions, peers: on a running server, and on its store where none runs."""

import socket
import sqlite3
import time

import pytest
import typer

from ocs.cli import ledger
from ocs.cli.output import printable
from ocs.cli.reach import Api, runs, server_url
from tests.cli.child import Child, edit
from tests.interop.client import INITIAL, TERMINATION, mscc, rsu, usu


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
        *("account", "create", "new", "--plan", "standard", "--msisdn", "4917099", "--balance", balance),
        *("--reason", "contract 9", "--json"),
        *url,
    )
    assert (created.code, created.json["balances"][0]["value"]) == (0, "10.00")
    topped = ocs("account", "topup", "new", "minutes", "10 min", "--kind", "voice", "--reason", "gift", *url)
    assert topped.code == 0
    assert "10 min" in topped.out
    history = ocs("account", "history", "new", *url, "--json").json
    assert [(entry["kind"], entry["by"], entry["reason"]) for entry in history] == [
        ("open", "tester", "contract 9"),
        ("topup", "tester", "gift"),
    ]
    told = ocs("account", "history", "new", *url).out.splitlines()
    assert "main +10.00 AUD (now 10.00 AUD)" in told[1]
    assert "minutes +10 min (now 10 min)" in told[2]


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


def test_a_change_has_a_key_of_its_own_that_is_told(ocs, child):
    arguments = ("account", "topup", "demo-money", "money", "1.00 AUD", "--reason", "x", "--url", child.url, "--json")
    first, second = [ocs(*arguments).json for _ in range(2)]
    again = ocs(*arguments, "--key", second["idempotency_key"]).json
    assert len({first["idempotency_key"], second["idempotency_key"]}) == 2
    assert again == second
    assert [found["balances"][0]["value"] for found in (first, second)] == ["11.00", "12.00"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("topup", "demo", "money", "1.00 AUD"), "Missing option '--reason'"),
        (("adjust", "demo", "reset", "--balance", "money"), "Missing option '--reason'"),
        (("create", "x", "--plan", "standard"), "Missing option '--reason'"),
        (("topup", "demo", "money", "1.00 AUD", "--reason", " "), "reason: missing or blank"),
        (("adjust", "demo", "enable", "--reason", "x", "--by", ""), "by: missing or blank"),
    ],
)
def test_a_change_says_who_and_why(ocs, child, arguments, told):
    ran = ocs("account", *arguments, "--url", child.url)
    assert ran.code != 0
    assert told in " ".join(ran.err.replace("│", " ").split())


def test_the_history_shows_sessions_and_people_with_what_they_changed(ocs, child):
    url = ("--url", child.url)
    ocs("account", "create", "seen", "--plan", "standard", "--msisdn", "4917088", "--reason", "contract 10",
        "--balance", "main monetary 10.00 AUD", *url)  # fmt: skip
    with child.client("pgw.example.net") as gateway:
        gateway.ccr("pgw.example.net;7", INITIAL, 0, mscc(rsu()), msisdn="4917088")
        gateway.ccr("pgw.example.net;7", TERMINATION, 1, mscc(usu(total_octets=1_048_576)), msisdn="4917088")
    ocs("account", "adjust", "seen", "set", "--balance", "main", "--value", "3.00 AUD", "--reason", "complaint 4",
        "--by", "ann", *url)  # fmt: skip
    listed = ocs("account", "history", "seen", *url, "--json").json
    assert [(e["version"], e["kind"], e["by"], e["reason"], e["session_id"], e["request"]) for e in listed] == [
        (1, "open", "tester", "contract 10", "", ""),
        (2, "charge", "pgw.example.net", "", "pgw.example.net;7", "I/0"),
        (3, "charge", "pgw.example.net", "", "pgw.example.net;7", "T/1"),
        (4, "set", "ann", "complaint 4", "", ""),
    ]
    assert all(entry["at"].endswith("Z") for entry in listed)
    told = ocs("account", "history", "seen", *url).out.splitlines()
    assert "main held +0.10 AUD (now 0.10 AUD)" in told[2]
    assert "main -0.01 AUD (now 9.99 AUD), held -0.10 AUD (now 0.00 AUD)" in told[3]
    assert "0.01 AUD" in told[3]
    assert "rg 100: 1048576 octets" in told[3]
    assert told[4].split()[3:6] == ["ann", "complaint", "4"]
    assert "main -6.99 AUD (now 3.00 AUD)" in told[4]
    last = ocs("account", "history", "seen", *url, "--limit", 2)
    assert [line.split()[0] for line in last.out.splitlines()[1:]] == ["3", "4"]
    assert last.err == "older ones: --before 3\n"
    older = ocs("account", "history", "seen", *url, "--before", 3, "--json").json
    assert older == listed[:2]


class Flaky:
    """A transport that loses answers: each of `faults` is raised, or given back, before the real answer."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.keys = []

    def call(self, method, target, headers, body):
        self.keys.append(headers["Idempotency-Key"])
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        return 200, b'{"id": "demo"}'


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr("ocs.cli.reach.CHANGE_PAUSE_S", 0)


@pytest.mark.usefixtures("no_pause")
def test_a_change_whose_answer_was_lost_is_asked_again_under_the_same_key():
    flaky = Flaky(TimeoutError("timed out"), (503, b'{"detail": "the store does not answer"}'))
    changed = Api(flaky, "the server").change("/v1/accounts/demo/topup", {}, "")
    assert len(flaky.keys) == 3
    assert set(flaky.keys) == {changed["idempotency_key"]}


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("fault", [ConnectionResetError("gone"), (503, b'{"detail": "no store"}'), (200, b"{")])
def test_a_change_of_which_nothing_is_known_says_how_to_repeat_it(fault, capsys):
    flaky = Flaky(*[fault] * 3)
    with pytest.raises(typer.Exit) as ended:
        Api(flaky, "the server").change("/v1/accounts/demo/topup", {}, "k1")
    assert ended.value.exit_code == 2
    assert "repeat it with --key k1, and it is made once" in capsys.readouterr().err


@pytest.mark.usefixtures("no_pause")
def test_a_change_that_is_refused_is_not_asked_again(capsys):
    flaky = Flaky((422, b'{"detail": "no such thing"}'))
    with pytest.raises(typer.Exit) as ended:
        Api(flaky, "the server").change("/v1/accounts/demo/topup", {}, "k1")
    assert (ended.value.exit_code, len(flaky.keys)) == (1, 1)
    assert capsys.readouterr().err == "ocs: no such thing\n"


def test_problems_are_1_and_say_what_is_wrong(ocs, child):
    ran = ocs("account", "show", "nobody", "--url", child.url)
    assert (ran.code, ran.out, ran.err) == (1, "", 'ocs: there is no account "nobody"\n')
    wrong = ocs("account", "topup", "demo", "money", "1.00 EUR", "--reason", "x", "--url", child.url)
    assert (wrong.code, wrong.err) == (1, "ocs: amount: the account is in AUD, not in EUR\n")


def test_a_balance_that_cannot_be_read_is_a_usage_error(ocs, child):
    arguments = ("account", "create", "x", "--plan", "standard", "--reason", "y", "--url", child.url)
    ran = ocs(*arguments, "--balance", "main 10")
    assert (ran.code, "main 10" in ran.err) == (2, True)


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
    assert (peer["directions"], peer["transports"], peer["reconnect_at"]) == (["in"], ["tcp"], None)
    assert f"tcp from {peer['addresses'][0]}" in told


def test_a_peer_to_connect_to_is_shown_and_steered(ocs, folder, store):
    rule = "peers:\n  - {host: dra.example.com, connect: {host: 127.0.0.1, port: 1}}\n"
    edit(folder / "config" / "server.yaml", ("peers:\n", rule))
    with Child(folder):
        deadline = time.monotonic() + 20
        while not (told := ocs("peers", *store, "--json").json[0])["trouble"]:
            assert time.monotonic() < deadline
        assert (told["host"], told["state"]) == ("dra.example.com", "closed")
        assert told["reconnect_at"] is not None
        assert "dra.example.com: 127.0.0.1: " in ocs("peers", *store).out
        assert ocs("peers", "disconnect", "dra.example.com", *store).out == "dra.example.com: disconnecting\n"
        assert ocs("peers", *store, "--json").json[0]["reconnect_at"] is None
        assert ocs("peers", "connect", "dra.example.com", *store).code == 0
        unknown = ocs("peers", "connect", "x.example.com", *store)
        assert (unknown.code, "no peer x.example.com" in unknown.err) == (1, True)
        assert ocs("peers", "connect", *store).code == 2


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
        child.post("/v1/accounts", {"id": "live", "identities": [], "plan": "standard", "by": "test", "reason": "x"})
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
