"""What the documentation of Citus does not allow over several shards ("SQL Support and Workarounds"), as checks."""

import sqlglot
from sqlglot import exp

from ocs.store.postgres_schema import BY_ACCOUNT, BY_OWN_KEY

KEYS = {table.name: "account_id" for table in BY_ACCOUNT} | {table.name: key for table, key in BY_OWN_KEY.items()}
"""Distributed tables, and the column that each is distributed by."""

IMMUTABLE = {"UNNEST", "CAST", "AND", "OR", "CASE", "IF"}
"""What sqlglot calls a function and PostgreSQL an immutable one, or none."""


def tables_of(tree):
    """Names of the tables that a statement reads or writes, each with the names that it goes by."""
    commons = {common.alias for common in tree.find_all(exp.CTE)}
    found = {}
    for table in tree.find_all(exp.Table):
        if table.name and table.name not in commons:
            found.setdefault(table.name, set()).add(table.alias or table.name)
    return found


def violations(sql, *, hot=True):
    """Why a statement may not run on several shards, readable; empty where it may."""
    tree = sqlglot.parse_one(sql, dialect="postgres")
    tables = tables_of(tree)
    distributed = {name: aliases for name, aliases in tables.items() if name in KEYS}
    if not distributed:
        return []
    wrong = []
    if tree.find(exp.Lock):
        wrong.append("SELECT ... FOR UPDATE works on one shard only")
    if any(common.find(exp.Insert, exp.Update, exp.Delete) for common in tree.find_all(exp.CTE)):
        wrong.append("no data-modifying WITH over shards")
    if any(part.args.get("recursive") for part in tree.find_all(exp.With)):
        wrong.append("recursive WITH works on one shard only")
    if tree.find(exp.TableSample) or tree.find(exp.GroupingSets, exp.Cube, exp.Rollup) or tree.find(exp.Window):
        wrong.append("TABLESAMPLE, grouping sets and windows work on one shard only")
    if isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Values) and tree.find(exp.Subquery):
        wrong.append("no subqueries within INSERT")
    if len({KEYS[name] if name in {table.name for table in BY_OWN_KEY} else "" for name in distributed}) > 1:
        wrong.append("tables of one statement lie together")
    wrong += _modification(tree)
    if hot:
        wrong += _keys(tree, distributed)
    wrong += _joins(tree, distributed)
    return wrong


def _modification(tree):
    parts = [tree] if isinstance(tree, (exp.Update, exp.Delete)) else list(tree.find_all(exp.OnConflict))
    for part in parts:
        for function in part.find_all(exp.Func):
            if function.sql_name().upper() not in IMMUTABLE and not isinstance(function, (exp.And, exp.Or)):
                yield f"{function.sql()}: functions in UPDATE must not be VOLATILE"
        for change in part.args.get("expressions") or ():
            if isinstance(change, exp.EQ) and change.this.name in KEYS.values():
                yield "a row stays where it is: its key cannot be changed"


def _equalities(tree):
    """(alias, column, other side) of every equality that a row must meet."""
    for equality in tree.find_all(exp.EQ):
        if equality.find_ancestor(exp.Or, exp.Case, exp.Not):
            continue
        for side, other in ((equality.this, equality.expression), (equality.expression, equality.this)):
            if isinstance(side, exp.Column):
                yield side.table, side.name, other


def _keys(tree, distributed):
    """A request is sent to the shards of its rows, not to all."""
    if isinstance(tree, exp.Insert):
        columns = {column.name for column in tree.this.expressions}
        conflict = tree.args.get("conflict")
        for name in distributed:
            if KEYS[name] not in columns:
                yield f"{name}: rows without {KEYS[name]}"
            if conflict is not None and KEYS[name] not in {key.name for key in conflict.args["conflict_keys"]}:
                yield f"{name}: ON CONFLICT without {KEYS[name]}"
        return
    found = {(alias, column) for alias, column, _ in _equalities(tree)}
    alone = len(distributed) == 1
    for name, aliases in distributed.items():
        if not any((alias, KEYS[name]) in found or (alone and ("", KEYS[name]) in found) for alias in aliases):
            yield f"{name}: not found by {KEYS[name]}"


def _joins(tree, distributed):
    """Distributed tables meet on the columns that they are distributed by."""
    aliases = {alias: name for name, names in distributed.items() for alias in names}
    if len(aliases) < 2:
        return
    met = set()
    for alias, column, other in _equalities(tree):
        if isinstance(other, exp.Column) and alias in aliases and other.table in aliases:
            left, right = KEYS[aliases[alias]], KEYS[aliases[other.table]]
            if (column, other.name) == (left, right):
                met |= {alias, other.table}
    if met != set(aliases):
        yield "a join of distributed tables beside their keys"
