"""Which keys a definition may have, and what is said about others.

A key of a damaged line can be a value, and so can a cell of a header that ran into the next row: of all that
is found there, only the words of `_MEANINGS` are ever repeated.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from bulkseed.wire.validation import limits

VALUE_FROM = "SecretDataFrom"
TARGET = "Target"
"""The key of a line that names its targets, for `bulkseed.targets`; no parameter of the API."""
KEYS = (*limits.PARAMETERS, VALUE_FROM)

_BY_PLAIN_WORD = {name.lower(): name for name in KEYS}
_LONGEST = 64  # nobody misspells a parameter that badly, and comparing takes time

_EITHER = "SecretName or SecretData"
_MEANINGS: dict[str, str | None] = {
    **dict.fromkeys(("name", "title", "path", "id", "secret id"), "SecretName"),
    **dict.fromkeys(("key", "secret"), _EITHER),
    **dict.fromkeys(("value", "password", "data", "secret value", "secret string", "token"), "SecretData"),
    **dict.fromkeys(("notes", "note", "comment", "comments"), "Description"),
    **dict.fromkeys(("label", "labels", "tag"), "Tags"),
    **dict.fromkeys(("version", "revision"), "VersionId"),
    **dict.fromkeys(("kms key id", "cmk", "key id"), "EncryptionKeyId"),
    **dict.fromkeys(
        ("user", "username", "login", "url", "uri", "website", "email", "folder", "group", "owner", "team"),
        None,
    ),
    **dict.fromkeys(("service", "app", "application", "system", "host", "hostname", "server"), None),
    **dict.fromkeys(
        ("environment", "env", "region", "type", "created", "updated", "modified", "expires", "ttl", "otp"),
        None,
    ),
}
"""Words of other tools' tables and files, and the parameter that each may stand for."""


def not_a_parameter(where: str, name: object) -> str:
    """Say that something is not a parameter, and which one may be meant."""
    word = _plain(name) if isinstance(name, str) and len(name) <= _LONGEST else ""
    meant = _meant(word) if word else None
    shown = f' ("{name}")' if word in _PLAIN_MEANINGS and str(name).isprintable() else ""
    return f"{where}{shown} is not a parameter" + (f": did you mean {meant}?" if meant else "")


def header_problem(header: Sequence[str]) -> str | None:
    """Say why a table with this header is no manifest, and how it can be used; None if it is one."""
    problems = []
    for column, name in enumerate(header, 1):
        if name not in KEYS and name != TARGET:
            problems.append(not_a_parameter(f"column {column}", name))
        elif name in header[: column - 1]:
            problems.append(f"column {column} repeats {name}")
    if header and not problems and "SecretName" not in header:
        problems.append("no column is SecretName")
    if not problems:
        return None
    return f"the header cannot be used: {'; '.join(problems)}. {_WAY_IN.format(*_columns(header))}"


_WAY_IN = (
    "A table with columns of its own fills templates: bulkseed apply template.jsonl --each THIS.csv, where"
    ' template.jsonl has a line such as {{"SecretName": "{{{0}}}", "SecretData": "{{{1}}}"}}'
)


def _columns(header: Sequence[str]) -> tuple[str, str]:
    """Return the columns that seem to hold names and values."""
    known = [name for name in header if name.isprintable() and _plain(name) in _PLAIN_MEANINGS]
    found = {_PLAIN_MEANINGS[_plain(name)]: name for name in reversed(known)}
    name, value, either = found.get("SecretName"), found.get("SecretData"), found.get(_EITHER)
    value = value or (either if name or found.get(None) else None)
    name = name or (either if value != either else None) or found.get(None)
    return (name, value) if name and value else ("name", "value")


def _plain(name: str) -> str:
    return re.sub(r"[ _.-]", "", name.lower())


_PLAIN_MEANINGS = {_plain(word): meant for word, meant in _MEANINGS.items()}


@functools.lru_cache(maxsize=256)
def _meant(word: str) -> str | None:
    if word in _PLAIN_MEANINGS:
        return _PLAIN_MEANINGS[word]
    import difflib

    matches = difflib.get_close_matches(word, _BY_PLAIN_WORD, n=1, cutoff=0.75)
    return _BY_PLAIN_WORD[matches[0]] if matches else None
