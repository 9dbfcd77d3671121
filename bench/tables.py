"""The tables of docs/performance.md: many runs of `ocs bench`, one row each, written between markers.

    python -m bench.tables [--quick] [--only NAME]... [--seconds N] [--dir FOLDER] [--raw FOLDER] [--write FILE]

--quick: short runs with few accounts, shown and not written: it proves that each kind of run works. --only: some of the
tables. --raw: keep what each run said, in JSON. --write: the file to write into, docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ocs.bench.load import CannotRun
from ocs.bench.run import Bench, Options

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One run. name: its first cell. quick: what is different in a quick run."""

    name: str
    options: Options
    quick: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A column: its head, and its cell from the figures of a run."""

    head: str
    cell: Callable[[Figures], str]


@dataclass(frozen=True)
class Table:
    """One table. says: what is measured."""

    name: str
    says: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]


def _number(*path: str, digits: int = 0) -> Callable[[Figures], str]:
    def cell(figures: Figures) -> str:
        value: Any = figures
        for key in path:
            value = value[key]
        return "" if value is None else f"{value:,.{digits}f}"

    return cell


def _mib(*path: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[path[0]] / 1_048_576:,.0f}"


SPEED = (
    Column("requests/s", _number("requests_per_s")),
    Column("CPU us", _number("cpu_us_per_request")),
    Column("PostgreSQL CPU us", _number("maximum", "postgres_cpu_us_per_request")),
    Column("batch", _number("batch_size", digits=1)),
    Column("rate", _number("rate_per_s")),
    Column("p50 ms", _number("p50_ms", digits=2)),
    Column("p99 ms", _number("p99_ms", digits=2)),
    Column("p99.9 ms", _number("p99_9_ms", digits=2)),
    Column("echo p99 ms", _number("echo_p99_ms", digits=2)),
    Column("bare commit p50 ms", _number("bare_commit_p50_ms", digits=2)),
    Column("p99 ratio", _number("p99_ratio", digits=1)),
)
MEMORY = (
    Column("MiB at start", _mib("rss_start_octets")),
    Column("MiB at end", _mib("rss_end_octets")),
    Column("octets per session", _number("rss_growth_octets_per_session")),
)
_FEW = {"accounts": 200, "sessions": 100}


def _store_rows() -> Iterator[Row]:
    for store in ("memory", "sqlite", "postgres"):
        for groups in (1, 5):
            yield Row(
                f"{store}, {groups} rating group{'s' if groups > 1 else ''}", Options(store=store, groups=(groups,))
            )


def _account_rows() -> Iterator[Row]:
    for store in ("sqlite", "postgres"):
        for place, accounts in enumerate((10_000, 100_000, 1_000_000)):
            for cold in (False, True):
                options = Options(store=store, accounts=accounts, sessions=10_000, cold=cold, updates=4 if cold else 20)
                quick = {"accounts": 200 * 4**place, "sessions": 100}
                yield Row(f"{store}, {accounts:,}, {'cold' if cold else 'warm'}", options, quick)


TABLES = (
    Table(
        "stores",
        "Stores: 10,000 accounts, 2,000 sessions of 20 UPDATEs; each report takes units off one balance and money off "
        "another.",
        tuple(_store_rows()),
        SPEED,
    ),
    Table(
        "accounts",
        "Accounts: 10,000 sessions. Warm: sessions of 20 UPDATEs, again and again on the same 10,000 accounts. Cold: "
        "sessions of 4 UPDATEs, each on the next account, so that one request in six needs an account that has not "
        "been in use (until all of them have been).",
        tuple(_account_rows()),
        (*SPEED, *MEMORY),
    ),
    Table(
        "nodes",
        "Nodes on one PostgreSQL, all of them, the clients and PostgreSQL on the same cores. CPU is that of all nodes.",
        tuple(
            Row(f"{nodes} node{'s' if nodes > 1 else ''}", Options(store="postgres", nodes=nodes)) for nodes in (1, 2)
        ),
        SPEED,
    ),
    Table(
        "hot",
        "One account that 1,000 subscribers share, 200 sessions at once.",
        tuple(
            Row(
                f"{nodes} node{'s' if nodes > 1 else ''}",
                Options(store="postgres", nodes=nodes, accounts=1, per_account=1_000, sessions=200),
                {"accounts": 1, "per_account": 100, "sessions": 100},
            )
            for nodes in (1, 2)
        ),
        SPEED,
    ),
    Table(
        "loops",
        "Event loops of the server, as in the table of stores.",
        tuple(
            Row(f"{store}, {loop}", Options(store=store, loop=loop))
            for store in ("memory", "postgres")
            for loop in ("uvloop", "asyncio")
        ),
        SPEED,
    ),
)


def machine_line(figures: Sequence[Figures]) -> str:
    """What a table has to say of where it was measured."""
    machine = figures[0]["machine"]
    stores = {each["store"]["kind"]: each["store"] for each in figures}
    facts = []
    for kind, store in stores.items():
        said = [f"{name} {value}" for name, value in store.items() if name not in {"kind", "durable"}]
        facts.append(f"{kind} ({', '.join(said) or 'nothing is durable'})")
    options = figures[0]["options"]
    client = {"c": "client in C", "python": "client in Python"}[figures[0]["client"]]
    return (
        f"{machine['processor']}, {machine['cores']} cores shared with the {client}, Python {machine['python']}, "
        f"Linux {machine['kernel']}; {'; '.join(facts)}; {options['connections']} connections, {options['window']} "
        f"requests in flight on each at the maximum; {options['seconds']:g} s."
    )


def render(table: Table, figures: Sequence[Figures]) -> str:
    """The table in Markdown, with what was measured and where."""
    heads = ["", *(column.head for column in table.columns)]
    lines = [table.says, machine_line(figures), "", _line(heads), _line(["---"] * len(heads))]
    for row, found in zip(table.rows, figures, strict=True):
        lines.append(_line([row.name, *(column.cell(found) for column in table.columns)]))
        lines += [_line([f"PROBLEM: {problem}"]) for problem in found["problems"]]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def put(page: str, name: str, content: str) -> str:
    """The page with `content` between the markers of that name; ValueError where it has none."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page has no place for {name}: {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", page)


def measure(table: Table, arguments: argparse.Namespace) -> list[Figures]:
    """Run each row; CannotRun where one cannot be."""
    found = []
    for row in table.rows:
        changes: dict[str, Any] = {"seconds": arguments.seconds, "folder": arguments.dir}
        if arguments.quick:
            changes |= {**_FEW, **row.quick}
        options = msgspec.structs.replace(row.options, **changes)
        print(f"{table.name}: {row.name}", file=sys.stderr)
        figures = Bench(options, lambda said: print(f"  {said}", file=sys.stderr)).run()
        found.append(figures)
        if arguments.raw is not None:
            name = re.sub(r"[^a-z0-9]+", "-", f"{table.name} {row.name}".lower())
            (arguments.raw / f"{name}.json").write_text(json.dumps(figures, indent=1))
    return found


def main() -> int:
    """The exit status: 1 where a run had problems, 2 where one could not be run."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", action="append", choices=[table.name for table in TABLES])
    arguments.add_argument("--seconds", type=float)
    arguments.add_argument("--dir", type=Path)
    arguments.add_argument("--raw", type=Path)
    arguments.add_argument("--write", type=Path, default=PAGE)
    options = arguments.parse_args()
    options.seconds = options.seconds or (1 if options.quick else 20)
    if options.raw is not None:
        options.raw.mkdir(parents=True, exist_ok=True)
    problems = 0
    for table in TABLES:
        if options.only and table.name not in options.only:
            continue
        try:
            figures = measure(table, options)
        except CannotRun as error:
            print(f"{table.name}: {error}", file=sys.stderr)
            return 2
        problems += sum(len(each["problems"]) for each in figures)
        content = render(table, figures)
        print(content, end="\n\n")
        if not options.quick:  # each as soon as it is there
            options.write.write_text(put(options.write.read_text(), table.name, content))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
