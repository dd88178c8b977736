"""Thousands of random histories: crashes, lost replies, clocks that jump, other people, and a rollback.

    python -m benchmarks.soak_histories [--examples 10000]

The suite lives some hundreds. It ends with 0 if every promise held in each (`tests/support/histories.py`; and
`tests/engine/test_rollback_histories.py`, a quarter as many), and prints one that breaks it otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests/engine"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000)
    options = parser.parse_args()
    applied = _live("test_histories.py", "converges", options.examples)
    return applied or _live("test_rollback_histories.py", "survive", options.examples // 4)


def _live(test: str, which: str, examples: int) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", f"{TESTS / test}", "-k", which]
    environment = os.environ | {"BULKSEED_TEST_HISTORIES": str(examples)}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
