"""`ocs cdrs`, `ocs sessions`, `ocs peers`, `ocs reload`: what a server knows and did."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ocs.cli.options import Config, Json, Limit, Url
from ocs.cli.output import amount_text, print_json, print_table
from ocs.cli.reach import Api, path_of, reach

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


class SessionAction(StrEnum):
    """What the client of a session can be told."""

    REAUTH = "reauth"
    ABORT = "abort"


def sessions(
    action: Annotated[
        SessionAction | None,
        typer.Argument(help="reauth: its client reports and asks again (RAR); abort: its client ends it (ASR)."),
    ] = None,
    session: Annotated[str | None, typer.Argument(help="Session-Id, as the list shows it.")] = None,
    rating_group: Annotated[int | None, typer.Option(min=0, help="reauth: only that rating group.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="abort: end it here at once, too, and give back what it holds.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the journal.")] = "",
    by: Annotated[str, typer.Option(help="Who does it, for the journal.", envvar=["OCS_OPERATOR", "USER"])] = "",
    key: Annotated[str, typer.Option(help="The same key never asks twice; made where it is not given.")] = "",
    account: Account = None,
    limit: Limit = 100,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """List open charging sessions, or tell the client of one to ask again, or to stop."""
    if action is not None:
        _tell(
            action, session, rating_group, reach(url, config), {"by": by, "reason": reason}, key, force=force, json=json
        )
        return
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


def _tell(
    action: SessionAction,
    session: str | None,
    rating_group: int | None,
    reached: AbstractContextManager[Api],
    who: dict[str, str],
    key: str,
    *,
    force: bool,
    json: bool,
) -> None:
    """Have the client of a session told something."""
    if session is None:
        raise typer.BadParameter("which session? Give its id as `ocs sessions` shows it")
    if action is SessionAction.REAUTH:
        if force:
            raise typer.BadParameter("only abort has --force")
        body = {**who, "reason": who["reason"] or "by command", "rating_group": rating_group}
    else:
        if rating_group is not None:
            raise typer.BadParameter("only reauth has --rating-group")
        body = {**who, "force": force}
    with reached as api:
        done = api.change(path_of("sessions", session, action.value), body, key)
    if json:
        print_json(done)
        return
    print(f"{session}: {'ended; ' if done['ended'] else ''}its client is told to {_TOLD[action]}")


_TOLD = {SessionAction.REAUTH: "ask again (RAR)", SessionAction.ABORT: "stop (ASR)"}


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
