"""Loggers of vendors' libraries that write whole answers: what they say in calls of ours is dropped.

A program that collects everything at level DEBUG would have values in its log otherwise. What the same
libraries say in calls of its own is not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_ours: ContextVar[bool] = ContextVar("_ours", default=False)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _ours.get()


def silence(loggers: Iterable[str]) -> None:
    """Let these loggers drop what they are told inside `silently`."""
    for name in loggers:
        logging.getLogger(name).addFilter(_is_not_ours)  # the same one twice is one


def silently(call: Callable[[], T]) -> T:
    """Return what `call` returns; in this thread, silenced loggers say nothing meanwhile."""
    before = _ours.set(True)
    try:
        return call()
    finally:
        _ours.reset(before)
