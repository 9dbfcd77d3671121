"""A configuration folder: read, checked and compiled, with every problem of it in one run.

server.yaml         identity, listeners, peers, services, store, HTTP
tariffs/*.yaml      destinations, plans, emergency numbers; several files are one tariff
subscribers.yaml    accounts that are opened on the first start; may be absent
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeVar

from ocs.config.deck import Progress
from ocs.config.diagnostics import Diagnostic, Place, Problems, did_you_mean
from ocs.config.document import Node, read
from ocs.config.made import built
from ocs.config.schema import Located, Record
from ocs.config.server_compile import compile_server
from ocs.config.server_file import SERVER_FILE, RawServer
from ocs.config.setting import Setting
from ocs.config.settings import Settings, Subscriber
from ocs.config.subscribers_compile import Known, compile_subscribers, known_names
from ocs.config.subscribers_file import SUBSCRIBERS_FILE
from ocs.config.tariff_checks import check_used
from ocs.config.tariff_compile import CompiledTariff, compile_tariff
from ocs.config.tariff_file import TARIFF_FILE, RawTariff
from ocs.rating.numbers import Numbering
from ocs.rating.tariff import Tariff

T = TypeVar("T")

SERVER_NAME = "server.yaml"
TARIFFS_NAME = "tariffs"
SUBSCRIBERS_NAME = "subscribers.yaml"

_SCHEMAS: dict[str, Record[Any]] = {
    "server": SERVER_FILE,
    "tariff": TARIFF_FILE,
    "subscribers": SUBSCRIBERS_FILE,
}


def load(
    folder: Path, progress: Progress | None = None, now_ns: int | None = None
) -> tuple[Settings | None, list[Diagnostic]]:
    """The settings of a folder, None where there is an error, and all that is wrong by file, line and column.

    progress: told how far a CSV deck is read: file, octets read, octets in all. now_ns: the time that warnings about
    what is over or still to come are made for; None = the present. Nothing that stands in the folder makes it raise.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    problems = Problems()
    folder = Path(folder)
    if not folder.is_dir():
        problems.error(Place(str(folder)), "is no folder", f"a folder with {SERVER_NAME} and {TARIFFS_NAME}/")
        return None, problems.sorted()
    server = _file(folder / SERVER_NAME, SERVER_FILE, problems)
    files = _tariff_files(folder / TARIFFS_NAME, problems)
    compiled, known = _tariff(files, server, progress, now_ns, problems)
    tariff = compiled.tariff
    subscribers = _subscribers(folder / SUBSCRIBERS_NAME, known, problems)
    if all(files) and subscribers is not None:
        _unused(compiled, subscribers, problems)
    _strays(folder, problems)
    tests = tuple(test for file in files if file for test in file.tests)
    settings = _settings(server, tariff, subscribers or (), tests, problems) if server else None
    return (None if problems.fatal else settings), problems.sorted()


def json_schema(name: str) -> dict[str, Any]:
    """The JSON schema of a file: `name` is one of "server", "tariff", "subscribers"."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name} | _SCHEMAS[name].json()


def schema_of(file_name: str) -> Record[Any]:
    """The table of keys of a file of a configuration folder."""
    return _SCHEMAS[{SERVER_NAME: "server", SUBSCRIBERS_NAME: "subscribers"}.get(file_name, "tariff")]


def _file(path: Path, schema: Record[T], problems: Problems) -> T | None:
    node = read(path, problems)
    return None if node is None else schema.read(node, Place(str(path), node.line, node.column), problems)


def _tariff_files(folder: Path, problems: Problems) -> list[RawTariff | None]:
    """The tariff files of a folder by name, None for those that cannot be read."""
    paths = [path for path in _listed(folder) if path.suffix == ".yaml"]
    if not paths:
        problems.error(Place(str(folder)), "has no tariff", "at least one file *.yaml")
    return [_file(path, TARIFF_FILE, problems) for path in paths]


def _tariff(
    files: list[RawTariff | None],
    server: RawServer | None,
    progress: Progress | None,
    now_ns: int,
    problems: Problems,
) -> tuple[CompiledTariff, Known]:
    readable = [file for file in files if file is not None and file.timed]
    services = None
    if server is not None and "services" in server.given:
        services = {name: entry.value.kind if entry.value else None for name, entry in server.services.items()}
    complete = bool(readable) and len(readable) == len(files)
    numbering = server.numbering if server else Numbering()
    home_networks = frozenset(network for network, _ in server.home_networks) if server else frozenset()
    setting = Setting(services, numbering, complete, now_ns, progress, home_networks)
    return compile_tariff(readable, setting, problems), known_names(readable, services, complete=complete)


def _unused(compiled: CompiledTariff, subscribers: tuple[Subscriber, ...], problems: Problems) -> None:
    """Timings and destinations that no plan and no account speaks of."""
    counters = [counter for subscriber in subscribers for counter in subscriber.counters]
    balances = [balance for subscriber in subscribers for balance in subscriber.balances]
    filters = [each.destinations for each in counters] + [each.destinations for each in balances]
    timings = {name.removeprefix("!") for balance in balances for name in balance.timings}
    destinations = {name.removeprefix("!") for names in filters for name in names}
    for version in compiled.versions:
        free = {name for name, entry in version.destinations.items() if entry.value and entry.value.free}
        check_used(version.timings, compiled.timings_used | timings, "timing", problems)
        check_used(version.destinations, compiled.destinations_used | destinations | free, "destination", problems)


def _subscribers(path: Path, known: Known, problems: Problems) -> tuple[Subscriber, ...] | None:
    """The subscribers, none where there is no file; None where it cannot be read."""
    if not path.exists():
        return ()
    raw = _file(path, SUBSCRIBERS_FILE, problems)
    return compile_subscribers(raw, known, problems) if raw else None


def _settings(
    raw: RawServer,
    tariff: Tariff | None,
    subscribers: tuple[Subscriber, ...],
    tests: tuple[Located[Node], ...],
    problems: Problems,
) -> Settings | None:
    server = compile_server(raw, tariff.currency if tariff else None, problems)
    if problems.fatal or tariff is None or raw.identity is None or not raw.store or not raw.http or not raw.http.bind:
        return None
    order = tuple(kind for kind, _ in raw.subscription_order) if raw.subscription_order else None
    return built(
        Settings,
        raw,
        realms=tuple(realm for realm, _ in raw.realms),
        cluster=tuple(host for host, _ in raw.cluster),
        listeners=server.listeners,
        peers=server.peers,
        tls=server.tls,
        services=server.services,
        store_url=raw.store.url,
        store_keep_months=raw.store.keep_months,
        http_host=raw.http.bind[0],
        http_port=raw.http.bind[1],
        tariff=tariff,
        subscribers=subscribers,
        tests=tests,
        **({"subscription_order": order} if order else {}),
        **({"store_partitions_ahead_months": ahead} if (ahead := raw.store.partitions_ahead_months) else {}),
    )


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _strays(folder: Path, problems: Problems) -> None:
    """Files that look as if they should be read, but are not."""
    names = (SERVER_NAME, SUBSCRIBERS_NAME)
    for path in _listed(folder):
        if path.suffix in (".yaml", ".yml") and path.name not in names:
            problems.warn(Place(str(path)), "is not read", hint=did_you_mean(path.name, names))
    for path in _listed(folder / TARIFFS_NAME):
        if path.suffix == ".yml":
            problems.warn(Place(str(path)), "is not read", hint=f"name it {path.with_suffix('.yaml').name}")
