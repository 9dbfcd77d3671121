"""`ocs serve` with an SCTP listener: a session is charged, metrics and peers tell of it, a goodbye is said."""

import contextlib
import json
import shutil
import socket
import urllib.request

import pytest
import yaml

from tests.interop.client import INITIAL, TERMINATION, UPDATE, Client, mscc, rsu, usu
from tests.interop.ocs_server import PROGRAM, ROOT
from tests.interop.service import Service
from tests.uml.guest.association import IPPROTO_SCTP

HTTP = "http://127.0.0.1:2080"


@pytest.fixture
def ocs(tmp_path):
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    file = config / "server.yaml"
    server = yaml.load(file.read_text(), yaml.BaseLoader)
    server["listeners"] = [{"transport": "sctp", "host": "127.0.0.1", "port": "3868"}]
    server["http"]["bind"] = HTTP.removeprefix("http://")
    server["store"]["url"] = f"sqlite:{tmp_path}/ocs.db"
    file.write_text(yaml.safe_dump(server, sort_keys=False))
    with Service([str(PROGRAM), "serve", "--config", str(config)], tmp_path / "ocs.log", cwd=tmp_path) as service:
        service.wait_for("an answer from /readyz", ready, limit_s=60)
        yield service


def ready():
    with contextlib.suppress(OSError):
        return fetch("/readyz")


def fetch(path):
    with urllib.request.urlopen(HTTP + path, timeout=10) as response:
        return response.read()


def balances():
    return {each["id"]: each for each in json.loads(fetch("/v1/accounts/demo"))["balances"]}


def connected():
    association = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP)
    association.connect(("127.0.0.1", 3868))
    return association


@pytest.mark.conformance("A38", "B1", "B2", "B3")
def test_a_session_is_charged_over_sctp(ocs):
    before = balances()
    data = next(id_ for id_, balance in before.items() if balance["kind"] == "data")
    with Client(connected(), "pgw.example.net", "example.net") as client:
        assert client.connect().result_code == 2001
        session = "pgw.example.net;1;sctp"
        initial = client.ccr(session, INITIAL, 0, mscc(rsu(), rating_group=100), msisdn="491700000001")
        assert initial.result_code == 2001
        assert balances()[data]["held"] == initial.granted_octets > 0
        report = mscc(rsu(), usu(total_octets=308_400), rating_group=100)
        assert client.ccr(session, UPDATE, 1, report, msisdn="491700000001").result_code == 2001
        report = mscc(usu(total_octets=1_000), rating_group=100)
        assert client.ccr(session, TERMINATION, 2, report, msisdn="491700000001").result_code == 2001
        after = balances()[data]
        assert (after["value"], after["held"]) == (before[data]["value"] - 309_400, 0)
        (peer,) = json.loads(fetch("/v1/peers"))["items"]
        assert (peer["host"], peer["state"]) == ("pgw.example.net", "open")
        assert "Diameter on 127.0.0.1:3868 (sctp)" in ocs.text()
        metrics = fetch("/metrics").decode()
        assert 'ocs_diameter_listener_up{address="127.0.0.1:3868",transport="sctp"} 1.0' in metrics
        ocs.process.terminate()
        dpr = next(message for message in client.messages() if message.command_code == 282)
        assert dpr.is_request
    assert ocs.process.wait(20) == 0
