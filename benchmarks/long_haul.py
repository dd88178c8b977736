"""A day at the quota in some minutes: 24 simulated hours with outages, throttling and expiring credentials.

    python -m benchmarks.long_haul [--hours 24] [--rate 10] [--targets 1]

It ends with 0 if nothing was lost or created twice, the pace came back after every trouble and was never
exceeded, no outage ended with a burst, and nothing grew beyond what the workers of a run need: their number
may grow with every trouble, up to 256 (every half hour it is looked; `tests/support/long_haul.py`). Several
targets run at once in one loop, with their troubles at the same time; the table has the worst of them. There
are no real sockets under the virtual clock: what is in flight says how many connections there were, as each
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
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import starmap
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
    parser.add_argument("--targets", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        places = [Path(folder) / f"target-{number}" for number in range(options.targets)]
        hauls, longest = virtual_clock.run(_watched, places, options.hours, options.rate)
        traffics = [
            _traffic(place / "0.ledger.db", one.hours) for place, one in zip(places, hauls, strict=True)
        ]
    good = _good(hauls, longest, traffics)
    title = f"A run of {max(one.hours for one in hauls):.1f} simulated hours, {options.targets} targets"
    table = _table(hauls, longest, traffics)
    about = f"It took {time.monotonic() - began:.0f} s. {'All is well.' if good else 'SOMETHING IS WRONG.'}"
    figures = {
        "quota_used_after_outages": [one.pace_after(OUTAGE) for one in hauls],
        "quota_used_after_throttling": [one.pace_after(SPELL) for one in hauls],
        "most_in_a_second_after_outages": [traffic.after for traffic in traffics],
        "objects_alive": [counts.total() for counts in hauls[0].alive],
        "longest_collection": longest,
    }
    publish("long_haul", title, f"{about}\n\n{table}", figures)
    return 0 if good else 1


async def _watched(places: Sequence[Path], hours: float, rate: float) -> tuple[list[Haul], list[int]]:
    longest: list[int] = []
    watch = asyncio.ensure_future(_watch(longest))
    for place in places:
        place.mkdir()
    hauls = await asyncio.gather(*(haul(place, hours, rate) for place in places))
    watch.cancel()
    return hauls, longest


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


def _table(hauls: list[Haul], longest: list[int], traffics: list[Traffic]) -> str:
    first = hauls[0]
    outcomes = sum((Counter(one.summary.outcomes) for one in hauls), Counter())
    kind, most = _most_alive(first)
    shares = [[share for one in hauls for share in one.pace_after(of)] for of in (OUTAGE, SPELL)]
    broken = [finding for one in hauls for finding in one.broken]
    after = [traffic.after for traffic in traffics]
    rows = {
        "came to": ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
        + f"; exit {max(one.summary.exit_code for one in hauls)}",
        "created at the service": f"{sum(one.created for one in hauls):,}, none twice",
        "the ledger's audit": "holds" if not broken else f"{broken}",
        "requests": f"{sum(one.summary.attempts for one in hauls):,}",
        "most creates in a second": f"{max(one.worst_second for one in hauls)} of {first.rate:g}",
        f"quota used soon after {len(shares[0])} outages of 4 min": f"at least {min(shares[0]):.1%}",
        f"quota used soon after {len(shares[1])} spells of throttling": f"at least {min(shares[1]):.1%}",
        "most requests in a second of the minute after an outage": f"{max(map(max, after))}",
        "most requests in flight, and so connections": f"{max(one.in_flight for one in traffics)}",
        "credentials fetched, each good for 30 min": f"{max(one.fetched for one in hauls)} times",
        "most objects of a kind alive, after half an hour and ever after": (
            f"{first.alive[0][kind]}, {most} ({kind})"
        ),
        "longest collection, after half an hour and ever after": f"{longest[0]}, {max(longest)}",
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {what} | {value} |" for what, value in rows.items())


def _most_alive(came_to: Haul) -> tuple[str, int]:
    return max((pair for counts in came_to.alive for pair in counts.items()), key=itemgetter(1))


def _good(hauls: list[Haul], longest: list[int], traffics: list[Traffic]) -> bool:
    most_alive = max(_most_alive(one)[1] for one in hauls)
    return (
        all(starmap(_is_good, zip(hauls, traffics, strict=True)))
        and most_alive <= 2 * MOST_WORKERS * len(hauls)
        and max(longest) <= 4 * MOST_WORKERS
    )


def _is_good(one: Haul, traffic: Traffic) -> bool:
    return (
        one.summary.exit_code == 0
        and one.created == sum(one.summary.outcomes.values())
        and not one.broken
        and one.worst_second <= one.rate
        and min(one.pace_after(OUTAGE) + one.pace_after(SPELL)) >= 0.95
        and max(traffic.after) <= one.rate + READS
        and traffic.in_flight <= 2 * MOST_WORKERS
    )


if __name__ == "__main__":
    sys.exit(main())
