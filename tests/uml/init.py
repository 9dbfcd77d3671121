#!/usr/bin/python3 -I
"""The first process of the guest: mounts, loads modules, runs one command, writes how it ended, powers off.

It is told by the kernel's command line: `ocs.job=FOLDER`, which is the host's and writable here, and
`ocs.modules=FOLDER` of the guest's kernel. FOLDER/command.json is {"argv", "cwd", "env"}; FOLDER/output gets what the
command prints, FOLDER/status its exit status. A status comes only from a command that ended: what fails before leaves
none. Needs Python alone.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import socket
import struct
import subprocess
import traceback
from pathlib import Path

FINIT_MODULE = {"x86_64": 313}
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
REBOOT, POWER_OFF = 169, (0xFEE1DEAD, 672274793, 0x4321FEDC, 0)
# hmac stands in no list of dependencies, but listen() of SCTP needs it.
MODULES = "hmac sctp veth dummy sch_netem".split()

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, data: str = "") -> None:
    checked(libc.mount(source.encode(), target.encode(), kind.encode(), 0, data.encode()), f"mount {target}")


def load(folder: Path, names: list[str]) -> None:
    """Load modules after those that they depend on; the last dependency of a line comes first."""
    lines = (folder / "modules.dep").read_text().splitlines()
    needs = {path: more.split() for path, _, more in (line.partition(":") for line in lines)}
    paths = {Path(path).name.partition(".")[0].replace("-", "_"): path for path in needs}
    for name in names:
        for path in [*reversed(needs[paths[name]]), paths[name]]:
            with (folder / path).open("rb") as file:
                result = libc.syscall(FINIT_MODULE[platform.machine()], file.fileno(), b"", 0)
                if result == 0 or ctypes.get_errno() != errno.EEXIST:
                    checked(result, f"load {path}")


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def prepare() -> Path:
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")
    if Path("/dev/null").stat().st_rdev != os.makedev(1, 3):
        mount("devtmpfs", "/dev", "devtmpfs")
    Path("/dev/shm").mkdir(exist_ok=True)
    for folder in ("/dev/shm", "/run"):
        mount("tmpfs", folder, "tmpfs")
    words = dict(word.split("=", 1) for word in Path("/proc/cmdline").read_text().split() if word.startswith("ocs."))
    job = words["ocs.job"]
    mount("none", job, "hostfs", job)
    load(Path(words["ocs.modules"]), MODULES)
    raise_loopback()
    return Path(job)


def run(job: Path) -> None:
    command = json.loads((job / "command.json").read_text())
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": "/dev/shm",
        **command["env"],
    }
    with (job / "output").open("wb") as output:
        status = subprocess.call(
            command["argv"], cwd=command["cwd"], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    with (job / "status").open("w") as file:
        file.write(f"{status}\n")
        file.flush()
        os.fsync(file.fileno())


try:
    run(prepare())
except (OSError, ValueError, KeyError):
    traceback.print_exc()
os.sync()
libc.syscall(REBOOT, *(ctypes.c_ulong(each) for each in POWER_OFF))
