"""Peers that mean harm against the whole server: a gateway beside them is served, and the server stays small."""

import random
import socket
import struct
from pathlib import Path

import pytest

from ocs.limits import CONNECTIONS_MAX
from tests.cli.child import LIMIT_S, Child, make_config
from tests.interop.client import mscc, rsu

MIB = 1 << 20
CROWD = CONNECTIONS_MAX + 76


@pytest.fixture
def child(tmp_path):
    make_config(tmp_path)
    with Child(tmp_path) as running:
        yield running


def resident_octets(child):
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1_024


def metric(child, name):
    lines = child.get("/metrics").splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0)


@pytest.mark.conformance("A26")
def test_a_gateway_is_served_beside_a_crowd_of_hostile_peers(child):
    source = random.Random(2)
    header = struct.Struct("!I16s")
    words = [
        b"",  # half-open
        b"\1",
        header.pack(0x01FFFFFC, bytes(16)),  # 16 MiB
        header.pack(0x01010000, bytes(16)) + bytes(60_000),  # never ends
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        source.randbytes(4_000),
    ]
    crowd = []
    try:
        with child.client() as gateway:
            assert gateway.ccr("good;1", 1, 0, mscc(rsu()), msisdn="491700000002").result_code == 2001
            before = resident_octets(child)
            for number in range(CROWD):
                one = socket.create_connection(child.diameter, LIMIT_S)
                one.setblocking(False)
                crowd.append(one)
                try:
                    one.send(words[number % len(words)])
                except OSError:  # turned away already
                    assert number >= CONNECTIONS_MAX // len(words)
                if number % 50 == 0:
                    answer = gateway.ccr("good;1", 2, 1 + number // 50, mscc(rsu()), msisdn="491700000002")
                    assert answer.result_code == 2001
            assert metric(child, "ocs_diameter_connections") <= CONNECTIONS_MAX
            assert resident_octets(child) - before < 128 * MIB
            assert gateway.ccr("good;1", 3, 999, mscc(), msisdn="491700000002").result_code == 2001
            assert metric(child, 'ocs_limit_hits_total{limit="message_octets"}') > 0
    finally:
        for one in crowd:
            one.close()
    with child.client("late.example.net") as late:
        assert late.watchdog().result_code == 2001
