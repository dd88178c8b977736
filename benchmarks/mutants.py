"""Changes the code that decides, one place at a time, and sees whether the tests notice.

    python -m benchmarks.mutants [--sample 200] [--seed 1] [--only ledger/rollbacks.py] [--parallel 2]

Every comparison, boolean, number and arithmetic operator of the modules in `TESTS` gives mutants, and so do
those in their SQL. For each the tests that look at its module run in a copy of the tree until one fails. It
ends with 0 if at least 95 % of those that change behaviour were caught. Those known to change none stand in
`benchmarks/mutants_equivalent.toml`, each with its reason, and are not run.

Why not mutmut or cosmic-ray: mutmut changes bodies of functions only, so no constant of a module and no SQL,
and chooses tests by coverage, which sends nearly every mutant through the histories. cosmic-ray starts a
process of pytest for each mutant, 2 s of imports before the first test. Here the process that has imported
the libraries forks.
"""

from __future__ import annotations

import argparse
import ast
import copy
import difflib
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401  # what the tests need is imported before a fork, and bulkseed after it
import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
import hypothesis.stateful
import orjson  # noqa: F401
import pytest

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.toml")
GOAL = 0.95
HISTORIES_LIVED = "150"
"""By each mutant; the suite lives more."""

HISTORIES = "engine/test_histories.py::test_every_history_converges_and_every_row_is_true"
ROLLBACKS = "engine/test_rollback_histories.py"
DECIDING = ["policy/test_creating.py", "policy/test_existing.py", "policy/test_following.py"]
UNDOING = ["policy/test_deleting.py", "engine/test_driver_delete.py", "engine/test_restore_values.py"]
PACING = [
    "engine/test_pacing_ceiling.py",
    "engine/test_pacing_waiting.py",
    "engine/test_pacing_jitter.py",
    "engine/test_pacing_sharing.py",
    "engine/test_stalls.py",
    "engine/test_pace_of_runs.py",
    "engine/test_quota_across_runs.py",
    "engine/test_pacing_realtime.py::test_where_only_an_answer_frees_a_place_no_timer_is_set",
]
CLOCKS = ["engine/test_clock.py", "engine/test_truth_of_rows.py", "engine/test_rollback_clocks.py"]
WRITING = [
    "ledger/test_admit_and_record.py",
    "ledger/test_doubts.py",
    "ledger/test_creations.py",
    "ledger/test_ledger_reading.py",
    "ledger/test_ledger_audit.py",
    "ledger/test_ledger_model.py::TestHistories",
]
TESTS: dict[str, list[str]] = {
    "policy/backoff.py": ["policy/test_backoff.py", "engine/test_retries.py"],
    "policy/create.py": [*DECIDING, *CLOCKS, HISTORIES],
    "policy/follow.py": [*DECIDING, *CLOCKS, HISTORIES],
    "policy/moments.py": [*DECIDING, *UNDOING, *CLOCKS, HISTORIES, ROLLBACKS],
    "policy/put_back.py": [*UNDOING, "policy/test_following.py"],
    "policy/retry.py": [*DECIDING, "engine/test_retries.py", "engine/test_stop_loss.py", *UNDOING, HISTORIES],
    "policy/rollback.py": [*UNDOING, *CLOCKS, ROLLBACKS],
    "policy/steps.py": [*DECIDING, *UNDOING, "policy/test_verifying.py", "engine/test_retries.py", HISTORIES],
    "policy/verdicts.py": [
        "policy/test_verdicts.py",
        *DECIDING,
        "engine/test_retries.py",
        "sources/test_rude.py",
    ],
    "policy/verify.py": ["policy/test_verifying.py"],
    "pacing/adaptive_rate.py": PACING,
    "pacing/ceilings.py": [*PACING, "client/test_client_calls.py"],
    "pacing/clock.py": [*CLOCKS, "engine/test_retries.py", *PACING],
    "pacing/pacer.py": PACING,
    "pacing/permit.py": PACING,
    "pacing/retry_bucket.py": [*PACING, "engine/test_retries.py", "engine/test_stop_loss.py"],
    "pacing/sliding_window.py": PACING,
    "client/service_time.py": [*CLOCKS, *DECIDING, HISTORIES, ROLLBACKS],
    "ledger/admission.py": [*WRITING, *CLOCKS, HISTORIES],
    "ledger/creations.py": [*WRITING, *UNDOING, HISTORIES],
    "ledger/ledger.py": [
        *WRITING,
        *CLOCKS,
        "ledger/test_ledger_file.py",
        "ledger/test_ledger_moved.py",
        HISTORIES,
    ],
    "ledger/rollbacks.py": [*UNDOING, "ledger/test_ledger_reading.py", *CLOCKS, ROLLBACKS, HISTORIES],
}  # in the order of what they cost

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


PYTEST = ["-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "--hypothesis-seed=1"]
PYTEST += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported before pytest begins


class _Quick:
    """What fails is not made smaller: that it fails is all that counts."""

    def pytest_sessionstart(self) -> None:
        settings = hypothesis.settings
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        settings.register_profile(
            "mutants", settings.get_profile("calm"), phases=phases, database=None, report_multiple_bugs=False
        )
        settings.load_profile("mutants")


@dataclass
class Trial:
    """Tests in a process of their own, in a copy of the tree; `seconds`: of the processor, at most."""

    folder: Path
    tests: list[str]
    seconds: int
    remember: bool = False  # what was compiled

    def start(self) -> int:
        """Start it; return its process id, whose exit is 0 if all tests passed."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (self.seconds, self.seconds))
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            sys.dont_write_bytecode = not self.remember
            os.chdir(self.folder)
            sys.path[:0] = [str(self.folder)]
            os.environ |= {"PYTHONPATH": str(self.folder), "BULKSEED_TEST_HISTORIES": HISTORIES_LIVED}
            output = os.open(self.folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            tests = [f"tests/{test}" for test in self.tests]
            code = int(pytest.main([*PYTEST, *tests], plugins=[_Quick()]))
        except BaseException:  # noqa: BLE001  # a child must never return from here
            traceback.print_exc()
        finally:
            os._exit(code)


@dataclass
class Running:
    """A mutant that is being tried."""

    mutant: Mutant
    folder: Path
    until: float


class Hunt:
    """Tries mutants, some at once."""

    def __init__(self, folders: list[Path]) -> None:
        self._free = folders
        self._running: dict[int, Running] = {}
        self._costs: dict[str, float] = {}  # of a module's tests where nothing is changed
        self.survivors: list[Mutant] = []
        self.tried = 0

    def learn(self, modules: list[str]) -> None:
        """Run the tests of each module once as they are, which must pass; keep what was compiled."""
        for folder in self._free:
            for module in modules:
                began = time.monotonic()
                pid = Trial(folder, TESTS[module], 900, remember=True).start()
                if os.waitpid(pid, 0)[1]:
                    sys.exit(f"the tests of {module} fail as they are:\n{(folder / 'output').read_text()}")
                self._costs[module] = time.monotonic() - began

    def run(self, mutants: list[Mutant]) -> None:
        """Try them all, and tell of each that survives."""
        waiting = mutants[::-1]
        while waiting or self._running:
            while waiting and self._free:
                self._start(waiting.pop(), self._free.pop())
            time.sleep(0.05)
            self._reap()

    def _start(self, mutant: Mutant, folder: Path) -> None:
        (folder / "bulkseed" / mutant.module).write_text(mutant.text)
        cost = self._costs[mutant.module]
        pid = Trial(folder, TESTS[mutant.module], int(3 * cost + 20)).start()
        self._running[pid] = Running(mutant, folder, time.monotonic() + 10 * cost + 60)

    def _reap(self) -> None:
        for pid, running in list(self._running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > running.until:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                done, status = os.waitpid(pid, 0)
            if done:
                del self._running[pid]
                self._end(running, survived=status == 0)

    def _end(self, running: Running, *, survived: bool) -> None:
        mutant, folder = running.mutant, running.folder
        shutil.copy2(ROOT / "bulkseed" / mutant.module, folder / "bulkseed" / mutant.module)
        self._free.append(folder)
        self.tried += 1
        if survived:
            self.survivors.append(mutant)
        what = "SURVIVED" if survived else "caught"
        print(f"{self.tried:5} {what} line {mutant.line} of {mutant.key}", flush=True)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, help="so many, chosen by the seed; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="MODULE", help="of these modules only")
    parser.add_argument("--matching", default="", help="only those whose name has this text")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name them, and try none")
    options = parser.parse_args()
    modules = options.only or list(TESTS)
    mutants = [
        mutant for module in modules for mutant in mutants_of(module) if options.matching in mutant.key
    ]
    equivalent = tomllib.loads(EQUIVALENT.read_text())
    known = {f"{module}: {key}" for module, reasons in equivalent.items() for key in reasons}
    if not (options.only or options.matching) and (stale := known - {mutant.key for mutant in mutants}):
        sys.exit(f"{EQUIVALENT.name} names what is no mutant any more:\n" + "\n".join(sorted(stale)))
    chosen = [mutant for mutant in mutants if mutant.key not in known]
    random.Random(options.seed).shuffle(chosen)  # noqa: S311  # the same in every run
    chosen = chosen[: options.sample]
    if options.list:
        print("\n".join(sorted(mutant.key for mutant in chosen)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / str(i) for i in range(options.parallel)]
        ignored = shutil.ignore_patterns(".*", "__pycache__", "results")
        for one in folders:
            shutil.copytree(ROOT, one, ignore=ignored)
        hunt = Hunt(folders)
        hunt.learn(sorted({mutant.module for mutant in chosen}))
        hunt.run(chosen)
    caught = hunt.tried - len(hunt.survivors)
    share = caught / max(1, hunt.tried)
    print(f"\n{caught} of {hunt.tried} caught: {share:.1%}; {len(known)} are known to change nothing")
    for mutant in sorted(hunt.survivors, key=lambda mutant: (mutant.module, mutant.line)):
        print(f"SURVIVED line {mutant.line} of {mutant.key}")
    return 0 if caught >= GOAL * hunt.tried else 1


if __name__ == "__main__":
    sys.exit(main())
