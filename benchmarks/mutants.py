"""Changes the code that decides, one place at a time, and sees whether the tests notice.

    python -m benchmarks.mutants [--sample 200] [--seed 1] [--only ledger/rollbacks.py] [--parallel 2]
    python -m benchmarks.mutants --only policy/create.py --keep        # write the results of this module
    python -m benchmarks.mutants --survivors --keep                    # try those again that survived

Every comparison, boolean, number and arithmetic operator of the modules in `TESTS` gives mutants, and so do
those in their SQL. For each the tests that look at its module run in a copy of the tree until one fails. It
ends with 0 if at least 95 % of those that change behaviour were caught. Those known to change none stand in
`benchmarks/mutants_equivalent.toml`, each with its reason, and are not run. `benchmarks.mutations` makes
mutants, `benchmarks.mutants_kept` keeps the results.

Why not mutmut or cosmic-ray: mutmut changes bodies of functions only, so no constant of a module and no SQL,
and chooses tests by coverage, which sends nearly every mutant through the histories. cosmic-ray starts a
process of pytest for each mutant, 2 s of imports before the first test. Here the process that has imported
the libraries forks.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp  # noqa: F401  # what the tests need is imported before a fork, and bulkseed after it
import anyio  # noqa: F401
import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
import hypothesis.stateful
import orjson  # noqa: F401
import pytest
import pytest_asyncio.plugin  # noqa: F401

from benchmarks.mutants_kept import kept_results, note, write
from benchmarks.mutations import ROOT, Mutant, mutants_of

EQUIVALENT = Path(__file__).with_name("mutants_equivalent.toml")
GOAL = 0.95
HISTORIES_LIVED = "150"
"""By each mutant; the suite lives more."""

HISTORIES = "engine/test_histories.py::test_every_history_converges_and_every_row_is_true"
ROLLBACKS = "engine/test_rollback_histories.py"
DECIDING = ["policy/test_creating.py", "policy/test_existing.py", "policy/test_following.py"]
DECIDING += ["policy/test_every_verdict.py"]
UNDOING = [
    "policy/test_deleting.py",
    "policy/test_every_verdict.py",
    "engine/test_driver_delete.py",
    "engine/test_restore_values.py",
]
PACING = [
    "engine/test_pacing_window.py",
    "engine/test_pacing_rate.py",
    "engine/test_pacing_grants.py",
    "engine/test_pacing_waiting.py",
    "engine/test_pacing_ceiling.py",
    "engine/test_quota_across_runs.py",
    "engine/test_pacing_starved.py",
    "engine/test_stalls.py",
    "engine/test_pacing_realtime.py::test_where_only_an_answer_frees_a_place_no_timer_is_set",
    "engine/test_pace_of_runs.py",
    "engine/test_pacing_jitter.py",
    "engine/test_pacing_sharing.py",
]
COUNTING = "report/test_report_numbers.py::test_what_was_rolled_back_is_counted_apart"
CLOCKS = ["engine/test_clock.py", "engine/test_truth_of_rows.py", "engine/test_rollback_clocks.py"]
WRITING = [
    "ledger/test_admission_records.py",
    "ledger/test_admit_and_record.py",
    "ledger/test_ledger_audit.py",
    "ledger/test_doubts.py",
    "ledger/test_ledger_model.py::TestHistories",
    "ledger/test_ledger_reading.py",
    "ledger/test_creations.py",
]
TESTS: dict[str, list[str]] = {
    "policy/backoff.py": ["policy/test_backoff.py", "engine/test_retries.py"],
    "policy/create.py": [*DECIDING, *CLOCKS, HISTORIES],
    "policy/follow.py": [*DECIDING, *CLOCKS, HISTORIES],
    "policy/moments.py": [*CLOCKS, *DECIDING, *UNDOING, HISTORIES, ROLLBACKS],
    "policy/put_back.py": [*UNDOING, "policy/test_following.py"],
    "policy/retry.py": [
        "policy/test_backoff.py",
        *DECIDING,
        "engine/test_retries.py",
        "engine/test_stop_loss.py",
        *UNDOING,
        HISTORIES,
    ],
    "policy/rollback.py": [*UNDOING, COUNTING, *CLOCKS, ROLLBACKS],
    "policy/steps.py": [*DECIDING, *UNDOING, "policy/test_verifying.py", "engine/test_retries.py", HISTORIES],
    "policy/verdicts.py": [
        "policy/test_verdicts.py",
        *DECIDING,
        "engine/test_retries.py",
        "sources/test_rude.py",
    ],
    "policy/verify.py": ["policy/test_verifying.py", "policy/test_every_verdict.py"],
    "pacing/adaptive_rate.py": PACING,
    "pacing/ceilings.py": [*PACING, "client/test_client_calls.py"],
    "pacing/clock.py": [*CLOCKS, "engine/test_retries.py", *PACING],
    "pacing/pacer.py": PACING,
    "pacing/permit.py": PACING,
    "pacing/retry_bucket.py": [*PACING, "engine/test_retries.py", "engine/test_stop_loss.py"],
    "pacing/sliding_window.py": PACING,
    "client/service_time.py": [*CLOCKS, *DECIDING, HISTORIES, ROLLBACKS],
    "ledger/admission.py": [*WRITING, "ledger/test_settled_stretch.py", *CLOCKS, HISTORIES],
    "ledger/creations.py": [*WRITING, *UNDOING, HISTORIES],
    "ledger/ledger.py": [
        "ledger/test_run_records.py",
        *WRITING,
        *CLOCKS,
        "ledger/test_ledger_file.py",
        "ledger/test_ledger_moved.py",
        HISTORIES,
    ],
    "ledger/rollbacks.py": [
        "ledger/test_rollback_records.py",
        *UNDOING,
        "ledger/test_ledger_reading.py",
        *CLOCKS,
        ROLLBACKS,
        HISTORIES,
    ],
}  # in the order of what they cost

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
            for tests in self.tests:  # most are caught by the first, and need not import what the others need
                code = int(pytest.main([*PYTEST, f"tests/{tests}"], plugins=[_Quick()]))
                if code:
                    break
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
        self._free = list(folders)
        self._running: dict[int, Running] = {}
        self._costs: dict[str, float] = {}  # of tests where nothing is changed, in seconds
        self.survivors: list[Mutant] = []
        self.tried = 0

    def learn(self, modules: list[str]) -> None:
        """Run the tests of these modules as they are, which must pass; all copies get what was compiled."""
        first, *others = self._free
        shutil.copytree(ROOT, first, ignore=shutil.ignore_patterns(".*", "__pycache__", "results"))
        for tests in sorted({tests for module in modules for tests in TESTS[module]}):
            began = time.monotonic()
            pid = Trial(first, [tests], 900, remember=True).start()
            if os.waitpid(pid, 0)[1]:
                sys.exit(f"{tests} fails as it is:\n{(first / 'output').read_text()}")
            self._costs[tests] = time.monotonic() - began
        for other in others:
            shutil.copytree(first, other)

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
        cost = sum(self._costs[tests] for tests in TESTS[mutant.module])
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
                self._end(running, status)

    def _end(self, running: Running, status: int) -> None:
        mutant, folder = running.mutant, running.folder
        shutil.copy2(ROOT / "bulkseed" / mutant.module, folder / "bulkseed" / mutant.module)
        self._free.append(folder)
        self.tried += 1
        if status == 0:
            self.survivors.append(mutant)
        what = (
            "SURVIVED" if status == 0 else "caught" if os.WIFEXITED(status) else "caught as it never ended:"
        )
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
    parser.add_argument(
        "--survivors", action="store_true", help="only those that survived by the kept results"
    )
    parser.add_argument("--keep", action="store_true", help="write the results to benchmarks/results")
    parser.add_argument("--list", action="store_true", help="name them, and try none")
    options = parser.parse_args()
    modules = options.only or list(TESTS)
    mutants = [
        mutant for module in modules for mutant in mutants_of(module) if options.matching in mutant.key
    ]
    equivalent = tomllib.loads(EQUIVALENT.read_text())
    known = {f"{module}: {key}": why for module, keys in equivalent.items() for key, why in keys.items()}
    if not (options.only or options.matching) and (stale := known.keys() - {it.key for it in mutants}):
        sys.exit(f"{EQUIVALENT.name} names what is no mutant any more:\n" + "\n".join(sorted(stale)))
    kept = kept_results()
    chosen = [mutant for mutant in mutants if mutant.key not in known]
    if options.survivors:
        survivors = {key for module in kept.values() for key in module["survivors"]}
        chosen = [mutant for mutant in chosen if mutant.key in survivors]
    random.Random(options.seed).shuffle(chosen)  # noqa: S311  # the same in every run
    chosen = chosen[: options.sample]
    if options.list:
        print("\n".join(sorted(mutant.key for mutant in chosen)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        hunt = Hunt([Path(folder) / str(i) for i in range(options.parallel)])
        hunt.learn(sorted({mutant.module for mutant in chosen}))
        hunt.run(chosen)
    caught = hunt.tried - len(hunt.survivors)
    share = caught / max(1, hunt.tried)
    print(f"\n{caught} of {hunt.tried} caught: {share:.1%}; {len(known)} are known to change nothing")
    for mutant in sorted(hunt.survivors, key=lambda mutant: (mutant.module, mutant.line)):
        print(f"SURVIVED line {mutant.line} of {mutant.key}")
    if options.keep:
        from benchmarks.common import COMMIT  # it imports bulkseed, which nothing that forks may have

        note(kept, chosen, hunt.survivors, again=options.survivors or bool(options.matching), commit=COMMIT)
        write(kept, [mutant for module in TESTS for mutant in mutants_of(module)], known)
    return 0 if caught >= GOAL * hunt.tried else 1


if __name__ == "__main__":
    sys.exit(main())
