"""The bare commit: how long the store alone takes to write the outcome of one real request, one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, cast

from ocs.bench.histogram import Histogram
from ocs.bench.templates import INITIAL, NTP_EPOCH_S, UPDATE, Template, fill, host_name
from ocs.charging.outcome import Outcome
from ocs.config.settings import Settings
from ocs.diameter.application import RequestContext
from ocs.diameter.applications.credit_control import CreditControl
from ocs.diameter.applications.observers import Refusal
from ocs.diameter.base_answers import make_origin
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.wire import decode_message
from ocs.nms.metrics import Metrics
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import Applied, Store

SUBSCRIBERS: Final = 32
"""So many of their own, behind those that the load uses."""

_UPDATES_WARM: Final = 2


class Watched:
    """A store that notes how long each commit took; everything else is the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.took_us = Histogram()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, outcomes: Sequence[Outcome]) -> list[Applied]:
        """The store's commit, timed."""
        began_ns = time.perf_counter_ns()
        applied = await self._store.commit(outcomes)
        self.took_us.record((time.perf_counter_ns() - began_ns) // 1_000)
        return applied


class Answers:
    """Where answers go: the last one is kept."""

    draining = False

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.last = b""

    def send_answer(self, context: RequestContext, data: bytes) -> None:  # noqa: ARG002
        """`ocs.diameter.application.Sender`."""
        self.last = data
        self.came.set()


class Refused(Exception):
    """A request was not served."""


async def bare_commit(
    store: Store, settings: Settings, templates: Sequence[Template], first_subscriber: int, seconds: float
) -> Histogram:
    """Commit one UPDATE after another on an open store for that long; returns the latencies of the commits.

    The subscribers from `first_subscriber` on have accounts that nobody else uses. Refused where one is not served.
    """
    watched = Watched(store)
    metrics = Metrics()
    dispatcher = Dispatcher(cast("Store", watched), metrics)
    refusals: list[Refusal] = []
    control = CreditControl(
        settings, dispatcher.charge, metrics.diameter, metrics.charging, refusals.append, time.time_ns
    )
    by_type = {template.type: template for template in templates if template.variant == 0}
    number = 0
    until_s = float("inf")
    while time.monotonic() < until_s:
        for place in range(SUBSCRIBERS):
            kind = INITIAL if number == 0 else UPDATE
            await _ask(control, settings, by_type[kind], first_subscriber + place, number)
            if refusals:
                raise Refused(f"{refusals[0].request}: {refusals[0].result_code} {refusals[0].why}")
        number += 1
        if number == 1 + _UPDATES_WARM:
            watched.took_us = Histogram()
            until_s = time.monotonic() + seconds
    await dispatcher.stop()
    return watched.took_us


async def _ask(control: CreditControl, settings: Settings, template: Template, subscriber: int, number: int) -> None:
    values = {
        "h": number, "e": number, "o": 0, "s": 4_000_000_000 + subscriber, "m": subscriber, "c": subscriber,
        "a": subscriber, "n": number, "t": int(time.time()) + NTP_EPOCH_S,
    }  # fmt: skip
    message = decode_message(fill(template, values, [300_000] * template.groups))
    answers = Answers()
    origin = make_origin(settings.identity, settings.realms[0], 1)
    control.handle(message, RequestContext(message, origin, host_name(0), settings.peers[0], answers))
    await answers.came.wait()
    answer = decode_message(answers.last)
    result = answer.find(268)
    if result is None or int.from_bytes(result.data) != ResultCode.SUCCESS:
        raise Refused(f"request {number} was answered {result}")
