"""`ocs schema`: JSON Schema of the configuration files, for editors."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from ocs.cli.output import print_json


class File(Enum):
    """The files of a configuration folder."""

    SERVER = "server"
    TARIFF = "tariff"
    SUBSCRIBERS = "subscribers"


def schema(
    file: Annotated[File, typer.Argument(help="server.yaml, a file of tariffs/, or subscribers.yaml.")],
) -> None:
    """Print the JSON Schema of a configuration file."""
    from ocs.config.load import json_schema

    print_json(json_schema(file.value))
