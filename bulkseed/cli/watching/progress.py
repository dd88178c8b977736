"""Progress on standard error while a run goes on: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

import anyio
import anyio.from_thread
import anyio.to_thread
import click

from bulkseed.cli.watching import events
from bulkseed.cli.watching.logs import in_json
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import ManifestError
from bulkseed.humanize import duration, number
from bulkseed.manifest.entries import OpenEntries
from bulkseed.model import Outcome

BAR_EVERY = 0.25
LINE_EVERY = 5.0
LOOK_EVERY = 1.0
RATE_OVER = 5.0
"""Seconds over which the rate of now is taken."""
BAR_FROM = 80
"""Columns; a narrower terminal has room for the words only."""


@dataclass(slots=True)
class Work:
    """What is watched: the definitions in `entries`, or `total` of them, or rows of a ledger (no `entries`).

    `limit` is how many are sent at most. `ends` has how many had which end where that is not the outcomes
    in `stats`; `usual` is the end that goes without saying.
    """

    stats: Stats
    qps: float
    stop: Stop
    entries: OpenEntries | None = None
    total: int | None = None
    limit: int | None = None
    ends: Counter[str] | None = None
    usual: str = Outcome.CREATED.value

    @property
    def finished(self) -> int:
        """How many have their end."""
        return self.ends.total() if self.entries is None and self.ends is not None else self.stats.finished

    @property
    def passed(self) -> int:
        """How many of them had it before this run, or are invalid: they took no time."""
        return self.stats.known.total()

    def notable(self) -> dict[str, int]:
        """Return the ends but for the usual one, what is not settled first."""
        ends = self.ends
        if ends is None:
            outcomes = sorted(self.stats.outcomes.items(), key=lambda item: item[0].settled)
            ends = Counter({outcome.value: count for outcome, count in outcomes})
        return {end: count for end, count in ends.items() if count and end != self.usual}


async def watch(kind: str, work: Work) -> None:
    """Show progress until cancelled. `kind`: auto, bar, plain or none."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    if kind == "none":
        return
    if os.environ.get("TERM") in {"dumb", "unknown"}:  # rich draws no bar there
        kind = "plain"
    meter = _Meter(work)
    async with anyio.create_task_group() as group:
        if work.total is None and work.entries is not None:
            group.start_soon(meter.count_ahead, work.entries)
        await (_bar(meter) if kind == "bar" else _lines(meter))


async def _lines(meter: _Meter) -> None:
    while True:
        for _ in range(round(LINE_EVERY / LOOK_EVERY)):
            await anyio.sleep(LOOK_EVERY)
            meter.look()
        if in_json():
            events.tell_progress(**meter.facts())
        else:
            line = ", ".join(meter.pace() + meter.troubles())
            click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


async def _bar(meter: _Meter) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column
    from rich.text import Text

    console = Console(stderr=True)
    columns = (
        *([BarColumn(bar_width=16)] if console.width >= BAR_FROM else []),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    bar = Progress(*columns, expand=True)
    task = bar.add_task("")
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            await anyio.sleep(BAR_EVERY)
            meter.look()
            bar.update(task, total=meter.total()[0], completed=meter.done, text=", ".join(meter.pace()))
            troubles = Text(", ".join(meter.troubles()), no_wrap=True, overflow="ellipsis")
            live.update(Group(bar, troubles) if troubles else bar, refresh=True)


class _Look(NamedTuple):
    """What the counters were."""

    at: float
    attempts: int
    finished: int
    passed: int


class _Meter:
    """Turns counters into a line; remembers the last seconds to tell the rate of now."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._counted = work.total
        self._seen: deque[_Look] = deque([_Look(anyio.current_time(), 0, 0, 0)])
        self._passing = False

    async def count_ahead(self, entries: OpenEntries) -> None:
        """Count the entries while the run goes on, and no longer than it does."""
        with contextlib.suppress(ManifestError):  # a file is gone meanwhile, which the run will tell
            self._counted = await anyio.to_thread.run_sync(
                entries.count, anyio.from_thread.check_cancelled, abandon_on_cancel=True
            )

    def look(self) -> None:
        """Remember the counters, for as long as they tell how fast it is now.

        What earlier runs have settled passes in a moment: while it does, and just after, older moments say
        nothing about how long the rest takes.
        """
        work, last, before = self._work, self._seen[-1], self._passing
        now = _Look(anyio.current_time(), work.stats.attempts, work.finished, work.passed)
        passed = now.passed - last.passed
        self._passing = passed > now.finished - last.finished - passed
        self._seen.append(now)
        while len(self._seen) > 2 and (before or self._passing or self._seen[1].at < now.at - RATE_OVER):
            self._seen.popleft()

    @property
    def done(self) -> int:
        """How many are done with; once the run is to end, how many are counted."""
        work = self._work
        return work.stats.read if work.stop.requested and work.entries is not None else work.finished

    def total(self) -> tuple[float | None, bool]:
        """Return how many there are, if that can be told, and whether it is exact."""
        work = self._work
        most = float("inf") if work.limit is None or work.stop.requested else work.passed + work.limit
        if self._counted is not None:
            return min(max(self._counted, work.finished), most), True
        size, read = (0, 0) if work.entries is None else (work.entries.bytes_total, work.entries.bytes_read)
        if not size or not read:
            return None, False
        return min(max(work.stats.read * size / read, float(work.finished)), most), False

    def pace(self) -> list[str]:
        """Say how far it is, how fast, and how long it takes."""
        work = self._work
        total, exact = self.total()
        of = "" if total is None else f" of {'' if exact else 'about '}{total:,.0f}"
        if work.stop.requested:
            rest = f"{self.done:,}{of} " + ("counted" if work.entries is not None else "done")
            return [f"stopping: {rest}; Ctrl-C ends it now"]
        parts = [
            f"{self.done:,}{of}",
            f"{self._rate():,.1f}/s" + (f" of {number(work.qps)}" if work.qps else ""),
        ]
        left = self._left()
        return parts if left is None else [*parts, f"{duration(left)} left"]

    def troubles(self) -> list[str]:
        """Say what else there is, the most important first: a terminal may cut off the end."""
        stats, notable = self._work.stats, self._work.notable()
        unheard = "service" in stats.waiting_for and not stats.attempts
        check = " (nothing has answered yet: is --endpoint right?)" if unheard else ""
        waiting = f"waiting for {stats.waiting_for}: {stats.last_problem}{check}"
        parts = [waiting] if stats.waiting_for else []
        parts += [f"{count:,} {end}" for end, count in notable.items()]
        parts += [f"{stats.throttled:,} throttled"] if stats.throttled else []
        parts += [f"{stats.retried:,} retried"] if stats.retried else []
        if stats.last_problem and not stats.waiting_for:
            parts.append(f"last problem: {stats.last_problem}")
        return parts

    def facts(self) -> dict[str, object]:
        """Return the same for machines."""
        work, left, (total, exact) = self._work, self._left(), self.total()
        return {
            "done": self.done,
            "total": None if total is None else round(total),
            "total_is_exact": exact,
            "rate": round(self._rate(), 1),
            "limit_qps": work.qps,
            "left_s": None if left is None else round(left, 1),
            "stopping": work.stop.requested,
            "waiting": bool(work.stats.waiting_for),
            **work.notable(),
            "throttled": work.stats.throttled,
            "retried": work.stats.retried,
            "last_problem": work.stats.last_problem,
        }

    def _rate(self) -> float:
        """Return the attempts a second of now; rows of a ledger need several each, so there they count.

        Among the attempts are those of other quotas, and answers come in bunches: what leaves is never more
        than the ceiling, and neither is what is shown.
        """
        then, now = self._seen[0], self._seen[-1]
        count = now.finished - then.finished if self._work.entries is None else now.attempts - then.attempts
        rate = count / max(now.at - then.at, 1.0)  # a part of a second has no rate: it would look too high
        return min(rate, self._work.qps) if self._work.qps else rate

    def _left(self) -> float | None:
        """Return the seconds that the rest takes as fast as now, if that can be told."""
        then, now = self._seen[0], self._seen[-1]
        total, _ = self.total()
        ended = now.finished - then.finished
        if not total or ended <= 0 or self._work.stats.waiting_for or self._work.stop.requested:
            return None
        return max(total - now.finished, 0) * (now.at - then.at) / ended
