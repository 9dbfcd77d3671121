"""A small configuration folder that a test can spoil."""

from collections.abc import Mapping
from pathlib import Path

from ocs.config import Diagnostic, load
from ocs.config.settings import Settings

SAMPLE = Path(__file__).parents[2] / "config"

SERVER = """\
identity: ocs.example.com
realms: [example.com]
listeners:
  - {transport: tcp, host: 127.0.0.1, port: 3868}
peers:
  - {host: "*.pgw.example.com", from: [10.0.0.0/8], watchdog: 30s}
services:
  data:
    kind: data
    contexts: "32251"
    grant: {slice: 10 MiB, minimum: 64 KiB, maximum: 100 MiB, contended_slice: 1 MiB}
  voice:
    kind: voice
    contexts: [32260]
    grant: {slice: 60s, minimum: 1s, maximum: 10 min, contended_slice: 30s, validity_time: 1h}
    final_unit: {action: terminate}
  sms:
    kind: sms
    contexts: 32274
    grant: {slice: 1, minimum: 1, maximum: 100, contended_slice: 1}
store: {url: "memory:"}
http: {bind: 127.0.0.1:2080}
"""

TARIFF = """\
currency: AUD
destinations:
  au-mobile: {prefixes: [614]}
  au-fixed: {prefixes: [612, 613]}
emergency: {numbers: ["000", 112]}
plans:
  standard:
    voice:
      au-mobile: {price: 0.22 AUD/min, increment: 1s}
      au-fixed: {connect_fee: 0.20 AUD}
    data:
      "*any": {price: 0.01 AUD/MiB, increment: 1 KiB}
    sms:
      "*any": {price: 0.05 AUD}
"""

SUBSCRIBERS = """\
accounts:
  alice:
    msisdn: 491700000001
    imsi: [262010000000001]
    plan: standard
    balances:
      money: {kind: monetary, value: 50.00 AUD}
      minutes: {kind: voice, value: 100 min, destinations: [au-fixed, "!au-mobile"]}
      volume: {kind: data, value: 1 GiB}
  bob:
    sip: bob@ims.example.com
    plan: standard
"""

FILES: Mapping[str, str] = {
    "server.yaml": SERVER,
    "tariffs/a.yaml": TARIFF,
    "subscribers.yaml": SUBSCRIBERS,
}


RICH_TARIFF = """\
currency: AUD
time_zone: Australia/Sydney
destinations:
  au-mobile: {prefixes: [614]}
  au-fixed: {prefixes: [612, 613]}
  special: {prefixes: [6141]}
emergency: {numbers: ["000"]}
timings:
  peak: {week_days: [mon-thu, fri], time: "08:00-19:00"}
  night: {time: "20:00-06:00", months: [jan, jun-aug], month_days: [1, last], years: 2026-2040}
plans:
  standard:
    time_zone: Europe/London
    voice:
      deck: rates/intl.csv
      au-mobile:
        - {price: 0.22 AUD/min, increment: 1s, tiers: [{from: 10 min, price: 0.10 AUD/min}, {from: 1h, free: true}]}
        - {when: peak, weight: 5, price: 0.30 AUD/min, increment: 1s, max_cost: 5 AUD, max_cost_strategy: free}
      au-fixed: {connect_fee: 0.20 AUD, fee_per: group}
      special: {when: night, weight: 10, price: 0.05 AUD/min, increment: 60s, rounding: {decimals: 2, method: up}}
    data:
      rating_groups: {200: {"*any": {free: true}}}
      "*any":
        - {price: 0.01 AUD/MiB, increment: 1 KiB}
        - free: true
          conditions: {rat: nr, plmn: "208*", roaming: true, location: 26201, apn: i*, qci: 5, direction: originating}
    sms: {"*any": {price: 0.05 AUD}}
  other: {voice: {"*any": {price: 0.50 AUD/min, increment: 1s}}}
profiles:
  gold:
    "*any": [{plan: standard}, {from: 2026-01-01T00:00:00+11:00, plan: standard, fallback: [other]}]
    voice: {plan: other, fallback: standard}
  "acme:*any": {voice: {plan: other}}
shared_groups:
  family: {members: [alice, bob], strategy: mine_lowest}
tests:
  - {name: one, service: sms, plan: standard, to: "6141", at: 2026-11-23T09:00:00Z, usage: 1, expect: {cost: 0.05 AUD}}
"""

RICH: Mapping[str, str] = {
    "server.yaml": SERVER.replace("peers:\n", "home_networks: [26201]\npeers:\n"),
    "tariffs/a.yaml": RICH_TARIFF,
    "tariffs/b.yaml": """\
valid_from: 2030-01-01T00:00:00Z
timings: {peak: {week_days: mon-fri}}
plans: {other: {voice: {"*any": {price: 0.60 AUD/min, increment: 1s}}}}
""",
    "tariffs/rates/intl.csv": """\
prefix,destination,price,increment,when,weight
49,germany,0.10 AUD/min,60s,,
49,germany,0.20 AUD/min,60s,peak,1
44,"uk, all",0.10 AUD/min,60s,,
""",
    "subscribers.yaml": """\
accounts:
  alice:
    msisdn: 491700000001
    plan: gold
    allow_negative: true
    balances:
      money: {kind: monetary, value: 50.00 AUD, rating_subject: other, shared_group: family}
      minutes: {kind: voice, value: 1h, categories: voice, timings: [peak, "!night"], rating_subject: "*zero1m"}
      units: {kind: generic, value: 7, factors: {"*any": 0.5, voice: 1/60}, disabled: true}
    counters:
      calls: {kind: voice, counts: usage, destinations: [au-mobile, "!au-fixed"], categories: [voice]}
      spent: {kind: monetary, counts: balances, balance: money}
  bob: {plan: standard}
""",
}
"""A configuration that uses every key of tariffs and subscribers."""


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write the files below the folder, making folders on the way."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def loaded(folder: Path, files: Mapping[str, str | bytes] = FILES) -> tuple[Settings | None, list[Diagnostic]]:
    """What the files load to; the folder is emptied of earlier ones first."""
    for old in sorted(folder.rglob("*"), reverse=True):
        old.unlink() if not old.is_dir() else old.rmdir()
    write(folder, files)
    return load(folder)


def sound(folder: Path, files: Mapping[str, str | bytes] = FILES) -> Settings:
    """The settings of files without a problem."""
    settings, diagnostics = loaded(folder, files)
    assert not diagnostics, [str(found) for found in diagnostics]
    assert settings is not None
    return settings


def edited(file: str, old: str, new: str) -> dict[str, str]:
    """The small configuration with one text replaced by another; it has to be there, once."""
    assert FILES[file].count(old) == 1, (file, old)
    return {**FILES, file: FILES[file].replace(old, new)}


def lines(folder: Path, diagnostics: list[Diagnostic]) -> list[str]:
    """Diagnostics as printed, with file names below the folder."""
    return [str(found).replace(f"{folder}/", "") for found in diagnostics]
