"""`python -m tests.fuzz`: many inputs for each target; whatever breaks a promise is kept as a file.

Mutation is by a seed, so a finding is found again. With --guided and atheris installed (it is in no lock file: it has
wheels for few machines) coverage leads the way, and inputs that reach something new go to --corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

GENERATIONS = 64
"""So many inputs are bred on: a mutant takes the place of one of them now and then."""


def run(target: str, inputs: int, seed: int, findings: Path | None = None) -> int:
    """Try that many inputs; how many broke a promise. Raises the first where `findings` is None."""
    dice = random.Random(f"{target} {seed}")
    pool = seeds(target)
    first = len(pool)
    found = 0
    known: set[str] = set()
    for _ in range(inputs):
        data = mutated(dice.choice(pool), dice) if target != "machine" else _octets(dice.choice(pool), dice)
        if dice.random() < 0.02:
            if len(pool) < first + GENERATIONS:
                pool.append(data)
            else:
                pool[dice.randrange(first, len(pool))] = data
        try:
            TARGETS[target](data)
        except Exception as error:
            if findings is None:
                raise
            where = "".join(traceback.format_tb(error.__traceback__)[-1:]) + repr(error)[:80]
            if where not in known:
                known.add(where)
                name = f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
                (findings / name).write_bytes(data)
                print(f"{name}: {error!r}\n{where}", flush=True)
            found += 1
    return found


def _octets(data: bytes, dice: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(dice.randint(1, 12)):
        at = dice.randrange(len(made) + 1)
        match dice.randrange(3):
            case 0:
                made[at : at + dice.randint(0, 4)] = dice.randbytes(dice.randint(0, 4))
            case 1:
                made.insert(at, dice.choice((1, 3, 200, 255)))
            case _:
                del made[at : at + dice.randint(0, 3)]
    return bytes(made[:400]) or b"\0"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="so many for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument(
        "--findings", type=Path, default=Path("var/fuzz/findings"), help="folder for inputs that break something"
    )
    parser.add_argument("--guided", action="store_true", help="by coverage, with atheris; one target")
    parser.add_argument("--corpus", type=Path, default=Path("var/fuzz/corpus"), help="folder of --guided")
    wanted = parser.parse_args()
    wanted.findings.mkdir(parents=True, exist_ok=True)
    targets = wanted.target or sorted(TARGETS)
    if wanted.guided:
        from tests.fuzz.guided import guide

        return guide(targets[0], wanted.inputs, wanted.seed, wanted.corpus, wanted.findings)
    found = 0
    for target in targets:
        began = time.monotonic()
        broken = run(target, wanted.inputs, wanted.seed, wanted.findings)
        took = time.monotonic() - began
        print(f"{target}: {wanted.inputs} inputs in {took:.0f} s, {broken} broke a promise", flush=True)
        found += broken
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
