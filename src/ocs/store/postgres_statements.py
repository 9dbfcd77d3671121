# ruff: noqa: S608 - statements are put together from constants here, values are parameters
"""Every statement of the PostgreSQL store, as a table, so that tests can read what each of them does.

All of them are set-based: one statement writes or reads the rows of a whole batch, handed over as arrays (`unnest`).
They keep to what a PostgreSQL that is distributed with Citus can do over several shards: no row locks, no
data-modifying WITH, no volatile function in an UPDATE, joins on `account_id` only, rows found by the column that their
table is distributed by. Only `commit`, which composes pieces into one statement, is for a single PostgreSQL alone.

Arrays come in the order of `account_id`, and nested loops take rows in the order of the arrays: two nodes lock the
same rows in the same order.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

CDR_LOCK: Final = 0x6F63_7363  # any number that nobody else uses
"""Advisory lock of CDR ids: who writes CDRs shares it from before the first id until the end of the transaction, so
whoever holds it alone for a moment knows that no id up to the last one given out is still on its way."""

CDR_COLUMNS: Final = (
    ("account_id", "text"),
    ("session_id", "text"),
    ("rating_group", "bigint"),
    ("service_id", "bigint"),
    ("partial", "integer"),
    ("month", "integer"),
    ("service", "text"),
    ("subscriber", "text"),
    ("called", "text"),
    ("destination_id", "text"),
    ("started_at_ns", "bigint"),
    ("ended_at_ns", "bigint"),
    ("usage", "bigint"),
    ("measure", "text"),
    ("unit_usage", "bigint"),
    ("cost_nanos", "bigint"),
    ("currency", "text"),
    ("tariff_version", "text"),
    ("cause", "text"),
    ("overrun", "bigint"),
    ("unrated", "bigint"),
    ("attributes", "bytea"),
)
"""Columns of the table `cdr` but its id, in the order of the parameters of `write_cdrs`."""


class Statement(NamedTuple):
    """hot: it runs for requests; then it finds its rows by the column that their table is distributed by."""

    name: str
    sql: str
    tables: tuple[str, ...]
    hot: bool = True

    @property
    def parameters(self) -> int:
        """How many it takes."""
        return max((int(number) for number in re.findall(r"\$(\d+)", self.sql)), default=0)


def _rows(*columns: tuple[str, str]) -> str:
    """Parameters $1... as rows `u` with those columns."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(columns, start=1))
    return f"unnest({arrays}) AS u ({', '.join(name for name, _ in columns)})"


def _insert(table: str, *columns: tuple[str, str], rest: str = "") -> str:
    names = ", ".join(name for name, _ in columns)
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {_rows(*columns)} {rest}".strip()


_CDR_NAMES: Final = ", ".join(name for name, _ in CDR_COLUMNS)

# Pieces of a commit, in the order in which they run.
MOVE_ACCOUNTS: Final = Statement(
    "move_accounts",
    "UPDATE account AS a SET version = u.version, state = u.state FROM "
    + _rows(("account_id", "text"), ("expected", "bigint"), ("version", "bigint"), ("state", "bytea"))
    + " WHERE a.account_id = u.account_id AND a.version = u.expected",
    ("account",),
)
MAKE_ACCOUNTS: Final = Statement(
    "make_accounts",
    _insert(
        "account",
        ("account_id", "text"),
        ("version", "bigint"),
        ("state", "bytea"),
        rest="ON CONFLICT (account_id) DO NOTHING",
    ),
    ("account",),
)
MAKE_IDENTITIES: Final = Statement(
    "make_identities",
    _insert("identity", ("identity", "text"), ("account_id", "text"), rest="ON CONFLICT (identity) DO NOTHING"),
    ("identity",),
)
# The time of an open session that is put off stays in its column until somebody looks (see `due`): a report moves no
# indexed column then, and an UPDATE that touches no index costs a third less.
WRITE_SESSIONS: Final = Statement(
    "write_sessions",
    _insert(
        "session",
        ("account_id", "text"),
        ("session_id", "text"),
        ("open", "boolean"),
        ("service", "text"),
        ("month", "integer"),
        ("due_at_ns", "bigint"),
        ("state", "bytea"),
        rest="ON CONFLICT (account_id, session_id) DO UPDATE SET open = excluded.open, service = excluded.service,"
        " month = excluded.month, state = excluded.state, due_at_ns = CASE WHEN session.open AND excluded.open"
        " AND session.due_at_ns <= excluded.due_at_ns THEN session.due_at_ns ELSE excluded.due_at_ns END",
    ),
    ("session",),
)
MAKE_SESSION_INDEX: Final = Statement(
    "make_session_index",
    _insert(
        "session_index", ("session_id", "text"), ("account_id", "text"), rest="ON CONFLICT (session_id) DO NOTHING"
    ),
    ("session_index",),
)
WRITE_JOURNAL: Final = Statement(
    "write_journal",
    _insert(
        "journal",
        ("account_id", "text"),
        ("version", "bigint"),
        ("month", "integer"),
        ("at_ns", "bigint"),
        ("entry", "bytea"),
    ),
    ("journal",),
)
WRITE_PAGES: Final = Statement(
    "write_pages",
    _insert("answer_page", ("account_id", "text"), ("session_id", "text"), ("page", "integer"), ("content", "bytea")),
    ("answer_page",),
)
WRITE_EFFECTS: Final = Statement(
    "write_effects",
    "INSERT INTO outbox (account_id, version, number, due_at_ns, peer, effect, attempts)"
    " SELECT account_id, version, number, due_at_ns, peer, effect, 0 FROM "
    + _rows(
        ("account_id", "text"),
        ("version", "bigint"),
        ("number", "smallint"),
        ("due_at_ns", "bigint"),
        ("peer", "text"),
        ("effect", "bytea"),
    ),
    ("outbox",),
)
SHARE_CDR_IDS: Final = Statement("share_cdr_ids", f"SELECT pg_advisory_xact_lock_shared({CDR_LOCK})", ())
WRITE_CDRS: Final = Statement(
    "write_cdrs",
    f"INSERT INTO cdr (id, {_CDR_NAMES}) SELECT nextval('cdr_id'), {_CDR_NAMES} FROM {_rows(*CDR_COLUMNS)}",
    ("cdr",),
)

# Reading for requests.
READ_VERSIONS: Final = Statement(
    "read_versions", "SELECT account_id, version FROM account WHERE account_id = ANY ($1::text[])", ("account",)
)
READ_WRITTEN: Final = Statement(
    "read_written",
    "SELECT j.account_id, j.version, j.entry FROM "
    + _rows(("account_id", "text"), ("version", "bigint"), ("month", "integer"))
    + " JOIN journal AS j ON j.account_id = u.account_id AND j.version = u.version AND j.month = u.month",
    ("journal",),
)
FIND_ACCOUNTS: Final = Statement(
    "find_accounts", "SELECT identity, account_id FROM identity WHERE identity = ANY ($1::text[])", ("identity",)
)
FIND_SESSIONS: Final = Statement(
    "find_sessions",
    "SELECT session_id, account_id FROM session_index WHERE session_id = ANY ($1::text[])",
    ("session_index",),
)
# One statement, one snapshot: a session is never older than the account that it is read with.
LOAD: Final = Statement(
    "load",
    "SELECT u.account_id, u.session_id, a.state, s.state FROM "
    + _rows(("account_id", "text"), ("session_id", "text"))
    + " JOIN account AS a ON a.account_id = u.account_id"
    " LEFT JOIN session AS s ON s.account_id = a.account_id AND s.session_id = u.session_id",
    ("account", "session"),
)
LOAD_ANSWERS: Final = Statement(
    "load_answers",
    "SELECT u.account_id, u.session_id, p.content FROM "
    + _rows(("account_id", "text"), ("session_id", "text"))
    + " JOIN answer_page AS p ON p.account_id = u.account_id AND p.session_id = u.session_id ORDER BY p.page",
    ("answer_page",),
)

# The outbox: candidates first, then each goes to whoever moves its time first.
DUE_EFFECTS: Final = Statement(
    "due_effects",
    "SELECT account_id, version, number, due_at_ns FROM outbox"
    " WHERE due_at_ns <= $1 AND (peer = ANY ($2::text[]) OR due_at_ns < $4::bigint)"
    " ORDER BY due_at_ns, account_id, version, number LIMIT $3",
    ("outbox",),
    hot=False,
)
# "+ 0": by their keys, not by the index of what is due, where many may have the same time.
CLAIM_EFFECTS: Final = Statement(
    "claim_effects",
    "UPDATE outbox AS o SET due_at_ns = $5, attempts = o.attempts + 1 FROM "
    + _rows(("account_id", "text"), ("version", "bigint"), ("number", "smallint"), ("due_at_ns", "bigint"))
    + " WHERE o.account_id = u.account_id AND o.version = u.version AND o.number = u.number"
    " AND o.due_at_ns + 0 = u.due_at_ns RETURNING o.account_id, o.version, o.number, o.attempts, o.effect",
    ("outbox",),
)
FINISH_EFFECT: Final = Statement(
    "finish_effect", "DELETE FROM outbox WHERE account_id = $1 AND version = $2 AND number = $3", ("outbox",)
)

# Supervision.
DUE: Final = Statement(
    "due",
    "SELECT account_id, session_id, due_at_ns, state FROM session WHERE open AND due_at_ns <= $1"
    " ORDER BY due_at_ns LIMIT $2",
    ("session",),
    hot=False,
)
PUT_OFF: Final = Statement(
    "put_off",
    "UPDATE session AS s SET due_at_ns = u.due_at_ns FROM "
    + _rows(("account_id", "text"), ("session_id", "text"), ("due_at_ns", "bigint"), ("state", "bytea"))
    + " WHERE s.account_id = u.account_id AND s.session_id = u.session_id AND s.open AND s.state = u.state",
    ("session",),
)
OLD_SESSIONS: Final = Statement(
    "old_sessions",
    "SELECT account_id, session_id, due_at_ns FROM session WHERE NOT open AND due_at_ns <= $1"
    " ORDER BY due_at_ns LIMIT $2",
    ("session",),
    hot=False,
)
FORGET_SESSIONS: Final = Statement(
    "forget_sessions",
    "DELETE FROM session AS s USING "
    + _rows(("account_id", "text"), ("session_id", "text"), ("due_at_ns", "bigint"))
    + " WHERE s.account_id = u.account_id AND s.session_id = u.session_id AND NOT s.open"
    " AND s.due_at_ns + 0 = u.due_at_ns RETURNING s.account_id, s.session_id",
    ("session",),
)
FORGET_PAGES: Final = Statement(
    "forget_pages",
    "DELETE FROM answer_page AS p USING "
    + _rows(("account_id", "text"), ("session_id", "text"))
    + " WHERE p.account_id = u.account_id AND p.session_id = u.session_id",
    ("answer_page",),
)
FORGET_INDEX: Final = Statement(
    "forget_index",
    "DELETE FROM session_index AS i USING "
    + _rows(("account_id", "text"), ("session_id", "text"))
    + " WHERE i.session_id = u.session_id AND i.account_id = u.account_id",
    ("session_index",),
)

# Reading for people.
ACCOUNTS: Final = Statement(
    "accounts",
    "SELECT state FROM account WHERE account_id > $1 ORDER BY account_id LIMIT $2",
    ("account",),
    hot=False,
)
SESSIONS: Final = Statement(
    "sessions",
    "SELECT state FROM session WHERE open AND session_id > $1 ORDER BY session_id LIMIT $2",
    ("session",),
    hot=False,
)
SESSIONS_OF_ACCOUNT: Final = Statement(
    "sessions_of_account",
    "SELECT state FROM session WHERE account_id = $3 AND open AND session_id > $1 ORDER BY session_id LIMIT $2",
    ("session",),
    hot=False,
)
COUNT_OPEN_SESSIONS: Final = Statement(
    "count_open_sessions", "SELECT service, count(*) FROM session WHERE open GROUP BY service", ("session",), hot=False
)
JOURNAL: Final = Statement(
    "journal",
    "SELECT entry FROM journal WHERE account_id = $1 AND version > $2 ORDER BY version LIMIT $3",
    ("journal",),
    hot=False,
)
CDR_HORIZON: Final = Statement(
    "cdr_horizon",
    "SELECT CASE WHEN is_called THEN last_value ELSE 0 END"
    f" FROM cdr_id, (SELECT pg_advisory_xact_lock({CDR_LOCK})) AS alone",
    (),
    hot=False,
)


def cdrs(account_id: bool, session_id: bool) -> Statement:
    """CDRs with ids after $1 and up to $2, $3 at most; of an account and of a session where that is asked for."""
    tests = ["id > $1", "id <= $2"]
    for wanted, column in ((account_id, "account_id"), (session_id, "session_id")):
        if wanted:
            tests.append(f"{column} = ${len(tests) + 2}")
    where = " AND ".join(tests)
    return Statement(
        "cdrs",
        f"SELECT id, {_CDR_NAMES} FROM cdr WHERE {where} ORDER BY id LIMIT $3",
        ("cdr",),
        hot=False,
    )


# The audit: one snapshot.
AUDIT_ACCOUNTS: Final = Statement(
    "audit_accounts",
    "SELECT account_id, state FROM account WHERE account_id = ANY ($1::text[])",
    ("account",),
    hot=False,
)
AUDIT_CARRIED: Final = Statement(
    "audit_carried",  # a generation beyond that is being added up
    "SELECT account_id, folded, cdr_cost_nanos FROM carried WHERE account_id = ANY ($1::text[])"
    " AND generation <= (SELECT value::bigint FROM meta WHERE key = 'carried')",
    ("carried", "meta"),
    hot=False,
)
AUDIT_JOURNAL: Final = Statement(
    "audit_journal",
    "SELECT account_id, entry FROM journal WHERE account_id = ANY ($1::text[])",
    ("journal",),
    hot=False,
)
AUDIT_SESSIONS: Final = Statement(
    "audit_sessions",
    "SELECT account_id, state FROM session WHERE account_id = ANY ($1::text[]) AND open ORDER BY session_id",
    ("session",),
    hot=False,
)
AUDIT_CDRS: Final = Statement(
    "audit_cdrs",  # a sum of bigint is numeric: as text it comes back whole
    "SELECT account_id, sum(cost_nanos)::text FROM cdr WHERE account_id = ANY ($1::text[]) GROUP BY account_id",
    ("cdr",),
    hot=False,
)

# Leases, by the clock of the database. A wish that comes while the holder renews stays until the next time.
TAKE_LEASE: Final = Statement(
    "take_lease",
    "WITH before AS (SELECT wanted FROM lease WHERE name = $1 AND holder = $2)"
    " INSERT INTO lease AS l (name, holder, until, wanted)"
    " VALUES ($1, $2, now() + make_interval(secs => $3), false)"
    " ON CONFLICT (name) DO UPDATE SET"
    " holder = CASE WHEN l.holder = $2 OR l.until <= now() THEN $2 ELSE l.holder END,"
    " until = CASE WHEN l.holder = $2 OR l.until <= now() THEN excluded.until ELSE l.until END,"
    " wanted = CASE WHEN l.holder = $2 THEN l.wanted AND NOT coalesce((SELECT wanted FROM before), false)"
    " ELSE l.until > now() END"
    " RETURNING holder, CASE WHEN holder = $2 THEN coalesce((SELECT wanted FROM before), false) ELSE wanted END",
    ("lease",),
    hot=False,
)
RELEASE_LEASE: Final = Statement(
    "release_lease", "DELETE FROM lease WHERE name = $1 AND holder = $2 RETURNING name", ("lease",), hot=False
)
TELL: Final = Statement("tell", "SELECT pg_notify($1, $2)", (), hot=False)
META: Final = Statement("meta", "SELECT key, value FROM meta", ("meta",), hot=False)

STATEMENTS: Final = (
    *(MOVE_ACCOUNTS, MAKE_ACCOUNTS, MAKE_IDENTITIES, WRITE_SESSIONS, MAKE_SESSION_INDEX, WRITE_JOURNAL, WRITE_PAGES),
    *(WRITE_EFFECTS, SHARE_CDR_IDS, WRITE_CDRS, READ_VERSIONS, READ_WRITTEN),
    *(FIND_ACCOUNTS, FIND_SESSIONS, LOAD, LOAD_ANSWERS, DUE_EFFECTS, CLAIM_EFFECTS, FINISH_EFFECT),
    *(DUE, PUT_OFF, OLD_SESSIONS, FORGET_SESSIONS, FORGET_PAGES, FORGET_INDEX),
    *(ACCOUNTS, SESSIONS, SESSIONS_OF_ACCOUNT, COUNT_OPEN_SESSIONS, JOURNAL, CDR_HORIZON),
    *(cdrs(False, False), cdrs(True, False), cdrs(False, True), cdrs(True, True)),
    *(AUDIT_ACCOUNTS, AUDIT_CARRIED, AUDIT_JOURNAL, AUDIT_SESSIONS, AUDIT_CDRS, TAKE_LEASE, RELEASE_LEASE, TELL, META),
)


@lru_cache(maxsize=64)
def composed(pieces: tuple[Statement, ...]) -> str:
    """Pieces of a commit as one statement, which is a transaction by itself and takes one round trip.

    Its parameters are those of the pieces, one after another, and at last how many accounts have to move: where fewer
    do, it divides by zero, so nothing is written.
    """
    parts = []
    counted = []
    shift = 0
    for piece in pieces:
        sql = piece.sql
        if piece in {MOVE_ACCOUNTS, MAKE_ACCOUNTS}:
            sql += " RETURNING 1"
            counted.append(f"(SELECT count(*) FROM {piece.name})")
        elif piece is WRITE_SESSIONS:
            # Whoever makes the row enters the session into the index (a row that was replaced has an xmax), and whoever
            # ends it: it may have lost its entry to the same session of another account that was forgotten.
            sql += " RETURNING session_id, account_id, xmax = 0 AS made, open"
        elif piece is WRITE_CDRS:
            sql = sql.replace(" FROM unnest(", f" FROM ({SHARE_CDR_IDS.sql}) AS shared, unnest(")
        parts.append(f"{piece.name} AS ({_shifted(sql, shift)})")
        if piece is WRITE_SESSIONS:
            parts.append(_INDEX_MADE)
        shift += piece.parameters
    return f"WITH {', '.join(parts)} SELECT 1 / ({' + '.join(counted)} = ${shift + 1}::bigint)::integer"


_INDEX_MADE: Final = (
    f"{MAKE_SESSION_INDEX.name} AS (INSERT INTO session_index (session_id, account_id)"
    f" SELECT session_id, account_id FROM {WRITE_SESSIONS.name} WHERE made OR NOT open"
    " ON CONFLICT (session_id) DO NOTHING)"
)


def _shifted(sql: str, by: int) -> str:
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + by}", sql)
