"""Progress on standard error while a run goes on: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque

import anyio
import anyio.from_thread
import anyio.to_thread
import click

from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import ManifestError
from bulkseed.manifest import Manifest
from bulkseed.words import duration

BAR_EVERY = 0.25
LINE_EVERY = 5.0
RATE_OVER = 5.0
"""Seconds over which the rate of now is taken."""


async def watch(
    kind: str, stats: Stats, entries: Manifest, qps: float, stop: Stop, selected: int | None = None
) -> None:
    """Show progress until cancelled.

    Args:
        kind: auto, bar, plain or none.
        stats: the run's counters.
        entries: the manifests, for how far they have been read.
        qps: the ceiling.
        stop: tells that the run is to end, and that what it still reads it only counts.
        selected: how many of the entries are to be taken; None for all.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    if kind == "none":
        return
    if os.environ.get("TERM") in {"dumb", "unknown"}:  # rich draws no bar there
        kind = "plain"
    meter = _Meter(stats, entries, qps, stop, selected)
    async with anyio.create_task_group() as group:
        if selected is None:
            group.start_soon(meter.count_ahead)
        if kind == "bar":
            await _bar(meter)
        while True:
            await anyio.sleep(LINE_EVERY)
            line = ", ".join(meter.pace() + meter.troubles())
            click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


async def _bar(meter: _Meter) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column
    from rich.text import Text

    columns = (
        BarColumn(bar_width=16),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    bar = Progress(*columns, expand=True)
    task = bar.add_task("")
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            await anyio.sleep(BAR_EVERY)
            done = meter.stats.read if meter.stopping else meter.stats.finished
            bar.update(task, total=meter.total()[0], completed=done, text=", ".join(meter.pace()))
            troubles = Text(", ".join(meter.troubles()), no_wrap=True, overflow="ellipsis")
            live.update(Group(bar, troubles) if troubles else bar, refresh=True)


class _Meter:
    """Turns counters into a line; remembers the last seconds to tell the rate of now."""

    def __init__(
        self, stats: Stats, entries: Manifest, qps: float, stop: Stop, counted: int | None = None
    ) -> None:
        self.stats = stats
        self._stop = stop
        self._entries = entries
        self._qps = qps
        self._counted = counted
        self._seen: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    async def count_ahead(self) -> None:
        """Count the entries while the run goes on, and no longer than it does."""
        with contextlib.suppress(ManifestError):  # a file is gone meanwhile, which the run will tell
            self._counted = await anyio.to_thread.run_sync(
                self._entries.count, anyio.from_thread.check_cancelled, abandon_on_cancel=True
            )

    @property
    def stopping(self) -> bool:
        """Whether the run only counts what it still reads."""
        return self._stop.requested

    def total(self) -> tuple[float | None, bool]:
        """Return how many definitions there are, if that can be told, and whether it is exact."""
        if self._counted is not None:
            return self._counted, True
        size, read = self._entries.bytes_total, self._entries.bytes_read
        if not size or not read:
            return None, False
        return max(self.stats.read * size / read, float(self.stats.finished)), False

    def pace(self) -> list[str]:
        """Say how far it is, how fast, and how long it takes."""
        stats = self.stats
        rate, pace = self._rates()
        total, exact = self.total()
        of = "" if total is None else f" of {'' if exact else 'about '}{total:,.0f}"
        if self.stopping:
            return [f"stopping: {stats.read:,}{of} counted; Ctrl-C ends it now"]
        parts = [f"{stats.finished:,}{of}", f"{rate:,.1f}/s" + (f" of {self._qps:g}" if self._qps else "")]
        if total and pace > 0 and not stats.waiting_for_service:
            parts.append(f"{duration((total - stats.finished) / pace)} left")
        return parts

    def troubles(self) -> list[str]:
        """Say what did not go well, the most important first: a terminal may cut off the end."""
        stats = self.stats
        parts = [f"waiting for the service: {stats.last_problem}"] if stats.waiting_for_service else []
        unsettled = {o.value: n for o, n in stats.outcomes.items() if n and not o.settled}
        parts += [f"{count:,} {name}" for name, count in unsettled.items()]
        parts += [f"{stats.throttled:,} throttled"] if stats.throttled else []
        parts += [f"{stats.retried:,} retried"] if stats.retried else []
        if stats.last_problem and not stats.waiting_for_service:
            parts.append(f"last problem: {stats.last_problem}")
        return parts

    def _rates(self) -> tuple[float, float]:
        """Return the attempts and the definitions a second, over the last seconds."""
        now = time.monotonic()
        self._seen.append((now, self.stats.attempts, self.stats.finished))
        while len(self._seen) > 2 and self._seen[1][0] < now - RATE_OVER:
            self._seen.popleft()
        then, attempts, finished = self._seen[0]
        span = max(now - then, 1e-9)
        return (self.stats.attempts - attempts) / span, (self.stats.finished - finished) / span
