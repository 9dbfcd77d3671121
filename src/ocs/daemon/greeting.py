"""What the server prints when it is ready: where it listens, and the one line to try next."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from ocs import __version__
from ocs.config.settings import Settings
from ocs.store.url import shown

DIAMETER_PORT, HTTP_PORT = 3868, 2080


def endpoint(host: str, port: int) -> str:
    """Text of an address: "host:port", IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def greeting(settings: Settings, diameter: Sequence[tuple[str, str, int]], http: tuple[str, int], opened: int) -> str:
    """Lines for a person, the last one beginning with "ready"."""
    store = shown(settings.store_url)
    lines = [
        f"ocs {__version__} is {settings.identity}, tariff {settings.tariff.version}, store {store}",
        *(f"Diameter on {endpoint(host, port)} ({transport})" for transport, host, port in diameter),
        f"HTTP on http://{endpoint(*http)}",
    ]
    if opened:
        lines.append(f"first start: {opened} accounts opened from subscribers.yaml")
    # `ocs simulate` speaks plain TCP.
    to_try = line_to_try(settings, [(host, port) for transport, host, port in diameter if transport == "tcp"], http)
    if to_try:
        lines.append(f"try: {to_try}")
    return "\n".join([*lines, "ready"])


def line_to_try(settings: Settings, diameter: Sequence[tuple[str, int]], http: tuple[str, int]) -> str:
    """A command that charges the second account that has an MSISDN (the first one may have free units), or "" ."""
    numbers = [
        identity.removeprefix("msisdn:")
        for subscriber in settings.subscribers
        for identity in subscriber.identities
        if identity.startswith("msisdn:")
    ]
    if not numbers or not diameter:
        return ""
    words = [_program(), "simulate", "data", "--msisdn", numbers[min(1, len(numbers) - 1)], "--octets", "308400"]
    if diameter[0] != ("127.0.0.1", DIAMETER_PORT):
        words += ["--server", endpoint(*_near(diameter[0]))]
    if http != ("127.0.0.1", HTTP_PORT):
        words += ["--url", f"http://{endpoint(*_near(http))}"]
    return shlex.join(words)


def _near(address: tuple[str, int]) -> tuple[str, int]:
    host, port = address
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - a listener on all addresses


def _program() -> str:
    """How this program was called, so that the line works in the same folder."""
    called = sys.argv[0] if os.path.basename(sys.argv[0]) == "ocs" else "ocs"  # noqa: PTH119
    near = os.path.relpath(called) if os.path.isabs(called) else called  # noqa: PTH117
    return called if near.startswith("..") else near
