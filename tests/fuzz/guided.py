"""Fuzzing by coverage with atheris: its choice of inputs, our mutation, the same targets."""

from __future__ import annotations

import gc
import hashlib
import random
import sys
from pathlib import Path
from types import FunctionType

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS


def guide(target: str, inputs: int, seed: int, corpus: Path, findings: Path) -> int:
    """Runs until `inputs` were tried or one broke a promise, which stands in `findings` then; ends the process."""
    import atheris

    for function in gc.get_objects():
        if isinstance(function, FunctionType) and (function.__module__ or "").startswith("ocs."):
            atheris.instrument_func(function)

    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(target):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def mutate(data: bytes, max_size: int, number: int) -> bytes:
        return mutated(bytes(data), random.Random(number))[:max_size]

    argv = [
        "fuzz",
        str(folder),
        f"-runs={inputs}",
        f"-seed={seed}",
        "-max_len=8000",
        "-len_control=0",
        f"-artifact_prefix={findings}/{target}-",
    ]
    custom = {} if target == "machine" else {"custom_mutator": mutate}
    atheris.Setup(argv, TARGETS[target], **custom)
    atheris.Fuzz()
    sys.exit(0)
