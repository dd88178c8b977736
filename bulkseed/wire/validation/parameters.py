"""The one place that decides whether the parameters of a CreateSecret are good.

The manifest reader asks before anything is sent, the local KMS when a request arrives. Rules of one parameter
are rows of `CHECKS` (structure and size) and of `CHARACTERS` (which characters: the service's pages do not
agree on all of these, so a user may leave them to the service). Rules between parameters are in
`create_secret_problems`; what managed types demand is in `secret_types.py`.

Every reason is in our own words, and has one character of a parameter's text at most. Equal mistakes differ
in numbers, and in what stands in parentheses at the end, so that a summary can count them as one.

An empty text counts as missing, as on the service's gateway.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from bulkseed.wire.validation import limits
from bulkseed.wire.validation.secret_types import (
    MANAGED,
    config_problems,
    created_name,
    json_object,
    name_problem,
    one_of,
    value_problem,
)

_NAME_BYTES = limits.NAME_CHARACTERS.encode()
_TAG_CHARACTERS = frozenset(limits.TAG_CHARACTERS)

MOST_PLACES = 12
"""How many wrong characters of one text are pointed at."""


class Problem(NamedTuple):
    """One reason why a parameter is refused."""

    parameter: str
    text: str

    def __str__(self) -> str:
        return f"{self.parameter} {self.text}"


def definition_problems(parameters: Mapping[str, str], *, characters: bool = True) -> list[Problem]:
    """Return every problem of a manifest's definition: those of the service, and what nobody can mean.

    No public page says that the service itself checks Base64 or refuses a tag key that occurs twice, so the
    local KMS does not. Without `characters`, the rows of `CHARACTERS` are left to the service.
    """
    problems = _all_problems(parameters, characters=characters)
    if tags := parameters.get("Tags"):
        problems += [Problem("Tags", reason) for reason in _tags_problems(tags).repeats]
    version_id = parameters.get("VersionId") or ""
    if not version_id.isprintable() and characters and is_unicode(version_id):
        unseen = [at for at, character in enumerate(version_id) if not character.isprintable()]
        problems.append(
            Problem("VersionId", f"has a character that cannot be seen {_found_at(version_id, unseen)}")
        )
    if parameters.get("SecretDataType") == "binary" and not is_base64(parameters.get("SecretData") or ""):
        problems.append(Problem("SecretData", "is not valid Base64, which SecretDataType binary asks for"))
    return problems


def create_secret_problems(parameters: Mapping[str, str]) -> list[Problem]:
    """Return every problem of the parameters of one CreateSecret, as the service sees them.

    Unknown parameters are not looked at. What has no effect is ignored (CreateSecret page, SDK 3.3.1): the
    configuration and rotation of a Generic secret, and the interval of a rotation that is not on.
    """
    problems = _all_problems(parameters)
    if not problems:
        return problems
    ignored: tuple[str, ...] = ()
    if (parameters.get("SecretType") or "Generic") == "Generic":
        ignored = ("ExtendedConfig", "EnableAutomaticRotation", "RotationInterval")
    elif not boolean(parameters.get("EnableAutomaticRotation") or "false"):
        ignored = ("RotationInterval",)
    return [problem for problem in problems if problem.parameter not in ignored]


def _all_problems(parameters: Mapping[str, str], *, characters: bool = True) -> list[Problem]:
    problems = [Problem(name, "is missing") for name in limits.REQUIRED if not parameters.get(name)]
    checks = _ALL_CHECKS if characters else CHECKS
    for parameter, text in parameters.items():
        check = checks.get(parameter)
        if check is not None and text:
            if text.isascii() or is_unicode(text):
                for reason in check(text):
                    problems.append(Problem(parameter, reason))  # noqa: PERF401  # slower for none
            else:
                problems.append(Problem(parameter, "is not valid Unicode: it has a lone surrogate"))

    kind = parameters.get("SecretType") or "Generic"
    name = parameters.get("SecretName")
    if name and (name_reason := name_problem(kind, name)):
        problems.append(Problem("SecretName", name_reason))
    if kind in MANAGED:
        problems += _managed_problems(kind, parameters)
    if parameters.get("EnableAutomaticRotation") or parameters.get("RotationInterval"):
        problems += _rotation_problems(kind, parameters)
    return problems


def rotation_seconds(text: str) -> int | None:
    """Return the seconds of a `RotationInterval` such as ``7d``; None when it is not ``integer[d|h|m|s]``."""
    digits, unit = text[:-1], limits.ROTATION_UNITS.get(text[-1:])
    # 9 digits hold 8,760 hours in seconds many times over, and keep int() from reading a novel.
    if unit is None or not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        return None
    return int(digits) * unit


def boolean(text: str) -> bool | None:
    """Read ``true`` or ``false`` in any case (the vendor's SDK sends ``True``), or return None."""
    return {"true": True, "false": False}.get(text.lower())


def is_unicode(text: str) -> bool:
    """Tell whether `text` can be sent: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_base64(text: str) -> bool:
    """Tell whether `text` is standard Base64, padded and without line breaks."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _managed_problems(kind: str, parameters: Mapping[str, str]) -> Iterator[Problem]:
    managed = MANAGED[kind]
    if parameters.get("SecretDataType") == "binary":
        yield Problem("SecretDataType", f"must be text for {kind}")
    sub_type = None
    config_text = parameters.get("ExtendedConfig") or ""
    if not config_text:
        yield Problem("ExtendedConfig", f"is missing: {kind} needs it")
    elif (config := json_object(config_text)) is not None:
        sub_type = config.get("SecretSubType")
        for reason in config_problems(managed, config):
            yield Problem("ExtendedConfig", reason)
        if (created := created_name(limits.AUTO, kind, config_text)) != limits.AUTO:
            for reason in (*_check_name(created), *_name_characters(created)):
                yield Problem("ExtendedConfig", f"UserName becomes part of a name that {reason}")
    data = parameters.get("SecretData")
    if data and (data_reason := value_problem(managed, sub_type, data)):
        yield Problem("SecretData", data_reason)


def _rotation_problems(kind: str, parameters: Mapping[str, str]) -> Iterator[Problem]:
    on = boolean(parameters.get("EnableAutomaticRotation") or "false")
    interval = parameters.get("RotationInterval")
    if on and kind == "Generic":
        yield Problem("EnableAutomaticRotation", "must not be true for a Generic secret, which cannot rotate")
    if on and not interval:
        yield Problem("RotationInterval", "is missing: EnableAutomaticRotation true needs it")
    if on is False and interval:
        yield Problem("RotationInterval", "is given, but EnableAutomaticRotation is not true")


def _check_name(text: str) -> Iterable[str]:
    return _check_length(text, limits.NAME_MAX_CHARACTERS)


def _check_version_id(text: str) -> Iterable[str]:
    most = limits.VERSION_ID_MAX_CHARACTERS
    return () if len(text) <= most else _check_length(text, most)  # saves a call for nearly all


def _check_length(text: str, most: int) -> Iterable[str]:
    return () if len(text) <= most else (f"has {len(text)} characters, more than {most}",)


def _name_characters(text: str) -> Iterable[str]:
    # bytes.translate is the fastest way to see that there is nothing else.
    if not text.encode().translate(None, _NAME_BYTES) or text == limits.AUTO:
        return ()
    return (f"may have only letters, digits and _ / + = . @ - {_others(text, limits.NAME_CHARACTERS)}",)


def _others(text: str, allowed: str) -> str:
    return _found_at(text, [at for at, character in enumerate(text) if character not in allowed])


def _found_at(text: str, places: Sequence[int]) -> str:
    """Show the first wrong character, and where all are; the others are not shown: it may be a value."""
    more = ", ".join(str(at + 1) for at in places[1:MOST_PLACES])
    rest = f"; more at {more}{', …' if len(places) > MOST_PLACES else ''}" if more else ""
    return f"({_shown(text[places[0]])} at {places[0] + 1}{rest})"


def _shown(character: str) -> str:
    return f'"{character}"' if character.isprintable() else f"U+{ord(character):04X}"


def _check_data(text: str) -> Iterable[str]:
    size = len(text) if text.isascii() else len(text.encode())
    if size > limits.DATA_MAX_BYTES:
        return (f"has {size} bytes, more than {limits.DATA_MAX_BYTES}",)
    return ()


def _check_data_type(text: str) -> Iterable[str]:
    return () if text in limits.DATA_TYPES else (f"must be {one_of(limits.DATA_TYPES)}",)


def _check_secret_type(text: str) -> Iterable[str]:
    return () if text in limits.SECRET_TYPES else (f"must be {one_of(limits.SECRET_TYPES)}",)


def _check_extended_config(text: str) -> Iterable[str]:
    if len(text) > limits.EXTENDED_CONFIG_MAX_CHARACTERS:
        yield f"has {len(text)} characters, more than {limits.EXTENDED_CONFIG_MAX_CHARACTERS}"
    if json_object(text) is None:
        yield "is not a JSON object"


def _check_rotation(text: str) -> Iterable[str]:
    return () if boolean(text) is not None else ("must be true or false",)


def _check_interval(text: str) -> Iterable[str]:
    seconds = rotation_seconds(text)
    if seconds is None:
        return ("must be an integer followed by d, h, m or s",)
    if not limits.ROTATION_MIN_SECONDS <= seconds <= limits.ROTATION_MAX_SECONDS:
        return ("must be between 6 hours and 8760 hours",)
    return ()


def _check_tags(text: str) -> Iterable[str]:
    return _tags_problems(text).structure


def _tags_characters(text: str) -> Iterable[str]:
    return _tags_problems(text).characters


class _TagsProblems(NamedTuple):
    structure: tuple[str, ...]
    characters: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()


def _tags_problems(text: str) -> _TagsProblems:
    return _known_tags(text) if len(text) < 2048 else _find_tags_problems(text)


@lru_cache(maxsize=256)  # many definitions have the same tags
def _known_tags(text: str) -> _TagsProblems:
    return _find_tags_problems(text)


def _find_tags_problems(text: str) -> _TagsProblems:
    try:
        tags = orjson.loads(text)
    except ValueError:
        tags = None
    if not isinstance(tags, list):
        return _TagsProblems(("must be a JSON array of objects with TagKey and TagValue",))
    structure, characters, repeats = list[str](), list[str](), list[str]()
    if len(tags) > limits.TAGS_MAX:
        structure.append(f"has {len(tags)} tags, more than {limits.TAGS_MAX}")
    seen: dict[str, int] = {}
    for number, tag in enumerate(tags[: limits.TAGS_MAX], 1):
        structure += [f"tag {number}: {reason}" for reason in _tag_problems(tag)]
        if isinstance(tag, dict):
            characters += [f"tag {number}: {reason}" for reason in _tag_characters(tag)]
            first = seen.setdefault(str(tag.get("TagKey")), number)
            if first != number:
                repeats.append(f"tag {number}: TagKey is that of tag {first} too")
    return _TagsProblems(tuple(structure), tuple(characters), tuple(repeats))


def _tag_problems(tag: object) -> Iterator[str]:
    if not isinstance(tag, dict):
        yield "must be an object with TagKey and TagValue"
        return
    for part in ("TagKey", "TagValue"):
        text = tag.get(part)
        if not isinstance(text, str) or (part == "TagKey" and not text):
            yield f"{part} is missing or not a text"
            continue
        for reason in _check_length(text, limits.TAG_MAX_CHARACTERS):
            yield f"{part} {reason}"
        if part == "TagKey" and text.startswith(limits.TAG_KEY_RESERVED_PREFIXES):
            yield f"TagKey must not start with {one_of(limits.TAG_KEY_RESERVED_PREFIXES)}"


def _tag_characters(tag: Mapping[str, object]) -> Iterator[str]:
    for part in ("TagKey", "TagValue"):
        text = tag.get(part)
        if isinstance(text, str) and not _TAG_CHARACTERS.issuperset(text):
            found = _others(text, limits.TAG_CHARACTERS)
            yield f"{part} may have only letters, digits and / \\ _ - . + = : @ {found}"


def _check_policy(text: str) -> Iterable[str]:
    size = len(text.encode())
    if size > limits.POLICY_MAX_BYTES:
        yield f"has {size} bytes, more than {limits.POLICY_MAX_BYTES}"
    policy = json_object(text)
    if policy is None:
        yield "is not a JSON object"
        return
    if policy.get("Version") != limits.POLICY_VERSION:
        yield f'Version must be "{limits.POLICY_VERSION}"'
    statements = policy.get("Statement")
    if not isinstance(statements, list) or not statements:
        yield "Statement must be a list of one or more statements"
        return
    for number, statement in enumerate(statements, 1):
        for reason in _statement_problems(statement):
            yield f"statement {number}: {reason}"


def _statement_problems(statement: Any) -> Iterator[str]:
    if not isinstance(statement, dict):
        yield "must be an object"
        return
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or len(sid) > limits.POLICY_SID_MAX_CHARACTERS:
        yield f"Sid must be a text of at most {limits.POLICY_SID_MAX_CHARACTERS} characters"
    if statement.get("Effect") not in limits.POLICY_EFFECTS:
        yield f"Effect must be {one_of(limits.POLICY_EFFECTS)}"
    if not isinstance(statement.get("Principal"), dict):
        yield "Principal must be an object"
    actions = statement.get("Action")
    actions = actions if isinstance(actions, list) else [actions]
    if not actions or not all(
        isinstance(action, str) and action.startswith(limits.POLICY_ACTION_PREFIX) for action in actions
    ):
        yield f"Action must be operations that start with {limits.POLICY_ACTION_PREFIX}"
    if statement.get("Resource") not in ("*", ["*"]):
        yield 'Resource must be ["*"]'


def _check_any(_text: str) -> Iterable[str]:
    return ()


CHECKS: dict[str, Callable[[str], Iterable[str]]] = {
    "SecretName": _check_name,
    "SecretData": _check_data,
    "VersionId": _check_version_id,
    "SecretDataType": _check_data_type,
    "SecretType": _check_secret_type,
    "ExtendedConfig": _check_extended_config,
    "EnableAutomaticRotation": _check_rotation,
    "RotationInterval": _check_interval,
    "Description": _check_any,
    "Tags": _check_tags,
    "Policy": _check_policy,
    "EncryptionKeyId": _check_any,
    "DKMSInstanceId": _check_any,
}

CHARACTERS: dict[str, Callable[[str], Iterable[str]]] = {
    "SecretName": _name_characters,
    "Tags": _tags_characters,
}


def parameter_problems(parameter: str, text: str, *, characters: bool = True) -> Iterable[str]:
    """Return what is wrong with the text of one parameter."""
    return (_ALL_CHECKS if characters else CHECKS)[parameter](text)


def _check_whole_name(text: str) -> Iterable[str]:
    if len(text) <= limits.NAME_MAX_CHARACTERS and not text.encode().translate(None, _NAME_BYTES):
        return ()  # saves calls for nearly all
    return (*_check_name(text), *_name_characters(text))


def _check_whole_tags(text: str) -> Iterable[str]:
    return (*_check_tags(text), *_tags_characters(text))


_ALL_CHECKS = CHECKS | {"SecretName": _check_whole_name, "Tags": _check_whole_tags}
