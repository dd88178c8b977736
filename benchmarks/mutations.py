"""Makes mutants of a module: its text with one thing changed, for `benchmarks.mutants`.

Comparisons, booleans, numbers and arithmetic operators are changed, and those in its SQL.
"""

from __future__ import annotations

import ast
import copy
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
IN_SQL = [
    (r"\bAND\b", "OR"),
    (r"\bOR\b(?! (?:REPLACE|IGNORE))", "AND"),
    (r"\bNOT (?=EXISTS|IN\b|[a-z.]+)", ""),
    (r"\bIS NULL", "IS NOT NULL"),
    (r"\bIS NOT NULL", "IS NULL"),
    (r" < ", " <= "),
    (r" < ", " > "),
    (r" > ", " >= "),
    (r" = (?='|\d)", " != "),
    (r"\bmax\(", "min("),
    (r" \+ ", " - "),
    (r"\b0\b", "1"),
    (r"(?<!SELECT )\b1\b", "0"),  # what EXISTS selects does not matter
    (r" DESC", ""),
]
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|WHERE)\b")


@dataclass(frozen=True)
class Mutant:
    """One change: of a module, what it is called, and the module's text with it."""

    module: str
    key: str
    line: int
    text: str


def variants(node: ast.AST, field: str) -> Iterator[ast.expr]:
    """Give what an expression may be replaced by; `field` is its place in what it stands in."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield _with(node, ops=[*ops[:i], other(), *ops[i + 1 :]])
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp(op=op, left=left, right=right):
            if type(op) in ARITHMETIC and not (_is_text(left) or _is_text(right)):
                yield _with(node, op=ARITHMETIC[type(op)]())
        case ast.Constant(value=value):
            yield from map(ast.Constant, _other_constants(value))
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            yield _with(node, func=ast.Name("max" if name == "min" else "min"))
        case ast.Call() | ast.Name() | ast.Attribute() if field == "test":
            yield ast.UnaryOp(ast.Not(), node)


def _other_constants(value: object) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case float():
            yield value * 1.5 or 1.0
        case str() if SQL.search(value):
            for pattern, other in IN_SQL:
                for found in re.finditer(pattern, value):
                    yield value[: found.start()] + other + value[found.end() :]


def _with(node: ast.expr, **changes: Any) -> ast.expr:
    other = copy.copy(node)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


UNTOUCHED = {"annotation", "returns", "decorator_list", "type_params"}


def places(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Give every expression below a node with its place; no annotations, decorators and docstrings."""
    for field, value in ast.iter_fields(parent):
        if field in UNTOUCHED or (isinstance(parent, ast.Expr) and isinstance(value, ast.Constant)):
            continue
        many = isinstance(value, list)
        for i, child in enumerate(value if many else [value]):
            if isinstance(child, ast.expr):
                yield parent, field, i if many else None, child
            if isinstance(child, ast.AST):
                yield from places(child)


def mutants_of(module: str) -> Iterator[Mutant]:
    """Give all mutants of a module."""
    tree = ast.parse((ROOT / "bulkseed" / module).read_text())
    before = ast.unparse(tree).splitlines()
    times: dict[str, int] = {}
    for parent, field, i, child in list(places(tree)):
        for other in variants(child, field):
            _put(parent, field, i, ast.fix_missing_locations(ast.copy_location(other, child)))
            text = ast.unparse(tree)
            _put(parent, field, i, child)
            key = f"{module}: {_difference(before, text.splitlines())}"
            times[key] = times.get(key, 0) + 1
            key += f" ({times[key]})" if times[key] > 1 else ""
            yield Mutant(module, key, child.lineno, text)


def _put(parent: ast.AST, field: str, i: int | None, child: ast.expr) -> None:
    if i is None:
        setattr(parent, field, child)
    else:
        getattr(parent, field)[i] = child


def _difference(before: list[str], after: list[str]) -> str:
    """Return the lines that differ, from and to, and of long ones the part that differs."""
    n = next(i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)
    old, new = before[n].strip(), after[n].strip()
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    first = blocks[0].size if blocks[0].a == blocks[0].b == 0 else 0
    begin = max(0, first - 60) if len(old) > 100 else 0
    return f"{old[begin : begin + 100]} -> {new[begin : begin + 100]}"
