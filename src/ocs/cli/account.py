"""`ocs account`: show, list, create, top up, adjust, and the history of accounts."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer

from ocs.cli.options import By, Config, Json, Limit, Url
from ocs.cli.output import amount_text, print_json, print_table
from ocs.cli.reach import Api, path_of, reach
from ocs.limits import PAGE_ROWS_MAX

NEWEST: Final = 2**63 - 1
"""Before this version are all."""

app = typer.Typer(no_args_is_help=True, help="Show and change accounts.")

AccountId = Annotated[str, typer.Argument(help="Id of the account.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.")]
Key = Annotated[str, typer.Option("--key", help="The same key never changes twice; made where it is not given.")]


def _print_account(account: dict[str, Any]) -> None:
    print(f"account {account['id']}: {account['status']}, {account['currency']}")
    rows = [
        (
            balance["id"],
            balance["kind"],
            *(amount_text(balance[name], balance["unit"]) for name in ("value", "held", "available")),
            balance["weight"],
            balance["expires_at"] or "never",
        )
        for balance in account["balances"]
    ]
    columns = ("balance", "kind", ">value", ">held", ">available", ">weight", "expires")
    print_table(columns, rows, "no balances")


@app.command()
def show(account: AccountId, json: Json = False, url: Url = None, config: Config = None) -> None:
    """Show one account with its balances."""
    with reach(url, config) as api:
        shown = api.get(path_of("accounts", account))
    print_json(shown) if json else _print_account(shown)


@app.command("list")
def list_accounts(limit: Limit = 100, json: Json = False, url: Url = None, config: Config = None) -> None:
    """List accounts in the order of their ids."""
    with reach(url, config) as api:
        accounts = api.pages("/v1/accounts", limit)
    if json:
        print_json(accounts)
        return
    rows = [
        (
            account["id"],
            account["status"],
            ", ".join(amount_text(balance["available"], balance["unit"]) for balance in account["balances"]),
        )
        for account in accounts
    ]
    print_table(("account", "status", "available"), rows, "no accounts")


@app.command()
def create(
    account: AccountId,
    plan: Annotated[str, typer.Option(help="Tariff plan that prices its usage.")],
    reason: Reason,
    by: By,
    msisdn: Annotated[list[str] | None, typer.Option(help="A number of it, may be repeated.")] = None,
    imsi: Annotated[list[str] | None, typer.Option(help="An IMSI of it, may be repeated.")] = None,
    identity: Annotated[list[str] | None, typer.Option(help='Any identity, such as "sip:user@host".')] = None,
    balance: Annotated[
        list[str] | None, typer.Option(help='A balance as "ID KIND AMOUNT", such as "main monetary 10.00 AUD".')
    ] = None,
    key: Key = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Open an account."""
    balances = []
    for text in balance or ():
        parts = text.split(maxsplit=2)
        if len(parts) < 3:
            raise typer.BadParameter(f'"{text}" is not "ID KIND AMOUNT"', param_hint="--balance")
        balances.append({"id": parts[0], "kind": parts[1], "value": parts[2]})
    numbers = [f"msisdn:{number}" for number in msisdn or ()] + [f"imsi:{number}" for number in imsi or ()]
    body = {
        "id": account,
        "identities": [*numbers, *(identity or ())],
        "plan": plan,
        "balances": balances,
        "by": by,
        "reason": reason,
    }
    with reach(url, config) as api:
        created = api.change("/v1/accounts", body, key)
    print_json(created) if json else _print_account(created)


@app.command()
def topup(
    account: AccountId,
    balance: Annotated[str, typer.Argument(help="Id of the balance; made where the account has none of that id.")],
    amount: Annotated[str, typer.Argument(help='With its unit: "5.00 AUD", "10 min", "1 GiB".')],
    reason: Reason,
    by: By,
    kind: Annotated[str | None, typer.Option(help="Kind of a balance that is new.")] = None,
    key: Key = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Add to a balance of an account."""
    body = {"balance": balance, "amount": amount, "by": by, "reason": reason, **({"kind": kind} if kind else {})}
    with reach(url, config) as api:
        changed = api.change(path_of("accounts", account, "topup"), body, key)
    print_json(changed) if json else _print_account(changed)


@app.command()
def adjust(
    account: AccountId,
    change: Annotated[str, typer.Argument(help="set, reset, remove, remove_expired, enable or disable.")],
    reason: Reason,
    by: By,
    balance: Annotated[str, typer.Option(help="The balance to set, reset or remove.")] = "",
    value: Annotated[str, typer.Option(help='What to set it to, with its unit: "5.00 AUD", "10 min".')] = "",
    key: Key = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Set, reset or remove a balance, remove expired ones, enable or disable an account."""
    body = {"change": change, "balance": balance, "value": value, "by": by, "reason": reason}
    with reach(url, config) as api:
        changed = api.change(path_of("accounts", account, "adjust"), body, key)
    print_json(changed) if json else _print_account(changed)


@app.command()
def recall(
    account: AccountId,
    reason: Reason,
    by: By,
    key: Key = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Have the quotas of all its open sessions back: their clients are told to report and ask again (RAR)."""
    with reach(url, config) as api:
        done = api.change(path_of("accounts", account, "recall"), {"by": by, "reason": reason}, key)
    print_json(done) if json else print(f"{account}: the clients of its open sessions are told to ask again (RAR)")


@app.command()
def history(
    account: AccountId,
    limit: Limit = 100,
    before: Annotated[int | None, typer.Option("--before", min=1, help="Only what came before this version.")] = None,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Show what changed on an account, when, by whom or by which request; the newest last."""
    with reach(url, config) as api:
        entries = _last_entries(api, account, limit, before or NEWEST)
    if json:
        print_json(entries)
        return
    rows = [
        (
            entry["version"],
            entry["at"],
            entry["kind"],
            entry["by"],
            entry["reason"],
            entry["request"],
            "; ".join([*map(_posting_text, entry["postings"]), *(f"{name} removed" for name in entry["removed"])]),
            f"{entry['cost']} {entry['currency']}" if float(entry["cost"]) else "",
            entry["usage"],
            entry["session_id"],
        )
        for entry in entries
    ]
    columns = (">version", "at", "kind", "by", "reason", "request", "changes", ">cost", "usage", "session")
    print_table(columns, rows, "no entries")
    if entries and entries[0]["version"] > 1:
        print(f"older ones: --before {entries[0]['version']}", file=sys.stderr)


def _last_entries(api: Api, account: str, limit: int, before: int) -> list[Any]:
    """The last entries before a version, in the order of versions."""
    entries: list[Any] = []
    following: object = before
    while following is not None and len(entries) < limit:
        size = min(PAGE_ROWS_MAX, limit - len(entries))
        page = api.get(path_of("accounts", account, "history"), before=following, limit=size)
        entries[:0] = page["items"]
        following = page["next"]
    return entries


def _posting_text(posting: dict[str, Any]) -> str:
    unit = posting["unit"] or "base units"
    parts = []
    for name, what in (("value", ""), ("held", "held ")):
        change, after = posting[name], posting[f"{name}_after"]
        if float(change):
            now = "" if after is None else f" (now {amount_text(after, unit)})"
            parts.append(f"{what}{'+' if float(change) > 0 else ''}{amount_text(change, unit)}{now}")
    return f"{posting['balance']} {', '.join(parts) or 'unchanged'}"
