"""What the kernel says of a process: CPU time, memory; and of the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

_TICK_US: Final = 1_000_000 // os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat after the name of the program, from the state on (proc(5)).
_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 11, 12, 13, 14
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Whether it runs (a zombie does not)."""
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def children(pid: int) -> list[int]:
    """Ids of the processes that it made."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in pids if stat(one)[1:2] == [str(pid)]]


def cpu_us(pids: Iterable[int]) -> int:
    """CPU time that the processes have used, in user and kernel mode, all their threads."""
    return sum(sum(map(int, (fields[_USER], fields[_SYSTEM]))) * _TICK_US for fields in map(stat, pids) if fields)


def family_cpu_us(pid: int) -> int:
    """That of a process, its children, and those of its children that have ended."""
    fields = stat(pid)
    ended = sum(map(int, (fields[_CHILDREN_USER], fields[_CHILDREN_SYSTEM]))) * _TICK_US if fields else 0
    return cpu_us([pid, *children(pid)]) + ended


def rss_octets(pids: Iterable[int]) -> int:
    """Resident memory of the processes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1_024
    return total


def file_system(folder: Path) -> str:
    """Type of the file system that a folder is on: "ext4", "tmpfs"; "" where that is not known."""
    best, found = "", ""
    resolved = str(folder.resolve())
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        inside = resolved == place or resolved.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, found = place, kind
    return found


def machine() -> dict[str, Any]:
    """What it ran on: processor, cores, memory, kernel, Python."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_octets": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
    }
