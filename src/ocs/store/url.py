"""What the URL of a store says: its kind, and what of it may be shown."""

from __future__ import annotations

import re
from typing import Final

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")


def kind_of(url: str) -> str:
    """What kind of store it means: "sqlite", "memory" or "postgresql"; ValueError for anything else."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme in POSTGRES_SCHEMES and rest.startswith("//"):
        return "postgresql"
    if colon and scheme == "sqlite" and rest:
        return scheme
    if colon and scheme == "memory" and not rest:
        return scheme
    raise ValueError(f'"{shown(url)}" is no store: sqlite:PATH, postgresql://USER@HOST/DATABASE or memory: is')


def shown(url: str) -> str:
    """The URL without the password in it: it goes into logs and messages."""
    if not url.startswith(POSTGRES_SCHEMES):
        return url
    hidden = re.sub(r"^(\w+://[^/?#:@]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"([?&](?:ssl)?password)=[^&]*", r"\1=***", hidden)
