"""Where a manifest's bytes are: a file, or a URL that `fsspec` opens (s3://, oss://, https://, …)."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from bulkseed.errors import ManifestError, how_to_install

_URL = re.compile(
    r"(abfss?|adl|az|file|ftp|gcs|gs|hdfs|https?|memory|oss|s3|sftp|webhdfs)://[^?]+"
    r"\.(jsonl|ndjson|json|csv|ya?ml)(\.gz|\.zst)?(\.age)?(\?.*)?",
    re.IGNORECASE,
)


def is_manifest_url(name: str) -> bool:
    """Tell whether a name is the URL of a manifest: its path ends as manifests do."""
    return _URL.fullmatch(name) is not None


def open_bytes(name: str) -> BinaryIO:
    """Open a manifest for reading.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_manifest_url(name):
        return Path(name).open("rb", buffering=0)
    import fsspec

    try:
        opened: BinaryIO = fsspec.open(name, "rb").open()
    except OSError as error:
        raise OSError(error.errno, error.strerror or type(error).__name__) from None
    except Exception as error:  # noqa: BLE001  # the clients of stores raise whatever they like
        raise OSError(None, type(error).__name__) from None
    return opened


def size_of(name: str) -> int | None:
    """Return a manifest's size in bytes, None for a pipe or a device.

    Raises:
        ManifestError: it is not there, may not be read, is a folder, or needs a package.
    """
    if is_manifest_url(name):
        return _size_of_url(name)
    try:
        status = os.stat(name)  # noqa: PTH116  # the name as given, for the message
    except OSError as error:
        raise ManifestError(f"{name}: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ManifestError(f"{name}: is a folder, not a manifest")
    if not os.access(name, os.R_OK):
        raise ManifestError(f"{name}: Permission denied")
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _refuse_secrets_in(url: str) -> None:
    """The name of a manifest stands in rows, logs and reports."""
    where, _, query = url.partition("?")
    user, at, rest = where.partition("://")[2].partition("/")[0].rpartition("@")
    if at and (":" in user or where.lower().startswith("http")):
        raise ManifestError(
            f"the URL …@{rest} holds a password, which others can see: give it as the store's client does"
        )
    if query:
        raise ManifestError(
            f"the URL {where}?… holds a query, which may be a signature that others can see:"
            " name the file as its store does (s3://, oss://, …), or fetch it first"
        )


def _size_of_url(name: str) -> int | None:
    _refuse_secrets_in(name)
    try:
        import fsspec
    except ImportError:
        raise ManifestError(f"{name}: a URL needs fsspec: {how_to_install('cluster')}") from None
    try:
        store, path = fsspec.url_to_fs(name)
        size = store.size(path)
    except ImportError as error:
        raise ManifestError(f"{name}: {error}") from None
    except Exception as error:  # noqa: BLE001  # the clients of stores raise whatever they like
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ManifestError(f"{name}: {reason}") from None
    return None if size is None else int(size)
