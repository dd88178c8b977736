"""Filters of lists: ``[{"Key": ..., "Values": [...]}]``. Values of one key are alternatives, keys add up."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

ENTRIES_MAX = 10  # SDK 3.3.1
VALUES_MAX = 10  # SDK 3.3.1


def where(text: str | None, clauses: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Return the SQL condition of a filter and its parameters; None if the filter is malformed.

    `clauses` maps each key to SQL with ``{}`` in place of a list of values. Without a filter the condition is
    empty.
    """
    filters = _read(text, clauses) if text else {}
    if filters is None:
        return None
    parts = [clauses[key].format(", ".join("?" * len(values))) for key, values in filters.items()]
    parameters = [value for values in filters.values() for value in values]
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), parameters


def _read(text: str, clauses: Mapping[str, str]) -> dict[str, list[str]] | None:
    try:
        entries = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(entries, list) or len(entries) > ENTRIES_MAX:
        return None
    read: dict[str, list[str]] = {}
    for entry in entries:
        key, values = (entry.get("Key"), entry.get("Values")) if isinstance(entry, dict) else (None, None)
        if not isinstance(key, str) or key not in clauses or not isinstance(values, list):
            return None
        if not 1 <= len(values) <= VALUES_MAX or not all(isinstance(value, str) for value in values):
            return None
        read.setdefault(key, []).extend(values)
    return read
