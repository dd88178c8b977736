"""Stops a run in which the same thing goes wrong too often in a row."""

from __future__ import annotations

from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.policy.advice import advise


class StopLoss:
    """Stops the run after `stop_after` equal failures in a row."""

    def __init__(self, stop: Stop, stop_after: int) -> None:
        self._stop = stop
        self._stop_after = stop_after
        self._mark: tuple[str, str | None] | None = None
        self._length = 0

    def succeeded(self) -> None:
        """Take note of an item that did not fail."""
        self._length = 0

    def failed(self, outcome: str, code: str | None) -> None:
        """Take note of an item that failed."""
        mark = (outcome, code)
        self._length = self._length + 1 if mark == self._mark else 1
        self._mark = mark
        if self._length >= self._stop_after:
            told = advise(outcome, code)
            code = f" ({code})" if code else ""
            what = f"{self._length} definitions in a row were {outcome}{code}"
            self._stop.request(f"{what}: {told.meaning}; {told.action}", STOPPED_EARLY)
