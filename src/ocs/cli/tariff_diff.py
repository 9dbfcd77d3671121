"""`ocs tariff diff`: which prices differ between two configurations, and what CDRs would have cost under each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocs.cli.options import Config, Json, Url
from ocs.cli.output import FINE, USAGE, fail, print_json, print_table
from ocs.cli.progress import reading

if TYPE_CHECKING:
    from ocs.cli.tariff_replay import Replay
    from ocs.config.settings import Settings
    from ocs.config.tariff_diff import Change

PREFIXES_SHOWN = 4


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="Configuration folder.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    at: Annotated[
        str | None,
        typer.Option(help="Compare what holds at that time, such as 2027-01-01T00:00:00Z; else all versions."),
    ] = None,
    cdrs: Annotated[
        int, typer.Option("--cdrs", min=0, help="What the last so many CDRs would have cost under A and under B.")
    ] = 0,
    url: Url = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show which prices differ between two configurations.

    With --cdrs, usage is rated as a whole at the prices of A and of B, whatever balances paid for it, by the last
    version of each, or by that of --at; the CDRs are those of a server (--url) or of a store (--config).
    """
    from ocs.config.tariff_diff import compare

    at_ns = None if at is None else _time(at)
    old, new = _loaded(before), _loaded(after)
    changes = compare(old.tariff, new.tariff, at_ns)
    replay = None
    if cdrs:
        from ocs.cli.reach import reach
        from ocs.cli.tariff_replay import replayed

        with reach(url, config) as api:
            replay = replayed(api, cdrs, old, new, at_ns)
    if json:
        print_json(_json(changes, replay, old, new))
    else:
        _print_changes(changes)
        if replay is not None:
            _print_replay(replay, old, new)
    raise typer.Exit(FINE)


def _time(text: str) -> int:
    from ocs.units import MalformedError, parse_rfc3339

    try:
        return parse_rfc3339(text)
    except MalformedError as problem:
        fail(str(problem), USAGE)


def _loaded(folder: Path) -> Settings:
    from ocs.config.load import load

    with reading() as progress:
        settings, diagnostics = load(folder, progress)
    if settings is None:
        errors = [str(each) for each in diagnostics if each.severity.value == "error"]
        fail("\n".join([f"{folder} has errors:", *errors]), USAGE)
    return settings


# --- what is printed -------------------------------------------------------------------------------------------------


def _print_changes(changes: list[Change]) -> None:
    from ocs.units import format_rfc3339

    rows = [
        (
            format_rfc3339(change.from_ns) if change.from_ns else "",
            change.what,
            " ".join(filter(None, (change.plan, change.service, change.rating_group))),
            _destination(change),
            " ".join(filter(None, (change.when, f"weight {change.weight}" if change.weight else ""))),
            change.before or "-",
            change.after or "-",
        )
        for change in changes
    ]
    columns = ["from", "what", "where", "destination", "when", "A", "B"]
    shown = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    print_table(
        [columns[index] for index in shown], [[row[index] for index in shown] for row in rows], "no differences"
    )


def _destination(change: Change) -> str:
    more = len(change.prefixes) - PREFIXES_SHOWN
    prefixes = " ".join(change.prefixes[:PREFIXES_SHOWN]) + (f" +{more}" if more > 0 else "")
    if change.prefixes in ((), (change.destination,)):
        return change.destination
    return f"{change.destination} ({prefixes})" if change.destination else prefixes


def _print_replay(replay: Replay, old: Settings, new: Settings) -> None:
    from ocs.units import format_money

    print()
    rows = []
    for name, sums in [*sorted(replay.services.items()), ("all", replay.total)]:
        change = new.tariff.currency if old.tariff.currency == new.tariff.currency else ""
        rows.append(
            (
                name,
                sums.cdrs,
                format_money(sums.before_nanos, old.tariff.currency),
                format_money(sums.after_nanos, new.tariff.currency),
                format_money(sums.after_nanos - sums.before_nanos, change) if change else "",
                sums.refused_before or "",
                sums.refused_after or "",
            )
        )
    units = [f"A {old.tariff.currency}", f"B {new.tariff.currency}"]
    print_table(["service", ">CDRs", *(f">{unit}" for unit in units), ">change", ">no rate A", ">no rate B"], rows, "")
    if replay.left_out:
        print(f"{replay.left_out} CDRs are of services that A or B does not have")


def _json(changes: list[Change], replay: Replay | None, old: Settings, new: Settings) -> dict[str, Any]:
    from ocs.units import format_money, format_rfc3339

    made: dict[str, Any] = {
        "before": {"version": old.tariff.version, "currency": old.tariff.currency},
        "after": {"version": new.tariff.version, "currency": new.tariff.currency},
        "changes": [
            {
                "from": format_rfc3339(change.from_ns) if change.from_ns else None,
                "what": change.what,
                "plan": change.plan,
                "service": change.service,
                "rating_group": change.rating_group,
                "destination": change.destination,
                "when": change.when,
                "weight": change.weight,
                "prefixes": list(change.prefixes),
                "before": change.before or None,
                "after": change.after or None,
            }
            for change in changes
        ],
    }
    if replay is None:
        return made

    def money(nanos: int | None, settings: Settings) -> str | None:
        return None if nanos is None else format_money(nanos, settings.tariff.currency)

    made["cdrs"] = {
        "services": {
            name: {
                "cdrs": sums.cdrs,
                "before": money(sums.before_nanos, old),
                "after": money(sums.after_nanos, new),
                "no_rate_before": sums.refused_before,
                "no_rate_after": sums.refused_after,
            }
            for name, sums in [*sorted(replay.services.items()), ("*all", replay.total)]
        },
        "changed": [
            {"id": each.id, "before": money(each.before_nanos, old), "after": money(each.after_nanos, new)}
            for each in replay.changed
        ],
        "left_out": replay.left_out,
    }
    return made
