"""Rows and times in the shape that scripts rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bulkseed.model import Row


def iso(epoch: float | None) -> str | None:
    """Write epoch seconds as ``2026-11-24T06:15:19.123456Z``."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row_as_dict(row: Row) -> dict[str, Any]:
    """Return the object that ``bulkseed ledger rows`` prints."""
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
        "line": row.line,
        "first_sent_at": iso(row.first_sent_at),
        "settled_at": iso(row.settled_at),
        "run_id": row.run_id,
    }
