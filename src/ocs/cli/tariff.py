"""`ocs tariff`: work on tariffs. Reads and writes files only."""

from __future__ import annotations

import typer

from ocs.cli import tariff_diff, tariff_fmt, tariff_import

app = typer.Typer(no_args_is_help=True, help="Work on tariffs.")


@app.callback()
def tariff() -> None:
    """Work on tariffs."""


app.command("fmt")(tariff_fmt.fmt)
app.command("diff")(tariff_diff.diff)
app.command("import")(tariff_import.import_tariff)
