"""State machines as text.

Their rows are taken from the tables in the code, the sections of the standard from the comments beside the rows.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Final

import msgspec

MAX_WORDS: Final = 6
"""So many inputs are named on one arrow before a line is broken."""


class Row(msgspec.Struct, frozen=True):
    """One row of a table: what happens in a state, what is done about it, and what the standard calls it."""

    state: str
    event: str
    actions: tuple[str, ...]
    after: str
    said: str


class Machine(msgspec.Struct, frozen=True):
    """A machine by its rows; states and events in the order of their Enums, with what their comments say."""

    name: str
    title: str
    about: str
    first: str
    states: dict[str, str]
    rows: tuple[Row, ...]


def peer() -> Machine:
    """The machine of one connection to a peer."""
    from ocs.diameter import peer_machine

    comments = _row_comments(peer_machine, "TABLE")
    rows = tuple(
        Row(
            state.value,
            event.value,
            tuple(action.value for action in actions),
            after.value,
            comments.get((state.name, event.name), ""),
        )
        for (state, event), (actions, after) in peer_machine.TABLE.items()
    )
    states = {
        member.value: said for member, said in zip(peer_machine.State, _members(peer_machine, "State"), strict=True)
    }
    about = " ".join((peer_machine.__doc__ or "").split())
    return Machine("peer", "A connection to a peer", about, peer_machine.State.CLOSED.value, states, rows)


def session() -> Machine:
    """The life of a charging session."""
    from ocs.charging import life_table
    from ocs.charging.session import SessionState

    comments = _row_comments(life_table, "LIFE")
    rows = tuple(
        Row(
            "none" if state is None else state.value,
            event.value,
            (),
            "none" if after is None else after.value,
            comments.get((state.name if state else "None", event.name), ""),
        )
        for (state, event), after in life_table.LIFE.items()
    )
    about = " ".join((life_table.__doc__ or "").split())
    states = {"none": "not known here", **dict.fromkeys((member.value for member in SessionState), "")}
    return Machine("session", "A charging session", about, "none", states, rows)


MACHINES: Final[dict[str, Callable[[], Machine]]] = {"peer": peer, "session": session}


def mermaid(machine: Machine) -> str:
    """A Mermaid state diagram; inputs that lead the same way share an arrow."""
    lines = ["stateDiagram-v2", f"    [*] --> {machine.first}"]
    lines += [f"    {state}: {state}<br/>{said}" for state, said in machine.states.items() if said]
    lines += [f"    {state} --> {after}: {'<br/>'.join(_broken(events))}" for state, after, events in _arrows(machine)]
    return "\n".join(lines) + "\n"


def dot(machine: Machine) -> str:
    """The same for Graphviz."""
    lines = [f'digraph "{machine.name}" {{', "    node [shape=box, style=rounded];"]
    lines += [
        f'    {state} [label="{state}{_escaped(chr(92) + "n" + said) if said else ""}"];'
        for state, said in machine.states.items()
    ]
    lines += [
        f'    {state} -> {after} [label="{_escaped(chr(92) + "n").join(_broken(events))}"];'
        for state, after, events in _arrows(machine)
    ]
    return "\n".join([*lines, "}"]) + "\n"


FORMATS: Final[dict[str, Callable[[Machine], str]]] = {"mermaid": mermaid, "dot": dot}


def page() -> str:
    """docs/state-machines.md: each machine as a diagram and as a table."""
    parts = [
        "# State machines",
        "",
        "Made from the tables in the code by `ocs docs fsm`; a test holds this page to them.",
    ]
    for make in MACHINES.values():
        machine = make()
        parts += ["", f"## {machine.title}", "", machine.about, "", "```mermaid", mermaid(machine).rstrip(), "```", ""]
        parts += [
            "| state | input | actions | next state | in the standard, or why |",
            "| --- | --- | --- | --- | --- |",
        ]
        parts += [
            f"| {row.state} | {row.event} | {', '.join(row.actions) or '-'} | {row.after} | {_cell(row.said)} |"
            for row in machine.rows
        ]
    return "\n".join(parts) + "\n"


def _arrows(machine: Machine) -> Iterator[tuple[str, str, list[str]]]:
    """(state, next state, inputs); what changes nothing is left to the table."""
    ways: dict[tuple[str, str], list[str]] = {}
    for row in machine.rows:
        if row.state != row.after:
            ways.setdefault((row.state, row.after), []).append(row.event)
    for (state, after), events in ways.items():
        yield state, after, events


def _broken(events: list[str]) -> list[str]:
    return [", ".join(events[at : at + MAX_WORDS]) for at in range(0, len(events), MAX_WORDS)]


def _escaped(text: str) -> str:
    return text.replace('"', "'")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _members(module: ModuleType, name: str) -> list[str]:
    """What the comments say beside the members of an Enum, in their order."""
    source, tree = _parsed(module)
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    members = [node for node in found.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    beside, _ = _comments(source)
    return [beside.get(node.lineno, "") for node in members]


def _row_comments(module: ModuleType, table: str) -> dict[tuple[str, str], str]:
    """(state, input) -> the comment beside the row, after the one above it and those that follow it."""
    source, tree = _parsed(module)
    beside, alone = _comments(source)
    found: dict[tuple[str, str], str] = {}
    for node in tree.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == table):
            continue
        assert isinstance(node.value, ast.Dict)
        above, last = "", node.lineno
        for key, value in zip(node.value.keys, node.value.values, strict=True):
            assert isinstance(key, ast.Tuple)
            words = [alone[line] for line in range(last + 1, key.lineno) if line in alone]
            # A comment above says all about its first row, and its beginning which section the following ones are of.
            above = " ".join(words) if words else re.split("[,:;]", above)[0]
            last = value.end_lineno or value.lineno
            names = [part.attr if isinstance(part, ast.Attribute) else str(ast.unparse(part)) for part in key.elts]
            own = beside.get(last, "")
            found[names[0], names[1]] = own if own.startswith("RFC") else "; ".join(filter(None, (above, own)))
    return found


def _parsed(module: ModuleType) -> tuple[str, ast.Module]:
    source = inspect.getsource(module)
    return source, ast.parse(source)


def _comments(source: str) -> tuple[dict[int, str], dict[int, str]]:
    """Comments by line: those beside code, and those that have a line of their own."""
    beside: dict[int, str] = {}
    alone: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            own_line = not token.line[: token.start[1]].strip()
            (alone if own_line else beside)[token.start[0]] = token.string.lstrip("# ")
    return beside, alone
