"""The `ocs` command. What a subcommand needs is imported when it runs, so that `ocs --help` stays quick."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `ocs` script; ends the process with 0 fine, 1 found a problem, 2 usage or unreachable."""
    from ocs.cli.app import app

    app()
