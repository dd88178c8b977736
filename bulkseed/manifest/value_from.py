"""`SecretDataFrom`: a value that a manifest asks for instead of carrying it.

``{"generate": {"length": 32, "charset": "letters+digits"}}``, ``{"env": "NAME"}``, ``{"file": "path"}``, or
``{"source": "address", "key": "password"}`` for one at another store, which is read when it is sent.
A new way to a value is a function here and a row of `WAYS`. Reasons never hold the content, and not what
the manifest says either: a value may have been written where the name of a variable belongs.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bulkseed.manifest.formats.exact_json import decode
from bulkseed.model import UnreadValue
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import is_unicode

PARAMETER = "SecretDataFrom"

LENGTH = 32  # as GetRandomPassword's
LENGTHS = range(8, 4097)  # from GetRandomPassword's least to what fits in any characters (4 bytes each)
SETS = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "letters": string.ascii_letters,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "punctuation": string.punctuation,
}
CHARSET = "lower+upper+digits+punctuation"  # as GetRandomPassword's


Elsewhere = Callable[[str, str | None, Path], UnreadValue | str]
"""Gives the value at an address of another store, or of one of its keys, yet unread; or why there is none."""


class Wanted(NamedTuple):
    """A value, or why there is none. `unread` is one that is still at another store."""

    text: str = ""
    problem: str | None = None
    generated: bool = False
    unread: UnreadValue | None = None


def resolve(spec: object, data_type: str | None, folder: Path, elsewhere: Elsewhere | None = None) -> Wanted:
    """Return the value that `spec`, an object or its JSON text, asks for; paths are relative to `folder`."""
    if isinstance(spec, str):
        spec = decode(spec.encode("utf-8", "surrogatepass"))
    if isinstance(spec, dict) and "source" in spec:
        return _elsewhere(spec, folder, elsewhere)
    if not isinstance(spec, dict) or len(spec) != 1 or not spec.keys() <= WAYS.keys():
        return Wanted(problem="must be an object with one of generate, env, file or source")
    [(source, wish)] = spec.items()
    return WAYS[source](wish, data_type == "binary", folder)


def _generate(wish: Any, binary: bool, _folder: Path) -> Wanted:
    """Draw every character independently; of sets that are named, each occurs."""
    if not isinstance(wish, dict) or not wish.keys() <= {"length", "charset"}:
        return Wanted(problem="generate must be an object with nothing but length and charset")
    length, charset = wish.get("length"), wish.get("charset")
    length = LENGTH if length is None else length
    if type(length) is not int or length not in LENGTHS:
        return Wanted(problem=f"length must be a whole number from {LENGTHS[0]} to {LENGTHS[-1]}")
    classes = _classes(CHARSET if charset is None else charset)
    if classes is None:
        return Wanted(
            problem=f"charset must be of {', '.join(SETS)}, joined by +, or two or more characters, each once"
        )
    if binary:
        return Wanted(problem="generate makes text: SecretDataType must not be binary")
    characters = "".join(dict.fromkeys("".join(classes)))
    while True:
        text = "".join(secrets.choice(characters) for _ in range(length))
        if all(any(character in text for character in each) for each in classes):
            return Wanted(text, generated=True)


def _classes(charset: object) -> list[str] | None:
    """Return sets of characters, of each of which one must occur; None for a charset that makes no sense."""
    if not isinstance(charset, str):
        return None
    words = charset.split("+")
    if SETS.keys() >= set(words):
        return [SETS[word] for word in words]
    import difflib

    misspelled = difflib.get_close_matches(charset[:20].lower(), SETS)
    repeats = len(set(charset)) < len(charset)
    if misspelled or repeats or len(charset) < 2 or not is_unicode(charset):
        return None
    return [charset]


def _environment(wish: Any, _binary: bool, _folder: Path) -> Wanted:
    if not _is_name(wish):
        return Wanted(problem="env must be the name of an environment variable")
    text = os.environ.get(wish)
    if text is None:
        return Wanted(problem="env names a variable that is not set")
    return Wanted(text) if text else Wanted(problem="env names a variable that is empty")


def _file(wish: Any, binary: bool, folder: Path) -> Wanted:
    """Read a file byte for byte; what goes as binary is encoded in Base64."""
    if not _is_name(wish):
        return Wanted(problem="file must be a path")
    try:
        path = folder / wish
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody who writes to it
            return Wanted(problem="file names something that is not a regular file")
        with path.open("rb") as stream:
            content = stream.read(limits.DATA_MAX_BYTES + 1)
    except OSError as error:
        return Wanted(problem=f"file cannot be read: {error.strerror}")
    if len(content) > limits.DATA_MAX_BYTES:
        return Wanted(problem=f"file has more than {limits.DATA_MAX_BYTES} bytes")
    if not content:
        return Wanted(problem="file names an empty file")
    if binary:
        return Wanted(base64.b64encode(content).decode())
    try:
        return Wanted(content.decode())
    except UnicodeDecodeError:
        return Wanted(problem="file is not valid UTF-8: SecretDataType binary takes any bytes")


def _elsewhere(spec: dict[str, Any], folder: Path, elsewhere: Elsewhere | None) -> Wanted:
    address, key = spec["source"], spec.get("key")
    if not spec.keys() <= {"source", "key"} or not _is_name(address) or not (key is None or _is_name(key)):
        return Wanted(problem="source must be the address of a secret at a store, and key one of its keys")
    if elsewhere is None:
        return Wanted(problem="source is not read here")
    found = elsewhere(address, key, folder)
    return Wanted(problem=f"source: {found}") if isinstance(found, str) else Wanted(unread=found)


def _is_name(wish: object) -> bool:
    return isinstance(wish, str) and wish != "" and "\0" not in wish and is_unicode(wish)


WAYS: dict[str, Callable[[Any, bool, Path], Wanted]] = {
    "generate": _generate,
    "env": _environment,
    "file": _file,
}
