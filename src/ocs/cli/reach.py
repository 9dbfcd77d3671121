"""The way to the accounts: the API of a running server or, with `--config` and no server, the same API on the store."""

from __future__ import annotations

import http.client
import json
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from ocs.cli.options import DEFAULT_URL
from ocs.cli.output import PROBLEM, USAGE, fail

if TYPE_CHECKING:
    from ocs.config.settings import Settings

TIMEOUT_S = 10
PROBE_TIMEOUT_S = 1
CHANGE_TRIES = 3
CHANGE_PAUSE_S = 0.5

_JSON = {"Content-Type": "application/json"}


class Transport(Protocol):
    """Carries one request of the API."""

    def call(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """(status, body) of the answer; OSError where there is none."""
        ...


class Remote:
    """A server at an http URL."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            fail(f'"{url}" is not an http URL such as {DEFAULT_URL}', USAGE)
        self._host, self._port = parts.hostname, parts.port or 80
        self._timeout_s = timeout_s

    def call(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, target, body or None, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Api:
    """Calls that end the program with a message where they fail."""

    def __init__(self, transport: Transport, where: str) -> None:
        self._transport = transport
        self._where = where

    def get(self, path: str, **parameters: object) -> Any:
        """The JSON of GET; parameters that are None are left out."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._call("GET", path + ("?" + urlencode(given) if given else ""), {}, b"")

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON of POST."""
        return self._call("POST", path, _JSON, json.dumps(body).encode())

    def delete(self, target: str) -> Any:
        """The JSON of DELETE."""
        return self._call("DELETE", target, {}, b"")

    def change(self, path: str, body: Mapping[str, object], key: str) -> dict[str, Any]:
        """POST a change under an idempotency key, with the key in what comes back; "" = a new one.

        Where no answer came it is asked again under the same key: it is made once, whatever became of the first.
        """
        key = key or str(uuid.uuid4())
        headers = {**_JSON, "Idempotency-Key": key}
        content = json.dumps(body).encode()
        known = f"; whether the change was made is not known: repeat it with --key {key}, and it is made once"
        for _ in range(CHANGE_TRIES - 1):
            with suppress(OSError, http.client.HTTPException):
                status, answer = self._transport.call("POST", path, headers, content)
                if status != HTTPStatus.SERVICE_UNAVAILABLE:
                    return {**self._read(status, answer, known), "idempotency_key": key}
            time.sleep(CHANGE_PAUSE_S)
        return {**self._call("POST", path, headers, content, known), "idempotency_key": key}

    def pages(self, path: str, limit: int, **parameters: object) -> list[Any]:
        """Items of a list, page by page, `limit` at the most."""
        items: list[Any] = []
        after = None
        while len(items) < limit:
            page = self.get(path, **parameters, after=after, limit=min(1_000, limit - len(items)))
            items += page["items"]
            after = page["next"]
            if after is None:
                break
        return items

    def _call(self, method: str, target: str, headers: Mapping[str, str], body: bytes, known: str = "") -> Any:
        """known: what to say besides where there is no answer, or none that says more."""
        try:
            status, content = self._transport.call(method, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            fail(f"{self._where} does not answer: {error}. Is the server running (ocs serve)?{known}", USAGE)
        return self._read(status, content, known)

    def _read(self, status: int, content: bytes, known: str = "") -> Any:
        try:
            answer = json.loads(content)
        except ValueError:
            fail(f"{self._where} answered {status} with something that is not JSON{known}", USAGE)
        if status >= 400:
            details = answer.get("errors") or [answer.get("detail", f"status {status}")]
            text = "\n".join(details)
            fail(f"{text}{known}" if status >= 500 else text, USAGE if status >= 500 else PROBLEM)
        return answer


def path_of(*parts: str) -> str:
    """A path below /v1, its parts quoted."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


@contextmanager
def reach(url: str | None, config: Path | None, timeout_s: float = TIMEOUT_S) -> Iterator[Api]:
    """The API at `url`; with `config` that of its server or, where none runs, its store."""
    if config is None or url is not None:
        yield Api(Remote(url or DEFAULT_URL, timeout_s), url or DEFAULT_URL)
        return
    settings = settings_of(config)
    own_url = server_url(settings.http_host, settings.http_port)
    if runs(settings.http_host, settings.http_port):
        yield Api(Remote(own_url, timeout_s), own_url)
        return
    from ocs.api.local import LocalApi
    from ocs.store.interface import StoreDown, StoreInUse, WrongStore
    from ocs.store.url import shown

    where = shown(settings.store_url)
    with ExitStack() as stack:
        try:
            local = stack.enter_context(LocalApi(settings))
        except (StoreDown, StoreInUse, WrongStore) as error:
            fail(f"no server at {own_url}, and the store {where} cannot be used: {error}", USAGE)
        yield Api(local, f"the store {where}")


def settings_of(config: Path) -> Settings:
    """The configuration; ends the program with its problems where it has errors."""
    from ocs.config.load import load

    settings, diagnostics = load(config)
    if settings is None:
        fail("\n".join(["the configuration has errors:", *map(str, diagnostics)]), USAGE)
    return settings


def server_url(host: str, port: int) -> str:
    """Where a server that binds to `host` is reached from here."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a listener on all addresses
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def runs(host: str, port: int) -> bool:
    """Whether something listens there."""
    parts = urlsplit(server_url(host, port))
    try:
        socket.create_connection((parts.hostname, port), PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True
