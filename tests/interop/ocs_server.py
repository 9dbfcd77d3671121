"""`ocs serve` on a copy of the sample configuration, and its HTTP interface."""

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.interop.namespace import Namespace
from tests.interop.service import Service

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / ".venv" / "bin" / "ocs"
DIAMETER_PORT = 3868
HTTP_PORT = 2080


def copy_config(target: Path, store_url: str, more: Mapping[str, Any]) -> None:
    """The sample configuration, listening on every address of its namespace, with a store of its own.

    more: what else server.yaml says; `peers` come before those of the sample.
    """
    shutil.copytree(ROOT / "config", target)
    file = target / "server.yaml"
    # Scalars stay strings, as the server itself reads them.
    config = yaml.load(file.read_text(), yaml.BaseLoader)
    config["listeners"] = [{"transport": "tcp", "host": "0.0.0.0", "port": str(DIAMETER_PORT)}]
    config["http"]["bind"] = f"127.0.0.1:{HTTP_PORT}"
    config["store"]["url"] = store_url
    config |= {**more, "peers": [*more.get("peers", ()), *config["peers"]]}
    file.write_text(yaml.safe_dump(config, sort_keys=False))


class OcsServer(Service):
    """The running server; `get` asks it over HTTP from inside its namespace."""

    def __init__(self, namespace: Namespace, folder: Path, **more: Any):
        folder.mkdir()
        self.config = folder / "config"
        copy_config(self.config, f"sqlite:{folder}/ocs.db", more)
        self.namespace = namespace
        argv = namespace.command(PROGRAM, "serve", "--config", self.config)
        super().__init__(argv, folder / "ocs.log", cwd=folder)

    def wait_until_ready(self) -> None:
        self.wait_for("an answer from /readyz", self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.request("/readyz")[0] == 200
        except OSError:
            return False

    def request(self, path: str) -> tuple[int, bytes]:
        """(status, body) of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT)
        connection.sock = self.namespace.connect("127.0.0.1", HTTP_PORT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, body = self.request(path)
        assert status == 200, f"GET {path}: {status} {body[:300]!r}"
        return json.loads(body)

    def run(self, *argv: str) -> str:
        """What `ocs` with those arguments prints, run beside the server; anything but 0 is an error."""
        done = subprocess.run(
            self.namespace.command(PROGRAM, *argv, "--config", self.config),
            cwd=self.cwd,
            env={**os.environ, "OCS_OPERATOR": "interop"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def balances(self, account: str) -> dict[str, dict[str, Any]]:
        """The balances of an account by their ids."""
        return {balance["id"]: balance for balance in self.get(f"/v1/accounts/{account}")["balances"]}

    def cdrs(self, account: str) -> list[dict[str, Any]]:
        return list(self.get(f"/v1/cdrs?account={account}")["items"])
