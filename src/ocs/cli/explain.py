"""`ocs explain`: what would this cost, or what did that cost, and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocs.cli.options import DEFAULT_URL, Json
from ocs.cli.output import FINE, PROBLEM, USAGE, amount_text, fail, print_json
from ocs.cli.reach import reach, settings_of

if TYPE_CHECKING:
    from ocs.cli.explanation import Wanted

_EXAMPLE = '"voice 491700000001 -> 61491570156 90s"'


def explain(
    event: Annotated[
        list[str] | None, typer.Argument(help=f"SERVICE [SUBSCRIBER] [to NUMBER] [USAGE], such as {_EXAMPLE}.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration folder.", show_default="config")
    ] = None,
    subscriber: Annotated[str | None, typer.Option("--from", help="Whose account: its id, or a number of it.")] = None,
    called: Annotated[str | None, typer.Option("--to", help="The number as dialled.")] = None,
    usage: Annotated[str | None, typer.Option("--usage", help="How much: 90s, 10 MiB, 308400 octets, 3.")] = None,
    at: Annotated[str | None, typer.Option(help="When, as 2026-11-21T20:05:00Z; else now.")] = None,
    rating_group: Annotated[int | None, typer.Option(min=0, help="Rating group, else the service's default.")] = None,
    plan: Annotated[str | None, typer.Option(help="The price of a plan, for no account in particular.")] = None,
    cdr: Annotated[
        str | None, typer.Option(help="Explain the CDR of this id, which a server or its store has.")
    ] = None,
    json: Json = False,
    url: Annotated[
        str | None,
        typer.Option("--url", help=f"Ask a running server, such as {DEFAULT_URL}: accounts as they are now."),
    ] = None,
) -> None:
    """Say what usage would cost, and why: number, prefix, rate, rounding, and the balances in order.

    Without --url by files alone: the subscriber is one of subscribers.yaml, by id, MSISDN or IMSI, with the balances
    that it is opened with. With --url by a running server, with the account as it is now. --cdr asks a server (--url,
    OCS_URL) or, with --config, its store, why a charging data record says what it says.

    Ends with 1 where the usage would be refused.
    """
    if cdr is not None:
        if event or subscriber or called or usage or at or plan or rating_group is not None:
            fail("--cdr says which usage is meant: leave out all of the event", USAGE)
        with reach(url or (None if config else os.environ.get("OCS_URL")), config) as api:
            _finish(api.get("/v1/explain", cdr=cdr), as_json=json)
    from ocs.cli.explanation import Wrong, explained, in_words

    if not event:
        fail(f"explain what? SERVICE with --from, --to and --usage, or in words: {_EXAMPLE}", USAGE)
    try:
        wanted = in_words(" ".join(event)).with_options(subscriber, called, usage)
        wanted = wanted._replace(at=at, rating_group=rating_group, plan=plan)
        if url is not None:
            with reach(url, None) as api:
                answer = api.get("/v1/explain", **_parameters(wanted))
        else:
            import time

            answer = explained(wanted, settings_of(config or Path("config")), time.time_ns())
    except Wrong as wrong:
        fail(str(wrong), USAGE)
    _finish(answer, as_json=json)


def _parameters(wanted: Wanted) -> dict[str, str | int | None]:
    """What a server is asked."""
    from ocs.cli.explanation import Wrong, usage_text

    name = wanted.subscriber
    if name is None or wanted.plan is not None:
        raise Wrong("a server explains with an account: --from SUBSCRIBER, and no --plan")
    bare = name.removeprefix("msisdn:").removeprefix("+")
    is_number = bare.isdigit()
    return {
        "service": wanted.service,
        "account": None if is_number else name,
        "msisdn": bare if is_number else None,
        "to": wanted.called,
        "usage": None if wanted.usage is None else usage_text(wanted.usage),
        "at": wanted.at,
        "rating_group": wanted.rating_group,
    }


def _finish(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print an explanation of the API, and end with its code."""
    if as_json:
        print_json(answer)
    else:
        width = max(len(step["step"]) for step in answer["steps"])
        for step in answer["steps"]:
            print(f"{step['step']:<{width}}  {step['text']}")
        for paid in answer.get("session_paid") or ():
            print(f"{'journal':<{width}}  {amount_text(paid['amount'], paid['unit'])} from {paid['balance']}")
    raise typer.Exit(FINE if answer.get("result", 2001) == 2001 else PROBLEM)
