"""JSON lines: one object a line; blank lines and lines that start with ``#`` are skipped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, Unreadable, split_lines
from bulkseed.wire.validation.limits import PARAMETERS

_SECRET_KEYS = frozenset(key for key in (*PARAMETERS, "SecretDataFrom") if key.startswith("Secret"))


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield every line that holds something."""
    for number, line in split_lines(blocks):
        if line[:1] == b"{" or ((text := line.strip()) and text[:1] != b"#"):
            yield number, decode(line) if len(line) <= MAX_BYTES else TOO_LONG


def decode(raw: bytes) -> object:
    """Return the JSON value in `raw`, or why there is none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _why(raw, error.pos, surrogate="surrogate" in error.msg)
    # Of two equal keys a JSON reader silently takes the last. More of these than keys deserve a second look.
    if (
        (found := raw.count(b'"Secret')) > 2
        and isinstance(value, dict)
        and found > len(_SECRET_KEYS & value.keys())
        and _has_duplicate(raw)
    ):
        return Unreadable("has the same parameter twice")
    return value


def _has_duplicate(raw: bytes) -> bool:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any] | None:
        return dict(items) if len({key for key, _ in items}) == len(items) else None

    try:
        return json.loads(raw, object_pairs_hook=pairs) is None
    except RecursionError:
        return False  # so deep that it cannot become a parameter, which is said later


def _why(raw: bytes, position: int, *, surrogate: bool) -> Unreadable:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Unreadable(f"is not valid UTF-8 (byte {error.start + 1})")
    if surrogate:
        return Unreadable("is not valid Unicode: it has a lone surrogate")
    return Unreadable(f"is not valid JSON (character {position + 1})")
