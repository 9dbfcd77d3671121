"""`ocs ledger`: proves that no money was made or lost."""

from __future__ import annotations

from typing import Annotated

import typer

from ocs.cli.options import Config, Json, Url
from ocs.cli.output import FINE, PROBLEM, print_json
from ocs.cli.reach import path_of, reach

ACCOUNTS_MAX = 10**9

app = typer.Typer(no_args_is_help=True, help="Check the ledger.")


@app.callback()
def ledger() -> None:
    """Check the ledger."""


@app.command()
def verify(
    account: Annotated[str | None, typer.Argument(help="Id of one account; all of them where not given.")] = None,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Fold the journal of each account and compare it with the account; ends with 1 where they differ."""
    with reach(url, config) as api:
        ids = [account] if account else [each["id"] for each in api.pages("/v1/accounts", ACCOUNTS_MAX)]
        ledgers = [api.get(path_of("accounts", each, "ledger")) for each in ids]
    found = [difference for each in ledgers for difference in each["differences"]]
    if json:
        print_json(
            {"accounts": len(ledgers), "entries": sum(each["entries"] for each in ledgers), "differences": found}
        )
    else:
        for difference in found:
            print(difference)
        entries = sum(each["entries"] for each in ledgers)
        print(f"{len(ledgers)} accounts, {entries} journal entries, {len(found)} differences")
    raise typer.Exit(PROBLEM if found else FINE)
