"""Progress on standard error while a run goes on: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time

import anyio
import click

from bulkseed.engine.stats import Stats
from bulkseed.manifest import Manifest
from bulkseed.report.words import duration

BAR_EVERY = 0.25
LINE_EVERY = 5.0
RATE_OVER = 5.0
"""Seconds over which the rate of now is taken."""


async def watch(kind: str, stats: Stats, entries: Manifest, qps: float) -> None:
    """Show progress until cancelled. `kind`: auto, bar, plain or none."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    if kind == "none":
        return
    meter = _Meter(stats, entries, qps)
    if kind == "plain":
        while True:
            await anyio.sleep(LINE_EVERY)
            click.echo(meter.line(), err=True)
    await _bar(meter)


async def _bar(meter: _Meter) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=None, text="")
        while True:
            await anyio.sleep(BAR_EVERY)
            total = meter.total()
            progress.update(
                task, total=total, completed=meter.stats.finished, text=meter.line(), refresh=True
            )


class _Meter:
    """Turns counters into a line; remembers the last seconds to tell the rate of now."""

    def __init__(self, stats: Stats, entries: Manifest, qps: float) -> None:
        self.stats = stats
        self._entries = entries
        self._qps = qps
        self._seen: list[tuple[float, int, int]] = []

    def total(self) -> float | None:
        """Return how many definitions there are, about, from how far the manifests have been read."""
        size = self._entries.bytes_total
        if not size or not self._entries.bytes_read:
            return None
        return max(self.stats.read * size / self._entries.bytes_read, float(self.stats.finished))

    def line(self) -> str:
        """Return one line for a person."""
        stats = self.stats
        now = time.monotonic()
        self._seen.append((now, stats.attempts, stats.finished))
        while self._seen[0][0] < now - RATE_OVER:
            self._seen.pop(0)
        then, attempts, finished = self._seen[0]
        span = max(now - then, 1e-9)
        rate = (stats.attempts - attempts) / span if len(self._seen) > 1 else 0.0
        pace = (stats.finished - finished) / span if len(self._seen) > 1 else 0.0
        total = self.total()
        parts = [f"{stats.finished:,}" + (f" of about {total:,.0f}" if total else "")]
        parts.append(f"{rate:,.1f}/s" + (f" of {self._qps:g}" if self._qps else ""))
        if total and pace > 0:
            parts.append(f"{duration((total - stats.finished) / pace)} left")
        unsettled = {o.value: n for o, n in stats.outcomes.items() if n and not o.settled}
        parts += [f"{count:,} {name}" for name, count in unsettled.items()]
        if stats.throttled:
            parts.append(f"{stats.throttled:,} throttled")
        if stats.retried:
            parts.append(f"{stats.retried:,} retried")
        if stats.waiting_for_service:
            parts.append(f"waiting for the service ({stats.last_problem})")
        return ", ".join(parts)
