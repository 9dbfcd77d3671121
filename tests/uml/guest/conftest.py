"""Tests for a kernel with SCTP, on both event loops. `make sctp` runs them inside User-mode Linux."""

import asyncio
import os
import socket

import pytest
import uvloop

from ocs.diameter.transports.sctp_socket import IPPROTO_SCTP
from tests.uml.guest.association import ip


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def _kernel_has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP).close()
    except OSError as error:
        pytest.exit(f"this kernel has no SCTP ({error}): make sctp runs these tests in one that has", returncode=1)
    if os.geteuid() != 0:
        pytest.exit("these tests make network namespaces and need root, as they have inside make sctp", returncode=1)


@pytest.fixture
def silent_address():
    """An address to which packets go, and from which none ever comes."""
    ip("link", "set", "dummy0", "up")
    ip("address", "replace", "10.9.9.1/24", "dev", "dummy0")
    ip("neighbour", "replace", "10.9.9.9", "lladdr", "02:00:00:00:00:09", "dev", "dummy0")
    return "10.9.9.9"
