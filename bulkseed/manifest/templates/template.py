"""One template: a definition with ``{column}`` in its texts, to be filled from a row of a table.

Rules that live here: any text may have columns, also inside objects and lists, but no key; ``{{`` and ``}}``
mean braces; and in which parameters an empty cell is a mistake (`NEVER_EMPTY`). What is wrong with a template
is found once, before any row is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from bulkseed.manifest.formats.lines import MAX_DEPTH, Unreadable
from bulkseed.manifest.keys import KEYS, TARGET, VALUE_FROM, not_a_parameter

NEVER_EMPTY = ("SecretName", "SecretData", VALUE_FROM)

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Row = dict[str, str]


class _Text(NamedTuple):
    """A text with columns: literal, column, literal, column, …, literal."""

    parts: tuple[str, ...]

    def filled(self, row: Row) -> str:
        pieces = list(self.parts)
        pieces[1::2] = [row[column] for column in pieces[1::2]]
        return "".join(pieces)


class Template:
    """What becomes of one object of a manifest. `reasons`: what is wrong; `size`: characters of its texts."""

    def __init__(self, item: object, columns: frozenset[str], table: str) -> None:
        self.reasons: list[str] = []
        self.size = 0
        self._columns = columns
        self._table = table
        self._needed: dict[
            tuple[str, str], None
        ] = {}  # parameters, and columns that they must not find empty
        self._parameter = ""
        self._item = self._build(item)

    def bad_cells(self, row: Row) -> Iterator[str]:
        """Say which cells must not be empty and are, and which would choose a folder."""
        for parameter, column in self._needed:
            cell = row[column]
            if not cell:
                yield f"{parameter} uses {{{column}}}, which is empty here"
            elif parameter == VALUE_FROM and ("/" in cell or "\\" in cell or not cell.strip(".")):
                yield f"{parameter} uses {{{column}}}, which is dots or has / or \\: cells choose no folder"

    def filled(self, row: Row) -> dict[str, Any]:
        """Return the object for a row."""
        return {key: _filled(value, row) for key, value in self._item.items()}

    def _build(self, item: object) -> dict[str, Any]:
        if not isinstance(item, dict):
            self.reasons.append(
                item.reason if isinstance(item, Unreadable) else "is not an object of parameters"
            )
            return {}
        built = {}
        for number, (key, value) in enumerate(item.items(), 1):
            if key not in KEYS and key != TARGET:
                self.reasons.append(not_a_parameter(f"key {number}", key))
                continue
            self._parameter = key
            try:
                built[key] = self._value(value, 0)
            except RecursionError:
                self._wrong("is nested too deeply")
        return built

    def _value(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise RecursionError
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(item, depth + 1) for item in value]
        if isinstance(value, dict):
            if any("{" in key or "}" in key for key in value):
                self._wrong("has braces in a key, where no column can be")
            return {key: self._value(item, depth + 1) for key, item in value.items()}
        return value

    def _text(self, text: str) -> str | _Text:
        self.size += len(text)
        if "{" not in text and "}" not in text:
            return text
        parts = [""]
        end = 0
        for token in _TOKEN.finditer(text):
            parts[-1] += text[end : token.start()]
            end = token.end()
            if token[1] is not None:
                self._column(token[1])
                parts += [token[1], ""]
            elif len(token[0]) == 2:
                parts[-1] += token[0][0]
            else:
                self._wrong("has a single { or }: write {{ or }}, or give JSON as an object")
        parts[-1] += text[end:]
        return _Text(tuple(parts)) if len(parts) > 1 else parts[0]

    def _column(self, name: str) -> None:
        if name not in self._columns:
            # In a value, what is in braces may be a part of it.
            told = "something in braces" if self._parameter == "SecretData" else f"{{{name}}}"
            self._wrong(f"uses {told}, which is not a column of {self._table}")
        elif self._parameter in NEVER_EMPTY:
            self._needed[self._parameter, name] = None

    def _wrong(self, what: str) -> None:
        reason = f"{self._parameter} {what}"
        if reason not in self.reasons:
            self.reasons.append(reason)


def _filled(value: Any, row: Row) -> Any:
    if isinstance(value, _Text):
        return value.filled(row)
    if isinstance(value, dict):
        return {key: _filled(item, row) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, row) for item in value]
    return value
