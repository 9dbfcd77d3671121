"""`ocs replay`: the requests of a capture once more."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocs.cli.options import Json
from ocs.cli.output import FINE, PROBLEM, USAGE, fail, print_json, printable
from ocs.cli.simulate import DEFAULT_SERVER

if TYPE_CHECKING:
    from ocs.cli.replaying import Recorded, Report

REALM = "simulated.example.net"
SHOWN_MAX = 20


def replay(
    file: Annotated[Path, typer.Argument(help="Capture: pcap or pcapng, of TCP or SCTP, or what ocs trace wrote.")],
    to: Annotated[str, typer.Option("--to", help="Diameter address of the server.")] = DEFAULT_SERVER,
    speed: Annotated[
        float, typer.Option(min=0, help="1: as captured, 10: ten times as fast, 0: as fast as answers come.")
    ] = 0,
    origin_host: Annotated[str, typer.Option(help="Send as this host.")] = f"replay.{REALM}",
    origin_realm: Annotated[str, typer.Option(help="Send from this realm.")] = REALM,
    keep_hosts: Annotated[
        bool, typer.Option("--keep-hosts", help="Leave Origin-Host, Destination-Host and the realms as captured.")
    ] = False,
    new_sessions: Annotated[
        bool, typer.Option("--new-sessions", help="Give each session an id that the server has not seen.")
    ] = False,
    json: Json = False,
) -> None:
    """Send the requests of a capture again, and compare the results with those of the captured answers.

    Those of one session go one after another. Origin-Host, Origin-Realm, Destination-Host and Destination-Realm are
    replaced. A server that has served a session before answers its requests as it did then, and charges nothing.

    Ends with 1 where an answer differs or does not come.
    """
    from ocs.cli.replaying import Unreachable, Wish, run

    host, colon, port = to.rpartition(":")
    if not colon or not port.isdigit():
        fail(f'"{to}" is not HOST:PORT', USAGE)
    requests = _read(file)
    suffix = f";replay-{time.time_ns()}" if new_sessions else ""
    wish = Wish(origin_host, origin_realm, speed, suffix, keep_hosts)
    try:
        with _bar(len(requests)) as tell:
            report = run(host.strip("[]"), int(port), requests, wish, tell)
    except Unreachable as error:
        fail(str(error), USAGE)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _print(report)
    raise typer.Exit(FINE if report.same else PROBLEM)


def _read(file: Path) -> list[Recorded]:
    from ocs.cli.replaying import recorded
    from ocs.diameter.capture import CaptureError, packets
    from ocs.diameter.capture_streams import Streams

    try:
        with file.open("rb") as source:
            requests = recorded(Streams().messages(packets(source)))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    except CaptureError as error:
        fail(f"{file}: {error}", USAGE)
    if not requests:
        fail(f"{file} has no Diameter requests of clients; what went over TLS cannot be read", USAGE)
    return requests


def _print(report: Report) -> None:
    for difference in report.differences[:SHOWN_MAX]:
        now = "no answer" if difference.now is None else _results(difference.now)
        print(printable(f"{difference.session} {difference.request}: was {_results(difference.captured)}, now {now}"))
    if len(report.differences) > SHOWN_MAX:
        print(f"... and {len(report.differences) - SHOWN_MAX} more")
    print(
        f"{report.requests} requests, {report.answered} answered, {report.compared} compared,"
        f" {len(report.differences)} different"
    )
    if report.not_captured:
        print(f"{report.not_captured} have no answer in the capture")


def _results(results: dict[str, int]) -> str:
    return ", ".join(f"{name} {code}".strip() for name, code in results.items())


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Takes how many are through: a bar on stderr, nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=total)
        yield lambda done: bars.update(task, completed=done)
