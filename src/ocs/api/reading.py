"""What comes in, checked: query parameters and JSON bodies. What nobody asked for is refused by its name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec
from starlette.requests import Request

from ocs.api.problems import Problem
from ocs.limits import PAGE_ROWS_MAX, REQUEST_BODY_OCTETS_MAX

PAGE_ROWS = 100
CURSOR_MAX = 2**63 - 1

B = TypeVar("B", bound=msgspec.Struct)


def query(request: Request, allowed: Collection[str]) -> dict[str, str]:
    """The query parameters, each given once; 400 names those that are not in `allowed`."""
    given = request.query_params.multi_items()
    errors = [f'unknown parameter "{name}"' for name, _ in given if name not in allowed]
    names = [name for name, _ in given]
    errors += [
        f'parameter "{name}" is given more than once' for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if errors:
        known = ", ".join(sorted(allowed)) or "none"
        raise Problem(400, f"{errors[0]}; known: {known}", errors if len(errors) > 1 else ())
    return dict(given)


def page_limit(parameters: dict[str, str], most: int = PAGE_ROWS_MAX) -> int:
    """The `limit` of a page: 1 to `most`, PAGE_ROWS where not given."""
    text = parameters.get("limit", str(PAGE_ROWS))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= limit <= most:
        raise Problem(400, f'limit "{text}" is not a number from 1 to {most}')
    return limit


def number_cursor(parameters: dict[str, str], name: str = "after") -> int:
    """The `after` (or `name`) of a page whose ids are numbers; 0 where not given."""
    text = parameters.get(name, "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > CURSOR_MAX:
        raise Problem(400, f'{name} "{text}" is not the id of a row')
    return int(text)


async def body(request: Request, shape: type[B], empty: B | None = None) -> B:
    """The JSON body as `shape`; 415 for another content type, 413 above the bound, 422 for what does not fit.

    empty: what no body at all means; None: there has to be one.
    """
    octets = await bounded(request)
    if not octets and empty is not None:
        return empty
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Problem(415, "the body has to be application/json")
    try:
        return msgspec.json.decode(octets, type=shape)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


async def bounded(request: Request) -> bytes:
    """The octets of the body, REQUEST_BODY_OCTETS_MAX at the most."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > REQUEST_BODY_OCTETS_MAX:
            raise Problem(413, f"the body is longer than {REQUEST_BODY_OCTETS_MAX} octets")
        parts.append(part)
    return b"".join(parts)
