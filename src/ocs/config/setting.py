"""What a tariff is compiled in: what `server.yaml` says, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ocs.config.deck import Progress
from ocs.rating.numbers import Numbering
from ocs.rating.units import Kind


class Setting(NamedTuple):
    """What a tariff is compiled in.

    services: kinds of the services of server.yaml by name, None where the kind could not be read; None where that file
        cannot be read.
    complete: no tariff file is missing among those read. What stands in files that could not be read is not
        complained about.
    now_ns: for warnings about what is over or still to come. home_networks: PLMNs where nobody is roaming.
    """

    services: Mapping[str, Kind | None] | None
    numbering: Numbering
    complete: bool
    now_ns: int
    progress: Progress | None = None
    home_networks: frozenset[str] = frozenset()
