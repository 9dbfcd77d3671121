"""Many simulations: `make sim`, or one of them again: `python -m tests.simulation --seed N --requests N --trace`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from multiprocessing import get_context

from tests.simulation.world import Report, run

PROGRESS_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=1_000_000, help="how many, over all seeds, or of the one --seed"
    )
    parser.add_argument("--per-seed", type=int, default=1_000, help="requests of one simulation")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell every event")
    asked = parser.parse_args()
    if asked.seed is not None:
        trace = print if asked.trace else None
        report = run(asked.seed, min(asked.requests, 1_000_000), trace)
        _show(report, asked.requests)
        return 1 if report.findings else 0
    return _many(asked)


def _many(asked: argparse.Namespace) -> int:
    began = time.monotonic()
    told_s = began
    counts: Counter[str] = Counter()
    seeds = failures = 0
    virtual_s = 0.0
    for report in _reports(asked):
        seeds += 1
        counts += report.counts
        virtual_s += report.virtual_s
        if report.findings:
            failures += 1
            _show(report, asked.per_seed)
        now_s = time.monotonic()
        if now_s - told_s > PROGRESS_S:
            told_s = now_s
            speed = counts["requests"] / (now_s - began)
            print(f"{counts['requests']:,} requests, {seeds} seeds, {speed:,.0f}/s, {failures} failed", flush=True)
        if counts["requests"] >= asked.requests or failures >= 10:
            break
    print(f"seeds {asked.first_seed} to {asked.first_seed + seeds - 1}, {asked.per_seed} requests each: ", end="")
    print(f"{counts['requests']:,} requests in {time.monotonic() - began:,.0f} s, {virtual_s:,.0f} s of virtual time")
    for what, number in sorted(counts.items()):
        print(f"  {number:>10,} {what}")
    print(f"{failures} failed")
    return 1 if failures else 0


def _reports(asked: argparse.Namespace) -> Iterator[Report]:
    """Reports in the order of their seeds, some seeds ahead where there are several processes."""
    seeds = count(asked.first_seed)
    if asked.jobs <= 1:
        yield from (run(seed, asked.per_seed) for seed in seeds)
        return
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(run, seed, asked.per_seed) for seed in islice(seeds, 4 * asked.jobs)]
        try:
            while True:
                yield waiting.pop(0).result()
                waiting.append(pool.submit(run, next(seeds), asked.per_seed))
        finally:
            for one in waiting:
                one.cancel()


def _show(report: Report, requests: int) -> None:
    for finding in report.findings[:5]:
        print(f"seed {report.seed}: {finding.checker}: {finding.text}")
    if report.findings:
        print("the last events:")
        for event in report.events:
            print(f"  {event}")
        print(f"again: python -m tests.simulation --seed {report.seed} --requests {requests} --trace")
    else:
        print(f"seed {report.seed}: {report.requests} requests, {dict(report.counts)}, digest {report.digest:08x}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
