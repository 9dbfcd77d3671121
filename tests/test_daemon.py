"""The server as a whole: a child process, a real connection, signals."""

import os
import signal
import socket

import pytest

from tests.cli.child import Child, edit, make_config
from tests.interop.client import DPR, INITIAL, REQUEST, TERMINATION, UPDATE, mscc, rsu, text, u32, usu

MONEY = "491700000002"
SESSION = "pgw.example.net;1;1"


@pytest.fixture
def folder(tmp_path):
    make_config(tmp_path)
    return tmp_path


def test_a_gateway_is_charged_to_the_nano_and_everything_agrees(folder):
    with Child(folder) as child, child.client() as gateway:
        first = gateway.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn=MONEY)
        held = child.balances("demo-money")["money"]["held"]
        (session,) = child.get("/v1/sessions?account=demo-money")["items"]
        last = gateway.ccr(SESSION, TERMINATION, 1, mscc(usu(total_octets=308_400)), msisdn=MONEY)
        money = child.balances("demo-money")["money"]
        (cdr,) = child.get(f"/v1/cdrs?session={SESSION}")["items"]
        history = child.get("/v1/accounts/demo-money/history")["items"]
        metrics = child.get("/metrics")
    assert (first.result_code, first.granted_octets, last.result_code) == (2001, 10_485_760, 2001)
    assert (held, session["id"], session["state"]) == ("0.10", SESSION, "open")
    assert (money["value"], money["held"], cdr["cost"]) == ("9.997050781", "0.00", "0.002949219")
    assert [entry["request"] for entry in history] == ["", "I/0", "T/1"]
    assert history[-1]["postings"][0]["value"] == "-0.002949219"
    assert 'ocs_revenue_total{currency="AUD",service="data"} 0.002949219' in metrics
    assert 'request_type="initial",result_code="2001"} 1.0' in metrics
    assert MONEY not in metrics


def test_it_says_where_it_listens_and_what_to_try(folder):
    with Child(folder) as child:
        greeting = child.out.seen
        address = "{}:{}".format(*child.diameter)
    assert "first start: 4 accounts opened from subscribers.yaml" in greeting
    tried = f"simulate data --msisdn {MONEY} --octets 308400 --server {address} --url {child.url}"
    assert any(line.startswith("try: ") and line.endswith(tried) for line in greeting)
    assert greeting[-1] == "ready"


def test_a_restart_after_a_kill_goes_on_where_it_was(folder):
    with Child(folder) as child, child.client() as gateway:
        gateway.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn=MONEY)
        update = gateway.ccr(SESSION, UPDATE, 1, mscc(rsu(), usu(total_octets=1_048_576)), msisdn=MONEY)
        child.signal(signal.SIGKILL)
        child.wait()
    with Child(folder) as child, child.client() as gateway:
        repeat = gateway.ccr(SESSION, UPDATE, 1, mscc(rsu(), usu(total_octets=1_048_576)), msisdn=MONEY)
        after_repeat = child.balances("demo-money")["money"]["value"]
        last = gateway.ccr(SESSION, TERMINATION, 2, mscc(usu(total_octets=1_048_576)), msisdn=MONEY)
        money = child.balances("demo-money")["money"]
        greeting = "\n".join(child.out.seen)
        metrics = child.get("/metrics")
    assert [avp.data for avp in repeat.message.avps] == [avp.data for avp in update.message.avps]
    assert after_repeat == "9.99"
    assert (last.result_code, money["value"], money["held"]) == (2001, "9.98", "0.00")
    assert "first start" not in greeting
    assert "ocs_repeats_total 1.0" in metrics


def test_hangup_takes_over_a_new_price_and_keeps_the_old_one_on_an_error(folder):
    (tariff,) = (folder / "config" / "tariffs").glob("*.yaml")
    good = tariff.read_text()
    with Child(folder) as child, child.client() as gateway:
        edit(tariff, ("0.01 AUD/MiB", "0.02 AUD/MiB"))
        child.signal(signal.SIGHUP)
        reloaded = child.event("reloaded")
        gateway.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn=MONEY)
        held = child.balances("demo-money")["money"]["held"]
        gateway.ccr(SESSION, TERMINATION, 1, msisdn=MONEY)

        edit(tariff, ("0.02 AUD/MiB", "0.03 aud/MiB"))
        child.signal(signal.SIGHUP)
        refused = child.event("reload_refused")
        status, problem = child.post("/v1/reload", {})
        gateway.ccr(SESSION + ";2", INITIAL, 0, mscc(rsu()), msisdn=MONEY)
        still_held = child.balances("demo-money")["money"]["held"]
        bad_metrics = child.get("/metrics")

        tariff.write_text(good)
        edit(folder / "config" / "server.yaml", ("identity: ocs.example.com", "identity: ocs2.example.com"))
        good_status, done = child.post("/v1/reload", {})
        metrics = child.get("/metrics")
    assert (held, still_held) == ("0.20", "0.20")
    assert reloaded["tariff"] == refused["tariff"] != done["tariff_version"]
    assert status == 422
    assert "did you mean 0.03 AUD/MiB?" in problem["errors"][0]
    assert problem["errors"][0].startswith(f"config/tariffs/{tariff.name}:")
    assert (good_status, done["done"], done["restart_needed"]) == (200, True, ["identity"])
    assert "ocs_config_last_reload_successful 0.0" in bad_metrics
    assert "ocs_config_last_reload_successful 1.0" in metrics


def test_terminate_says_goodbye_and_ends_with_0(folder):
    with Child(folder) as child, child.client() as gateway:
        gateway.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn=MONEY)
        child.signal(signal.SIGTERM)
        messages = gateway.messages()
        goodbye = next(messages)
        gateway.send(answer(goodbye.hop_by_hop_id, goodbye.end_to_end_id))
        rest = list(messages)
        status = child.wait()
        events = child.err.rest()
    assert (goodbye.command_code, goodbye.is_request) == (DPR, True)
    assert goodbye.find(273).data == b"\0\0\0\0"  # REBOOTING
    assert (rest, status) == ([], 0)
    assert "drained" in events
    with Child(folder) as child:
        (session,) = child.get("/v1/sessions")["items"]
    assert session["id"] == SESSION


def answer(hop_by_hop_id: int, end_to_end_id: int) -> bytes:
    """A DPA."""
    from ocs.diameter.wire import message_bytes

    origin = text(264, "pgw.example.net") + text(296, "example.net")
    return message_bytes(0, DPR, 0, hop_by_hop_id, end_to_end_id, u32(268, 2001) + origin)


def test_a_second_terminate_ends_at_once(folder):
    with Child(folder) as child, child.client() as gateway:
        child.signal(signal.SIGTERM)
        goodbye = next(gateway.messages())  # is not answered, so the drain waits
        ready = child.event("draining")
        child.signal(signal.SIGTERM)
        status = child.wait()
        events = child.err.rest()
    assert goodbye.flags & REQUEST
    assert ready["level"] == "info"
    assert status == 128 + signal.SIGTERM
    assert "ended_at_once" in events


@pytest.mark.parametrize("what", ["Diameter", "HTTP"])
def test_a_busy_port_is_named_with_what_to_do(tmp_path, what):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        make_config(tmp_path, **{"diameter_port" if what == "Diameter" else "http_port": port})
        with Child(tmp_path, ready=False) as child:
            status, said = child.wait(), child.err.rest()
    key = "listeners" if what == "Diameter" else "http.bind"
    assert status == 2
    assert f"{what} cannot listen on 127.0.0.1:{port}: the port is taken" in said
    assert f"set another port at {key} in server.yaml" in said
    assert "Traceback" not in said


def test_only_one_server_has_a_store(folder):
    with Child(folder), Child(folder, ready=False) as second:
        status, said = second.wait(), second.err.rest()
    assert status == 2
    assert "the store sqlite:var/ocs.db cannot be used" in said
    assert "Traceback" not in said


def test_a_store_that_is_none_of_ours_is_left_alone(folder):
    (folder / "var").mkdir()
    (folder / "var" / "ocs.db").write_text("no database" * 1_000)
    with Child(folder, ready=False) as child:
        status, said = child.wait(), child.err.rest()
    assert status == 2
    assert "the store sqlite:var/ocs.db cannot be used" in said
    assert (folder / "var" / "ocs.db").read_text() == "no database" * 1_000


def test_a_broken_configuration_is_told_in_full_and_nothing_starts(folder):
    edit(folder / "config" / "server.yaml", ("identity: ocs", "identty: ocs"), ("kind: voice", "kind: voise"))
    with Child(folder, ready=False) as child:
        status, said = child.wait(), child.err.rest()
    assert status == 2
    assert "config/server.yaml:" in said
    assert "did you mean identity?" in said
    assert "did you mean voice?" in said
    assert not (folder / "var").exists()


def test_a_tariff_in_another_currency_does_not_start_on_the_old_accounts(folder):
    with Child(folder):
        pass
    for file in ("subscribers.yaml", *(f"tariffs/{each.name}" for each in (folder / "config/tariffs").iterdir())):
        edit(folder / "config" / file, ("AUD", "EUR"))
    with Child(folder, ready=False) as child:
        status, said = child.wait(), child.err.rest()
    assert status == 2
    assert "are in AUD, but the tariff is in EUR" in said


def test_the_service_manager_is_told(folder):
    name = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(60)
        with Child(folder, environment={**os.environ, "NOTIFY_SOCKET": name}) as child:
            ready = manager.recv(4_096)
            child.signal(signal.SIGHUP)
            reloading, again = manager.recv(4_096), manager.recv(4_096)
            child.signal(signal.SIGTERM)
            stopping = manager.recv(4_096)
            child.wait()
    assert ready == again == b"READY=1"
    assert reloading.startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert stopping == b"STOPPING=1"


def test_a_top_up_counts_for_a_session_that_is_open(folder):
    with Child(folder) as child, child.client() as gateway:
        empty = gateway.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn="491700000003")
        body = {"balance": "money", "kind": "monetary", "amount": "5.00 AUD", "by": "test", "reason": "voucher"}
        status, account = child.post("/v1/accounts/demo-empty/topup", body)
        missing, _ = child.post("/v1/accounts/nobody/topup", body)
        filled = gateway.ccr(SESSION + ";2", INITIAL, 0, mscc(rsu()), msisdn="491700000003")
        log = child.event("refused")
    assert (empty.result_code, status, missing, filled.granted_octets) == (4012, 200, 404, 10_485_760)
    assert account["balances"][0]["value"] == "5.00"
    assert (log["session_id"], log["subscriber"], log["why"]) == (SESSION, "msisdn:49170*****03", "no_credit")
