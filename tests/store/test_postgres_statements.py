"""Every statement of the PostgreSQL store: found by index whatever the statistics say, and fit for Citus."""

import re

import pytest
import sqlglot

from ocs.store import postgres_statements as sql
from ocs.store.postgres_connection import connect
from ocs.store.postgres_schema import metadata
from ocs.store.postgres_statements import STATEMENTS, composed
from tests.postgres.database import execute
from tests.store.citus_rules import tables_of, violations

WRITES = (
    sql.MOVE_ACCOUNTS,
    sql.MAKE_ACCOUNTS,
    sql.WRITE_SESSIONS,
    sql.WRITE_JOURNAL,
    sql.WRITE_PAGES,
    sql.WRITE_EFFECTS,
    sql.WRITE_CDRS,
)


def test_the_table_of_statements_has_all_of_them():
    named = [value for value in vars(sql).values() if isinstance(value, sql.Statement)]
    assert {one.name for one in named} <= {one.name for one in STATEMENTS}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_a_statement_says_which_tables_it_is_about(statement):
    found = set(tables_of(sqlglot.parse_one(statement.sql, dialect="postgres"))) - {"cdr_id"}
    assert found == set(statement.tables)
    assert found <= set(metadata.tables)


# Citus.


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_a_statement_keeps_to_what_citus_can_do_over_shards(statement):
    assert violations(statement.sql, hot=statement.hot) == []


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SELECT version FROM account WHERE account_id = ANY ($1::text[]) FOR UPDATE", "FOR UPDATE"),
        ("WITH x AS (UPDATE account SET version = 2 WHERE account_id = $1 RETURNING 1) SELECT 1 FROM x", "WITH"),
        ("UPDATE outbox SET due_at_ns = random() WHERE account_id = $1", "VOLATILE"),
        ("UPDATE lease SET holder = $1", ""),
        ("SELECT state FROM account WHERE version = $1", "not found by account_id"),
        ("SELECT state FROM account WHERE version = $1 OR account_id = $2", "not found by account_id"),
        ("UPDATE session SET state = u.state FROM unnest($1::text[]) AS u (s) WHERE session_id = u.s", "not found by"),
        ("DELETE FROM session_index WHERE account_id = $1", "not found by session_id"),
        ("INSERT INTO session (session_id) SELECT session_id FROM unnest($1::text[]) AS u (session_id)", "without"),
        ("INSERT INTO account (account_id) VALUES ($1) ON CONFLICT (version) DO NOTHING", "ON CONFLICT without"),
        ("SELECT 1 FROM account AS a, session AS s WHERE a.account_id = $1 AND s.account_id = $1", "beside their keys"),
        ("SELECT 1 FROM account AS a, identity AS i WHERE a.account_id = $1 AND i.identity = $2", "lie together"),
        ("UPDATE account SET account_id = $2 WHERE account_id = $1", "stays where it is"),
        ("SELECT row_number() OVER () FROM account WHERE account_id = $1", "windows"),
    ],
)  # fmt: skip
def test_what_citus_cannot_do_is_noticed(statement, why):
    wrong = violations(statement)
    assert (wrong == []) if why == "" else any(why in one for one in wrong)


async def test_functions_over_shards_are_immutable(postgres_url):
    connection = await connect(postgres_url, 10)
    kinds = await connection.fetch("SELECT DISTINCT provolatile FROM pg_proc WHERE proname = 'unnest'")
    await connection.close()
    assert [kind for (kind,) in kinds] == [b"i"]


# Plans.


@pytest.fixture
async def connection(postgres_url):
    """As the store has it."""
    made = await connect(postgres_url, 10)
    yield made
    await made.close()


async def plan(connection, text, parameters):
    """The generic plan of a statement, as the connections of the store have it."""
    await connection.execute(f"PREPARE looked_at AS {text}")
    try:
        values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        rows = await connection.fetch(f"EXPLAIN EXECUTE looked_at{values}")
    finally:
        await connection.execute("DEALLOCATE looked_at")
    return "\n".join(line for (line,) in rows)


WHOLE = {"count_open_sessions", "meta", "cdr_horizon"}
"""These read all of a table or of an index, and mean to."""


@pytest.mark.parametrize("rows", [0, 3_000])
async def test_rows_are_found_by_index_however_stale_the_statistics(postgres_url, connection, rows):
    """Also where the statistics were made of an empty table, or of one that was full."""
    await connection.execute(
        f"""CREATE TEMPORARY TABLE many AS SELECT n FROM generate_series(1, {rows}) AS n;
        INSERT INTO account SELECT 'a' || n, 1, '' FROM many;
        INSERT INTO session SELECT 'a' || n, 's' || n, n % 2 = 0, 'data', 202611, n, '' FROM many;
        INSERT INTO journal SELECT 'a' || n, 1, 202611, 1, '' FROM many;
        INSERT INTO session_index SELECT 's' || n, 'a' || n FROM many;
        INSERT INTO identity SELECT 'i' || n, 'a' || n FROM many"""
    )
    execute(postgres_url, "ANALYZE")
    for statement in STATEMENTS:
        found = await plan(connection, statement.sql, statement.parameters)
        if statement.name not in WHOLE:
            assert not re.search(r"Seq Scan|Hash Join|Merge Join", found), f"{statement.name}\n{found}"
        if statement.hot and not isinstance(sqlglot.parse_one(statement.sql, dialect="postgres"), sqlglot.exp.Insert):
            for condition in re.findall(r"Index Cond: (.*)", found):
                assert re.search(r"account_id|identity|session_id", condition), f"{statement.name}\n{found}"
    text = composed(WRITES)
    found = await plan(connection, text, int(max(re.findall(r"\$(\d+)", text), key=int)))
    assert not re.search(r"Seq Scan|Hash Join|Merge Join", found), found


async def test_accounts_are_locked_in_the_order_of_the_arrays(connection):
    """The rows of the arrays are the outer side of a nested loop."""
    found = await plan(connection, sql.MOVE_ACCOUNTS.sql, sql.MOVE_ACCOUNTS.parameters)
    assert re.search(r"Nested Loop.*\n\s+->\s+Function Scan on u.*\n\s+->\s+Index Scan using account_pkey", found), (
        found
    )


def test_a_commit_is_composed_of_its_pieces_with_their_parameters_in_a_row():
    text = composed(WRITES)
    numbers = {int(number) for number in re.findall(r"\$(\d+)", text)}
    assert numbers == set(range(1, sum(piece.parameters for piece in WRITES) + 2))
    for table in ("account", "session", "session_index", "journal", "answer_page", "outbox", "cdr"):
        assert re.search(rf"(INSERT INTO|UPDATE) {table}\b", text)
    assert text.index("pg_advisory_xact_lock_shared") < text.index("unnest", text.index("nextval"))
