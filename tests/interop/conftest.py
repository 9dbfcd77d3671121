"""The scene of an interop test: a namespace, a capture on its loopback, ocs in it. Every test has its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.capture import SENT, Capture
from tests.interop.namespace import Namespace
from tests.interop.ocs_server import OcsServer

# freeDiameter drops the addresses of 127/8, so the loopback has one more.
ADDRESS = "10.44.0.1"
# Somebody who has credit for a few seconds.
SHORT_S = 8
SHORT = f"""
  demo-short:
    msisdn: 491700000005
    plan: standard
    balances:
      minutes: {{kind: voice, value: {SHORT_S}s}}
"""
PROGRAMS = ("diameterc", "erl", "erlc", "freeDiameterd", "ip", "kamailio", "openssl", "sipp", "tshark")


@pytest.fixture(scope="session", autouse=True)
def _peers_are_there() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        pytest.exit(f"tests/interop needs root and the real peers (make peers); missing: {missing}", returncode=1)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace(ADDRESS, {"ocs.example.com": "127.0.0.1"}) as namespace:
        yield namespace


@pytest.fixture
def capture(namespace: Namespace, tmp_path: Path) -> Iterator[Capture]:
    """What goes over the wire during the test; afterwards tshark may have nothing to say against what ocs sent."""
    with Capture(namespace, tmp_path) as capture:
        yield capture
    assert capture.fields(f"diameter && ({SENT})", "frame.number"), "nothing of ocs was captured"
    assert capture.complaints() == []


@pytest.fixture
def ocs(namespace: Namespace, capture: Capture, tmp_path: Path) -> Iterator[OcsServer]:
    server = OcsServer(namespace, tmp_path / "ocs")
    subscribers = server.config / "subscribers.yaml"
    subscribers.write_text(subscribers.read_text() + SHORT)
    with server:
        server.wait_until_ready()
        yield server
