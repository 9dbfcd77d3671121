"""Errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer other than success.

    detail: what is wrong, for people. errors: several of them, where there are several.
    """

    def __init__(self, status: int, detail: str, errors: Sequence[str] = ()) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says `problem`."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return Response(msgspec.json.encode(body), problem.status, headers, CONTENT_TYPE)


async def on_problem(_request: Request, error: Exception) -> Response:
    """Starlette's handler for Problem."""
    assert isinstance(error, Problem)
    return problem_response(error)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Starlette's handler for its own refusals: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    return problem_response(Problem(error.status_code, error.detail), error.headers)


async def on_store_down(_request: Request, error: Exception) -> Response:
    """Starlette's handler for StoreDown."""
    detail = f"the store cannot answer now: {error}" if str(error) else "the store cannot answer now"
    return problem_response(Problem(503, detail), {"Retry-After": "5"})


async def on_duplicate(_request: Request, error: Exception) -> Response:
    """Starlette's handler for Duplicate: an identity that was taken meanwhile."""
    return problem_response(Problem(409, str(error)))
