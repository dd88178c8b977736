"""Logs to standard error, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import TextIO

from bulkseed.cli.options import LogArguments
from bulkseed.cli.render import to_json
from bulkseed.humanize import visible


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry.update(getattr(record, "facts", {}))
        return to_json(entry)


class _TextFormatter(logging.Formatter):
    """Adds the facts of an event, as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = getattr(record, "facts", {})
        return visible(" ".join([super().format(record), *(f"{k}={_quoted(v)}" for k, v in facts.items())]))


def _quoted(value: object) -> str:
    """Return a value as it is, or as JSON if it is not one word."""
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is by then: a progress bar puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def in_json() -> bool:
    """Tell whether the logs were asked for as JSON."""
    return any(isinstance(h.formatter, _JsonFormatter) for h in logging.getLogger("bulkseed").handlers)


def set_up_logging(given: LogArguments) -> None:
    """Send the logs of bulkseed (and of nothing else) to standard error."""
    handler = _StandardError()
    handler.setFormatter(
        _JsonFormatter()
        if given.log_format == "json"
        else _TextFormatter("%(levelname)s %(name)s: %(message)s")
    )
    logger = logging.getLogger("bulkseed")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(given.log_level.upper())
