"""Which suffix means which format. A new format is one file with a `read`, and a row here.

`read(blocks)` gets decompressed UTF-8 without a byte order mark, and yields ``(line, object)``:

- lines are counted from 1 and rise; an item of an array counts as a line;
- an object is a mapping of parameters to texts, or to what JSON has (a number is an `int`, or where Python
  would write it otherwise an `orjson.Fragment`); what is no mapping is a mistake of that line;
- it is `Unreadable` if it cannot be decoded, `exact_json.Repeated` if a key stands in it twice, `TOO_LONG` if
  it has more than `MAX_BYTES`; where Python code goes down into it, at most `MAX_DEPTH` levels;
- memory stays the same however long the manifest is: one object at a time.

It raises nothing about the content. A format that a run does not read is not imported. Taken are ``.toml``
(it names sources or targets), ``.age``, and the suffixes of `blocks.COMPRESSIONS`, such a table for
compression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import NamedTuple

from bulkseed.errors import ManifestError
from bulkseed.manifest.formats import json_lines
from bulkseed.manifest.formats.lines import Item

Reader = Callable[[Iterable[bytes]], Iterator[Item]]


class Format(NamedTuple):
    """How a format is read, and how its entries are counted ahead of that.

    `entries` yields numbers to add up; None: it is not counted.
    """

    read: Reader
    entries: Callable[[Iterable[bytes]], Iterator[int]] | None = None


def _later(module: str) -> Reader:
    """Return the `read` of a module of this folder, which is imported when it is called."""

    def read(blocks: Iterable[bytes]) -> Iterator[Item]:
        found: Reader = import_module(f"bulkseed.manifest.formats.{module}").read
        return found(blocks)

    return read


def _decoded(read: Reader) -> Format:
    """Return the format whose entries are counted by reading it."""
    return Format(read, lambda blocks: (1 for _ in read(blocks)))


_json_lines = Format(json_lines.read, json_lines.count)
_yaml = Format(_later("yaml_documents"))  # to decode it twice would slow a run down

FORMATS: dict[str, Format] = {
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "json": _decoded(_later("json_array")),
    "csv": _decoded(_later("csv_table")),
    "yaml": _yaml,
    "yml": _yaml,
}


def format_of(name: str, format: str | None) -> Format:  # noqa: A002  # the name of the option
    """Return the format of a file name without its compression suffix; `format` overrides the suffix.

    Raises:
        ManifestError: neither says what it is.
    """
    suffix = format or name.rpartition(".")[2].lower()
    try:
        return FORMATS[suffix]
    except KeyError:
        raise ManifestError(
            f"{name}: cannot tell its format; name it .{', .'.join(FORMATS)} or give --format"
        ) from None
