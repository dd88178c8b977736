"""Which suffix means which format. A new format is one file with a `read`, and a row here.

`read(blocks)` gets the decompressed bytes and yields ``(line, object)``, with `Unreadable` for an object that
it cannot decode. It raises nothing about the content. `source.COMPRESSIONS` is such a table for compression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bulkseed.errors import ManifestError
from bulkseed.manifest.formats import csv_table, json_array, json_lines, yaml_documents
from bulkseed.manifest.formats.lines import Item

Reader = Callable[[Iterable[bytes]], Iterator[Item]]

FORMATS: dict[str, Reader] = {
    "jsonl": json_lines.read,
    "ndjson": json_lines.read,
    "json": json_array.read,
    "csv": csv_table.read,
    "yaml": yaml_documents.read,
    "yml": yaml_documents.read,
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
