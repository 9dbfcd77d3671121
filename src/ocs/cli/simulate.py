"""`ocs simulate`: a data session, a call or a short message, against a running server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocs.cli.options import Json, Url
from ocs.cli.output import FINE, PROBLEM, USAGE, amount_text, fail, print_json, print_table
from ocs.cli.reach import reach

if TYPE_CHECKING:
    from ocs.cli.simulation import Report, Service, Step

DEFAULT_SERVER = "127.0.0.1:3868"

app = typer.Typer(no_args_is_help=True, help="Play a client of a running server, and show what it charged.")

ServerAddress = Annotated[str, typer.Option("--server", help="Diameter address of the server.")]
Realm = Annotated[str, typer.Option("--realm", help="Destination-Realm.")]
Group = Annotated[int | None, typer.Option("--rating-group", min=0, help="Rating-Group; none is sent where not given.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every answer in full.")]
Imsi = Annotated[str, typer.Option(help="IMSI, with the MSISDN or instead of it.")]


@app.command()
def data(
    msisdn: Annotated[str, typer.Option(help="Number of the subscriber.")] = "",
    imsi: Imsi = "",
    octets: Annotated[int, typer.Option(min=0, help="Octets to use in all.")] = 308_400,
    pieces: Annotated[int, typer.Option(min=1, help="Report them in so many pieces.")] = 1,
    rating_group: Group = None,
    apn: Annotated[str, typer.Option(help="Access point.")] = "internet",
    server: ServerAddress = DEFAULT_SERVER,
    realm: Realm = "example.com",
    verbose: Verbose = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """A data session of a gateway (Gy): INITIAL, an UPDATE per piece, TERMINATION."""
    from ocs.cli.simulation import Service

    information = {"PS-Information": {"Called-Station-Id": apn}}
    service = Service("pgw", "32251@3gpp.org", "CC-Total-Octets", "octets", information)
    _play(
        service, msisdn, imsi, octets, server, url, json, verbose, pieces=pieces, rating_group=rating_group, realm=realm
    )


@app.command()
def call(
    caller: Annotated[str, typer.Option("--from", help="Number of the subscriber.")],
    called: Annotated[str, typer.Option("--to", help="Number that is called.")],
    seconds: Annotated[int, typer.Option(min=0, help="Duration.")] = 60,
    imsi: Imsi = "",
    server: ServerAddress = DEFAULT_SERVER,
    realm: Realm = "example.com",
    verbose: Verbose = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """A call of an IMS node (Ro): INITIAL, an UPDATE whenever the grant is used up, TERMINATION. It takes no time."""
    from ocs.cli.simulation import Service

    information = {
        "IMS-Information": {
            "Role-Of-Node": 0,
            "Node-Functionality": 6,
            "Calling-Party-Address": f"tel:+{caller.lstrip('+')}",
            "Called-Party-Address": f"tel:{called}",
        }
    }
    service = Service("as", "32260@3gpp.org", "CC-Time", "s", information)
    _play(service, caller, imsi, seconds, server, url, json, verbose, realm=realm)


@app.command()
def sms(
    sender: Annotated[str, typer.Option("--from", help="Number of the subscriber.")],
    recipient: Annotated[str, typer.Option("--to", help="Number that it is sent to.")],
    count: Annotated[int, typer.Option(min=1, help="So many messages in one event.")] = 1,
    imsi: Imsi = "",
    server: ServerAddress = DEFAULT_SERVER,
    realm: Realm = "example.com",
    verbose: Verbose = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """A short message (32.274): one EVENT, debited at once."""
    from ocs.cli.simulation import Service

    recipient_address = {"Address-Type": 1, "Address-Data": recipient}
    information = {"SMS-Information": {"Recipient-Info": {"Recipient-Address": recipient_address}}}
    service = Service("smsc", "32274@3gpp.org", "CC-Service-Specific-Units", "units", information)
    _play(service, sender, imsi, count, server, url, json, verbose, event=True, realm=realm)


def _play(
    service: Service,
    msisdn: str,
    imsi: str,
    total: int,
    server: str,
    url: str | None,
    json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    from ocs.cli.simulation import Subscriber, Unreachable, simulate

    if not msisdn and not imsi:
        fail("say who: --msisdn or --imsi", USAGE)
    host, colon, port = server.rpartition(":")
    if not colon or not port.isdigit():
        fail(f'"{server}" is not HOST:PORT', USAGE)
    quiet: Callable[[Any], None] = lambda _: None  # noqa: E731 - a function that does nothing
    try:
        report = simulate(
            host.strip("[]"),
            int(port),
            service,
            Subscriber(msisdn.lstrip("+"), imsi),
            total,
            show=quiet if json else lambda step: _print_step(step, service.unit),
            verbose=print if verbose and not json else None,
            **options,
        )
    except Unreachable as error:
        fail(str(error), USAGE)
    with reach(url, None) as api:
        cdrs = api.get("/v1/cdrs", session=report.session_id)["items"]
    if json:
        import msgspec

        print_json({**msgspec.to_builtins(report), "served": report.served, "cdrs": cdrs})
    else:
        _print_report(report, cdrs)
    raise typer.Exit(FINE if report.served else PROBLEM)


def _print_step(step: Step, unit: str) -> None:
    parts = [f"{step.request:<14} {step.result}"]
    if step.group_result not in (None, step.result):
        parts.append(f"group {step.group_result}")
    if step.used is not None:
        parts.append(f"used {_amount(step.used, unit)}")
    if step.granted is not None:
        parts.append(f"granted {_amount(step.granted, unit)}")
    if step.validity_time_s is not None:
        parts.append(f"valid for {step.validity_time_s} s")
    if step.final_unit:
        parts.append("final unit")
    print(f"{', '.join(parts)}  ({step.seconds * 1_000:.1f} ms)")


def _print_report(report: Report, cdrs: list[dict[str, Any]]) -> None:
    if report.left:
        print(f"not served: {_amount(report.left, report.unit)} of {_amount(report.used + report.left, report.unit)}")
    rows = [
        (
            row["account_id"],
            row["service"],
            amount_text(row["usage"], row["unit"]),
            f"{row['cost']} {row['currency']}",
            row["cause"],
        )
        for row in cdrs
    ]
    print_table(("account", "service", ">usage", ">cost", "cause"), rows, "no CDR")


def _amount(value: int, unit: str) -> str:
    return amount_text(value * 1_000_000_000, "ns") if unit == "s" else amount_text(value, unit)
