"""The load client in C, compiled at its first use and kept in the cache folder of the user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("client.c")
_OPTIONS: Final = ("-O2", "-std=gnu11", "-Wall", "-Wextra")


def cache_folder() -> Path:
    """Where it is kept: below $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ocs"


def compiled_client() -> tuple[Path | None, str]:
    """The program, or None and why there is none (no compiler, or it failed)."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        return None, "there is no C compiler (cc)"
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join((compiler, *_OPTIONS)).encode()).hexdigest()[:16]
    program = cache_folder() / f"bench-client-{digest}"
    if program.exists():
        return program, ""
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        # Made beside it and moved: two that start at once do not see half a program.
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            made = Path(folder) / "client"
            command = [compiler, *_OPTIONS, "-o", str(made), str(SOURCE)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return None, f"{compiler} failed: {(done.stderr.splitlines() or [''])[0]}"
            made.replace(program)
    except OSError as error:
        return None, f"{program.parent}: {error.strerror}"
    return program, ""
