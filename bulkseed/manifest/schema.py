"""The JSON Schema of a definition, made from the limits, so that editors can complete and check manifests.

It says what can be said in a schema. Bytes, Base64, the range of an interval and the inside of JSON texts are
left to the reader; whatever the reader accepts, the schema accepts.
"""

from __future__ import annotations

import re
from typing import Any

from bulkseed.manifest import value_from
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.secret_types import MANAGED, ManagedType

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "null"]}


def definition_schema() -> Schema:
    """Return the JSON Schema (2020-12) of one definition, in the forms that JSON manifests allow."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A secret to create in Alibaba Cloud KMS Secrets Manager",
        "type": "object",
        "properties": _PROPERTIES,
        "required": ["SecretName"],
        "additionalProperties": False,
        "allOf": [*_TYPE_RULES, _ROTATION_RULE, _VALUE_RULE],
    }


def _one_of_characters(characters: str) -> str:
    special = "".join(
        re.escape(character) if character in "\\-]^" else character
        for character in characters.removeprefix(limits.LETTERS_AND_DIGITS)
    )
    return f"[A-Za-z0-9{special}]"


def _tag(characters_at_least: int) -> str:
    return (
        f"^{_one_of_characters(limits.TAG_CHARACTERS)}{{{characters_at_least},{limits.TAG_MAX_CHARACTERS}}}$"
    )


_TAG_KEY: Schema = {
    "type": "string",
    "pattern": _tag(1),
    "not": {"pattern": f"^({'|'.join(limits.TAG_KEY_RESERVED_PREFIXES)})"},
}
_TAG_VALUE: Schema = {"type": "string", "pattern": _tag(0)}

_STATEMENT: Schema = {
    "type": "object",
    "properties": {
        "Sid": {"type": "string", "maxLength": limits.POLICY_SID_MAX_CHARACTERS},
        "Effect": {"enum": list(limits.POLICY_EFFECTS)},
        "Principal": {"type": "object"},
        "Action": {
            "type": ["array", "string"],
            "minItems": 1,
            "pattern": f"^{limits.POLICY_ACTION_PREFIX}",
            "items": {"type": "string", "pattern": f"^{limits.POLICY_ACTION_PREFIX}"},
        },
        "Resource": {"enum": ["*", ["*"]]},
    },
    "required": ["Effect", "Principal", "Action", "Resource"],
}

_PROPERTIES: dict[str, Schema] = {
    "SecretName": {
        "description": "Unique in the account and region.",
        "type": "string",
        "minLength": 1,
        "maxLength": limits.NAME_MAX_CHARACTERS,
        "pattern": f"^({_one_of_characters(limits.NAME_CHARACTERS)}*|{re.escape(limits.AUTO)})$",
    },
    "SecretData": {
        "description": "The value; an object or array is sent as compact JSON.",
        "type": ["string", "object", "array", "number", "boolean", "null"],
        "maxLength": limits.DATA_MAX_BYTES,
    },
    "VersionId": {
        "description": 'The first version; "v1" when it is missing.',
        "type": ["string", "null"],
        "maxLength": limits.VERSION_ID_MAX_CHARACTERS,
    },
    "SecretDataType": {
        "description": "text, or binary for a value in Base64.",
        "enum": [*limits.DATA_TYPES, "", None],
        "default": "text",
    },
    "SecretType": {"enum": [*limits.SECRET_TYPES, "", None], "default": "Generic"},
    "ExtendedConfig": {
        "description": "What a secret of any type but Generic needs to know.",
        "type": ["object", "string", "null"],
        "maxLength": limits.EXTENDED_CONFIG_MAX_CHARACTERS,
    },
    "EnableAutomaticRotation": {
        "type": ["boolean", "string", "null"],
        "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|)$",
    },
    "RotationInterval": {
        "description": "6 to 8760 hours: an integer followed by d, h, m or s.",
        "type": ["string", "null"],
        "pattern": f"^([0-9]+[{''.join(limits.ROTATION_UNITS)}])?$",
    },
    "Description": _TEXT,
    "Tags": {
        "type": ["array", "object", "string", "null"],
        "maxItems": limits.TAGS_MAX,
        "items": {
            "type": "object",
            "properties": {"TagKey": _TAG_KEY, "TagValue": _TAG_VALUE},
            "required": ["TagKey", "TagValue"],
        },
        "maxProperties": limits.TAGS_MAX,
        "propertyNames": _TAG_KEY,
        "additionalProperties": _TAG_VALUE,
        "not": {"type": "object", "required": ["TagKey", "TagValue"], "maxProperties": 2},
    },
    "Policy": {
        "type": ["object", "string", "null"],
        "properties": {
            "Version": {"const": limits.POLICY_VERSION},
            "Statement": {"type": "array", "minItems": 1, "items": _STATEMENT},
        },
        "required": ["Version", "Statement"],
    },
    "EncryptionKeyId": _TEXT,
    "DKMSInstanceId": _TEXT,
    value_from.PARAMETER: {
        "description": "Where the value comes from, instead of SecretData.",
        "type": ["object", "string", "null"],
        "minProperties": 1,
        "if": {"type": "object", "required": ["source"]},
        "then": {"properties": {"source": {}, "key": {}}, "additionalProperties": False},
        "else": {"maxProperties": 1, "properties": {"key": False}},
        "properties": {
            "generate": {
                "description": "Make a random text.",
                "type": "object",
                "properties": {
                    "length": {
                        "type": ["integer", "null"],
                        "minimum": value_from.LENGTHS[0],
                        "maximum": value_from.LENGTHS[-1],
                        "default": value_from.LENGTH,
                    },
                    "charset": {
                        "description": f"{', '.join(value_from.SETS)}, joined by +, or characters.",
                        "type": ["string", "null"],
                        "minLength": 2,
                        "default": value_from.CHARSET,
                    },
                },
                "additionalProperties": False,
            },
            "env": {"description": "The name of an environment variable.", "type": "string", "minLength": 1},
            "file": {
                "description": "A path, relative to the manifest.",
                "type": "string",
                "minLength": 1,
            },
            "source": {
                "description": "The address of a secret at another store.",
                "type": "string",
                "minLength": 1,
            },
            "key": {
                "description": "With source: one of its keys.",
                "type": ["string", "null"],
                "minLength": 1,
            },
        },
        "additionalProperties": False,
    },
}

_FILLED: Schema = {"type": "string", "minLength": 1}
_EMPTY: Schema = {"enum": ["", None]}

_VALUE_RULE: Schema = {
    "if": {"properties": {value_from.PARAMETER: {"not": _EMPTY}}, "required": [value_from.PARAMETER]},
    "then": {"properties": {"SecretData": _EMPTY}},
    "else": {"properties": {"SecretData": {"not": _EMPTY}}, "required": ["SecretData"]},
}

_ROTATES: Schema = {
    "properties": {
        "EnableAutomaticRotation": {"anyOf": [{"const": True}, {"type": "string", "pattern": "^[Tt]"}]}
    },
    "required": ["EnableAutomaticRotation"],
}

_ROTATION_RULE: Schema = {
    "if": _ROTATES,
    "then": {"properties": {"RotationInterval": _FILLED}, "required": ["RotationInterval"]},
    "else": {"properties": {"RotationInterval": {"enum": ["", None]}}},
}


def _name(kind: str) -> Schema:
    auto = re.escape(limits.AUTO)
    if kind == "RAMCredentials":
        return {"const": limits.AUTO}
    if kind == "ECS":
        return {"pattern": f"^{limits.NAME_ECS_PREFIX}"}
    if kind == "PolarDB":
        return {"not": {"pattern": f"^{auto}$"}}
    return {"not": {"pattern": f"^({limits.NAME_RESERVED_PREFIX}|{auto}$)"}}


def _config(managed: ManagedType) -> Schema:
    return {
        "type": ["object", "string"],
        "minLength": 1,
        "properties": {
            "SecretSubType": {"enum": list(managed.sub_types)},
            **dict.fromkeys(managed.required, _FILLED),
            **{field: {"enum": list(words)} for field, words in managed.allowed.items()},
            "CustomData": {"type": "object", "maxProperties": limits.CUSTOM_DATA_MAX_PAIRS},
        },
        "required": ["SecretSubType", *managed.required],
    }


def _value(managed: ManagedType) -> Schema:
    if not managed.value_fields:
        return {"enum": [limits.AUTO, "", None]}
    forms: list[Schema] = [
        {"properties": dict.fromkeys(fields, _FILLED), "required": list(fields)}
        for fields in managed.value_fields.values()
    ]
    form: Schema = {"type": "object", "anyOf": forms}
    if managed.value_list:
        form = {
            "type": "object",
            "properties": {managed.value_list: {"type": "array", "minItems": 1, "items": form}},
            "required": [managed.value_list],
        }
    return {"anyOf": [_TEXT, form]}


def _type_rule(kind: str, managed: ManagedType) -> Schema:
    return {
        "if": {"properties": {"SecretType": {"const": kind}}, "required": ["SecretType"]},
        "then": {
            "properties": {
                "SecretName": _name(kind),
                "SecretDataType": {"not": {"const": "binary"}},
                "ExtendedConfig": _config(managed),
                "SecretData": _value(managed),
            },
            "required": ["ExtendedConfig"],
        },
    }


_TYPE_RULES: list[Schema] = [
    {
        "if": {"properties": {"SecretType": {"not": {"enum": list(MANAGED)}}}},
        "then": {"properties": {"SecretName": _name("Generic")}, "not": _ROTATES},
    },
    *(_type_rule(kind, managed) for kind, managed in MANAGED.items()),
]
