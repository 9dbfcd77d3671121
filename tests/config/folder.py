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
