"""Files of other tools, known by how they begin: what they are, and the command that reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Dump(NamedTuple):
    """A kind of file that is no manifest; `command` has the file's name as ``{0}``."""

    what: str
    shows: Callable[[bytes], object]
    command: str


def _all(*patterns: bytes) -> Callable[[bytes], object]:
    found = [re.compile(pattern, re.MULTILINE).search for pattern in patterns]
    return lambda text: all(search(text) for search in found)


_FLAT = "bulkseed apply flat:{0}"

DUMPS = (
    Dump(
        "a file encrypted by ansible-vault",
        _all(rb"\A\$ANSIBLE_VAULT;"),
        "ansible-vault view {0} | bulkseed apply flat:-",
    ),
    Dump("an age file", _all(rb"\A(?:age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE)"), "age -d {0}"),
    Dump(
        "a ZIP file: an Excel workbook can be saved as CSV UTF-8, and 1Password's export",
        _all(rb"\APK\x03\x04"),
        "bulkseed apply 1pux:{0}",
    ),
    Dump("a file encrypted by SOPS", _all(rb"ENC\[AES256_GCM,data:"), "bulkseed apply sops:{0}"),
    Dump(
        "a dump of Kubernetes",
        _all(rb'^\s*[{\[]?\s*"?apiVersion"?\s*:', rb'"?kind"?\s*:\s*"?(?:Secret|List|SecretList)\b'),
        "bulkseed apply k8s+file:{0}",
    ),
    Dump(
        "an export of Bitwarden",
        _all(rb'\A\s*\{\s*"encrypted"\s*:', rb'"(?:folders|items|collections)"\s*:'),
        "bulkseed apply bitwarden:{0}",
    ),
    Dump(
        "an answer of Vault",
        _all(rb'\A\s*\{\s*"request_id"\s*:', rb'"(?:lease_id|lease_duration)"\s*:'),
        _FLAT,
    ),
    Dump(
        "an answer of AWS Secrets Manager",
        _all(rb'\A\s*\{\s*"(?:SecretValues|SecretList|ARN)"\s*:', rb'"ARN"\s*:|"SecretString"\s*:|\[\s*\]'),
        _FLAT,
    ),
    Dump(
        "a dotenv file",
        _all(rb"\A(?:\s*(?:#[^\n]*)?\n)*(?!sep=)(?:export )?[A-Za-z_][A-Za-z0-9_]*=[^\n]*(?:\n|\Z)"),
        "bulkseed apply dotenv:{0}",
    ),
    Dump(
        "a map of names and values, such as Doppler's",
        _all(
            rb'\A\s*\{\s*"(?!(?i:secret|name|title|path|key|value|id)\w*")[^"\\]*"\s*:\s*"(?:[^"\\]|\\.)*"\s*[,}]'
        ),
        _FLAT,
    ),
)
"""In this order: the last ones fit much."""


class DumpError(Exception):
    """A file is none of ours; the text says what it is and which command reads it."""


def refuse_dumps(blocks: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Yield the blocks of a manifest.

    Raises:
        DumpError: `path` is a dump.
    """
    start = next(blocks, b"")  # no more than is there: what comes through a pipe is read as it comes
    if b"SecretName" not in start:
        for dump in DUMPS:
            if dump.shows(start):
                raise DumpError(f"is {dump.what}, not a manifest: {dump.command.format(path)}")
    yield start
    yield from blocks
