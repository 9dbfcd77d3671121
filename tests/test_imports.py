"""Which room may import which, and what the pure rooms may not touch: the table in docs/architecture.md, held by AST.

The table stands between the markers `<!-- import-matrix -->` and `<!-- /import-matrix -->` and has two columns: a room
(a folder or module of src/ocs, written `diameter/wire`) and the rooms that it may import (`*` or "everything" for all,
"nothing" for none). `limits` is everybody's. A room may always import itself; a module belongs to the longest room
name that fits it.
"""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "ocs"
MAX_LINES = 600

# Modules (patterns of dotted names below `ocs`) that are functions of their arguments and nothing else.
PURE = ("limits", "units*", "diameter.*", "charging*", "rating*", "balances*", "actions*", "cdr*")
# Where the connections are, beside them.
WIRED = ("diameter.node*", "diameter.peer", "diameter.client", "diameter.transports*")
IMPURE_IMPORTS = frozenset(
    "asyncio concurrent glob http importlib logging multiprocessing os pathlib prometheus_client queue random sched "
    "secrets select selectors shutil signal socket socketserver sqlite3 ssl starlette structlog subprocess tempfile "
    "threading time urllib uuid uvicorn uvloop zoneinfo".split()
)
IMPURE_CALLS = frozenset("open print input exec eval __import__".split())
CLOCK_CALLS = frozenset("now utcnow today".split())
# Rooms where money and usage are ints (or exact fractions), never binary floats.
EXACT = ("charging*", "rating*", "balances*", "actions*")
# Rooms that may run on the event loop.
ASYNC = (*WIRED, "daemon*", "store*", "api*", "bench*", "cli.simulation", "cli.replaying")

Matrix = dict[str, frozenset[str]]
ALL = frozenset({"*"})


def fits(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def read_matrix(text: str) -> Matrix:
    """The table of rooms; room names come out dotted."""
    found = re.search(r"<!-- import-matrix -->(.*?)<!-- /import-matrix -->", text, re.DOTALL)
    assert found, "no import matrix between its markers"
    matrix: Matrix = {}
    for line in found[1].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|") or len(cells) < 2 or set(cells[0]) <= set("-: ") or cells[0] == "room":
            continue
        words = re.findall(r"[a-z_0-9/.]+|\*", cells[1].replace("`", ""))
        targets = frozenset(word.strip("./").removesuffix(".py").replace("/", ".") for word in words)
        room = cells[0].replace("`", "").strip("/").removesuffix(".py").replace("/", ".")
        matrix[room] = ALL if targets & {"*", "everything"} else targets - {"nothing"}
    unknown = {target for targets in matrix.values() for target in targets if target not in matrix and target != "*"}
    assert not unknown, f"the matrix names rooms without a row: {sorted(unknown)}"
    return matrix


def room_of(module: str, matrix: Matrix) -> str | None:
    fitting = [room for room in matrix if module == room or module.startswith(room + ".")]
    return max(fitting, key=len, default=None)


def imports(tree: ast.AST, package: str, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported; names inside ocs start with `ocs.` and end with a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield node.lineno, inner if inner.removeprefix("ocs.") in modules else source


class Source:
    """One module of the package: its dotted name below `ocs`, its tree and its lines."""

    def __init__(self, module: str, text: str, *, is_package: bool = False):
        self.module = module
        self.tree = ast.parse(text)
        self.line_count = text.count("\n")
        full = f"ocs.{module}" if module else "ocs"
        self.package = full if is_package else full.rpartition(".")[0]


def forbidden_imports(sources: list[Source], matrix: Matrix) -> list[str]:
    modules = frozenset(source.module for source in sources)
    problems = []
    for source in sources:
        if not source.module:
            continue
        room = room_of(source.module, matrix)
        if room is None:
            problems.append(f"{source.module}: belongs to no room of the matrix")
            continue
        for line, name in imports(source.tree, source.package, modules):
            if not name.startswith("ocs."):
                continue
            target = room_of(name.removeprefix("ocs."), matrix)
            if target not in {room, "limits"} | matrix[room] and "*" not in matrix[room]:
                problems.append(f"{source.module}:{line}: {room} may not import {target} ({name})")
    return problems


def impurities(sources: list[Source]) -> list[str]:
    modules = frozenset(source.module for source in sources)
    problems = []
    for source in sources:
        if not fits(source.module, PURE) or fits(source.module, WIRED):
            continue
        for line, name in imports(source.tree, source.package, modules):
            if name.partition(".")[0] in IMPURE_IMPORTS:
                problems.append(f"{source.module}:{line}: a pure room imports {name}")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                problems.append(f"{source.module}:{node.lineno}: a pure room waits for something")
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
                problems.append(f"{source.module}:{node.lineno}: a pure room calls {called.id}()")
            if isinstance(called, ast.Attribute) and called.attr in CLOCK_CALLS:
                problems.append(f"{source.module}:{node.lineno}: a pure room reads a clock with {called.attr}()")
    return problems


def floats(sources: list[Source]) -> list[str]:
    return [
        f"{source.module}:{node.lineno}: a float where money and usage are exact"
        for source in sources
        if fits(source.module, EXACT)
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]


def stray_asyncio(sources: list[Source]) -> list[str]:
    modules = frozenset(source.module for source in sources)
    return [
        f"{source.module}:{line}: asyncio does not live in this room"
        for source in sources
        if not fits(source.module, ASYNC)
        for line, name in imports(source.tree, source.package, modules)
        if name.partition(".")[0] in {"asyncio", "uvloop"}
    ]


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        found.append(Source(".".join(parts[:-1] if is_package else parts), path.read_text(), is_package=is_package))
    assert found, "no module found"
    return found


def test_rooms_import_what_the_matrix_allows(sources):
    matrix = read_matrix((ROOT / "docs" / "architecture.md").read_text())
    assert forbidden_imports(sources, matrix) == []


def test_pure_rooms_are_functions_of_their_arguments(sources):
    assert impurities(sources) == []


def test_money_and_usage_know_no_float(sources):
    assert floats(sources) == []


def test_asyncio_lives_in_its_rooms_only(sources):
    assert stray_asyncio(sources) == []


def test_modules_stay_small(sources):
    assert [(s.module, s.line_count) for s in sources if s.line_count > MAX_LINES] == []


# The rules themselves, on sources that break them.

TABLE = """
<!-- import-matrix -->
| room | may import |
| --- | --- |
| `rating` | nothing |
| `diameter` | `config` |
| `diameter/wire` | nothing |
| `config` | nothing |
| `limits` | |
| `daemon.py` | everything |
<!-- /import-matrix -->
"""


def test_matrix_is_read_from_its_table():
    assert read_matrix(TABLE) == {
        "rating": frozenset(),
        "diameter": frozenset({"config"}),
        "diameter.wire": frozenset(),
        "config": frozenset(),
        "limits": frozenset(),
        "daemon": ALL,
    }


def test_matrix_with_an_unknown_room_is_refused():
    with pytest.raises(AssertionError, match="mistyped"):
        read_matrix(TABLE.replace("| `config` |\n", "| `mistyped` |\n", 1))


@pytest.mark.parametrize(
    ("module", "text", "problem"),
    [
        ("rating.prices", "from ocs.config import X", "rating.prices:1: rating may not import config (ocs.config)"),
        ("rating.prices", "from ocs import config", "rating.prices:1: rating may not import config (ocs.config)"),
        ("rating.prices", "from .. import config", "rating.prices:1: rating may not import config (ocs.config)"),
        (
            "rating.prices",
            "def f():\n    import ocs.config",
            "rating.prices:2: rating may not import config (ocs.config)",
        ),
        (
            "diameter.wire.codec",
            "import ocs.config",
            "diameter.wire.codec:1: diameter.wire may not import config (ocs.config)",
        ),
        ("attic", "", "attic: belongs to no room of the matrix"),
        ("diameter.node", "from ocs.config import X", None),
        ("rating.prices", "from ocs import limits", None),
        ("daemon", "from ocs.rating import prices", None),
        ("rating.prices", "from .units import X\nimport math", None),
    ],
)
def test_matrix_is_held(module, text, problem):
    sources = [Source(module, text), Source("limits", ""), Source("config", ""), Source("rating.units", "")]
    assert forbidden_imports(sources, read_matrix(TABLE)) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("module", "text", "count"),
    [
        ("rating.prices", "import time", 1),
        ("diameter.wire_fast", "from os import path", 1),
        ("balances.core", "import datetime\nx = datetime.datetime.now()", 1),
        ("charging.engine", "async def f(): ...", 1),
        ("charging.engine", "x = open('y')", 1),
        ("diameter.node", "import time", 0),
        ("rating.prices", "import datetime, math, fractions", 0),
    ],
)
def test_impurities_are_found(module, text, count):
    assert len(impurities([Source(module, text)])) == count


def test_floats_are_found():
    assert len(floats([Source("rating.prices", "x: float = 0.5"), Source("nms.health", "x = 0.5")])) == 2


def test_stray_asyncio_is_found():
    assert (
        len(stray_asyncio([Source("config.load", "import asyncio"), Source("store.committer", "import asyncio")])) == 1
    )
