"""Runs pytest inside User-mode Linux, whose kernel has SCTP: `python -m tests.uml.boot [arguments of pytest]`.

Arguments that name no file are options for the whole of TESTS.

The guest sees the host's files, read-only, and one folder of its own. It is judged by the status that it leaves there:
none means that it failed, whatever the emulator says of itself. Root is not needed. The exit status is pytest's.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
INIT = Path(__file__).parent / "init.py"
KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
MEMORY = "512M"
LIMIT_S = 300
NO_STATUS = 98
# The whole transport suite: what is of SCTP alone, and the node's own tests over it.
TESTS = ("tests/uml/guest", "tests/diameter/test_node.py")
ENVIRONMENT = {"HOME": "/dev/shm", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "OCS_TEST_TRANSPORT": "sctp"}


def boot(job: Path, argv: list[str], kernel: str, modules: Path, limit_s: float = LIMIT_S) -> int:
    """Run `argv` in the guest, with `job` as its folder, and return its exit status, or NO_STATUS."""
    (job / "command.json").write_text(json.dumps({"argv": argv, "cwd": str(ROOT), "env": ENVIRONMENT}))
    words = [f"mem={MEMORY}", f"umid={job.name}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}", "con=null"]
    words += ["con0=null,fd:1", "ssl=null", "quiet", "panic=-1", f"ocs.job={job}", f"ocs.modules={modules}"]
    environment = {**os.environ, "TMPDIR": "/dev/shm", "HOME": str(job)}
    with (job / "console").open("wb") as console:
        process = subprocess.Popen(
            [kernel, *words],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            print(f"the guest did not end within {limit_s} s", file=sys.stderr)
        finally:
            end(process)
    try:
        return int((job / "status").read_text())
    except (FileNotFoundError, ValueError):
        print(
            "the guest left no status; its console:", (job / "console").read_text("utf-8", "replace"), file=sys.stderr
        )
        return NO_STATUS


def end(process: subprocess.Popen[bytes]) -> None:
    """The emulator and the processes that it made for the guest's; they are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(arguments: list[str]) -> int:
    kernel = shutil.which(KERNEL)
    versions = sorted(MODULES.glob("*/modules.dep"))
    if kernel is None or not versions:
        print("User-mode Linux is not installed: make sctp installs it", file=sys.stderr)
        return NO_STATUS
    with tempfile.TemporaryDirectory(prefix="ocs-uml-") as folder:
        job = Path(folder)
        argv = [str(ROOT / ".venv/bin/python"), "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={job}/junit.xml"]
        named = any((ROOT / each.partition("::")[0]).exists() for each in arguments)
        status = boot(job, [*argv, *arguments, *(() if named else TESTS)], kernel, versions[-1].parent)
        output = job / "output"
        if output.exists():
            print(output.read_text("utf-8", "replace"))
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
