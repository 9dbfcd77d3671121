"""`ocs account`: show, list, create, top up, adjust, and the history of accounts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ocs.cli.options import By, Config, Json, Limit, Url
from ocs.cli.output import amount_text, print_json, print_table
from ocs.cli.reach import path_of, reach

app = typer.Typer(no_args_is_help=True, help="Show and change accounts.")

AccountId = Annotated[str, typer.Argument(help="Id of the account.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.")]


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
    by: By,
    msisdn: Annotated[list[str] | None, typer.Option(help="A number of it, may be repeated.")] = None,
    imsi: Annotated[list[str] | None, typer.Option(help="An IMSI of it, may be repeated.")] = None,
    identity: Annotated[list[str] | None, typer.Option(help='Any identity, such as "sip:user@host".')] = None,
    balance: Annotated[
        list[str] | None, typer.Option(help='A balance as "ID KIND AMOUNT", such as "main monetary 10.00 AUD".')
    ] = None,
    reason: Reason = "",
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
        created = api.post("/v1/accounts", body)
    print_json(created) if json else _print_account(created)


@app.command()
def topup(
    account: AccountId,
    balance: Annotated[str, typer.Argument(help="Id of the balance; made where the account has none of that id.")],
    amount: Annotated[str, typer.Argument(help='With its unit: "5.00 AUD", "10 min", "1 GiB".')],
    reason: Reason,
    by: By,
    kind: Annotated[str | None, typer.Option(help="Kind of a balance that is new.")] = None,
    key: Annotated[str, typer.Option(help="The same key never tops up twice.")] = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Add to a balance of an account."""
    from uuid import uuid4

    body = {"balance": balance, "amount": amount, "by": by, "reason": reason, **({"kind": kind} if kind else {})}
    with reach(url, config) as api:
        changed = api.post(path_of("accounts", account, "topup"), body, Idempotency_Key=key or str(uuid4()))
    print_json(changed) if json else _print_account(changed)


@app.command()
def adjust(
    account: AccountId,
    change: Annotated[str, typer.Argument(help="set, reset, remove, remove_expired, enable or disable.")],
    reason: Reason,
    by: By,
    balance: Annotated[str, typer.Option(help="The balance to set, reset or remove.")] = "",
    value: Annotated[str, typer.Option(help='What to set it to, with its unit: "5.00 AUD", "10 min".')] = "",
    key: Annotated[str, typer.Option(help="The same key never adjusts twice.")] = "",
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Set, reset or remove a balance, remove expired ones, enable or disable an account."""
    from uuid import uuid4

    body = {"change": change, "balance": balance, "value": value, "by": by, "reason": reason}
    with reach(url, config) as api:
        changed = api.post(path_of("accounts", account, "adjust"), body, Idempotency_Key=key or str(uuid4()))
    print_json(changed) if json else _print_account(changed)


@app.command()
def history(account: AccountId, limit: Limit = 100, json: Json = False, url: Url = None, config: Config = None) -> None:
    """Show the journal of an account: what changed, when, and by which request."""
    with reach(url, config) as api:
        entries = api.pages(path_of("accounts", account, "history"), limit)
    if json:
        print_json(entries)
        return
    rows = [
        (
            entry["version"],
            entry["at"],
            entry["kind"],
            entry["request"],
            "; ".join(_posting_text(posting) for posting in entry["postings"]),
            f"{entry['cost']} {entry['currency']}",
            entry["usage"],
            entry["session_id"] or " ".join(filter(None, (entry["by"], entry["reason"]))),
        )
        for entry in entries
    ]
    columns = (">version", "at", "kind", "request", "changes", ">cost", "usage", "session, or by and reason")
    print_table(columns, rows, "no entries")


def _posting_text(posting: dict[str, Any]) -> str:
    unit = posting["unit"] or "base units"
    parts = [f"{amount_text(posting['value'], unit)}"] if float(posting["value"]) else []
    parts += [f"held {amount_text(posting['held'], unit)}"] if float(posting["held"]) else []
    return f"{posting['balance']} {', '.join(parts) or 'unchanged'}"
