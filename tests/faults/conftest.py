"""Servers of a test's own, on free ports, with the subscribers of the plays."""

import shutil
from pathlib import Path

import pytest

from tests.faults.child import Child
from tests.faults.plays import subscribers_yaml
from tests.postgres.database import database, make_template
from tests.postgres.server import PostgresServer

ROOT = Path(__file__).parent.parent.parent
SQLITE = "sqlite:var/ocs.db"


@pytest.fixture
async def make_child(tmp_path):
    """make_child(store_url, identity=...): a server that is not yet started; None: SQLite in its folder."""
    made = []

    def make(store_url=None, identity="ocs.example.com", command=(), host="127.0.0.1"):
        folder = tmp_path / f"node{len(made)}"
        folder.mkdir()
        shutil.copytree(ROOT / "config", folder / "config")
        server = folder / "config" / "server.yaml"
        text = server.read_text()
        for old, new in (
            ("port: 3868", "port: 0"),
            ("127.0.0.1:2080", "127.0.0.1:0"),
            ("identity: ocs.example.com", f"identity: {identity}"),
            (SQLITE, store_url or SQLITE),
        ):
            assert old in text, f"the sample configuration has {old}"
            text = text.replace(old, new)
        text = text.replace("host: 127.0.0.1", f"host: {host}").replace('host: "::1"', f"host: {host}")
        server.write_text(text + "cluster: [ocs.example.com, ocs1.example.com, ocs2.example.com]\n")
        (folder / "config" / "subscribers.yaml").write_text(subscribers_yaml())
        child = Child(folder, store_url or f"sqlite:{folder / 'var' / 'ocs.db'}", command)
        made.append(child)
        return child

    yield make
    for child in made:
        await child.close()


@pytest.fixture
def child(make_child):
    """One on SQLite."""
    return make_child()


@pytest.fixture(scope="session")
def _durable_server():
    server = PostgresServer(durable=True)
    yield server
    server.stop()


@pytest.fixture
def durable_postgres(_durable_server):
    """A PostgreSQL with every commit on the disk, which tests may kill and pause; started where it does not run."""
    if not _durable_server.running:
        _durable_server.start()
        make_template(_durable_server)
    yield _durable_server
    _durable_server.resume()


@pytest.fixture
def durable_postgres_url(request):
    """A function, so that nothing is started for tests that need none: the URL of a fresh database on that server."""
    contexts = []

    def make():
        context = database(request.getfixturevalue("durable_postgres"))
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)
