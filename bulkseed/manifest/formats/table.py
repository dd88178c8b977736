"""Which suffix means which format. A new format is one file with a `read`, and a row here.

`read(blocks)` gets the decompressed bytes and yields ``(line, object)``, with `Unreadable` for an object that
it cannot decode. It raises nothing about the content. `blocks.COMPRESSIONS` is such a table for compression.
A format that a run does not read is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

from bulkseed.errors import ManifestError
from bulkseed.manifest.formats import json_lines
from bulkseed.manifest.formats.lines import Item

Reader = Callable[[Iterable[bytes]], Iterator[Item]]


def _later(module: str) -> Reader:
    """Return the `read` of a module of this folder, which is imported when it is called."""

    def read(blocks: Iterable[bytes]) -> Iterator[Item]:
        found: Reader = import_module(f"bulkseed.manifest.formats.{module}").read
        return found(blocks)

    return read


_yaml = _later("yaml_documents")

FORMATS: dict[str, Reader] = {
    "jsonl": json_lines.read,
    "ndjson": json_lines.read,
    "json": _later("json_array"),
    "csv": _later("csv_table"),
    "yaml": _yaml,
    "yml": _yaml,
}


def reader_for(name: str, format: str | None) -> Reader:  # noqa: A002  # the name of the option
    """Return the reader for a file name without its compression suffix; `format` overrides the suffix.

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
