"""`ocs trace` against a running server, while `ocs simulate` plays a session."""

import json
import subprocess
import sys

import pytest

from ocs.diameter.capture import packets
from ocs.diameter.capture_streams import Streams
from ocs.diameter.wire import decode_message
from tests.interop.client import mscc, rsu


class Tracing:
    """A running `ocs trace`; `with` waits until the server traces, and for its end."""

    def __init__(self, child, *arguments):
        self.child = child
        self.arguments = arguments

    def __enter__(self):
        argv = [sys.executable, "-m", "ocs", "trace", *map(str, self.arguments), "--url", self.child.url, "--by", "op"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started = self.child.event("trace_started")
        return self

    def __exit__(self, *exception):
        if exception[0] is not None:
            self.process.kill()
        self.out, self.err = self.process.communicate(timeout=60)


@pytest.fixture
def simulate(ocs, child):
    def run(*arguments):
        ran = ocs("simulate", *arguments, "--server", "{}:{}".format(*child.diameter), "--url", child.url, "--json")
        assert ran.code == 0
        return ran.json

    return run


@pytest.mark.conformance("J5")
def test_a_session_is_shown_as_text_and_written_for_wireshark(child, simulate, tmp_path):
    file = tmp_path / "alice.pcap"
    with Tracing(child, "--msisdn", "+491700000002", "--seconds", 3, "--pcap", file) as tracing:
        played = simulate("data", "--msisdn", "491700000002", "--octets", 308_400, "--pieces", 2)
        simulate("data", "--msisdn", "491700000001", "--octets", 1_000)
    assert (tracing.process.returncode, tracing.err) == (0, "")
    assert (tracing.started["by"], tracing.started["subscriber"]) == ("op", "msisdn:49170*****02")
    heads = [line for line in tracing.out.splitlines() if line.startswith("#")]
    assert len(heads) == 6
    assert [" <- " in head for head in heads] == [True, False] * 3
    assert "answers #1 after " in heads[1]
    assert f"Session-Id (263): '{played['session_id']}'" in tracing.out
    assert "491700000001" not in tracing.out, "nobody else is shown"
    decided = [line for line in tracing.out.splitlines() if line.startswith("decided: 2001")]
    assert len(decided) == 3
    assert "granted 10 MiB" in tracing.out
    costs = [line.split("cost ")[1] for line in decided if "cost" in line]
    assert costs == ["0.001474609 AUD", "0.00147461 AUD"], "together what the CDR says, 0.002949219"
    with file.open("rb") as source:
        found = list(Streams().messages(packets(source)))
    written = [decode_message(one.octets) for one in found]
    server = "{}:{}".format(*child.diameter)
    assert [one.destination == server for one in found] == [one.source != server for one in found] == [True, False] * 3
    assert [message.is_request for message in written] == [True, False] * 3


def test_json_is_one_line_per_message_and_a_repeat_is_told(child, ocs):
    with (
        child.client("pgw2.example.net") as client,
        Tracing(child, "--session", "pgw2;1;1", "--seconds", 3, "--json") as tracing,
    ):
        for _ in range(2):
            assert client.ccr("pgw2;1;1", 1, 0, mscc(rsu()), msisdn="491700000002").result_code == 2001
    lines = [json.loads(line) for line in tracing.out.splitlines()]
    assert [line["decision"] and line["decision"]["repeat"] for line in lines] == [None, False, None, True]


@pytest.mark.parametrize("arguments", [(), ("--msisdn", "1", "--imsi", "2")])
def test_it_has_to_be_said_whom(ocs, child, arguments):
    ran = ocs("trace", *arguments, "--url", child.url)
    assert (ran.code, "trace whom?" in ran.err) == (2, True)


def test_a_file_that_cannot_be_written_is_said_before_anything_is_traced(ocs, child, tmp_path):
    ran = ocs("trace", "--msisdn", "1", "--url", child.url, "--pcap", tmp_path / "no" / "file")
    assert (ran.code, "cannot be written" in ran.err) == (2, True)
    assert "1" not in [one["value"] for one in child.get("/v1/traces")["items"]]
