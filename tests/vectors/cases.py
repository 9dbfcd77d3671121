"""The vectors: inputs and expected results, by id."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "vectors"


@cache
def rating_file() -> dict[str, Any]:
    """rating.json, its numbers as they are written."""
    found: dict[str, Any] = json.loads((FOLDER / "rating.json").read_text(), parse_float=str)
    return found


@cache
def session_file() -> dict[str, Any]:
    """sessions.json."""
    found: dict[str, Any] = json.loads((FOLDER / "sessions.json").read_text(), parse_float=str)
    return found


def rating_cases(*kinds: str) -> list[dict[str, Any]]:
    """The cases of rating.json of these kinds."""
    return [case for case in rating_file()["vectors"] if case["kind"] in kinds]


def session_cases(kind: str) -> list[dict[str, Any]]:
    """The cases of sessions.json of a kind."""
    return [case for case in session_file()["cases"] if case["kind"] == kind]
