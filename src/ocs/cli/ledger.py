"""`ocs ledger`: proves that no money was made or lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ocs.cli.options import Config, Json, Url
from ocs.cli.output import FINE, PROBLEM, print_json, printable
from ocs.cli.reach import Api, path_of, reach
from ocs.limits import LEDGER_ACCOUNTS_MAX

TIMEOUT_S = 300
"""How long one page may take: the journal of an account may be long."""
SHOWN_MAX = 10_000
PROGRESS_ACCOUNTS = 10_000

app = typer.Typer(no_args_is_help=True, help="Check the ledger.")


@app.callback()
def ledger() -> None:
    """Check the ledger."""


@app.command()
def verify(
    one: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="The same as --account.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Id of one account; not given: all.")] = None,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Prove each account: its journal, what its sessions hold, and its CDRs. Ends with 1 where something differs."""
    accounts = entries = differing = found = 0
    shown: list[Any] = []
    with reach(url, config, timeout_s=TIMEOUT_S) as api:
        for page in _pages(api, account or one):
            accounts += page["accounts"]
            entries += page["entries"]
            found += len(page["imbalances"])
            differing += len({each["account_id"] for each in page["imbalances"]})
            new = page["imbalances"][: SHOWN_MAX - len(shown)]
            shown += new
            if not json:
                for each in new:
                    print(printable(each["text"]))
            if accounts % PROGRESS_ACCOUNTS < page["accounts"] < accounts:
                print(f"{accounts} accounts, {differing} differ", file=sys.stderr)
    if json:
        print_json({"accounts": accounts, "entries": entries, "differing_accounts": differing, "imbalances": shown})
    else:
        if found > len(shown):
            print(f"and {found - len(shown)} more")
        print(f"{accounts} accounts, {entries} journal entries, {found} differences")
    raise typer.Exit(PROBLEM if found else FINE)


def _pages(api: Api, account: str | None) -> Iterator[Any]:
    if account is not None:
        yield {"accounts": 1, **api.get(path_of("accounts", account, "ledger"))}
        return
    after = ""
    while after is not None:
        page = api.get("/v1/ledger", after=after, limit=LEDGER_ACCOUNTS_MAX)
        yield page
        after = page["next"]
