"""A line on standard error now and then while a command asks the service, which can take minutes."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from bulkseed.cli.render import say

FIRST = 1.0
EVERY = 5.0
"""Seconds until the first line, and between two."""


async def tell_while_waiting(what: Callable[[], str]) -> None:
    """Print what `what` returns, until cancelled."""
    wait = FIRST
    while True:
        await anyio.sleep(wait)
        say(what(), err=True)
        wait = EVERY
