"""Mutation testing of the pure rooms, by hand: changes one thing at a time and looks whether a test notices.

    python tools/mutation.py [--every N] [--jobs N] MODULE...      e.g. ocs.rating.prices ocs.balances.cover

Prints the mutants that no test noticed, and how many there were. Each runs in a fork of its own, on the source as it is
changed in memory; no file is touched. Properties run with fewer examples than in the suite, and are not shrunk.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ["rating", "balances", "charging"]
EXAMPLES = 25
TIMEOUT_S = 40

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One change of a module: where, what, and the source that comes of it."""

    module: str
    line: int
    what: str
    source: str


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """(what is changed, what stands there instead) for one node; None: it is left out."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        other = copy.deepcopy(node)
        other.ops[0] = COMPARISONS[type(node.ops[0])]()
        yield ast.unparse(other), other
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield from _with_operator(node)
    elif isinstance(node, ast.BoolOp):
        other = copy.deepcopy(node)
        other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.unparse(other), other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield ast.unparse(node.operand), node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.unparse(node.body), node.body
        yield ast.unparse(node.orelse), node.orelse
    elif isinstance(node, ast.Constant):
        yield from _with_constant(node)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        other = copy.deepcopy(node)
        other.func = ast.Name(CALLS[node.func.id], ast.Load())
        yield ast.unparse(other), other
    elif isinstance(node, ast.Continue | ast.Break):
        other_jump = ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
        yield ast.unparse(other_jump), other_jump
    elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield f"left out: {ast.unparse(node)}", ast.Pass()


def _with_operator(node: ast.BinOp) -> Iterator[tuple[str, ast.AST | None]]:
    if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
        return
    other = copy.deepcopy(node)
    other.op = OPERATORS[type(node.op)]()
    yield ast.unparse(other), other


def _with_constant(node: ast.Constant) -> Iterator[tuple[str, ast.AST | None]]:
    value: Any = node.value
    if isinstance(value, bool):
        other: Any = not value
    elif isinstance(value, int):
        other = value + 1
    elif isinstance(value, str):
        other = value + "~"
    else:
        return
    yield f"{value!r} -> {other!r}", ast.Constant(other)


class _Sites(ast.NodeVisitor):
    """Finds what can be changed: not docstrings, annotations, assertions and messages of errors."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.AST, str, int | None]] = []

    def generic_visit(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "keywords_of_class"):
                continue
            for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not _skipped(child):
                    self.found.append((node, name, place))
                    self.visit(child)


def _skipped(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr)


def mutants(module: str) -> Iterator[Mutant]:
    """All changes of a module, one at a time."""
    path = ROOT / "src" / (module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text())
    sites = _Sites()
    sites.visit(tree)
    for parent, name, place in sites.found:
        value = getattr(parent, name)
        node = value if place is None else value[place]
        for what, other in _changes(node):
            if place is None:
                setattr(parent, name, other)
            else:
                value[place] = other
            source = ast.unparse(ast.fix_missing_locations(tree))
            yield Mutant(module, getattr(node, "lineno", 0), what, source)
        if place is None:
            setattr(parent, name, node)
        else:
            value[place] = node


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the changed source in place of the module's."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.mutant.module else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.mutant.source, self.mutant.module, "exec"), module.__dict__)  # noqa: S102


class _Fewer:
    """Fewer examples, none shrunk."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        for item in items:
            test = getattr(item, "obj", None)
            if getattr(test, "is_hypothesis_test", False):
                fewer = hypothesis.settings(max_examples=EXAMPLES, phases=phases)
                test._hypothesis_internal_use_settings = fewer  # noqa: SLF001


def _start(mutant: Mutant) -> int:
    """The process that tries a mutant: it ends with 0 where no test fails."""
    child = os.fork()
    if child:
        return child
    signal.alarm(TIMEOUT_S)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    sys.meta_path.insert(0, _Changed(mutant))
    os.chdir(ROOT)
    args = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *[f"tests/{name}" for name in TESTS]]
    os._exit(int(pytest.main(args, plugins=[_Fewer()]) != 0))


def survivors(tried: Sequence[Mutant], jobs: int) -> list[Mutant]:
    """Those that no test noticed, neither by failing nor by running for too long."""
    running: dict[int, Mutant] = {}
    found = []
    for mutant in (*tried, *[None] * jobs):
        if mutant is not None:
            running[_start(mutant)] = mutant
        while running and (len(running) >= jobs or mutant is None):
            process, status = os.wait()
            ended = running.pop(process)
            if status == 0:
                found.append(ended)
    return sorted(found, key=lambda one: one.line)


def main(args: Sequence[str] | None = None) -> None:
    """Try the mutants of the modules named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="try each Nth mutant only")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("modules", nargs="+")
    asked = parser.parse_args(args)
    sys.path.insert(0, str(ROOT / "src"))
    sys.path.insert(0, str(ROOT))
    for module in asked.modules:
        tried = list(mutants(module))[:: asked.every]
        found = survivors(tried, asked.jobs)
        print(f"{module}: {len(tried)} mutants, {len(tried) - len(found)} noticed", flush=True)
        for mutant in found:
            print(f"  {mutant.line}: {mutant.what}", flush=True)


if __name__ == "__main__":
    main()
