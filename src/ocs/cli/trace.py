"""`ocs trace`: what goes between the clients of one subscriber (session, peer) and a running server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from urllib.parse import urlencode

import typer

from ocs.cli.options import By, Json, Url
from ocs.cli.output import FINE, USAGE, amount_text, fail, printable
from ocs.cli.reach import path_of, reach

if TYPE_CHECKING:
    from ocs.cli.reach import Api

POLL_S = 0.5
SECONDS_MAX = 3_600


def trace(
    msisdn: Annotated[str, typer.Option(help="Number of the subscriber, in international form.")] = "",
    imsi: Annotated[str, typer.Option(help="IMSI of the subscriber.")] = "",
    session: Annotated[str, typer.Option(help="Session-Id.")] = "",
    peer: Annotated[str, typer.Option(help="Origin-Host: of a peer, or of a client behind an agent.")] = "",
    pcap: Annotated[Path | None, typer.Option(help="Also write the messages here, for Wireshark.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=SECONDS_MAX, help="End after so long.")] = 60,
    by: By = "",
    json: Json = False,
    url: Url = None,
) -> None:
    """Show each message of one subscriber, session or peer as it comes and goes, with what was decided.

    One of --msisdn, --imsi, --session and --peer. It ends after --seconds or with Ctrl-C. The server logs who traced.
    --json prints one object per line.
    """
    wanted = {name: value for name, value in wanted_of(msisdn, imsi, session, peer).items() if value}
    if len(wanted) != 1:
        fail("trace whom? One of --msisdn, --imsi, --session, --peer", USAGE)
    try:
        file = None if pcap is None else pcap.open("wb")
    except OSError as error:
        fail(f"{pcap} cannot be written: {error.strerror}", USAGE)
    with reach(url or os.environ.get("OCS_URL"), None) as api:
        begun = api.post("/v1/traces", {**wanted, "seconds": seconds, "by": by or "ocs trace"})
        try:
            _follow(api, begun["id"], file, as_json=json)
        except KeyboardInterrupt:
            api.delete(f"{path_of('traces', begun['id'])}?{urlencode({'by': by})}")
        finally:
            if file is not None:
                file.close()
    raise typer.Exit(FINE)


def wanted_of(msisdn: str, imsi: str, session: str, peer: str) -> dict[str, str]:
    """What was asked for, as the API takes it."""
    return {"msisdn": msisdn, "imsi": imsi, "session": session, "peer": peer}


def _follow(api: Api, trace_id: str, file: BinaryIO | None, *, as_json: bool) -> None:
    from ocs.diameter.capture import file_header

    if file is not None:
        file.write(file_header())
        file.flush()
    shown = Shown()
    lost = 0
    after: str | None = "0"
    while after is not None:
        page = api.get(path_of("traces", trace_id), after=after, limit=100)
        for item in page["items"]:
            if file is not None:
                file.write(pcap_record(item))
            if as_json:
                print_line(item)
            else:
                print("\n".join(shown.lines(item)), end="\n\n", flush=True)
        if file is not None:
            file.flush()
        if page["lost"] > lost:
            lost = page["lost"]
            print(f"{lost} messages were lost: they came faster than they were read", flush=True)
        after = page["next"]
        if after is not None and not page["items"]:
            time.sleep(POLL_S)


def print_line(item: dict[str, Any]) -> None:
    """One message as one line of JSON."""
    import json

    print(json.dumps(item, ensure_ascii=False), flush=True)


def pcap_record(item: dict[str, Any]) -> bytes:
    """One message of the API as a packet of a pcap file."""
    from base64 import b64decode

    from ocs.diameter.capture import record
    from ocs.units import parse_rfc3339

    ends = (item["remote"], item["local"])
    source, destination = ends if item["direction"] == "in" else ends[::-1]
    return record(parse_rfc3339(item["at"]), source, destination, item["transport"], b64decode(item["octets"]))


class Shown:
    """Makes text of messages; remembers when requests came, to say how long their answers took."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}

    def lines(self, item: dict[str, Any]) -> Iterator[str]:
        """One message: its place, the decision where it is an answer, and all of its AVPs."""
        from base64 import b64decode

        from ocs.diameter.dictionary import describe
        from ocs.diameter.errors import PeerError
        from ocs.diameter.wire import decode_message
        from ocs.units import parse_rfc3339

        at_ns = parse_rfc3339(item["at"])
        arrow = "<-" if item["direction"] == "in" else "->"
        head = f"#{item['number']} {item['at']} {arrow} {item['peer'] or '?'} {item['transport']} {item['remote']}"
        if item["answers"] is None:
            self._at[item["number"]] = at_ns
        else:
            asked_ns = self._at.pop(item["answers"], None)
            took = "" if asked_ns is None else f" after {(at_ns - asked_ns) / 1e6:.1f} ms"
            head += f", answers #{item['answers']}{took}"
        yield printable(head)
        if item["decision"] is not None:
            yield from map(printable, decision_lines(item["decision"]))
        octets = b64decode(item["octets"])
        try:
            text = describe(decode_message(octets))
        except PeerError as error:
            text = f"unreadable ({error}): {octets.hex()}"
        yield from map(printable, text.splitlines())


def decision_lines(decision: dict[str, Any]) -> Iterator[str]:
    """What was decided, in words."""
    words = [str(decision["result"])]
    if decision["repeat"]:
        words.append("a repeat: the stored answer again, nothing moved")
    if decision["why"]:
        words.append(decision["why"])
    words += [f"cost {cost['cost']} {cost['currency']}" for cost in decision["costs"]]
    yield f"decided: {', '.join(words)}"
    for group in decision["groups"]:
        name = "default" if group["rating_group"] is None else group["rating_group"]
        granted = "" if group["granted"] is None else f", granted {amount_text(group['granted'], group['unit'])}"
        why = f", {group['why']}" if group["why"] else ""
        yield f"  rating group {name}: {group['result']}{granted}{why}"
