"""How long the Diameter side of a CCR-U takes: microseconds of processor per message, stage by stage and as a whole.

    python -m bench.codec [--groups 1] [--profile]

The messages are those of `ocs bench`: updates of many sessions, each of another subscriber. "Whole" is everything but
the decision and the store: from frames to the octets of the answers, counted and timed as a node does it. Each figure
is the best of several rounds; compare rows of one run with each other, not with those of another machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ocs.bench import house, templates
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupAnswer, Result
from ocs.config.load import load
from ocs.config.settings import Settings
from ocs.diameter.applications.credit_control import ANY_PEER, CreditControl, make_setup
from ocs.diameter.applications.credit_control_answer import frame, render
from ocs.diameter.applications.credit_control_request import read_request
from ocs.diameter.base_answers import make_origin
from ocs.diameter.grammar import check_request
from ocs.diameter.node import Node
from ocs.diameter.overload_avps import traits_of
from ocs.diameter.peer import Connection
from ocs.diameter.routing import check_route, make_local
from ocs.diameter.wire import decode_message
from ocs.nms.metrics import Metrics
from ocs.rating.units import Measure

MESSAGES = 512
BATCH = 16
ROUNDS = 15
NOW_NS = 1_795_000_000 * 10**9


def settings_of_bench() -> Settings:
    """The configuration of `ocs bench`."""
    with tempfile.TemporaryDirectory() as folder:
        settings, problems = load(house.write_folder(Path(folder) / "ocs", "memory:"))
    assert settings is not None, problems
    return settings


def updates(groups: int) -> list[bytes]:
    """UPDATEs of MESSAGES sessions."""
    template = templates.make_templates(1_000_000_000, [groups])[1]
    made = []
    for number in range(MESSAGES):
        values = {
            "h": number + 1,
            "e": number + 1,
            "o": 0,
            "s": number,
            "m": number,
            "c": number,
            "a": number,
            "n": 1 + number % 50,
            "t": NOW_NS // 10**9 + templates.NTP_EPOCH_S + number % 60,
        }
        made.append(templates.fill(template, values, [300_000 + number] * groups))
    return made


def decided(request: ChargingRequest) -> ChargingAnswer:
    """A grant for each group."""
    return ChargingAnswer(
        Result.SUCCESS,
        tuple(
            [
                GroupAnswer(group.rating_group, group.service_id, Result.SUCCESS, Measure.OCTETS, 10_485_760, 3_600)
                for group in request.groups
            ]
        ),
    )


class Sink:
    """A link that takes all and sends nothing."""

    transport = "tcp"
    certificate_names = None
    remote = local = "127.0.0.1:1"
    remote_address = local_address = IPv4Address("127.0.0.1")
    local_others = ()

    def __init__(self) -> None:
        self.octets = 0

    def write(self, data: bytes) -> bool:
        """Count it."""
        self.octets += len(data)
        return True

    def close(self) -> None:
        """Nothing to end."""

    def abort(self) -> None:
        """Nothing to end."""

    def hold_reading(self, held: bool) -> None:
        """Nothing is read."""


class NoTimer:
    """Never rings."""

    def cancel(self) -> None:
        """Nothing to cancel."""


class BareClock:
    """The time, without a loop."""

    now_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> NoTimer:  # noqa: ARG002 - nothing rings
        """Never."""
        return NoTimer()


def whole(settings: Settings, frames: list[bytes]) -> Callable[[], object]:
    """A node with a peer that sends all frames; each request is granted at once."""
    metrics = Metrics()
    metrics.charging.services({"data": "octets"}, house.CURRENCY)

    def charge(request: ChargingRequest, *steps: Any, **_: Any) -> None:
        _, render, done, _ = steps
        done(render(decided(request)))

    control = CreditControl(settings, charge, metrics.diameter, metrics.charging, lambda _: None, lambda: NOW_NS)
    node = Node(settings, [control], metrics.diameter, origin_state_id=1, clock=BareClock(), jitter_ns=lambda: 0)
    connection = Connection(node, Sink())
    connection.frames_received([templates.hello(0).cer])
    assert connection.peer is not None
    batches = [frames[first : first + BATCH] for first in range(0, len(frames), BATCH)]

    def run() -> None:
        before = connection.peer.messages_out
        for batch in batches:
            connection.frames_received(batch)
        assert connection.peer.messages_out == before + len(frames)

    return run


def stages(settings: Settings, frames: list[bytes]) -> dict[str, Callable[[], object]]:
    """What is measured, each over all messages."""
    setup = make_setup(settings)
    origin = make_origin(settings.identity, settings.realms[0], 1)
    local = make_local(origin.host, settings.realms, {4: frozenset({272})}, ())
    messages = [decode_message(data) for data in frames]
    requests = [read_request(message, setup.rules, ANY_PEER).request for message in messages]
    answers = [decided(request) for request in requests]
    style = setup.styles["data"]

    def decode_check_read() -> None:
        for data in frames:
            message = decode_message(data)
            check_request(message)
            read_request(message, setup.rules, ANY_PEER)

    return {
        "decode": lambda: [decode_message(data) for data in frames],
        "decode, check, read": decode_check_read,
        "route, traits": lambda: [(check_route(message, local), traits_of(message)) for message in messages],
        "render, frame": lambda: [
            frame(render(message, request, answer, style, origin), message)
            for message, request, answer in zip(messages, requests, answers, strict=True)
        ],
        "whole": whole(settings, frames),
    }


def cpu_us(work: Callable[[], object]) -> float:
    """Microseconds of processor per message, the best of ROUNDS."""
    times = []
    for _ in range(ROUNDS):
        before_ns = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - before_ns)
    return min(times) / MESSAGES / 1_000


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--groups", type=int, default=1, help="rating groups in a message")
    arguments.add_argument("--profile", action="store_true", help="show where the time of the whole goes")
    options = arguments.parse_args()
    frames = updates(options.groups)
    settings = settings_of_bench()
    print(
        f"Python {sys.version.split()[0]}; {len(frames[0])} octets; best of {ROUNDS} rounds, microseconds per message"
    )
    for name, work in stages(settings, frames).items():
        print(f"{name:>20} {cpu_us(work):>8.2f}")
    if options.profile:
        work = whole(settings, frames)
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(5):
            work()
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
