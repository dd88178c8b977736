"""``python -m bulkseed`` and the console script: the process as a whole, nothing else."""

from __future__ import annotations

import gc
import sys

GC_THRESHOLD = 20_000
"""Objects made before a look for cycles. Modules and blocks of definitions live: looking costs a run 3 %."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(GC_THRESHOLD)
    from bulkseed.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
