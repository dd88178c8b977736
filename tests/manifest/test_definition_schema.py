"""The schema for editors and the reader agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from support.definitions import Parameters, parameters, read_text

from bulkseed.manifest.keys import KEYS
from bulkseed.manifest.schema import definition_schema
from bulkseed.model import SecretDefinition
from bulkseed.wire.validation import limits

VALIDATOR = Draft202012Validator(definition_schema())

PLAIN: dict[str, Any] = {"SecretName": "a", "SecretData": "x"}
ASKING: dict[str, Any] = {"SecretName": "a"}
RDS: dict[str, Any] = {
    "SecretName": "a",
    "SecretType": "Rds",
    "SecretData": {"Accounts": [{"AccountName": "a", "AccountPassword": "fake"}]},
    "ExtendedConfig": {"SecretSubType": "SingleUser", "DBInstanceId": "rm-fake", "CustomData": {}},
}
ECS: dict[str, Any] = {
    "SecretName": "acs/ecs/a",
    "SecretType": "ECS",
    "SecretData": {"UserName": "a", "Password": "fake"},
    "ExtendedConfig": {"SecretSubType": "Password", "RegionId": "cn-hangzhou", "InstanceId": "i-fake"},
}
RAM: dict[str, Any] = {
    "SecretName": "$Auto",
    "SecretType": "RAMCredentials",
    "SecretData": {"AccessKeys": [{"AccessKeyId": "fake", "AccessKeySecret": "fake"}]},
    "ExtendedConfig": {"SecretSubType": "RamUserAccessKey", "UserName": "somebody"},
}
POLARDB: dict[str, Any] = {
    "SecretName": "a",
    "SecretType": "PolarDB",
    "SecretData": "$Auto",
    "ExtendedConfig": {
        "SecretSubType": "DoubleUsers",
        "RegionId": "cn-hangzhou",
        "DBClusterId": "pc-fake",
        "DBType": "MySQL",
        "AccountName": "a",
    },
}
STATEMENT = {"Effect": "Allow", "Principal": {"RAM": ["x"]}, "Action": ["kms:*"], "Resource": ["*"]}

GOOD: list[Any] = [
    PLAIN,
    {"SecretName": limits.NAME_CHARACTERS, "SecretData": {"a": [1]}, "VersionId": None},
    {**PLAIN, "SecretData": 1},
    {**PLAIN, "SecretData": 1.5},
    {**PLAIN, "SecretData": True},
    {**PLAIN, "SecretData": []},
    {**PLAIN, "SecretData": {}},
    {**PLAIN, "SecretData": "x" * 30_720},
    {**PLAIN, "VersionId": "", "Description": "", "RotationInterval": "", "SecretType": "", "Tags": ""},
    dict.fromkeys(limits.PARAMETERS) | PLAIN,
    {**PLAIN, "Tags": {limits.TAG_CHARACTERS: limits.TAG_CHARACTERS, "k": ""}},
    {**PLAIN, "Tags": [{"TagKey": f"k{n}", "TagValue": "v"} for n in range(20)]},
    {**PLAIN, "Tags": '[{"TagKey":"k","TagValue":"v"}]'},
    {**PLAIN, "Tags": []},
    {**PLAIN, "Policy": {"Version": "1", "Statement": [STATEMENT]}},
    {**PLAIN, "Policy": {"Version": "1", "Statement": [{**STATEMENT, "Action": "kms:*", "Resource": "*"}]}},
    {**PLAIN, "SecretDataType": "binary", "SecretData": "AAE="},
    {**PLAIN, "EnableAutomaticRotation": False},
    {**PLAIN, "EnableAutomaticRotation": "False"},
    RDS,
    {**RDS, "EnableAutomaticRotation": True, "RotationInterval": "7d"},
    {**RDS, "EnableAutomaticRotation": "true", "RotationInterval": "7d"},
    {**RDS, "SecretData": json.dumps(RDS["SecretData"]), "ExtendedConfig": json.dumps(RDS["ExtendedConfig"])},
    ECS,
    RAM,
    POLARDB,
    {**ASKING, "SecretDataFrom": {"generate": {}}},
    {**ASKING, "SecretDataFrom": {"generate": {"length": 8, "charset": "hex"}}},
    {**ASKING, "SecretDataFrom": {"generate": {"length": 4096, "charset": "€ß"}}},
    {**ASKING, "SecretDataFrom": {"generate": {"length": None, "charset": None}}},
    {**ASKING, "SecretDataFrom": '{"generate": {"charset": "letters+digits"}}'},
    {**ASKING, "SecretDataFrom": {"env": "PATH"}},
    {**ASKING, "SecretDataFrom": {"file": str(Path(__file__).with_name("test_manifest_canary.py"))}},
    {**ASKING, "SecretData": None, "SecretDataFrom": {"generate": {}}},
    {**ASKING, "SecretData": "", "SecretDataFrom": {"generate": {}}},
    {**PLAIN, "SecretDataFrom": None},
    {**PLAIN, "SecretDataFrom": ""},
]

SPECS: list[Any] = [
    None,
    "",
    {},
    [],
    1,
    {"generate": {}, "env": "PATH"},
    {"exec": "date"},
    {"generate": 32},
    {"generate": {"size": 32}},
    *({"generate": {"length": length}} for length in (7, 4097, "32", 32.5)),
    {"generate": {"length": True}},
    *({"generate": {"charset": charset}} for charset in ("", "x")),
    {"generate": {"charset": 1}},
    *({source: name} for source in ("env", "file", "source") for name in ("", None)),
    {"key": "password"},
    {"env": "PATH", "key": "password"},
    {"source": "vault:secret/db", "env": "PATH"},
    {"source": "vault:secret/db", "key": 1},
    {"env": 1},
    {"file": []},
]

BAD: list[Any] = [
    5,
    [],
    {},
    {"SecretName": "a"},
    {"SecretData": "x"},
    *({**PLAIN, "SecretName": name} for name in ("", None, 1, "a b", "acs/a", "$Auto", "n" * 193, "密码")),
    *({**PLAIN, "SecretData": value} for value in ("", None, "x" * 30_721)),
    {**PLAIN, "Secretdata": "x"},
    {**PLAIN, "VersionId": 1},
    {**PLAIN, "VersionId": "v" * 65},
    {**PLAIN, "SecretDataType": "Text"},
    {**PLAIN, "SecretType": "rds"},
    {**PLAIN, "Description": ["x"]},
    {**PLAIN, "Tags": 5},
    *({**PLAIN, "Tags": {key: "v"}} for key in ("", "a b", "aliyun", "acs:x", "k" * 129)),
    *({**PLAIN, "Tags": {"k": value}} for value in (1, None, "a b", "v" * 129)),
    {**PLAIN, "Tags": {"TagKey": "k", "TagValue": "v"}},
    {**PLAIN, "Tags": {f"k{n}": "v" for n in range(21)}},
    {**PLAIN, "Tags": [{"TagKey": "k"}]},
    {**PLAIN, "Tags": [{"TagKey": "k", "TagValue": "v"}] * 21},
    {**PLAIN, "Policy": {"Version": "2", "Statement": [STATEMENT]}},
    {**PLAIN, "Policy": {"Version": "1", "Statement": []}},
    {**PLAIN, "Policy": {"Version": "1", "Statement": [{}]}},
    {**PLAIN, "Policy": {"Version": "1", "Statement": [{**STATEMENT, "Action": []}]}},
    {**PLAIN, "Policy": {"Version": "1", "Statement": [{**STATEMENT, "Action": ["ecs:*"]}]}},
    {**PLAIN, "EnableAutomaticRotation": True, "RotationInterval": "7d"},
    {**PLAIN, "EnableAutomaticRotation": "yes"},
    {**PLAIN, "EnableAutomaticRotation": 1},
    {**PLAIN, "RotationInterval": "7d"},
    {**RDS, "EnableAutomaticRotation": True},
    {**RDS, "EnableAutomaticRotation": True, "RotationInterval": ""},
    {**RDS, "EnableAutomaticRotation": True, "RotationInterval": "1w"},
    {**RDS, "RotationInterval": "7d"},
    {**RDS, "SecretName": "acs/a"},
    {**RDS, "SecretDataType": "binary"},
    {**RDS, "SecretData": {"Accounts": []}},
    {**RDS, "SecretData": {"Accounts": [{"AccountName": "a"}]}},
    {**RDS, "ExtendedConfig": None},
    {**RDS, "ExtendedConfig": {"SecretSubType": "SingleUser"}},
    {**RDS, "ExtendedConfig": {**RDS["ExtendedConfig"], "SecretSubType": "x"}},
    {**RDS, "ExtendedConfig": {**RDS["ExtendedConfig"], "CustomData": {str(n): "" for n in range(11)}}},
    {key: value for key, value in RDS.items() if key != "ExtendedConfig"},
    {**ECS, "SecretName": "a"},
    {**ECS, "SecretData": {"UserName": "a"}},
    {**RAM, "SecretName": "a"},
    *({**ASKING, "SecretDataFrom": spec} for spec in SPECS),
    {**PLAIN, "SecretDataFrom": {"generate": {}}},
    {**PLAIN, "SecretDataFrom": {}},
    {**POLARDB, "SecretName": "$Auto"},
    {**POLARDB, "SecretData": "x"},
    {**POLARDB, "ExtendedConfig": {**POLARDB["ExtendedConfig"], "DBType": "Oracle"}},
]


def reader_accepts(definition: object) -> bool:
    """Tell whether a JSON line with this object is a definition."""
    [entry] = read_text(json.dumps(definition), "jsonl")
    return isinstance(entry, SecretDefinition)


@pytest.mark.parametrize("definition", GOOD, ids=range(len(GOOD)))
def test_both_accept(definition: object) -> None:
    """What the reader takes, an editor shows no error for."""
    assert reader_accepts(definition)
    assert [error.message for error in VALIDATOR.iter_errors(definition)] == []


@pytest.mark.parametrize("definition", BAD, ids=range(len(BAD)))
def test_both_refuse(definition: object) -> None:
    """What a schema can tell to be wrong, it tells."""
    assert not reader_accepts(definition)
    assert not VALIDATOR.is_valid(definition)


@given(parameters)
@settings(max_examples=100)
def test_the_schema_takes_what_the_reader_takes(definition: Parameters) -> None:
    """Generated definitions, in the API's texts and with their JSON as objects, are good for both."""
    objects = {
        key: json.loads(text) if key in ("Tags", "Policy", "ExtendedConfig") else text
        for key, text in definition.items()
    }
    for form in (definition, objects):
        assert reader_accepts(form)
        assert VALIDATOR.is_valid(form)


def test_the_schema_is_one() -> None:
    """It keeps the rules of JSON Schema 2020-12, is plain JSON, and knows every parameter."""
    schema = definition_schema()
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert tuple(schema["properties"]) == KEYS
