"""Thousands of random histories: crashes, lost replies, clocks that jump, other people, and a rollback.

    python -m benchmarks.soak_histories [--examples 10000] [--seed 1]

The suite lives some hundreds. It ends with 0 if every promise held in each (`tests/support/history_laws.py`,
and, a quarter as many, `tests/engine/test_rollback_histories.py`), and prints one that breaks it otherwise.
They are lived in rounds, each with a seed of its own, and after each it says how many have passed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests/engine"
ROUND = 500


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    lived = 0
    for seed in itertools.count(options.seed):
        if lived >= options.examples:
            return 0
        count = min(ROUND, options.examples - lived)
        for test, which, examples in (
            ("test_histories.py", "converges", count),
            ("test_rollback_histories.py", "survive", -(-count // 4)),
        ):
            if failed := _live(test, which, examples, seed):
                print(f"a history of {test} breaks a promise (round {seed}), after {lived:,} that held")
                return failed
        lived += count
        print(f"{lived:,} histories and {lived // 4:,} rollbacks have passed (round {seed})", flush=True)
    return 0


def _live(test: str, which: str, examples: int, seed: int) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", f"{TESTS / test}", "-k", which]
    command.append(f"--hypothesis-seed={seed}")
    environment = os.environ | {"BULKSEED_TEST_HISTORIES": str(examples)}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
