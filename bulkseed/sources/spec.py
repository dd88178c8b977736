"""Where a source is and what is taken from it: a URL, or a table ``[[source]]`` of a TOML file.

Both have the same keys; in a URL's query ``tags.owner=x`` is the table ``tags``. A secret is never among
them: ``auth`` says where one is found, ``{ env = "NAME" }`` or ``{ file = "path" }``. No message repeats what
was given for a key, as it may be a secret in the wrong place.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bulkseed.errors import CredentialsError, ManifestError, UsageError
from bulkseed.model import SecretValue

CHARACTERS = ("refuse", "encode", "replace")
SECRET_WORDS = ("token", "password", "secret", "secret_id", "jwt", "api_key")
"""Keys of a URL or of `auth` that may only say where a secret is found."""

_SCHEME = re.compile(r"[a-z0-9][a-z0-9+.-]+:")


@dataclass(slots=True, frozen=True, kw_only=True)
class SourceSpec:
    """One source as the user described it.

    Attributes:
        label: its address without options; it stands in ledgers and messages.
        scheme: the kind, with the transport after "+" if the address has one.
        host: what stands after "//" up to the next "/", "" without "//".
        path: the rest, decoded, without slashes at its ends.
        folder: what relative paths of files start from.
        options: keys that only this kind has.
        auth: how to log in.
        name: the template of the secret's name.
        keys: "json", "split" or the one key to take.
        changed_since: epoch seconds.
        rate: requests a second; None: the kind's own.
        tags: templates of tags by key.
        set: defaults of API parameters.
    """

    label: str
    scheme: str
    host: str
    path: str
    folder: Path = field(default_factory=Path)
    options: Mapping[str, str] = field(default_factory=dict)
    auth: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str = "{path}"
    keys: str = "json"
    characters: str = "refuse"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    changed_since: float | None = None
    rate: float | None = None
    in_flight: int = 8
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    set: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str, default: str = "") -> str:
        """Return an option of this kind."""
        return self.options.get(name, default)

    def setting(self, name: str, default: str = "") -> str:
        """Return a plain text of the auth table.

        Raises:
            UsageError: it is something else.
        """
        value = self.auth.get(name, default)
        if not isinstance(value, str):
            raise UsageError(f"{self.label}: auth.{name} must be a text")
        return value

    def secret(self, name: str) -> SecretValue | None:
        """Return the secret that the auth table points to; None where it has none of this name.

        Raises:
            UsageError: it is not ``{ env = … }`` or ``{ file = … }``.
            CredentialsError: it is not there.
        """
        found = self.auth.get(name)
        if found is None:
            return None
        if not isinstance(found, dict) or len(found) != 1 or not found.keys() <= {"env", "file"}:
            raise UsageError(f'{self.label}: auth.{name} must be {{ env = "NAME" }} or {{ file = "path" }}')
        [(where, what)] = found.items()
        if where == "env":
            text = os.environ.get(str(what), "")
            if not text:
                raise CredentialsError(f"{self.label}: the variable that auth.{name}.env names is not set")
            return SecretValue(text)
        try:
            return SecretValue((self.folder / str(what)).read_text().strip())
        except (OSError, UnicodeDecodeError):
            raise CredentialsError(
                f"{self.label}: the file that auth.{name}.file names cannot be read"
            ) from None


def looks_like_source(text: str) -> bool:
    """Tell whether an argument names a source: a URL, or a TOML file."""
    return bool(_SCHEME.match(text)) or text.lower().endswith(".toml")


def specs_of(
    names: tuple[str, ...], overrides: Mapping[str, Any], defaults: Mapping[str, str]
) -> list[SourceSpec]:
    """Return the sources that arguments of a command name; `defaults` are those of API parameters.

    Raises:
        ManifestError: a file cannot be read.
        UsageError: one is no source, or makes no sense.
    """
    found: list[SourceSpec] = []
    for name in names:
        if not looks_like_source(name):
            raise UsageError(
                f"{name}: is no source; give manifests in a call of their own, with the same --ledger"
            )
        is_file = name.lower().endswith(".toml") and not _SCHEME.match(name)
        found += from_toml(name, overrides) if is_file else [from_url(name, overrides)]
    return [replace(spec, set={**defaults, **spec.set}) for spec in found]


def from_url(text: str, overrides: Mapping[str, Any] | None = None) -> SourceSpec:
    """Return the source that a URL describes; `overrides` replace what it says.

    Raises:
        UsageError: it makes no sense, or holds a secret.
    """
    return _build(text, {}, overrides or {}, Path(), "this source")


def from_toml(path: str | Path, overrides: Mapping[str, Any] | None = None) -> list[SourceSpec]:
    """Return the sources of a TOML file, in its order.

    Raises:
        ManifestError: it cannot be read.
        UsageError: it is no list of sources, or one makes no sense.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line \d+", str(error))  # the rest of the message may show what stands there
        raise ManifestError(f"{path}: is not valid TOML" + (f" ({line[0]})" if line else "")) from None
    tables = content.get("source")
    if not isinstance(tables, list) or not tables or content.keys() != {"source"}:
        raise UsageError(f"{path}: must consist of [[source]] tables")
    specs = []
    for number, table in enumerate(tables, 1):
        where = f"{path}, source {number}"
        if not isinstance(table, dict) or not isinstance(table.get("from"), str):
            raise UsageError(f"{where}: 'from' must be the address of a store")
        address = table.pop("from")
        specs.append(_build(address, table, overrides or {}, Path(path).parent, where))
    return specs


def _build(
    address: str, table: dict[str, Any], overrides: Mapping[str, Any], folder: Path, where: str
) -> SourceSpec:
    if not _SCHEME.match(address):
        raise UsageError(f"{where}: an address begins with its kind, as in vault+https://host/mount/prefix")
    try:
        scheme, _, rest = address.partition(":")
        parts = urlsplit(f"any:{rest}", allow_fragments=False)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise UsageError(f"{where}: its address is no URL") from None
    if "@" in parts.netloc:
        raise UsageError(f"{where}: its address holds a user or a password, which others can see: use auth")
    label = f"{scheme}:{'//' if parts.netloc else ''}{parts.netloc}{parts.path}"
    given: dict[str, Any] = {**table}
    for key, value in query:
        _put(given, key.split("."), value, label)
    given |= {key: value for key, value in overrides.items() if value not in {None, ()}}
    known = {f.name for f in fields(SourceSpec)} - {"label", "scheme", "host", "path", "folder", "options"}
    options = {}
    for key in [key for key in given if key not in known]:
        found = given.pop(key)
        if key in SECRET_WORDS:
            raise UsageError(f"{label}: {key} would show to others: say in auth where it is found")
        if not isinstance(found, str | int | bool):
            raise UsageError(f"{label}: an option is not a text")
        options[key] = str(found).lower() if isinstance(found, bool) else str(found)
    spec = SourceSpec(
        label=label,
        scheme=scheme,
        host=parts.netloc,
        path=unquote(parts.path).strip("/") if parts.netloc else parts.path,
        folder=folder,
        options=options,
    )
    return replace(spec, **{key: _typed(label, key, value) for key, value in given.items()})


def _put(table: dict[str, Any], path: list[str], value: str, label: str) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"{label}: {name} is a table")
    if path[-1] in {"include", "exclude"}:
        table[path[-1]] = [*table.get(path[-1], []), value]
    else:
        table[path[-1]] = value


def _typed(label: str, key: str, value: Any) -> Any:
    """Return a key's value in its type, from TOML or from a URL's text."""
    try:
        if key in {"include", "exclude"}:
            return _texts([value] if isinstance(value, str) else value)
        if key in {"tags", "set", "auth"}:
            return _table(label, key, dict(value))
        if key == "changed_since":
            return _epoch(value)
        if key == "rate":
            return _number(float(value), 0.0)
        if key == "in_flight":
            return int(_number(int(value), 1))
        if isinstance(value, str) and (key != "characters" or value in CHARACTERS):
            return value
    except (ValueError, TypeError, AttributeError):
        pass
    raise UsageError(f"{label}: {key} {_WANTED.get(key, 'must be a text')}")


def _table(label: str, key: str, value: dict[str, Any]) -> dict[str, Any]:
    if key != "auth":
        _texts(value.values())
    elif any(isinstance(value.get(word), str) for word in SECRET_WORDS):
        raise UsageError(
            f'{label}: auth holds a secret: write {{ env = "NAME" }} or {{ file = "path" }} there'
        )
    return value


_WANTED = {
    "include": "must be a list of patterns",
    "exclude": "must be a list of patterns",
    "tags": "must be a table of texts",
    "set": "must be a table of texts",
    "auth": "must be a table",
    "changed_since": "must be a date such as 2026-01-31",
    "rate": "must be a number of requests a second, 0 for no ceiling",
    "in_flight": "must be a whole number from 1 on",
    "characters": f"must be one of {', '.join(CHARACTERS)}",
}


def _texts(values: Any) -> tuple[str, ...]:
    texts = tuple(values)
    if not all(isinstance(text, str) for text in texts) or not texts:
        raise ValueError
    return texts


def _number(value: float, least: float) -> float:
    if not least <= value < 1e6:
        raise ValueError
    return value


def _epoch(value: Any) -> float:
    moment = dt.datetime.fromisoformat(str(value))  # TOML's own dates are written alike
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()


def check_names(spec: SourceSpec, options: frozenset[str], auth: frozenset[str]) -> None:
    """Refuse what a kind does not know.

    Raises:
        UsageError: an option or a key of auth is not its own.
    """
    for given, known, what in ((spec.options, options, ""), (spec.auth, auth, "auth.")):
        for name in given.keys() - known:
            common = () if what else tuple(f.name for f in fields(SourceSpec))
            meant = difflib.get_close_matches(name, (*known, *common), n=1)
            hint = f": did you mean {what}{meant[0]}?" if meant else ""
            shown = f" {what}{name}" if re.fullmatch(r"[a-z_]{1,20}", name) else ""
            raise UsageError(f"{spec.label}: this kind has no option{shown}{hint}")
