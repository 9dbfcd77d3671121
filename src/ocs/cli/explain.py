"""`ocs explain`: what would this cost, and why? Reads files only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocs.cli.options import ConfigFolder, Json
from ocs.cli.output import FINE, PROBLEM, USAGE, amount_text, fail, print_json
from ocs.cli.reach import settings_of

if TYPE_CHECKING:
    from ocs.charging.policy import ServicePolicy
    from ocs.cli.explanation import Asked, Explanation
    from ocs.config.settings import Settings, Subscriber

EXAMPLES = '"voice 491700000001 -> 61491570156 90s", "data 491700000002 308400 octets", "sms demo to 4917012345"'
_EVENT = re.compile(
    r"(?P<service>\S+)\s+(?P<subscriber>\S+)(?:\s*(?:->|\bto\b)\s*(?P<called>\S+))?(?:\s+(?P<amount>.+))?"
)


def explain(
    event: Annotated[list[str], typer.Argument(help=f"SERVICE SUBSCRIBER [to NUMBER] [AMOUNT], such as {EXAMPLES}.")],
    config: ConfigFolder = Path("config"),
    rating_group: Annotated[int | None, typer.Option(min=0, help="Rating group, else the service's default.")] = None,
    at: Annotated[str | None, typer.Option(help="When, as 2026-11-21T20:05:00Z; else now.")] = None,
    json: Json = False,
) -> None:
    """Say what usage would cost, and why: number, prefix, rate, rounding, and the balances in order.

    The subscriber is one of subscribers.yaml, by id, MSISDN or IMSI, with the balances that it is opened with.
    Ends with 1 where the usage would be refused.
    """
    from ocs.cli import explanation

    settings = settings_of(config)
    asked = _read(" ".join(event), settings, rating_group, at)
    explained = explanation.explain(asked, settings)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(explained))
    else:
        _print(explained)
    raise typer.Exit(FINE if explained.result == 2001 else PROBLEM)


def _read(text: str, settings: Settings, rating_group: int | None, at: str | None) -> Asked:
    import time

    from ocs.cli.explanation import Asked
    from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Measure
    from ocs.units import MalformedError, parse_measured, parse_rfc3339

    found = _EVENT.fullmatch(text.strip())
    if found is None:
        fail(f'"{text}" is not SERVICE SUBSCRIBER [to NUMBER] [AMOUNT], such as {EXAMPLES}', USAGE)
    service = _service(found["service"], settings)
    measure = MEASURE_OF_KIND[service.kind]
    default = {Measure.TIME: 60 * NS_PER_S, Measure.OCTETS: 1_048_576, Measure.EVENTS: 1}[measure]
    # "308400 octets" is how CDRs say it; the unit of events goes without saying.
    amount = re.sub(r"\s*(octets|units)$", " B" if measure is Measure.OCTETS else "", found["amount"] or "").strip()
    try:
        usage = parse_measured(amount, measure) if amount else default
        at_ns = time.time_ns() if at is None else parse_rfc3339(at)
    except MalformedError as error:
        fail(str(error), USAGE)
    if found["called"] is None and service.kind.value in ("voice", "sms", "mms"):
        fail(f"{service.name} goes to somebody: add to NUMBER", USAGE)
    return Asked(
        service=service,
        subscriber=_subscriber(found["subscriber"], settings),
        called=found["called"] or "",
        usage=usage,
        rating_group=rating_group,
        at_ns=at_ns,
    )


def _service(name: str, settings: Settings) -> ServicePolicy:
    service = settings.services.get(name)
    if service is None:
        fail(f'there is no service "{name}"; known: {", ".join(settings.services)}', USAGE)
    return service


def _subscriber(name: str, settings: Settings) -> Subscriber | None:
    """By id, by identity ("msisdn:4917..."), or by the digits of one."""
    for subscriber in settings.subscribers:
        bare = {identity.partition(":")[2] for identity in subscriber.identities}
        if name == subscriber.id or name in subscriber.identities or name.lstrip("+") in bare:
            return subscriber
    return None


def _print(explained: Explanation) -> None:
    width = max(len(step.step) for step in explained.steps)
    for step in explained.steps:
        print(f"{step.step:<{width}}  {step.text}")
    for paid in explained.paid:
        print(f"{'paid':<{width}}  {amount_text(paid.amount, paid.unit)} from {paid.balance}")
    if explained.result == 2001:
        print(f"{'cost':<{width}}  {explained.cost} {explained.currency}")
        return
    why = f": {explained.why}" if explained.why else ""
    print(f"{'refused':<{width}}  {explained.result}{why}")
    if explained.affordable is not None:
        print(f"{'credit for':<{width}}  {amount_text(explained.affordable, explained.unit)} only")
