"""Simulations of a fixed number of requests; that they tell the same story again; and that each checker can see.

`make sim` runs a million requests, and `python -m tests.simulation --seed N --requests N` one of these again.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.loop import NS_PER_S, Process, SimLoop, Stuck
from tests.simulation.plants import PLANTS
from tests.simulation.world import run

ROOT = Path(__file__).parent.parent.parent
REQUESTS = 500
SEEDS = range(1, 41)
SEEDS_TO_CATCH = range(1, 16)


@pytest.fixture(scope="module")
def reports():
    """Of the seeds, as far as they were asked for."""
    made = {}

    def of(seeds):
        for seed in seeds:
            if seed not in made:
                made[seed] = run(seed, REQUESTS)
        return [made[seed] for seed in seeds]

    return of


@pytest.mark.conformance("B4", "B42", "B45")
@pytest.mark.parametrize("seeds", [SEEDS[start::8] for start in range(8)], ids=lambda seeds: f"from {seeds[0]}")
def test_nothing_is_lost_charged_twice_or_told_too_early(reports, seeds):
    for report in reports(seeds):
        again = f"python -m tests.simulation --seed {report.seed} --requests {REQUESTS} --trace"
        assert report.findings == (), f"seed {report.seed}; see: {again}"
        assert report.requests >= REQUESTS


@pytest.mark.parametrize(
    "what",
    [
        "kills",
        "drains",
        "conflicts",
        "connections cut",
        "clock jumps",
        "messages lost",
        "messages doubled",
        "requests sent again",
        "asked again after the answer",
        "store calls failed",
        "commits done, and not told",
        "commits lost with their node",
        "commits that outlived their node",
        "outages of the store",
        "clients vanished",
        "reloads",
    ],
)
def test_the_seeds_meet_every_trouble(reports, what):
    assert sum(report.counts[what] for report in reports(SEEDS)) > 0


@pytest.mark.parametrize("seed", [3, 5, 14])
def test_a_seed_tells_the_same_story_again(seed):
    first, second = run(seed, 200), run(seed, 200)
    assert (first.digest, first.counts, first.events) == (second.digest, second.counts, second.events)
    assert first.digest != run(seed + 1, 200).digest


def test_another_process_with_other_hashes_tells_it_the_same():
    seed, requests = 28, 200
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--requests", str(requests)]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert f"digest {run(seed, requests).digest:08x}" in told


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_caught(name):
    plant = PLANTS[name]
    with plant.planted():
        for seed in SEEDS_TO_CATCH:
            report = run(seed, 250)
            if report.findings:
                assert report.findings[0].checker in plant.caught_by, report.findings[0]
                return
    raise AssertionError(f"nobody noticed {name}")


class Dice:
    def random(self):
        return 0.99


def test_time_goes_to_the_next_timer_and_the_dead_do_nothing():
    loop = SimLoop(Dice())
    one, other = Process(loop, "one"), Process(loop, "other")
    told = []

    async def count(name):
        import asyncio

        for number in range(3):
            told.append((name, number, loop.now_ns // NS_PER_S))
            await asyncio.sleep(10)

    one.spawn(count("one"))
    other.spawn(count("other"))
    other.steps_left = 2
    with pytest.raises(Stuck):
        loop.run_until(lambda: False, 100 * NS_PER_S)
    loop.bury()
    assert [(number, at_s) for name, number, at_s in told if name == "one"] == [(0, 0), (1, 10), (2, 20)]
    assert [number for name, number, _ in told if name == "other"] == [0]
    assert not other.alive
