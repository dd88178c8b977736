"""A day at the quota in some minutes: 24 simulated hours with outages, throttling and expiring credentials.

    python -m benchmarks.long_haul [--hours 24] [--rate 10]

It ends with 0 if nothing was lost or created twice, the pace came back after every trouble and was never
exceeded, no outage ended with a burst, and nothing grew beyond what the workers of a run need: their number
may grow with every trouble, up to 256 (every half hour it is looked; `tests/support/long_haul.py`). There are
no real sockets under the virtual clock: what is in flight says how many connections there were, as each
carries one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import publish
from bulkseed.engine.run import MOST_WORKERS
from bulkseed.ledger import read_ledger
from bulkseed.model import QuotaGroup
from bulkseed.wire.quotas import QUOTAS

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import virtual_clock
from support.histories import FOLDER
from support.long_haul import HOUR, MINUTE, OUTAGE, SPELL, Haul, haul
from support.quota import most_in_one_second

READS = QUOTAS[QuotaGroup.READ] / 10
"""In a second soon after an outage; those in doubt are looked for, as many as workers had sent."""


class Traffic(NamedTuple):
    """All requests of a haul, reads too. `after`: the most in a second of the minute after each outage."""

    after: list[int]
    in_flight: int


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
        came_to, longest = virtual_clock.run(_watched, Path(folder), options.hours, options.rate)
        traffic = _traffic(Path(folder) / "0.ledger.db", came_to.hours)
    good = _good(came_to, longest, traffic)
    title = f"A run of {came_to.hours:.1f} simulated hours"
    table = _table(came_to, longest, traffic)
    about = f"It took {time.monotonic() - began:.0f} s. {'All is well.' if good else 'SOMETHING IS WRONG.'}"
    figures = {
        "quota_used_after_outages": came_to.pace_after(OUTAGE),
        "quota_used_after_throttling": came_to.pace_after(SPELL),
        "most_in_a_second_after_outages": traffic.after,
        "objects_alive": [counts.total() for counts in came_to.alive],
        "longest_collection": longest,
    }
    publish("long_haul", title, f"{about}\n\n{table}", figures)
    return 0 if good else 1


async def _watched(folder: Path, hours: float, rate: float) -> tuple[Haul, list[int]]:
    longest: list[int] = []
    watch = asyncio.ensure_future(_watch(longest))
    came_to = await haul(folder, hours, rate)
    watch.cancel()
    return came_to, longest


async def _watch(longest: list[int]) -> None:
    while True:
        await asyncio.sleep(HOUR / 2 + 1)
        longest.append(max(map(len, _collections()), default=0))


def _collections() -> Iterator[Any]:
    """Yield the collections that objects of a run hold."""
    for thing in gc.get_objects():
        if str(type(thing).__module__).startswith(("bulkseed.engine", "bulkseed.ledger")):
            held = gc.get_referents(thing)
            held += [value for fields in held if isinstance(fields, dict) for value in fields.values()]
            yield from (one for one in held if isinstance(one, (list, deque, set, dict)))


def _traffic(ledger: Path, hours: float) -> Traffic:
    with read_ledger(ledger) as reader:
        times = sorted((one.sent_at, one.sent_at + one.latency) for one in reader.attempts())
    sent = [at - times[0][0] for at, _ in times]
    ended = sorted(end - times[0][0] for _, end in times)
    after = []
    for hour in range(int(hours) + 1):
        over = hour * HOUR + OUTAGE[1]
        minute = sent[bisect_left(sent, over) : bisect_left(sent, over + MINUTE)]
        after += [most_in_one_second(minute)] if minute else []
    most, first = 0, 0
    for last, at in enumerate(sent):
        while ended[first] <= at:
            first += 1
        most = max(most, last + 1 - first)
    return Traffic(after, most)


def _table(came_to: Haul, longest: list[int], traffic: Traffic) -> str:
    summary = came_to.summary
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in summary.outcomes.items() if count)
    kind, most = _most_alive(came_to)
    shares = [came_to.pace_after(OUTAGE), came_to.pace_after(SPELL)]
    rows = {
        "came to": f"{outcomes}; exit {summary.exit_code}",
        "created at the service": f"{came_to.created:,}, none twice",
        "the ledger's audit": "holds" if not came_to.broken else f"{came_to.broken}",
        "requests": f"{summary.attempts:,}",
        "most creates in a second": f"{came_to.worst_second} of {came_to.rate:g}",
        f"quota used soon after {len(shares[0])} outages of 4 min": f"at least {min(shares[0]):.1%}",
        f"quota used soon after {len(shares[1])} spells of throttling": f"at least {min(shares[1]):.1%}",
        "most requests in a second of the minute after an outage": f"{max(traffic.after)}",
        "most requests in flight, and so connections": f"{traffic.in_flight}",
        "credentials fetched, each good for 30 min": f"{came_to.fetched} times",
        "most objects of a kind alive, after half an hour and ever after": (
            f"{came_to.alive[0][kind]}, {most} ({kind})"
        ),
        "longest collection, after half an hour and ever after": f"{longest[0]}, {max(longest)}",
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {what} | {value} |" for what, value in rows.items())


def _most_alive(came_to: Haul) -> tuple[str, int]:
    return max((pair for counts in came_to.alive for pair in counts.items()), key=itemgetter(1))


def _good(came_to: Haul, longest: list[int], traffic: Traffic) -> bool:
    count = sum(came_to.summary.outcomes.values())
    shares = came_to.pace_after(OUTAGE) + came_to.pace_after(SPELL)
    return (
        came_to.summary.exit_code == 0
        and came_to.created == count
        and not came_to.broken
        and came_to.worst_second <= came_to.rate
        and min(shares) >= 0.95
        and max(traffic.after) <= came_to.rate + READS
        and max(_most_alive(came_to)[1], traffic.in_flight) <= 2 * MOST_WORKERS
        and max(longest) <= 4 * MOST_WORKERS
    )


if __name__ == "__main__":
    sys.exit(main())
