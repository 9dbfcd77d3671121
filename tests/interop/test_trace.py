"""What `ocs trace --pcap` writes, as tshark sees it."""

import json
import subprocess

from ocs.diameter import capture
from ocs.diameter.wire import message_bytes
from tests.diameter.samples import avp, credit_control


def test_tshark_dissects_the_exported_messages(tmp_path):
    request = message_bytes(0xC0, 272, 4, 5, 6, b"".join(credit_control()))
    long = message_bytes(0xC0, 272, 4, 7, 6, b"".join([*credit_control(), avp("User-Name", "x" * 60_000)]))
    answer = message_bytes(
        0x40, 272, 4, 5, 6, avp("Session-Id", "gw.example.com;1;2;app_gy") + avp("Result-Code", 2001)
    )
    file = tmp_path / "trace.pcap"
    ends = ("10.0.0.1:40000", "10.0.0.2:13868")  # no port that tshark knows
    records = [
        capture.record(1_700_000_000_000_000_000, *ends, "tcp", request),
        capture.record(1_700_000_000_006_500_000, *ends[::-1], "sctp", answer),
        capture.record(1_700_000_001_000_000_000, "[2001:db8::1]:5", "[2001:db8::2]:3868", "tls", long),
    ]
    file.write_bytes(capture.file_header() + b"".join(records))
    names = [
        "frame.time_epoch",
        "diameter.cmd.code",
        "diameter.hopbyhopid",
        "diameter.Session-Id",
        "diameter.Result-Code",
    ]
    argv = ["tshark", "-r", str(file), "-T", "json", *(word for name in names for word in ("-e", name))]
    shown = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    layers = [packet["_source"]["layers"] for packet in shown]
    assert [layer["diameter.cmd.code"] for layer in layers] == [["272"]] * 3
    assert [layer.get("diameter.Result-Code") for layer in layers] == [None, ["2001"], None]
    assert {layer["diameter.Session-Id"][0] for layer in layers} == {"gw.example.com;1;2;app_gy"}
    malformed = subprocess.run(["tshark", "-r", str(file), "-Y", "_ws.malformed"], capture_output=True, check=True)
    assert malformed.stdout == b""
