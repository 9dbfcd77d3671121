"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import ctypes
import signal
from typing import Final

_SET_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of prctl(2)


def end_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel send that signal to this process when its parent is gone."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, number)
