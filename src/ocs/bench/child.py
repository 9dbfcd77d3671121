"""The server under test: `ocs serve`, with what only a benchmark wants.

    python -m ocs.bench.child FOLDER [--accounts N] [--per-account N] [--loop asyncio] [--profile FILE]

--accounts: open so many accounts on the start, for a store in memory, which nobody else can fill. --loop asyncio: as
if uvloop was not installed. --profile: write there where its CPU time goes, for `python -m pstats`. On its end it says
on stdout, in JSON, when the garbage collector stopped it, and how long.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from ocs.bench.house import Subscribers
from ocs.bench.parent import end_with_parent
from ocs.config.load import load
from ocs.config.settings import Subscriber
from ocs.daemon.run import USAGE, serve

_PAUSES_KEPT: Final = 200_000


class Pauses:
    """When the collector ran: (begin on the monotonic clock, duration, generation), times in nanoseconds."""

    def __init__(self) -> None:
        self.seen: deque[tuple[int, int, int]] = deque(maxlen=_PAUSES_KEPT)
        self._began_ns = 0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        """What `gc.callbacks` are called with."""
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._began_ns = now_ns
        else:
            self.seen.append((self._began_ns, now_ns - self._began_ns, info["generation"]))


def main() -> int:
    """The exit status of the server."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--accounts", type=int, default=0)
    arguments.add_argument("--per-account", type=int, default=1)
    arguments.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    arguments.add_argument("--profile")
    options = arguments.parse_args()
    end_with_parent()
    if options.loop == "asyncio":
        cast("dict[str, Any]", sys.modules)["uvloop"] = None  # its import fails
    settings, diagnostics = load(options.folder)
    if settings is None:
        sys.stderr.write("\n".join(map(str, diagnostics)) + "\n")
        return USAGE
    if options.accounts:
        subscribers = cast("tuple[Subscriber, ...]", Subscribers(options.accounts, options.per_account))
        settings = msgspec.structs.replace(settings, subscribers=subscribers)
    pauses = Pauses()
    gc.callbacks.append(pauses)
    profiler = cProfile.Profile(time.thread_time) if options.profile else None
    if profiler is not None:
        profiler.enable()
    status = serve(options.folder, settings, "warning", "json")
    if profiler is not None:
        profiler.disable()
        profiler.dump_stats(options.profile)
    gc.callbacks.remove(pauses)
    sys.stdout.write(json.dumps({"gc": list(pauses.seen)}) + "\n")
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
