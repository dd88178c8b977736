"""Where runs wait until all are ready to send, and then start one after another within a second.

Making ready takes the event loop's time: ledgers, certificates, the first look at an account. A run that
sends meanwhile would miss its moments, and lose a part of its quota that does not come back.
"""

from __future__ import annotations

import asyncio

from bulkseed.engine.stop import Stop

PATIENCE = 2.0
"""Seconds. So long after the last that came, those that are ready start without those that are not."""

SPREAD = 20
"""So many starts or more are spread over a second, so that not all send at the same moments."""


class StartLine:
    """The start of `count` runs. Make it in their event loop."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._apart = 1 / max(SPREAD, count)
        self._may_start = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(PATIENCE, self.open)

    def open(self) -> None:
        """Wait for nobody any more."""
        self._timer.cancel()
        self._may_start.set()

    def come(self) -> None:
        """Note that one more run is ready, or has ended before it was."""
        self._missing -= 1
        self._timer.cancel()
        if self._missing > 0:
            self._timer = self._loop.call_later(PATIENCE, self.open)
        else:
            self.open()

    async def start(self, number: int, stop: Stop) -> None:
        """Wait for the start of a run that is ready, but not past its stop."""
        self.come()
        await self._may_start.wait()
        await stop.sleep(number * self._apart)
