"""A folder of CGRateS CSV files as files of our configuration: read, checked, and written in our language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from ocs.config.cgrates_accounts import parse_accounts
from ocs.config.cgrates_csv import read_folder
from ocs.config.cgrates_rows import Rows, parse
from ocs.config.cgrates_yaml import Writer, to_yaml
from ocs.config.diagnostics import Diagnostic, Problems
from ocs.rating.units import Kind

KIND_OF_CATEGORY: Final = {"call": Kind.VOICE} | {kind.value: kind for kind in Kind if kind is not Kind.MONETARY}
"""What the usual categories count."""


class Imported(msgspec.Struct, frozen=True):
    """What became of a folder.

    files: path below a configuration folder -> text; empty where there are errors.
    services: what the services that the tariff needs count, by name.
    read: rows by table. left_out: how many of what is not imported: lines by file, actions by type.
    """

    files: Mapping[str, str]
    services: Mapping[str, Kind]
    read: Mapping[str, int]
    left_out: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def usable(self) -> bool:
        """Whether there is something to write."""
        return bool(self.files)


def import_folder(folder: Path, kinds: Mapping[str, Kind], currency: str, time_zone: str) -> Imported:
    """Read a folder. Nothing that stands in it makes this raise.

    kinds: what categories count, besides the usual ones; currency: of all amounts, since the files do not say it.
    """
    problems = Problems()
    found = read_folder(folder, problems)
    rows = parse(found.tables, problems)
    accounts = parse_accounts(found.tables, rows, problems)
    services = _services(rows, {**KIND_OF_CATEGORY, **kinds}, problems)
    files: dict[str, str] = {}
    if not problems.fatal:
        writer = Writer(rows, accounts, services, currency, time_zone, problems)
        comment = f"Imported from {folder.name}."
        files = {path: to_yaml(tree, comment) for path, tree in writer.files().items()} | writer.decks
        services = {writer.id(name, rows.profiles[0].place): kind for name, kind in services.items()}
    return Imported(
        {} if problems.fatal else files,
        services,
        {table: len(lines) for table, lines in found.tables.items()},
        {**found.not_imported, **accounts.left_out},
        tuple(problems.sorted()),
    )


def _services(rows: Rows, kinds: Mapping[str, Kind], problems: Problems) -> dict[str, Kind]:
    services: dict[str, Kind] = {}
    for profile in rows.profiles:
        kind = kinds.get(profile.category)
        if kind is None:
            hint = f"say it with --service {profile.category}=voice"
            message = f'nobody knows what the category "{profile.category}" counts'
            problems.error(profile.place._replace(path="category"), message, hint=hint)
        else:
            services[profile.category] = kind
    return services
