"""kill -9 at random moments, over real processes and sockets with faults and jitter; the suite does ten.

    python -m benchmarks.soak_kill9 [--kills 30] [--count 6000] [--seed 1]

Replies stall for seconds, clocks are wrong and set in mid-run (where `faketime` is installed), and in the end
all is rolled back under the same blows. It ends with 0 if the service is as the manifest says, every row is
true, a further run sends nothing, and a rollback leaves none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.torture import Torture


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds until a kill")
    parser.add_argument("--qps", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(options.count, options.kills, options.longest, options.seed, options.qps, soak=True)
        counts = torture.run(Path(folder))
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items() if count)
    print(f"{options.kills} kills in {time.monotonic() - began:.0f} s: {told}; audited, nothing left to send")


if __name__ == "__main__":
    main()
