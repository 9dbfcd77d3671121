"""`ocs docs`: parts of the manual that are made from the code."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Print parts of the manual that are made from the code.")


class Form(StrEnum):
    """How a machine is drawn."""

    MERMAID = "mermaid"
    DOT = "dot"


class Name(StrEnum):
    """The machines."""

    PEER = "peer"
    SESSION = "session"


@app.callback()
def docs() -> None:
    """Print parts of the manual that are made from the code."""


@app.command()
def fsm(
    machine: Annotated[
        Name | None, typer.Argument(help="Which machine; all of them, as a page, where not given.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Language of the drawing.")] = Form.MERMAID,
) -> None:
    """Draw the state machines from their tables.

    Without a name: docs/state-machines.md, with diagrams, every row, and the sections of the standards.
    """
    from ocs.cli.machines import FORMATS, MACHINES, page

    print(page() if machine is None else FORMATS[form](MACHINES[machine]()), end="")
