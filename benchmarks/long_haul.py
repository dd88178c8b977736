"""A day at the quota in some minutes: 24 simulated hours with outages, throttling and expiring credentials.

    python -m benchmarks.long_haul [--hours 24] [--rate 10]

It ends with 0 if nothing was lost or created twice, the pace came back after every trouble and was never
exceeded, and there were never more objects of any kind than the workers of a run need (every half hour it is
looked; `tests/support/long_haul.py`). There are no real sockets under the virtual clock: their number is
bounded by the connections of the transport.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path

from bulkseed.engine.seed import MOST_WORKERS

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import virtual_clock
from support.histories import FOLDER
from support.long_haul import OUTAGE, SPELL, Haul, haul


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=float, default=10)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        came_to = virtual_clock.run(haul, Path(folder), options.hours, options.rate)
    outcomes = {str(outcome): count for outcome, count in came_to.summary.outcomes.items() if count}
    after = {"outage": came_to.pace_after(OUTAGE), "throttling": came_to.pace_after(SPELL)}
    kind, most = max((pair for counts in came_to.alive for pair in counts.items()), key=itemgetter(1))
    print(f"{came_to.hours:.1f} simulated hours in {time.monotonic() - began:.0f} s: {outcomes}")
    proof = came_to.broken or "audited"
    print(f"exit {came_to.summary.exit_code}, {came_to.summary.attempts:,} attempts, {proof}")
    for trouble, shares in after.items():
        print(f"quota used in the minute after {len(shares)} times {trouble}: at least {min(shares):.1%}")
    print(f"most in a second: {came_to.worst_second}, credentials fetched {came_to.fetched} times")
    print(f"most objects of a kind alive at a time: {most} ({kind})")
    return 0 if _good(came_to) and min(map(min, after.values())) >= 0.95 and most <= 2 * MOST_WORKERS else 1


def _good(came_to: Haul) -> bool:
    count = sum(came_to.summary.outcomes.values())
    in_time = came_to.worst_second <= came_to.rate
    return came_to.summary.exit_code == 0 and came_to.created == count and not came_to.broken and in_time


if __name__ == "__main__":
    sys.exit(main())
