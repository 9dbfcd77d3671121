"""The few words of systemd's notification protocol (sd_notify(3)) that the server says."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*assignments: str) -> None:
    """Tell the service manager, where there is one, e.g. "READY=1"; nothing that goes wrong there matters here."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto("\n".join(assignments).encode(), address.replace("@", "\0", 1))
