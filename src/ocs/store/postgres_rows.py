"""What a batch writes into PostgreSQL, as the arrays that the statements take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ocs.cdr.records import Cdr
from ocs.charging.outcome import Outcome
from ocs.rating.units import Measure
from ocs.store.batch import Batch
from ocs.store.interface import Applied, NumberedCdr
from ocs.store.postgres_schema import NONE_KEY, month_of
from ocs.store.postgres_statements import (
    CDR_COLUMNS,
    MAKE_ACCOUNTS,
    MAKE_IDENTITIES,
    MAKE_SESSION_INDEX,
    MOVE_ACCOUNTS,
    WRITE_CDRS,
    WRITE_EFFECTS,
    WRITE_JOURNAL,
    WRITE_PAGES,
    WRITE_SESSIONS,
    Statement,
)
from ocs.store.rows import attributes_of, encode

_DAY_NS: Final = 86_400 * 1_000_000_000
_CDR_FIELDS: Final = tuple(name for name, _ in CDR_COLUMNS)

Arrays = list[list[Any]]


class Rows(NamedTuple):
    """What a batch comes to.

    moves, makes: how many accounts change, and how many are new. journal: (account id, version, month, at_ns, entry)
    as columns. writes: all statements that have something to write, with their arrays, in the order in which they run.
    """

    applied: list[Applied]
    moves: int
    makes: int
    journal: Arrays
    writes: list[tuple[Statement, Arrays]]


def rows_of(outcomes: Sequence[Outcome], batch: Batch) -> Rows:
    """The rows of what `select` let in of `outcomes`."""
    entry_months, cdr_months = _months(outcomes, batch)
    expected: dict[str, int] = {}
    for entry in batch.entries:
        expected.setdefault(entry.account_id, entry.version - 1)
    # In the order of their ids, so that two nodes lock them in one order.
    accounts = sorted(batch.accounts.items())
    moved = [[name, expected[name], one.version, encode(one)] for name, one in accounts if expected[name]]
    made = [[name, one.version, encode(one)] for name, one in accounts if not expected[name]]
    sessions = [session for _, session in sorted(batch.sessions.items())]
    journal = _columns(
        [
            (entry.account_id, entry.version, month, entry.at_ns, encode(entry))
            for entry, month in zip(batch.entries, entry_months, strict=True)
        ]
    )
    tables: list[tuple[Statement, Arrays]] = [
        (MOVE_ACCOUNTS, _columns(moved)),
        (MAKE_ACCOUNTS, _columns(made)),
        (MAKE_IDENTITIES, _columns(sorted(set(batch.identities)))),
        (
            WRITE_SESSIONS,
            _columns(
                [
                    (
                        session.account_id,
                        session.key,
                        session.is_open,
                        session.service,
                        _month(session.opened_at_ns),
                        session.due_at_ns,
                        encode(session),
                    )
                    for session in sessions
                ]
            ),
        ),
        # In the order of the batch: the first account that had the session keeps the name.
        (MAKE_SESSION_INDEX, _columns([(key, account_id) for account_id, key in batch.sessions])),
        (WRITE_JOURNAL, journal),
        (
            WRITE_PAGES,
            _columns([(page.account_id, page.session_key, page.page, encode(page.answers)) for page in batch.pages]),
        ),
        (
            WRITE_EFFECTS,
            _columns([(*one[:4], one.effect.peer, encode(one.effect)) for one in batch.effects]),
        ),
        (WRITE_CDRS, _columns([_cdr_row(cdr, month) for cdr, month in zip(batch.cdrs, cdr_months, strict=True)])),
    ]
    return Rows(batch.applied, len(moved), len(made), journal, [one for one in tables if one[1]])


def _columns(rows: Sequence[Sequence[Any]]) -> Arrays:
    return [list(column) for column in zip(*rows, strict=True)]


def _months(outcomes: Sequence[Outcome], batch: Batch) -> tuple[list[int], list[int]]:
    """Of the entries and of the CDRs: that of the session's opening where the outcome has one, else of the decision."""
    entries: list[int] = []
    cdrs: list[int] = []
    for outcome, applied in zip(outcomes, batch.applied, strict=True):
        if applied is Applied.DONE:
            session = outcome.session
            month = _month(outcome.writes[0].entry.at_ns if session is None else session.opened_at_ns)
            entries += [month] * len(outcome.writes)
            cdrs += [month] * len(outcome.cdrs)
    return entries, cdrs


def _month(at_ns: int) -> int:
    return _month_of_day(at_ns // _DAY_NS)


@lru_cache(maxsize=1_024)
def _month_of_day(day: int) -> int:
    return month_of(day * _DAY_NS)


def _cdr_row(cdr: Cdr, month: int) -> tuple[Any, ...]:
    return (
        cdr.account_id,
        cdr.session_id,
        NONE_KEY if cdr.rating_group is None else cdr.rating_group,
        NONE_KEY if cdr.service_id is None else cdr.service_id,
        cdr.partial,
        month,
        cdr.service,
        cdr.subscriber,
        cdr.called,
        cdr.destination_id,
        cdr.started_at_ns,
        cdr.ended_at_ns,
        cdr.usage,
        cdr.measure.value,
        cdr.unit_usage,
        cdr.cost_nanos,
        cdr.currency,
        cdr.tariff_version,
        cdr.cause,
        cdr.overrun,
        cdr.unrated,
        encode(cdr.attributes),
    )


def numbered_cdr(row: Sequence[Any]) -> NumberedCdr:
    """A CDR from its id and its columns."""
    values = dict(zip(_CDR_FIELDS, row[1:], strict=True))
    del values["month"]
    for name in ("rating_group", "service_id"):
        values[name] = None if values[name] == NONE_KEY else values[name]
    values["measure"] = Measure(values["measure"])
    values["attributes"] = attributes_of(values["attributes"])
    return NumberedCdr(row[0], Cdr(**values))
