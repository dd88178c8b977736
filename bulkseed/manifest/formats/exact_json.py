"""JSON as it is written: a number keeps its own text, a key that stands twice is refused.

Usual readers turn ``1.30`` into a binary fraction and keep the last of two equal keys without a word. orjson
reads everything first, because it is fast; what it may have changed is read once more, slowly.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from bulkseed.manifest.formats.lines import Unreadable
from bulkseed.wire.validation.limits import PARAMETERS

_KNOWN = frozenset((*PARAMETERS, "SecretDataFrom"))
_SPACES = b" \t\r\n"


class Repeated(Unreadable):
    """What `decode` returns for an object in which a key stands twice, at any depth."""

    __slots__ = ()


class _RepeatedKeyError(Exception):
    """An object has this key twice."""


def decode(raw: bytes) -> object:
    """Return the JSON value in `raw`, or why there is none; a fragile number becomes an `orjson.Fragment`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "infinity" not in error.msg:  # 1e400 is valid, though no double holds it
            return _why(raw, error)
        value = None
    # Where all is text, four quotation marks make a pair, and a dropped pair would have left its own.
    if type(value) is dict and raw.count(b'"') == 4 * len(value):
        for text in value.values():
            if type(text) is not str:
                break
        else:
            return value
    if _is_as_written(raw, value):
        return value
    try:
        return json.loads(raw, object_pairs_hook=_pairs, parse_float=orjson.Fragment, parse_int=integer)
    except _RepeatedKeyError as repeated:
        key = str(repeated)  # told where it is a parameter: other keys are parts of a value
        return Repeated(f"has {key} twice" if key in _KNOWN else "has the same key twice")
    except RecursionError:
        return Unreadable("is nested too deeply")


def integer(text: str) -> int | orjson.Fragment:
    """Return an integer, or its text where Python's or orjson's integers would not write it the same way."""
    return int(text) if len(text) < 19 and text != "-0" else orjson.Fragment(text)


def _is_as_written(raw: bytes, value: object) -> bool:
    """Tell for sure that orjson changed nothing; what is written in another way than orjson's, it denies."""
    try:
        return raw.translate(None, _SPACES) == orjson.dumps(value).translate(None, _SPACES)
    except TypeError:  # too deep for it
        return False


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(key)
        found[key] = value
    return found


def _why(raw: bytes, error: orjson.JSONDecodeError) -> Unreadable:
    try:
        raw.decode()
    except UnicodeDecodeError as damage:
        return Unreadable(f"is not valid UTF-8 (byte {damage.start + 1})")
    if "surrogate" in error.msg:
        return Unreadable("is not valid Unicode: it has a lone surrogate")
    return Unreadable(f"is not valid JSON (character {error.pos + 1})")
