"""A bar for what takes seconds to read, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ocs.config.deck import Progress


@contextmanager
def reading() -> Iterator[Progress | None]:
    """What `load` tells how far a deck is read: a bar on stderr, None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(file: str, octets: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(Path(file).name, total=total)
            bars.update(tasks[file], completed=octets)

        yield tell
