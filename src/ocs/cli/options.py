"""Options that several subcommands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:2080"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Url = Annotated[
    str | None, typer.Option("--url", help="The running server.", show_default=DEFAULT_URL, envvar="OCS_URL")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration folder: use its server or, where none runs, its store."),
]
ConfigFolder = Annotated[Path, typer.Option("--config", help="Configuration folder.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show so many at the most.")]
By = Annotated[str, typer.Option("--by", help="Who does it, for the journal.", envvar=["OCS_OPERATOR", "USER"])]
