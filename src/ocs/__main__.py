"""`python -m ocs` is the `ocs` command."""

from __future__ import annotations

from ocs.cli import main

main()
