"""The process as a whole: its garbage collector, its event loop and its standard streams."""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

from bulkseed.cli.streams import prepare as prepare_streams
from bulkseed.transport.event_loop import loop_options

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GC_THRESHOLD = 50_000
"""Objects made before a look for cycles. Modules and two blocks of definitions live: looks cost 3 %."""


def prepare() -> None:
    """Set up the process, before anything is printed or opened."""
    gc.set_threshold(GC_THRESHOLD)
    os.environ.pop("SSLKEYLOGFILE", None)  # clients of stores would write the keys of their connections there
    prepare_streams()


def freeze() -> None:
    """Spare the collector what exists by now: it lives as long as the run."""
    gc.freeze()


def run_async(function: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run a coroutine function to its end; on uvloop if the `fast` extra is installed."""
    import anyio

    return anyio.run(function, *arguments, backend_options=loop_options())
