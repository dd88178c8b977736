"""What the explorer costs: its first paint, the service's processor time with the page open, and its frames.

    python -m benchmarks.explorer [--rounds 5] [--rate 2000] [--seconds 5]

The service has one core; the load and a real Chromium share the other. *Open* is the page at its list of
requests, to which every one is sent. The list is smooth when no frame takes long while requests come at
`rate`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import KEYS as CLIENT_KEYS
from benchmarks.common import apply, program, publish, serving, write_manifest
from benchmarks.local_kms import KEYS, LOAD_CORE, SERVER_CORE, cpu_of

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait
from support.browser import chromium

PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WATCH_FRAMES = """
window.gaps = []; let before = performance.now();
function frame(now) { gaps.push(now - before); before = now; requestAnimationFrame(frame); }
requestAnimationFrame(frame);"""


@contextmanager
def _served(folder: Path) -> Iterator[dict[str, Any]]:
    command = [program(), "serve", "--port", "0", "--data-dir", str(folder)]
    command += ["--create-qps", "0", "--read-qps", "0", "--manage-qps", "0"]
    with serving(command, SERVER_CORE, KEYS) as said:
        yield said


def _paint(chrome: Chrome, address: str) -> float:
    """Open the page afresh; return the milliseconds until something is to be seen."""
    chrome.get("about:blank")
    chrome.get(address)
    painted: float = WebDriverWait(chrome, 30).until(lambda it: it.execute_script(PAINTED))
    return painted


def _cost(
    folder: Path, manifest: Path, flags: tuple[str, ...], chrome: Chrome | None
) -> tuple[float, list[float]]:
    """Create what the manifest has; return the service's CPU µs of each, and the frames' milliseconds."""
    with _served(folder) as said:
        if chrome is not None:
            chrome.get(said["explorer"])
            chrome.get(f"{said['explorer'].partition('#')[0]}#requests")
            chrome.execute_script(WATCH_FRAMES)
        before = cpu_of(said["pid"])
        done = apply(manifest, said["endpoint"], *flags, env=CLIENT_KEYS)
        spent = cpu_of(said["pid"]) - before
        gaps: list[float] = chrome.execute_script("return gaps") if chrome is not None else []
    count = done.summary["attempts"]
    for ledger in manifest.parent.glob("*.ledger.db*"):
        ledger.unlink()
    return spent * 1e6 / count, gaps


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=5)
    given = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    lines = ["| load | closed, CPU µs a create | open | more |", "|---|---|---|---|"]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, chromium(Path(name) / "profile") as chrome:
        folder = Path(name)
        with _served(folder / "paint") as said:
            figures["paint"] = [_paint(chrome, said["explorer"]) for _ in range(2 * given.rounds)]
        frames: list[float] = []
        for title, qps in ((f"{given.rate:,} a second", given.rate), ("as fast as it goes", 0)):
            manifest = write_manifest(folder / f"{qps}.jsonl", given.rate * given.seconds)
            pairs = []
            for number in range(given.rounds):
                flags = ("--qps", str(qps)) if qps else ()
                closed, _ = _cost(folder / f"{qps}-{number}-closed", manifest, flags, None)
                opened, gaps = _cost(folder / f"{qps}-{number}-open", manifest, flags, chrome)
                pairs.append((closed, opened))
                frames += gaps if qps else []
            more = [both[1] / both[0] - 1 for both in pairs]
            closed, opened = (statistics.median(column) for column in zip(*pairs, strict=True))
            spread = f"{statistics.median(more):.1%} ({min(more):.1%} to {max(more):.1%})"
            lines.append(f"| {title} | {closed:.0f} | {opened:.0f} | {spread} |")
            figures[title] = pairs
    figures["frames"] = frames
    frames.sort()
    tail = f"{frames[len(frames) * 99 // 100]:.0f} ms of 99 in 100, {frames[-1]:.0f} ms of the longest"
    text = (
        f"First paint: {statistics.median(figures['paint']):.0f} ms, at most {max(figures['paint']):.0f} ms."
    )
    text += f" Frames of the list at {given.rate:,} a second: at most {tail}."
    publish("explorer", "The explorer", f"{text}\n\n" + "\n".join(lines), figures)


if __name__ == "__main__":
    main()
