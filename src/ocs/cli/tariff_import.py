"""`ocs tariff import`: a folder of CGRateS CSV files as tariff and subscriber files. Reads and writes files only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json, print_table

if TYPE_CHECKING:
    from ocs.config.cgrates_import import Imported
    from ocs.rating.units import Kind


def import_tariff(
    folder: Annotated[Path, typer.Argument(help="Folder of CSV files: Destinations.csv, Rates.csv and so on.")],
    to: Annotated[Path, typer.Option("--to", help="Configuration folder that the files are written to.")],
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217 code of all amounts; the CSV has none.")],
    time_zone: Annotated[str, typer.Option("--time-zone", help="Whose clock the timings follow.")] = "UTC",
    service: Annotated[
        list[str] | None,
        typer.Option("--service", help="What a category counts, such as premium=voice; usual names are known."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    json: Json = False,
) -> None:
    """Import a CGRateS tariff plan folder.

    Ends with 0 where it was written (perhaps with warnings), 1 where something in the folder keeps it from that,
    2 where there is no such folder or a file is in the way.
    """
    from ocs.config.cgrates_import import import_folder

    if not folder.is_dir():
        fail(f"{folder} is not a folder", USAGE)
    kinds = _kinds(service or [])
    _check(currency, time_zone)
    imported = import_folder(folder, kinds, currency, time_zone)
    there = [str(to / path) for path in imported.files if (to / path).exists()]
    if there and not force:
        fail(f"{', '.join(there)} would be written over: use --force, or another folder", USAGE)
    for path, text in imported.files.items():
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).write_text(text, encoding="utf-8")
    (_print_json if json else _print_text)(imported, to)
    raise typer.Exit(FINE if imported.usable else PROBLEM)


def _kinds(given: list[str]) -> dict[str, Kind]:
    from ocs.rating.units import Kind

    kinds = {kind.value: kind for kind in Kind if kind is not Kind.MONETARY}
    found: dict[str, Kind] = {}
    for text in given:
        category, _, kind = text.partition("=")
        if not category or kind not in kinds:
            fail(f'--service "{text}": a category and what it counts, one of {", ".join(kinds)}', USAGE)
        found[category] = kinds[kind]
    return found


def _check(currency: str, time_zone: str) -> None:
    from ocs.config.timing_file import TIME_ZONE
    from ocs.config.values import CURRENCY
    from ocs.units import MalformedError

    try:
        CURRENCY.parse(currency)
        TIME_ZONE.parse(time_zone)
    except MalformedError as problem:
        fail(str(problem), USAGE)


def _print_json(imported: Imported, to: Path) -> None:
    import msgspec

    print_json(
        {
            "written": [str(to / path) for path in imported.files],
            "services": {name: kind.value for name, kind in imported.services.items()},
            "read": imported.read,
            "not_imported": imported.left_out,
            "problems": msgspec.to_builtins(imported.diagnostics),
        }
    )


def _print_text(imported: Imported, to: Path) -> None:
    for diagnostic in imported.diagnostics:
        print(diagnostic)
    print_table(["read", ">rows"], imported.read.items(), "nothing was read")
    if imported.left_out:
        print_table(["not imported", ">how many"], imported.left_out.items(), "")
    if not imported.usable:
        print("nothing is written")
        return
    for path in imported.files:
        print(f"written: {to / path}")
    services = ", ".join(f"{name} ({kind.value})" for name, kind in imported.services.items())
    print(f"server.yaml has to have the services {services}; then: ocs check {to}")
