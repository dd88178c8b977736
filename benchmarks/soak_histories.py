"""Thousands of random histories of crashes, lost replies and other people; the suite lives some hundreds.

    python -m benchmarks.soak_histories [--examples 10000]

It ends with 0 if every promise held in each (`tests/support/histories.py`), and prints the smallest history
that breaks one otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parents[1] / "tests/engine/test_histories.py"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000)
    options = parser.parse_args()
    command = [sys.executable, "-m", "pytest", "-q", f"{TEST}", "-k", "converges"]
    return subprocess.run(
        command, env=os.environ | {"BULKSEED_TEST_HISTORIES": str(options.examples)}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
