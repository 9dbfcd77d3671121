"""A server of a test's own, on free ports, with the subscribers of the plays."""

import shutil
from pathlib import Path

import pytest

from tests.faults.child import Child
from tests.faults.plays import subscribers_yaml

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def child(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    server = tmp_path / "config" / "server.yaml"
    server.write_text(server.read_text().replace("port: 3868", "port: 0").replace("127.0.0.1:2080", "127.0.0.1:0"))
    (tmp_path / "config" / "subscribers.yaml").write_text(subscribers_yaml())
    made = Child(tmp_path)
    yield made
    await made.close()
