"""`ocs cdrs`, `ocs sessions`, `ocs peers`, `ocs reload`: what a server knows and did."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ocs.cli.options import Config, Json, Limit, Url
from ocs.cli.output import amount_text, print_json, print_table
from ocs.cli.reach import reach

Account = Annotated[str | None, typer.Option("--account", help="Only of this account.")]


def cdrs(
    account: Account = None,
    session: Annotated[str | None, typer.Option("--session", help="Only of this Session-Id.")] = None,
    limit: Limit = 100,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """List charging data records in the order of writing."""
    with reach(url, config) as api:
        rows = api.pages("/v1/cdrs", limit, account=account, session=session)
    if json:
        print_json(rows)
        return
    columns = (">id", "account", "service", ">rating group", "started", "ended", ">usage", ">cost", "cause", "session")
    table = [
        (
            row["id"],
            row["account_id"],
            row["service"],
            row["rating_group"],
            row["started_at"],
            row["ended_at"],
            amount_text(row["usage"], row["unit"]),
            f"{row['cost']} {row['currency']}",
            row["cause"],
            row["session_id"],
        )
        for row in rows
    ]
    print_table(columns, table, "no CDRs")


def sessions(
    account: Account = None, limit: Limit = 100, json: Json = False, url: Url = None, config: Config = None
) -> None:
    """List open charging sessions."""
    with reach(url, config) as api:
        rows = api.pages("/v1/sessions", limit, account=account)
    if json:
        print_json(rows)
        return
    columns = ("session", "account", "service", "called", "opened", "last", "rating groups")
    table = [
        (
            row["id"],
            row["account_id"],
            row["service"],
            row["called"],
            row["opened_at"],
            row["last_at"],
            "; ".join(map(_group_text, row["groups"])),
        )
        for row in rows
    ]
    print_table(columns, table, "no open sessions")


def _group_text(group: dict[str, Any]) -> str:
    name = "default" if group["rating_group"] is None else group["rating_group"]
    used, granted = (amount_text(group[key], group["unit"]) for key in ("used", "granted"))
    return f"{name}: {used} used, {granted} granted"


class PeerAction(StrEnum):
    """What can be done to a peer."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"


def peers(
    action: Annotated[
        PeerAction | None, typer.Argument(help="connect: to a peer of the configuration, now; disconnect: say goodbye.")
    ] = None,
    host: Annotated[str | None, typer.Argument(help="Origin-Host of the peer.")] = None,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """List Diameter peers, or connect to one, or disconnect it."""
    if action is not None and host is None:
        raise typer.BadParameter("which peer? Give its Origin-Host")
    with reach(url, config) as api:
        if action is not None:
            api.post(f"/v1/peers/{quote(host or '', safe='')}/{action.value}", {})
            print(f"{host}: {'connecting' if action is PeerAction.CONNECT else 'disconnecting'}")
            return
        rows = api.get("/v1/peers")["items"]
    if json:
        print_json(rows)
        return
    table = [
        (row["host"], row["realm"], row["state"], row["connections"], _links_text(row), row["reconnect_at"] or "")
        for row in rows
    ]
    print_table(("peer", "realm", "state", ">connections", "by", "next attempt"), table, "no peers")
    for row in rows:
        if row["trouble"]:
            print(f"{row['host']}: {row['trouble']}")


def _links_text(peer: dict[str, Any]) -> str:
    links = zip(peer["transports"], peer["directions"], peer["addresses"], strict=True)
    words = {"in": "from", "out": "to"}
    return ", ".join(f"{transport} {words[direction]} {address}" for transport, direction, address in links)


def reload(json: Json = False, url: Url = None, config: Config = None) -> None:
    """Have the server read its configuration again; on any error the old one stays."""
    with reach(url, config) as api:
        done = api.post("/v1/reload", {})
    if json:
        print_json(done)
        return
    print(f"taken over, tariff version {done['tariff_version']}")
    for problem in done["problems"]:
        print(problem)
    if done["restart_needed"]:
        print(f"these count after a restart only: {', '.join(done['restart_needed'])}")
