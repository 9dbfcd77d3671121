"""`ocs bench`: how fast this machine charges, with a server, a load and stores of the benchmark's own."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json, print_table


class Loop(Enum):
    """Event loops of the server."""

    UVLOOP = "uvloop"
    ASYNCIO = "asyncio"


class Client(Enum):
    """Load clients; auto: in C where there is a compiler, else in Python."""

    AUTO = "auto"
    C = "c"
    PYTHON = "python"


def bench(
    store: Annotated[
        str,
        typer.Option(help="memory, sqlite, postgres (a server of its own), or the URL of an empty store."),
    ] = "sqlite",
    seconds: Annotated[float, typer.Option(min=1, help="Of measured load: half at the maximum, half at a rate.")] = 10,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests per second of the second half.", show_default="half the maximum")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=1_000, help="Gateways that connect.")] = 10,
    window: Annotated[int, typer.Option(min=1, help="Requests in flight on each, at the maximum.")] = 32,
    sessions: Annotated[int, typer.Option(min=1, max=1_000_000, help="Sessions open at once.")] = 2_000,
    accounts: Annotated[int, typer.Option(min=1, max=10_000_000, help="Accounts in the store.")] = 10_000,
    per_account: Annotated[int, typer.Option(min=1, max=10_000, help="Subscribers that share an account.")] = 1,
    groups: Annotated[
        str, typer.Option(help="Rating groups of a session; several numbers: of sessions in turn, as in 1,5.")
    ] = "1",
    updates: Annotated[int, typer.Option(min=0, help="UPDATEs of a session.")] = 20,
    cold: Annotated[bool, typer.Option("--cold", help="Each session is of the next account, not of the same.")] = False,
    nodes: Annotated[int, typer.Option(min=1, max=8, help="Servers on one store.")] = 1,
    loop: Annotated[Loop, typer.Option(help="Event loop of the server.")] = Loop.UVLOOP,
    client: Annotated[Client, typer.Option(help="Load client; auto: in C where there is a compiler.")] = Client.AUTO,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", exists=True, file_okay=False, help="On a disk: where the stores are made, for a time."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Prove the ledger afterwards.")] = False,
    soak: Annotated[
        float, typer.Option(min=0, help="Go on at the rate for so many minutes, and prove the ledger at the end.")
    ] = 0,
    profile: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write there where the server's time goes (python -m pstats).")
    ] = None,
    json: Json = False,
) -> None:
    """Measure requests per second, latency and CPU time per request, with a server and a load of its own.

    Ends with 1 where a request was refused or lost or the ledger is wrong, with 2 where nothing could be measured.
    """
    from ocs.bench.load import CannotRun
    from ocs.bench.run import Bench, Options

    try:
        variants = tuple(int(part) for part in groups.split(","))
        if not all(1 <= each <= 10 for each in variants) or len(variants) > 4:
            raise ValueError
    except ValueError:
        fail(f'--groups: "{groups}" is not a number from 1 to 10, nor up to four of them with commas', USAGE)
    options = Options(
        store=store,
        seconds=seconds,
        rate=rate,
        connections=connections,
        window=window,
        sessions=sessions,
        accounts=accounts,
        per_account=per_account,
        groups=variants,
        updates=updates,
        cold=cold,
        nodes=nodes,
        loop=loop.value,
        client=client.value,
        folder=directory,
        verify=verify,
        soak_minutes=soak,
        profile=profile,
    )
    try:
        figures = Bench(options, lambda said: print(f"bench: {said}", file=sys.stderr)).run()
    except CannotRun as error:
        fail(str(error), USAGE)
    except KeyboardInterrupt:
        fail("interrupted", USAGE)
    if json:
        print_json(figures)
    else:
        _print(figures)
    raise typer.Exit(PROBLEM if figures["problems"] else FINE)


def _print(figures: dict[str, Any]) -> None:
    fixed, maximum, echo = figures["fixed_rate"], figures["maximum"], figures["echo"]
    columns = ("", ">requests/s", ">p50 ms", ">p99 ms", ">p99.9 ms", ">max ms", ">CPU us", ">batch")
    rows = [
        _row("maximum", maximum),
        _row("fixed rate", fixed),
        _row("echo, maximum", echo["maximum"]),
        _row("echo, fixed rate", echo["fixed_rate"]),
        _row("bare commit", figures["bare_commit"]),
    ]
    print_table(columns, rows, "")
    print(f"p99 is {figures['p99_ratio']} x (p99 of the echo + p50 of a bare commit)")
    if maximum["postgres_cpu_us_per_request"] is not None:
        print(f"PostgreSQL takes {maximum['postgres_cpu_us_per_request']} us of CPU per request besides")
    mib = 1_048_576
    print(
        f"memory {figures['rss_start_octets'] / mib:.0f} MiB at the start, {figures['rss_end_octets'] / mib:.0f} MiB"
        f" at the end: {figures['rss_growth_octets_per_session']} octets more per session"
    )
    results = ", ".join(
        f"{kind} {code}: {count}" for kind, codes in fixed["results"].items() for code, count in codes.items()
    )
    print(f"answers at the fixed rate: {results}")
    print(f"client in {'C' if figures['client'] == 'c' else 'Python'}, on the same machine")
    if "client_note" in figures:
        print(figures["client_note"])
    if "soak" in figures:
        soak = figures["soak"]
        grown = [f"{name} {value:,}" for name, value in soak.items() if name != "samples"]
        print(f"soak: {len(soak['samples'])} samples; growth from the second to the last quarter: {', '.join(grown)}")
    if "ledger" in figures:
        print(f"ledger: {figures['ledger']['accounts']} accounts, {figures['ledger']['wrong']} wrong")
    for problem in figures["problems"]:
        print(f"PROBLEM {problem}")


def _row(name: str, figures: dict[str, Any]) -> tuple[object, ...]:
    fields = ("requests_per_s", "p50_ms", "p99_ms", "p99_9_ms", "max_ms", "cpu_us_per_request", "batch_size")
    return (name, *(figures.get(field, "") for field in fields))
