import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from ocs.cli.app import app
from tests.cli.child import Child, make_config


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def ocs(monkeypatch) -> Callable[..., Ran]:
    """Runs the command: `ocs("check", "config")`."""
    monkeypatch.delenv("OCS_URL", raising=False)
    monkeypatch.setenv("USER", "tester")

    def run(*arguments: object) -> Ran:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a configuration on free ports, which is the working directory."""
    make_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    """A running server, one for all tests of a module."""
    folder = tmp_path_factory.mktemp("server")
    make_config(folder)
    with Child(folder) as running:
        yield running
