"""YAML: documents of one definition each, or a list of definitions, or documents that are lists.

The text is cut into documents and list items by their marks at the start of a line, and each piece is parsed
on its own: memory stays flat and a broken piece leaves the others alone. Rules that live here: a parameter's
value is taken as it is written (``0123`` stays ``0123``); inside an object, plain words are typed as in JSON,
and not as in YAML 1.1, where ``no`` is false and ``0123`` is 83. A number there keeps its own text, and what
has an exponent is a text (``12345e7`` is a commit more often than a number). Anchors, aliases and tags are
not supported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from bulkseed.errors import ManifestError, how_to_install
from bulkseed.manifest.formats.exact_json import integer
from bulkseed.manifest.formats.lines import MAX_BYTES, MAX_DEPTH, TOO_LONG, Item, Unreadable, split_lines

_MARK = re.compile(rb"(?:---|\.\.\.)(?=[ \t\r]|$)")
_LIST_ITEM = re.compile(rb"( *)-(?=[ \t\r]|$)")
_NO_CONTENT = re.compile(rb"[ \t\r]*(?:#|$)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
_YAML_1_1_BREAKS = re.compile("[\x85\u2028\u2029]")
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")
_CONSTANTS = {"true": True, "false": False}
_NULLS = ("", "~", "null")


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield the definitions, each with the line on which it starts.

    Raises:
        ManifestError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ManifestError(f"reading YAML needs one more package: {how_to_install('yaml')}") from None
    return _read(blocks, yaml)


def _read(blocks: Iterable[bytes], yaml: Any) -> Iterator[Item]:
    last = 0
    for first, piece in _pieces(blocks):
        for line, value in _parse(piece, first, yaml) if piece is not None else [(first, TOO_LONG)]:
            last = max(line, last + 1)  # a list in brackets may have several items on one line
            yield last, value


def _pieces(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Cut into documents, and block lists into items; None in place of one longer than `MAX_BYTES`.

    A line that starts with a document mark, or with a dash in the column of the list's dashes, can be nothing
    else: text inside a document must not look like that, and text inside an item is indented further.
    """
    piece: list[bytes] = []
    first = size = 0
    started = False
    dashes: bytes | None = None  # the indentation of a list's dashes
    for number, line in split_lines(blocks):
        mark = _MARK.match(line)
        dash = _LIST_ITEM.match(line)
        if started and (mark or (dash and dash[1] == dashes)):
            yield first, b"\n".join(piece) + b"\n" if size <= MAX_BYTES else None
            piece, size = [], 0
        if mark:
            dashes = None
            started = line.startswith(b"---") and not _NO_CONTENT.match(line, mark.end())
        elif not started and not _NO_CONTENT.match(line) and not line.startswith(b"%"):
            dashes = dash[1] if dash else None
            started = True
        if not started:
            continue
        if not size:
            first = number
        size += len(line) + 1
        if size > MAX_BYTES:
            piece.clear()
        else:
            piece.append(line)
    if started:
        yield first, b"\n".join(piece) if size <= MAX_BYTES else None


class _RefusedError(Exception):
    """A piece has something that a definition cannot have; the text says what."""


def _parse(piece: bytes, first: int, yaml: Any) -> list[Item]:
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return [(first, Unreadable("is not valid UTF-8"))]
    if not text.isascii() and _YAML_1_1_BREAKS.search(text):
        return [
            (first, Unreadable("has U+0085, U+2028 or U+2029, which YAML reads as a line break: escape it"))
        ]
    events = _Events(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), yaml)
    try:
        return [(first + line, value) for line, value in events.definitions()]
    except _RefusedError as error:
        reason = str(error)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = "is not valid YAML" + (f" (line {first + mark.line})" if mark else "")
    return [(first, Unreadable(reason))]


class _Events:
    """Builds values from parser events. There is nothing here that could construct anything but JSON."""

    def __init__(self, events: Iterator[Any], yaml: Any) -> None:
        self._events = events
        self._yaml = yaml

    def definitions(self) -> Iterator[tuple[int, object]]:
        """Yield the root, or the items of a root that is a list, with line offsets."""
        yaml = self._yaml
        next(self._events), next(self._events)  # the starts of the stream and the document
        event = next(self._events)
        if isinstance(event, yaml.SequenceStartEvent):
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                yield event.start_mark.line, self._value(event, 0)
        else:
            yield event.start_mark.line, self._value(event, 0)
        for _ in self._events:
            pass  # an error after the root is an error too

    def _value(self, event: Any, depth: int, *, typed: bool = False) -> object:
        yaml = self._yaml
        if depth > MAX_DEPTH:
            raise _RefusedError("is nested too deeply")
        if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag not in _STRING_TAGS:
            raise _RefusedError("has an anchor, an alias or a tag, which a manifest cannot have")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value, typed=typed and depth > 1) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            values = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                values.append(self._value(event, depth + 1, typed=typed))
            return values
        mapping: dict[object, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError("has a key that is not a text")
            key = event.value
            if key in mapping:
                raise _RefusedError("has the same key twice")
            inside = typed or (depth == 0 and key != "Tags")
            mapping[key] = self._value(next(self._events), depth + 1, typed=inside)
        return mapping


def _scalar(text: str, *, typed: bool) -> object:
    """Return what a plain (unquoted) scalar means."""
    if text in _NULLS:
        return None
    if typed and text in _CONSTANTS:
        return _CONSTANTS[text]
    if typed and (number := _NUMBER.fullmatch(text)):
        return orjson.Fragment(text) if number[1] else integer(text)
    return text
