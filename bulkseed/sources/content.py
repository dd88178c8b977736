"""From what a store holds to the text that is sent: maps become JSON, bytes Base64, and limits are checked.

The text of a map must be the same at every read: keys sorted, no blanks, every number as the store wrote it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import orjson

from bulkseed.model import ReadValue, SecretValue
from bulkseed.sources.protocol import SourceFault, Value
from bulkseed.wire.validation import limits


class ExactNumber:
    """A number as the store wrote it: no float in between changes it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def decode_json(text: bytes | str) -> Any:
    """Decode JSON with every number as an `ExactNumber`.

    Raises:
        ValueError: it is not JSON, or has a key twice.
        RecursionError: it is nested too deeply.
    """
    return json.loads(
        text,
        parse_float=ExactNumber,
        parse_int=ExactNumber,
        parse_constant=_refuse,
        object_pairs_hook=_once,
    )


def text_to_send(value: Value, keys: str, key: str | None = None) -> ReadValue | SourceFault:
    """Return the text to send, or why there is none.

    Args:
        value: what the store holds.
        keys: "json" for a whole map, "split" for one secret a key, else the one key to take.
        key: with "split", the key of this secret.
    """
    wanted = key if keys == "split" else None if keys == "json" else keys
    try:
        if wanted is not None:
            found = as_map(value)
            if wanted not in found:
                return SourceFault("NoKey", "it has no such key")
            value = _text(found[wanted])
        elif isinstance(value, Mapping):
            value = _dump(value)
    except SourceFault as fault:
        return fault
    except (TypeError, ValueError, RecursionError):
        return SourceFault("NotText", "it holds something that JSON cannot carry")
    return _checked(value)


def as_map(value: Value) -> Mapping[str, object]:
    """Return a map, or the map in a JSON text.

    Raises:
        SourceFault: it is none.
    """
    if isinstance(value, Mapping):
        return value
    try:
        found = decode_json(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceFault("NoKey", "it is no map of keys")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the same key twice")
    return found


def _refuse(_text: str) -> object:
    raise ValueError("not a number of JSON")


def _dump(value: object) -> str:
    return orjson.dumps(value, _number, orjson.OPT_SORT_KEYS).decode()


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError


def _text(value: object) -> str | bytes:
    return value if isinstance(value, str | bytes) else "" if value is None else _dump(value)


def _checked(value: str | bytes) -> ReadValue | SourceFault:
    data_type = None
    if isinstance(value, bytes):
        value, data_type = base64.b64encode(value).decode(), "binary"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return SourceFault("NotText", "it is not valid Unicode")
    if not size:
        return SourceFault("Empty")
    if size > limits.DATA_MAX_BYTES:
        return SourceFault("TooLarge", f"it has more than {limits.DATA_MAX_BYTES:,} bytes as it is sent")
    return ReadValue(SecretValue(value), data_type)
