"""The tree of subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from ocs import __version__
from ocs.cli import (
    account,
    bench,
    check,
    db,
    docs,
    explain,
    ledger,
    records,
    replay,
    schema,
    serve,
    simulate,
    tariff,
    trace,
)

app = typer.Typer(
    name="ocs",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An online and offline charging server for mobile networks.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ocs {__version__}")
        raise typer.Exit


@app.callback()
def ocs(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An online and offline charging server for mobile networks."""


app.command()(serve.serve)
app.command()(bench.bench)
app.command()(check.check)
app.command()(explain.explain)
app.command()(schema.schema)
app.add_typer(simulate.app, name="simulate")
app.add_typer(account.app, name="account")
app.add_typer(ledger.app, name="ledger")
app.add_typer(db.app, name="db")
app.add_typer(tariff.app, name="tariff")
app.add_typer(docs.app, name="docs")
app.command()(records.cdrs)
app.command()(records.sessions)
app.command()(records.peers)
app.command()(records.reload)
app.command()(trace.trace)
app.command()(replay.replay)
