"""Reading a configuration again: checked as a whole, compared with the one in use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ocs.api.ports import Reloaded
from ocs.config.load import load
from ocs.config.settings import Settings

RESTART_FIELDS: Final = {
    "identity": "identity",
    "listeners": "listeners",
    "store_url": "store.url",
    "http_host": "http.bind",
    "http_port": "http.bind",
}
"""Fields of Settings that count after a restart only, and what they are called in server.yaml."""


async def reload_folder(folder: Path, in_use: Settings) -> tuple[Reloaded, Settings | None]:
    """(what to tell, the new settings), None where there is an error and the old ones stay.

    Read in a thread: a large tariff takes a while, and charging goes on.
    """
    settings, diagnostics = await asyncio.to_thread(load, folder)
    problems = tuple(map(str, diagnostics))
    version = in_use.tariff.version
    if settings is None:
        return Reloaded(done=False, tariff_version=version, problems=problems), None
    if settings.tariff.currency != in_use.tariff.currency:
        why = (
            f"the currency changed from {in_use.tariff.currency} to {settings.tariff.currency}; accounts stay in theirs"
        )
        return Reloaded(done=False, tariff_version=version, problems=(*problems, why)), None
    changed = dict.fromkeys(
        name for field, name in RESTART_FIELDS.items() if getattr(settings, field) != getattr(in_use, field)
    )
    return Reloaded(True, settings.tariff.version, problems, tuple(changed)), settings
