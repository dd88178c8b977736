"""A night's move from a real OpenBao with kills, changes and what cannot be moved; the suite does 200.

    python -m benchmarks.soak_sources [--secrets 2000] [--kill-after 200]

It ends with 0 if every command printed what it should, no value was in any file while it ran, everything
is at the service in its newest version, and the ledger adds up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.openbao import openbao
from support.serve_process import UNLIMITED_FLAGS, served
from support.source_walk import Walk


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", type=int, default=2000)
    parser.add_argument("--kill-after", type=int, default=200, help="settled secrets before each kill")
    given = parser.parse_args()
    began = time.monotonic()
    with openbao() as bao, tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        with served(where / "kms", *UNLIMITED_FLAGS) as (target, _):
            searched = Walk(bao, target, where, given.secrets).walk(given.kill_after)
    took = time.monotonic() - began
    print(
        f"{given.secrets:,} secrets, 4 kills in {took:.0f} s: as printed, {searched} files searched, audited"
    )


if __name__ == "__main__":
    main()
