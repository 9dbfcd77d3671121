"""`ocs db`: the database of the accounts: its tables, its months, and whether all is well with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ocs.cli.options import ConfigFolder, Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json
from ocs.cli.reach import settings_of

if TYPE_CHECKING:
    from ocs.config.settings import Settings
    from ocs.store.postgres_partitions import Care, PartitionReport

_T = TypeVar("_T")

app = typer.Typer(no_args_is_help=True, help="Make, check and tend the database of the accounts.")


class Engine(Enum):
    """What spreads the tables of PostgreSQL."""

    POSTGRES = "postgres"
    CITUS = "citus"


@app.callback()
def db() -> None:
    """Make, check and tend the database of the accounts (`store.url` of the configuration)."""


@app.command()
def upgrade(
    config: ConfigFolder = Path("config"),
    engine: Annotated[
        Engine | None, typer.Option(help="citus spreads the tables over its nodes; as it is, where not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Make the tables, or bring them up to this version, with the partitions that are wanted.

    All of it or nothing: a failed upgrade leaves the database as it was. It may be run again at any time.
    """
    from ocs.store import administration

    settings = settings_of(config)
    upgraded, report = _asked(
        settings,
        lambda: administration.upgrade(settings.store_url, engine.value if engine else None, _care(settings), _tell),
    )
    if json:
        done = {"before": upgraded.before, "after": upgraded.after, "engine": upgraded.engine}
        print_json({**done, "partitions": _view(report)})
    else:
        before = "made" if upgraded.before is None else f"from {upgraded.before}"
        what = "nothing to do" if upgraded.before == upgraded.after else before
        print(f"schema {upgraded.after} ({upgraded.engine}): {what}")
        _print_report(report)
    raise typer.Exit(PROBLEM if report.left else FINE)


@app.command()
def check(config: ConfigFolder = Path("config"), json: Json = False) -> None:
    """Say what is wrong with the database, and what to do; changes nothing. Ends with 1 where something is."""
    from ocs.store import administration

    settings = settings_of(config)
    problems = _asked(settings, lambda: administration.check(settings.store_url, _care(settings)))
    if json:
        print_json({"problems": [{"name": problem.name, "text": problem.text} for problem in problems]})
    else:
        for problem in problems:
            print(f"{problem.name}: {problem.text}")
        print(f"problems: {len(problems)}" if problems else "fine: no problems")
    raise typer.Exit(PROBLEM if problems else FINE)


@app.command()
def partitions(config: ConfigFolder = Path("config"), json: Json = False) -> None:
    """Make the partitions of the months to come, and drop those older than `store.keep_months` (none without it).

    Rows that fell beside their months are moved. A running server does all of this by itself every hour, but for what
    would make requests wait. Ends with 1 where something was left, and says what and why.
    """
    from ocs.store import administration

    settings = settings_of(config)
    report = _asked(settings, lambda: administration.partitions(settings.store_url, _care(settings), _tell))
    if json:
        print_json(None if report is None else _view(report))
    elif report is None:
        print("SQLite has no partitions: nothing to do")
    else:
        _print_report(report)
        print("nothing to do" if _done_nothing(report) else "done")
    raise typer.Exit(PROBLEM if report is not None and report.left else FINE)


@app.command("raise-origin-state")
def raise_origin_state(config: ConfigFolder = Path("config"), json: Json = False) -> None:
    """After a restore of a backup: raise the Origin-State-Id, so that clients learn that sessions were lost.

    Run it while no server runs; each tells its clients at its next start.
    """
    from ocs.store import administration

    settings = settings_of(config)
    before, now = _asked(settings, lambda: administration.raise_origin_state(settings.store_url))
    if json:
        print_json({"before": before, "after": now})
    else:
        print(f"Origin-State-Id {now}, it was {before}: restart all servers")


def _asked(settings: Settings, work: Callable[[], _T]) -> _T:
    """What the work returns; ends the program where the store cannot be used."""
    from ocs.store.interface import StoreDown, StoreInUse, WrongStore
    from ocs.store.url import shown

    try:
        return work()
    except (StoreDown, StoreInUse, WrongStore) as error:
        fail(f"the store {shown(settings.store_url)}: {error}", USAGE)


def _care(settings: Settings) -> Care:
    from ocs.store.postgres_partitions import Care

    return Care(settings.store_partitions_ahead_months, settings.store_keep_months)


def _tell(line: str) -> None:
    """How far it is: on stderr, beside what is printed for scripts."""
    print(line, file=sys.stderr, flush=True)


def _view(report: PartitionReport) -> dict[str, Any]:
    import msgspec

    view: dict[str, Any] = msgspec.to_builtins(report)
    return view


def _done_nothing(report: PartitionReport) -> bool:
    return not (report.made or report.moved_rows or report.dropped or report.left)


def _print_report(report: PartitionReport) -> None:
    if report.made:
        print(f"made: {', '.join(report.made)}")
    if report.moved_rows:
        print(f"moved: {report.moved_rows} rows into the partitions of their months")
    if report.dropped:
        added = f"{report.carried_entries} journal entries and {report.carried_cdrs} CDRs added up"
        print(f"dropped: {', '.join(map(str, report.dropped))} ({added})")
    for left in report.left:
        print(f"left: {left}")
