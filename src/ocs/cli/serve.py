"""`ocs serve`: the charging server, in the foreground."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ocs.cli.options import ConfigFolder


class LogFormat(Enum):
    """Forms of log lines; auto: console on a terminal, else JSON."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(Enum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    config: ConfigFolder = Path("config"),
    log_format: Annotated[LogFormat, typer.Option(help="Form of the log lines on stderr.")] = LogFormat.AUTO,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = LogLevel.INFO,
) -> None:
    """Run the charging server until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    from ocs.daemon import run

    raise typer.Exit(run(config, log_level.value, log_format.value))
