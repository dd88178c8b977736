"""Rows and times in the shape that scripts rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bulkseed.model import InvalidLine, Origin, Row, SecretDefinition


def iso(epoch: float | None) -> str | None:
    """Write epoch seconds as ``2026-11-24T06:15:19.123456Z``."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duplicate(entry: SecretDefinition, source: str, place: int | str) -> InvalidLine:
    """Return the invalid line that a definition is whose name was seen before, at `place` of `source`."""
    where = str(Origin(source, place)) if isinstance(place, int) else f"{place} of {source}"
    return InvalidLine(entry.origin, (f"duplicate: first seen at {where}",), entry.name, entry.version_id)


def row_as_dict(row: Row) -> dict[str, Any]:
    """Return the object that ``bulkseed ledger rows`` prints.

    `line` is a manifest's; what comes from a store has a `path` within it instead.
    """
    is_line = not isinstance(row.line, str)
    return {
        "secret_name": row.name,
        "version_id": row.version_id,
        "outcome": row.outcome.value,
        "code": row.code,
        "message": row.message,
        "status": row.status,
        "request_id": row.request_id,
        "arn": row.arn,
        "attempts": row.attempts,
        "manifest": row.manifest,
        "line": row.line if is_line else None,
        **({} if is_line else {"path": row.line}),
        "first_sent_at": iso(row.first_sent_at),
        "settled_at": iso(row.settled_at),
        "run_id": row.run_id,
    }
