"""Each fault that was seen in use is held by a test, which names it at the end of its docstring."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

TESTS = Path(__file__).parent
CATALOGUE = TESTS / "data" / "field_faults.md"
FAULT = re.compile(r"[A-H]\d{1,2}")
NAMED = re.compile(rf"\(({FAULT.pattern}(?:, {FAULT.pattern})*)\)\.?$")
"""What a docstring ends with."""


def faults() -> list[str]:
    """Return the catalogue's rows, in its order."""
    return re.findall(rf"^- ({FAULT.pattern}): ", CATALOGUE.read_text(), re.MULTILINE)


@functools.cache
def named() -> list[tuple[str, str]]:
    """Return what the tests' docstrings name, each with the place of its test."""
    names: list[tuple[str, str]] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found = NAMED.search(" ".join((ast.get_docstring(node) or "").split()))
                place = f"{path.relative_to(TESTS)}:{node.lineno}"
                names += [(fault, place) for fault in found[1].split(", ")] if found else []
    return names


def test_each_fault_is_named_by_a_test() -> None:
    """Whoever reads the catalogue finds what holds each of its lines."""
    held = {fault for fault, _ in named()}
    assert [fault for fault in faults() if fault not in held] == []


def test_no_test_names_a_fault_that_there_is_not() -> None:
    """Nor does the catalogue have a row twice, or leave a number out."""
    there = faults()
    assert [(fault, place) for fault, place in named() if fault not in there] == []
    letters = {fault[0] for fault in there}
    numbers = {letter: [int(f[1:]) for f in there if f[0] == letter] for letter in letters}
    assert all(rows == list(range(1, len(rows) + 1)) for rows in numbers.values())
