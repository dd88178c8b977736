"""From one decoded object of any format to a `SecretDefinition`, or to an `InvalidLine` with every reason.

Rules that live here: which forms values may have (`_to_text`), and which defaults are allowed. Keys are those
of `keys.KEYS`; values that are asked for are made in `value_from`. What the API accepts is decided in
`bulkseed.wire.validation.parameters`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bulkseed.errors import ManifestError, UsageError
from bulkseed.manifest import value_from
from bulkseed.manifest.formats.exact_json import Repeated, decode
from bulkseed.manifest.formats.lines import Unreadable
from bulkseed.manifest.keys import KEYS, TARGET, VALUE_FROM, not_a_parameter
from bulkseed.model import InvalidLine, Origin, SecretDefinition, SecretValue, UnreadValue
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import Problem, boolean, definition_problems, parameter_problems
from bulkseed.wire.validation.secret_types import created_name


class Defaults(NamedTuple):
    """What a run says about all definitions: texts of parameters, and whether characters are checked.

    `elsewhere` gives values that definitions name at other stores.
    """

    texts: tuple[tuple[str, str], ...]
    unchecked: bool = False
    elsewhere: value_from.Elsewhere | None = None


_KNOWN = frozenset(limits.PARAMETERS)
_ALLOWED = frozenset(KEYS)

_STAND_IN = "AAAA"  # for an unread value while the rest is checked: text, and Base64 too

_HOLD_JSON = ("Tags", "ExtendedConfig", "Policy")
"""Parameters whose text is JSON."""
_MAY_BE_OBJECTS = frozenset(("SecretData", *_HOLD_JSON))
"""Parameters that a manifest may also give as an object or array, which becomes JSON."""
_NUMBER = "a number"
_KINDS = {
    bool: "true or false",
    int: _NUMBER,
    float: _NUMBER,
    orjson.Fragment: _NUMBER,
    list: "an array",
    dict: "an object",
}
_LONG_JSON = 2048  # longer ones are not kept for the next definition


def checked_defaults(defaults: Mapping[str, str] | None, *, unchecked: bool = False) -> Defaults:
    """Return the defaults of a run, `VersionId` "v1" among them.

    With `unchecked`, the service decides which characters names and tags may have.

    Raises:
        UsageError: a name is not a parameter that may have a default, or a value is not acceptable.
    """
    given = dict(defaults or {})
    for name, text in given.items():
        if name == VALUE_FROM:
            raise UsageError(f"{name} can have no default: it belongs in manifests")
        if name not in _KNOWN:
            raise UsageError(not_a_parameter(name, name))
        if name == "SecretName":
            raise UsageError("SecretName can have no default: every secret has its own")
        if name == "SecretData" and text != limits.AUTO:
            raise UsageError(f"SecretData can have no default but {limits.AUTO}: values belong in manifests")
        text, problem = _checked_json(name, text) if name in _HOLD_JSON else (text, None)
        found = [problem] if problem else parameter_problems(name, text, characters=not unchecked)
        reasons = list(found) if given[name] else ["is empty"]
        if reasons:
            raise UsageError(f"the default for {name} {'; '.join(reasons)}")
        given[name] = text
    return Defaults(tuple({"VersionId": "v1", **given}.items()), unchecked)


def to_entry(
    item: object, origin: Origin, defaults: Defaults, folder: Path, unread: UnreadValue | None = None
) -> SecretDefinition | InvalidLine:
    """Check one object of a manifest and make a definition of it; `item` is used up.

    Paths in it are relative to `folder`. `unread` is its value, where that is still at a source.
    """
    if not isinstance(item, dict):
        reason = item.reason if isinstance(item, Unreadable) else "is not an object of parameters"
        return InvalidLine(origin, (reason,))
    if unread is not None:
        item["SecretData"] = _STAND_IN
    mistyped = _make_texts(item)
    spec, carried = item.get(VALUE_FROM), item.get("SecretData")
    for parameter, text in defaults.texts:
        if not item.get(parameter):
            item[parameter] = text
    generated = False
    if spec is not None and spec != "":
        value = value_from.resolve(spec, item.get("SecretDataType"), folder, defaults.elsewhere)
        generated, unread = value.generated, value.unread or unread
        item["SecretData"] = value.text if value.unread is None else _STAND_IN
        if carried or value.problem:
            problem = "excludes SecretData, which is there too" if carried else value.problem
            mistyped.append(Problem(VALUE_FROM, str(problem)))
    problems = definition_problems(item, characters=not defaults.unchecked)
    if problems or mistyped or not _ALLOWED.issuperset(item):
        return _invalid(item, origin, mistyped, problems)
    get = item.get
    rotation = get("EnableAutomaticRotation")
    return SecretDefinition(
        created_name(item["SecretName"], get("SecretType"), get("ExtendedConfig")),
        SecretValue(item["SecretData"]) if unread is None else unread,
        item["VersionId"],
        origin,
        get("SecretDataType") or None,
        get("EncryptionKeyId") or None,
        get("DKMSInstanceId") or None,
        get("Description") or None,
        get("Tags") or None,
        get("SecretType") or None,
        get("ExtendedConfig") or None,
        boolean(rotation) if rotation else None,
        get("RotationInterval") or None,
        get("Policy") or None,
        generated,
    )


def definition(parameters: Mapping[str, Any], *, unchecked: bool = False) -> SecretDefinition:
    """Return a definition from the API's parameters, in any form that a manifest allows.

    For example ``{"SecretName": "app/db", "SecretData": {"user": "app", "password": "..."}}``. `VersionId` is
    "v1" unless given. Numbers are written as Python writes them. Files of `SecretDataFrom` are relative to
    the current folder. With `unchecked`, the service decides which characters names and tags may have.

    Raises:
        ManifestError: it is none; the text has every reason, and no value.
    """
    try:
        item = decode(json.dumps(dict(parameters), allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):  # what these say may quote a value
        item = Unreadable("has something that JSON cannot carry")
    entry = to_entry(item, Origin("Python", 1), checked_defaults(None, unchecked=unchecked), Path())
    if isinstance(entry, InvalidLine):
        raise ManifestError(f"not a definition: {'; '.join(entry.reasons)}")
    return entry


def _make_texts(item: dict[Any, Any]) -> list[Problem]:
    """Bring the parameters of `item` into the API's texts; return what cannot be brought."""
    mistyped = []
    for parameter, value in item.items():
        if type(value) is not str:
            if parameter not in _KNOWN:
                continue
            item[parameter], wrong = _to_text(parameter, value)
        elif parameter in _HOLD_JSON:
            check = _checked_json if len(value) < _LONG_JSON else _checked_json.__wrapped__
            item[parameter], wrong = check(parameter, value)
        else:
            continue
        if wrong:
            mistyped.append(Problem(parameter, wrong))
    return mistyped


def _to_text(parameter: str, value: Any) -> tuple[str, str | None]:
    """Return the API's text for a value that is not a text yet, or "" and what is wrong."""
    if value is None:
        return "", None
    if parameter == "EnableAutomaticRotation":
        return (str(value).lower(), None) if isinstance(value, bool) else ("", "must be true or false")
    if parameter not in _MAY_BE_OBJECTS:
        return "", f"must be a text, not {_KINDS.get(type(value), 'something else')}"
    if parameter == "Tags" and isinstance(value, dict):
        if value.keys() == {"TagKey", "TagValue"}:
            return "", "must be a list of such objects, or a plain mapping"
        value = [{"TagKey": key, "TagValue": text} for key, text in value.items()]
    try:
        return orjson.dumps(value).decode(), None
    except TypeError:
        return "", "is nested too deeply or has something that JSON cannot carry"


@functools.lru_cache(maxsize=256)  # many definitions have the same tags
def _checked_json(parameter: str, text: str) -> tuple[str, str | None]:
    """Return a JSON text as it is, but a mapping of tags as the API's list, or "" and what is wrong."""
    value = decode(text.encode("utf-8", "surrogatepass")) if text else text
    if isinstance(value, Repeated):
        return "", value.reason
    if parameter == "Tags" and isinstance(value, dict):
        return _to_text(parameter, value)
    return text, None  # what else is wrong is found where all parameters are checked


def _invalid(
    item: Mapping[Any, Any], origin: Origin, mistyped: list[Problem], problems: list[Problem]
) -> InvalidLine:
    reasons = [
        "names a Target: give --targets FILE" if key == TARGET else not_a_parameter(f"key {number}", key)
        for number, key in enumerate(item, 1)
        if key not in _ALLOWED
    ]
    reasons += [str(problem) for problem in mistyped]
    bad = {problem.parameter for problem in mistyped}
    if VALUE_FROM in bad:
        bad.add("SecretData")  # of which nothing can be said then
    reasons += [str(problem) for problem in problems if problem.parameter not in bad]
    bad.update(problem.parameter for problem in problems)
    # On a damaged line the value can be at the end of a neighbour: without a value no neighbour is shown,
    # and the version, which follows it in most tables, never.
    shown = item.get("SecretData") or item.get(VALUE_FROM)
    name = item["SecretName"] if shown and "SecretName" not in bad else None
    if name is not None and "ExtendedConfig" not in bad:
        name = created_name(name, item.get("SecretType"), item.get("ExtendedConfig"))
    return InvalidLine(origin, tuple(reasons), name)
