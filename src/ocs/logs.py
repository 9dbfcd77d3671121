"""Structured logs: one event per line on stderr, JSON, or coloured text where a person watches.

Lines about a session carry `session_id`; names of subscribers are masked wherever they stand under a known key.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

SUBSCRIBER_KEYS: Final = frozenset(
    ("subscriber", "subscribers", "msisdn", "imsi", "called", "calling", "identity", "identities", "number", "imei")
)
"""Keys whose values name people; everything else is logged as it is."""

_DIGITS: Final = re.compile(r"\d{8,}")
_HEAD, _TAIL = 5, 2


def mask(text: str) -> str:
    """Digits of numbers hidden but for the first five and the last two: "msisdn:491700000001" -> "msisdn:49170*****01".

    Enough to tell the network and to compare two lines; runs of fewer than eight digits stay (112, rating groups).
    """
    return _DIGITS.sub(lambda m: m[0][:_HEAD] + "*" * (len(m[0]) - _HEAD - _TAIL) + m[0][-_TAIL:], text)


def mask_subscribers(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A processor of structlog: masks the values of SUBSCRIBER_KEYS, in sequences too."""
    for key in SUBSCRIBER_KEYS & event.keys():
        value = event[key]
        if isinstance(value, str):
            event[key] = mask(value)
        elif isinstance(value, list | tuple | set | frozenset):
            event[key] = [mask(str(item)) for item in value]
        elif isinstance(value, int) and not isinstance(value, bool):
            event[key] = mask(str(value))
    return event


def spell_out_controls(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A processor of structlog: a terminal must not obey what a client put into a name. JSON escapes by itself."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = ascii(value)[1:-1]
    return event


def set_up(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Direct all logs of the process to `stream` (stderr). `form`: "json", "console", or "auto": console on a TTY."""
    target = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and target.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_subscribers,
    ]
    rendering: list[Any] = (
        [spell_out_controls, structlog.dev.ConsoleRenderer(colors=target.isatty())]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[p for p in shared if not isinstance(p, structlog.stdlib.ExtraAdder)] + rendering,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    # Libraries that log the ordinary way (uvicorn, asyncio) come out in the same form.
    handler = logging.StreamHandler(target)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, *rendering]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
