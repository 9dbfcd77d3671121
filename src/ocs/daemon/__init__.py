"""The running server: wires the rooms together; start, reload, drain."""

from __future__ import annotations

from ocs.daemon.run import run

__all__ = ["run"]
