"""Folders of CGRateS CSV files that a test can spoil."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ocs.config import load
from ocs.config.cgrates_csv import COLUMNS, FILES
from ocs.config.cgrates_import import Imported
from ocs.config.diagnostics import Diagnostic, Severity
from ocs.config.settings import Settings
from ocs.rating.units import Kind

NAMES = {table: name for name, table in FILES.items()}

TABLES: Mapping[str, Sequence[str]] = {
    "destinations": ["DE,49", "DE_MOBILE,+4915", "DE_MOBILE,4916", "UK,44"],
    "timings": [
        "PEAK,*any,*any,*any,1;2;3;4;5,08:00:00;17:59:59",
        "XMAS,2026;2027,12,25;26,*any,00:00:00",
        "ASAP,*any,*any,*any,*any,*asap",
        "MONTHLY,*any,*any,1,*any,00:00:00",
    ],
    "rates": [
        "R_DE,0.05,0.1,60s,60s,0s",
        "R_DE,0,0.05,60s,1s,60s",
        "R_CHEAP,0,0.02,60s,1s,0s",
        "R_FREE,0,0,60s,60s,0s",
        "R_SMS,0,0.07,1,1,0",
        "R_DATA,0,0.000000000015,1,1024,0",
    ],
    "destination_rates": [
        "DR_PEAK,DE,R_DE,*up,4,0,",
        "DR_PEAK,DE_MOBILE,R_DE,*middle,9,2.5,*free",
        "DR_CHEAP,*any,R_CHEAP,,0,,",
        "DR_XMAS,DE,R_FREE,*up,4,0,",
        "DR_SMS,*any,R_SMS,*up,20,0,",
        "DR_DATA,*any,R_DATA,*down,12,1,*disconnect",
    ],
    "rating_plans": [
        "RP_CALL,DR_PEAK,PEAK,10",
        "RP_CALL,DR_CHEAP,*any,5",
        "RP_CALL,DR_XMAS,XMAS,20",
        "RP_SMS,DR_SMS,*any,10",
        "RP_DATA,DR_DATA,*any,10",
    ],
    "rating_profiles": [
        "cgrates.org,call,*any,2014-01-14T00:00:00Z,RP_CALL,",
        "cgrates.org,call,1001,,RP_CALL,*any",
        "cgrates.org,sms,*any,,RP_SMS,",
        "cgrates.org,data,*any,,RP_DATA,",
    ],
    "shared_groups": ["FAMILY,*any,*lowest,"],
    "actions": [
        "WELCOME,*topup_reset,,,minutes,*voice,call,DE;!DE_MOBILE,*zero1m,,*unlimited,PEAK,100m,20,true,false,10",
        "WELCOME,*topup,,,money,*monetary,,*any,,FAMILY,2030-01-01T00:00:00Z,,12.5,10,false,false,10",
        "WELCOME,*topup,,,money,*monetary,,*any,,FAMILY,2030-01-01T00:00:00Z,,0.5,10,false,false,10",
        "WELCOME,*topup,,,gone,*sms,,,,,+24h,,5,10,false,false,10",
        'WELCOME,*log,"{""a"":""b,c""}",,,,,,,,,,,,,,0',
        "MONTHLY,*topup,,,bonus,*data,,,,,*unlimited,,1024,10,false,false,10",
    ],
    "action_plans": ["PACKAGE,WELCOME,ASAP,10", "PACKAGE,MONTHLY,MONTHLY,10"],
    "account_actions": [
        "cgrates.org,1001,PACKAGE,,false,false",
        "cgrates.org,491700000002,PACKAGE,TRIGGERS,true,true",
        "cgrates.org,1003,,,,",
    ],
}
"""Lines by table."""

SERVER = """\
identity: ocs.example.com
realms: [example.com]
listeners: [{transport: tcp, host: 127.0.0.1, port: 3868}]
peers: [{host: "*", from: [127.0.0.0/8]}]
store: {url: "memory:"}
http: {bind: 127.0.0.1:2080}
services:
"""

GRANTS = {
    Kind.VOICE: "{slice: 60s, minimum: 1s, maximum: 10 min, contended_slice: 30s}",
    Kind.DATA: "{slice: 10 MiB, minimum: 1 KiB, maximum: 100 MiB, contended_slice: 1 MiB}",
}
GRANT = "{slice: 1, minimum: 1, maximum: 100, contended_slice: 1}"


def write_lines(folder: Path, tables: Mapping[str, Sequence[str]]) -> None:
    """Files of these lines, each with a comment for its head."""
    for table, lines in tables.items():
        text = "\n".join([f"#{','.join(COLUMNS[table])}", *lines, ""])
        (folder / NAMES[table]).write_text(text, encoding="utf-8")


def write_rows(folder: Path, tables: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Files of these rows, their cells by column."""
    for table, rows in tables.items():
        with (folder / NAMES[table]).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([row[column] for column in COLUMNS[table]] for row in rows)


def load_imported(imported: Imported, folder: Path) -> tuple[Settings | None, list[Diagnostic]]:
    """What the files that were imported load as, beside a server.yaml with their services; and the errors."""
    for path, text in imported.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    services = "".join(
        f'  "{name}": {{kind: {kind.value}, contexts: "{3_000 + number}", grant: {GRANTS.get(kind, GRANT)}}}\n'
        for number, (name, kind) in enumerate(imported.services.items())
    )
    (folder / "server.yaml").write_text(SERVER + services, encoding="utf-8")
    settings, diagnostics = load(folder)
    return settings, [found for found in diagnostics if found.severity is Severity.ERROR]
