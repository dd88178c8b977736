"""From a path at the source to a secret's name: which paths are taken, the template, other characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from bulkseed.errors import UsageError
from bulkseed.sources.protocol import UNLISTED, Reference
from bulkseed.sources.spec import SourceSpec
from bulkseed.wire.validation import limits

_FIELD = re.compile(r"\{(path|name|key|mount|namespace|description|tag:[^{}]+)\}")
_ALLOWED = frozenset(limits.NAME_CHARACTERS)


class CannotBeNamedError(Exception):
    """A path makes no name; the message says why, in our words."""


def check_template(spec: SourceSpec) -> None:
    """Refuse templates with fields that there are not, and a split without a key in the name.

    Raises:
        UsageError: one makes no sense.
    """
    for what, text in (("name", spec.name), ("description", spec.description), *spec.tags.items()):
        if {"{", "}"} & set(_FIELD.sub("", text)):
            raise UsageError(
                f"{spec.label}: the template of {what} may have {{path}} {{name}} {{key}} {{mount}}"
                " {namespace} {tag:x} in it, and no other braces"
            )
    if spec.keys == "split" and "{key}" not in spec.name:
        raise UsageError(f"{spec.label}: with keys = split, name must have {{key}} in it")


def wanted(spec: SourceSpec, reference: Reference) -> bool:
    """Tell whether a path is to be taken."""
    path = reference.path
    since = spec.changed_since
    if since is not None and reference.changed_at is not None and reference.changed_at < since:
        return False
    if spec.include and not any(_takes(pattern, reference) for pattern in spec.include):
        return False
    return not any(glob(pattern).fullmatch(path) for pattern in spec.exclude)


def _takes(pattern: str, reference: Reference) -> bool:
    """Tell whether a pattern takes a secret, or can take one of a folder that may not be listed."""
    if reference.problem != UNLISTED:
        return glob(pattern).fullmatch(reference.path) is not None
    folders, parts = reference.path.rstrip("/").split("/"), pattern.split("/")
    for folder, part in zip(folders, parts, strict=False):
        if "**" in part:
            return True
        if not glob(part).fullmatch(folder):
            return False
    return len(parts) > len(folders)


def name_of(spec: SourceSpec, reference: Reference, known: Mapping[str, str]) -> str:
    """Return the name of a secret; `known` has the fields of the whole source (mount, namespace).

    Raises:
        CannotBeNamedError: the path has characters that a name cannot have, and they are to be refused.
    """
    name = fill(spec.name, reference, known)
    other = set(name) - _ALLOWED
    if spec.characters == "encode":
        return "".join(c if c in _ALLOWED and c != "=" else _encoded(c) for c in name)
    if not other:
        return name
    if spec.characters == "replace":
        return "".join(c if c in _ALLOWED else "_" for c in name)
    raise CannotBeNamedError(
        f"has {_count(len(other))} that cannot stand in a secret's name: characters = encode or replace"
    )


def fill(template: str, reference: Reference, known: Mapping[str, str]) -> str:
    """Return a template with its fields filled in; a tag that is not there is empty."""

    def value(match: re.Match[str]) -> str:
        field = match[1]
        if field.startswith("tag:"):
            return reference.tags.get(field[4:], "")
        found = {
            "path": reference.path,
            "name": reference.path.rpartition("/")[2],
            "key": reference.key or "",
            "description": reference.description or "",
        }
        return found.get(field, known.get(field, ""))

    return _FIELD.sub(value, template)


@lru_cache(maxsize=1024)
def glob(pattern: str) -> re.Pattern[str]:
    """Compile a pattern: ``*`` and ``?`` stay within a folder, ``**`` spans folders, also none."""
    out, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at]) or re.escape(pattern[at]))
            at += 1
    return re.compile("".join(out), re.DOTALL)


def _encoded(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode(errors="surrogatepass"))


def _count(number: int) -> str:
    return "a character" if number == 1 else f"{number} characters"


def relative(path: str, prefix: str) -> str | None:
    """Return a path below a prefix of whole folders; None: it is not there. The prefix itself is its name."""
    if not prefix:
        return path
    if path == prefix:
        return path.rpartition("/")[2]
    return path[len(prefix) + 1 :] if path.startswith(prefix + "/") else None
