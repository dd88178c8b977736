"""What CreateSecret accepts: each limit at its edge, each type with its demands, all reasons at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import Parameters, parameters
from support.sentences import reads_well

from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import (
    boolean,
    create_secret_problems,
    definition_problems,
    rotation_seconds,
)
from bulkseed.wire.validation.secret_types import created_name, requested_name

IGNORED = ("ExtendedConfig", "EnableAutomaticRotation", "RotationInterval")
"""What the service does not look at in a Generic secret (SDK 3.3.1)."""
PLAIN = {"SecretName": "app/db", "SecretData": "fake", "VersionId": "v1"}


def texts(base: Parameters = PLAIN, /, **changes: Any) -> Parameters:
    """Return a definition with changes; objects become JSON."""
    new = {key: value if isinstance(value, str) else json.dumps(value) for key, value in changes.items()}
    return base | new


def tag(key: str = "k", value: str = "v") -> dict[str, str]:
    """Return one tag."""
    return {"TagKey": key, "TagValue": value}


def statement(**changes: Any) -> dict[str, Any]:
    """Return one statement of a policy, with changes; None leaves a field out."""
    fields = {
        "Effect": "Allow",
        "Principal": {"RAM": ["x"]},
        "Action": ["kms:*"],
        "Resource": ["*"],
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not None}


def policy(*statements: object) -> dict[str, Any]:
    """Return a policy."""
    return {"Version": "1", "Statement": list(statements)}


RDS = texts(
    SecretType="Rds",
    SecretData={"Accounts": [{"AccountName": "a", "AccountPassword": "fake"}]},
    ExtendedConfig={"SecretSubType": "SingleUser", "DBInstanceId": "rm-fake"},
)
REDIS_CONFIG = {
    "SecretSubType": "DoubleUsers",
    "InstanceId": "r-fake",
    "RegionId": "cn-hangzhou",
    "AccountName": "app",
    "CloneAccountName": "app_clone",
    "AccountPrivilege": "RoleReadWrite",
}
REDIS = texts(SecretType="Redis", SecretData="$Auto", ExtendedConfig=REDIS_CONFIG)
POLARDB_CONFIG = {
    "SecretSubType": "DoubleUsers",
    "RegionId": "cn-hangzhou",
    "DBClusterId": "pc-fake",
    "DBType": "MySQL",
    "AccountName": "app",
}
POLARDB = texts(SecretType="PolarDB", SecretData="$Auto", ExtendedConfig=POLARDB_CONFIG)
RAM = texts(
    SecretName="$Auto",
    SecretType="RAMCredentials",
    SecretData={"AccessKeys": [{"AccessKeyId": "fake", "AccessKeySecret": "fake"}]},
    ExtendedConfig={"SecretSubType": "RamUserAccessKey", "UserName": "somebody"},
)
ECS_CONFIG = {"SecretSubType": "Password", "RegionId": "cn-hangzhou", "InstanceId": "i-fake"}
ECS = texts(
    SecretName="acs/ecs/a",
    SecretType="ECS",
    SecretData={"UserName": "root", "Password": "fake"},
    ExtendedConfig=ECS_CONFIG,
)
ECS_KEY = texts(
    ECS,
    SecretData={"UserName": "root", "PublicKey": "fake", "PrivateKey": "fake"},
    ExtendedConfig={**ECS_CONFIG, "SecretSubType": "SSHKey"},
)

GOOD: dict[str, Parameters] = {
    "plain": PLAIN,
    "name of 192": texts(SecretName="n" * 192),
    "every character of a name": texts(SecretName=limits.NAME_CHARACTERS),
    "version of 64": texts(VersionId="版" * 64),
    "30,720 bytes": texts(SecretData="é" * 15_360),
    "binary": texts(SecretDataType="binary", SecretData="AAE="),
    "20 tags": texts(Tags=[tag(f"k{n}") for n in range(20)]),
    "a tag without a value": texts(Tags=[tag(value="")]),
    "every character of a tag": texts(Tags=[tag(limits.TAG_CHARACTERS, limits.TAG_CHARACTERS)]),
    "a tag of 128": texts(Tags=[tag("k" * 128, "v" * 128)]),
    "policy": texts(Policy=policy(statement(), statement(Sid="A sid with spaces", Effect="Deny"))),
    "policy with words": texts(Policy=policy(statement(Action="kms:Decrypt", Resource="*"))),
    "config of a generic secret": texts(ExtendedConfig={"whatever": 1}),
    "empty texts": texts(Description="", Tags="", RotationInterval="", SecretType=""),
    "no rotation": texts(EnableAutomaticRotation="False"),
    "other parameters": PLAIN | {"Action": "CreateSecret", "Whatever": "\ud800"},
    "Rds": RDS,
    "Rds rotating": RDS | {"EnableAutomaticRotation": "TRUE", "RotationInterval": "6h"},
    "Redis": REDIS,
    "PolarDB": POLARDB | {"SecretName": "acs/whatever"},
    "RAMCredentials": RAM,
    "ECS": ECS,
    "ECS with a key": ECS_KEY,
}

BAD: dict[str, tuple[Parameters, list[str]]] = {
    "nothing": ({}, ["SecretName is missing", "SecretData is missing", "VersionId is missing"]),
    "empty": (texts(SecretData=""), ["SecretData is missing"]),
    "name of 193": (texts(SecretName="n" * 193), ["SecretName has 193 characters, more than 192"]),
    "name with a space": (
        texts(SecretName="a b"),
        ['SecretName may have only letters, digits and _ / + = . @ - (" " at 2)'],
    ),
    "name in Chinese": (
        texts(SecretName="密码"),
        ['SecretName may have only letters, digits and _ / + = . @ - ("密" at 1; more at 2)'],
    ),
    "too long a name with more wrong characters than are told": (
        texts(SecretName="a!" * 97),
        [
            "SecretName has 194 characters, more than 192",
            (
                'SecretName may have only letters, digits and _ / + = . @ - ("!" at 2; more at '
                "4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, …)"
            ),
        ],
    ),
    "reserved name": (texts(SecretName="acs/a"), ["SecretName must not start with acs/"]),
    "reserved name of Rds": (RDS | {"SecretName": "acs/a"}, ["SecretName must not start with acs/"]),
    "generated name": (
        texts(SecretName="$Auto"),
        ["SecretName may be $Auto only for a RAMCredentials secret"],
    ),
    "version of 65": (texts(VersionId="v" * 65), ["VersionId has 65 characters, more than 64"]),
    "30,721 bytes": (
        texts(SecretData="é" * 15_360 + "x"),
        ["SecretData has 30721 bytes, more than 30720"],
    ),
    "data type": (texts(SecretDataType="Text"), ["SecretDataType must be text or binary"]),
    "secret type": (
        texts(SecretType="rds"),
        ["SecretType must be Generic, Rds, Redis, RAMCredentials, ECS or PolarDB"],
    ),
    "surrogates": (
        {"SecretName": "\ud800", "SecretData": "\udfff", "VersionId": "v1", "Description": "a\ud800"},
        [
            "SecretName is not valid Unicode: it has a lone surrogate",
            "SecretData is not valid Unicode: it has a lone surrogate",
            "Description is not valid Unicode: it has a lone surrogate",
        ],
    ),
    "tags that are no array": (
        texts(Tags={"k": "v"}),
        ["Tags must be a JSON array of objects with TagKey and TagValue"],
    ),
    "tags that are no JSON": (
        texts(Tags="k=v"),
        ["Tags must be a JSON array of objects with TagKey and TagValue"],
    ),
    "21 tags": (texts(Tags=[tag()] * 21), ["Tags has 21 tags, more than 20"]),
    "tags": (
        texts(Tags=[tag("", "x" * 129), tag("a b", "c d"), tag("aliyun"), tag("acs:x"), {"TagKey": "k"}, 5]),
        [
            "Tags tag 1: TagKey is missing or not a text",
            "Tags tag 1: TagValue has 129 characters, more than 128",
            'Tags tag 2: TagKey may have only letters, digits and / \\ _ - . + = : @ (" " at 2)',
            'Tags tag 2: TagValue may have only letters, digits and / \\ _ - . + = : @ (" " at 2)',
            "Tags tag 3: TagKey must not start with aliyun or acs:",
            "Tags tag 4: TagKey must not start with aliyun or acs:",
            "Tags tag 5: TagValue is missing or not a text",
            "Tags tag 6: must be an object with TagKey and TagValue",
        ],
    ),
    "policy that is no object": (texts(Policy="[]"), ["Policy is not a JSON object"]),
    "policy without statements": (
        texts(Policy={"Version": "2", "Statement": []}),
        ['Policy Version must be "1"', "Policy Statement must be a list of one or more statements"],
    ),
    "policy of 32,769 bytes": (
        texts(Policy=json.dumps(policy(statement())).ljust(32_769)),
        ["Policy has 32769 bytes, more than 32768"],
    ),
    "statements": (
        texts(Policy=policy({}, 5, statement(Sid="s" * 129, Effect="allow", Action=[], Resource=["kms"]))),
        [
            "Policy statement 1: Effect must be Allow or Deny",
            "Policy statement 1: Principal must be an object",
            "Policy statement 1: Action must be operations that start with kms:",
            'Policy statement 1: Resource must be ["*"]',
            "Policy statement 2: must be an object",
            "Policy statement 3: Sid must be a text of at most 128 characters",
            "Policy statement 3: Effect must be Allow or Deny",
            "Policy statement 3: Action must be operations that start with kms:",
            'Policy statement 3: Resource must be ["*"]',
        ],
    ),
    "a generic secret that rotates": (
        texts(EnableAutomaticRotation="true", RotationInterval="7d"),
        ["EnableAutomaticRotation must not be true for a Generic secret, which cannot rotate"],
    ),
    "rotation without interval": (
        RDS | {"EnableAutomaticRotation": "true"},
        ["RotationInterval is missing: EnableAutomaticRotation true needs it"],
    ),
    "interval without rotation": (
        RDS | {"RotationInterval": "7d"},
        ["RotationInterval is given, but EnableAutomaticRotation is not true"],
    ),
    "rotation that is no word": (
        RDS | {"EnableAutomaticRotation": "yes", "RotationInterval": "7d"},
        ["EnableAutomaticRotation must be true or false"],
    ),
    "interval that is none": (
        RDS | {"EnableAutomaticRotation": "true", "RotationInterval": "1w"},
        ["RotationInterval must be an integer followed by d, h, m or s"],
    ),
    "interval too short": (
        RDS | {"EnableAutomaticRotation": "true", "RotationInterval": "359m"},
        ["RotationInterval must be between 6 hours and 8760 hours"],
    ),
    "interval too long": (
        RDS | {"EnableAutomaticRotation": "true", "RotationInterval": "366d"},
        ["RotationInterval must be between 6 hours and 8760 hours"],
    ),
    "config of 1,025": (
        texts(ExtendedConfig='"' + "x" * 1023 + '"'),
        ["ExtendedConfig has 1025 characters, more than 1024", "ExtendedConfig is not a JSON object"],
    ),
    "Rds with nothing": (
        PLAIN | {"SecretType": "Rds", "SecretDataType": "binary"},
        [
            "SecretDataType must be text for Rds",
            "ExtendedConfig is missing: Rds needs it",
            'SecretData must have the form {"Accounts":[{"AccountName":"…","AccountPassword":"…"}]}',
        ],
    ),
    "Rds with a wrong config": (
        texts(RDS, ExtendedConfig={"SecretSubType": "TripleUsers", "CustomData": []}),
        [
            "ExtendedConfig SecretSubType must be SingleUser or DoubleUsers",
            "ExtendedConfig DBInstanceId is missing or not a text",
            "ExtendedConfig CustomData must be a JSON object of at most 10 pairs",
        ],
    ),
    "Redis with a value": (
        REDIS | {"SecretData": "fake"},
        ["SecretData must be $Auto for this SecretType"],
    ),
    "Redis with another clone": (
        texts(REDIS, ExtendedConfig={**REDIS_CONFIG, "CloneAccountName": "app2"}),
        ["ExtendedConfig CloneAccountName must be AccountName followed by _clone"],
    ),
    "PolarDB with other words": (
        texts(POLARDB, ExtendedConfig={**POLARDB_CONFIG, "DBType": "Oracle", "AccountType": "Super"}),
        [
            "ExtendedConfig DBType must be MySQL or PostgreSQL",
            "ExtendedConfig AccountType must be Normal",
        ],
    ),
    "RAMCredentials with a name": (
        RAM | {"SecretName": "acs/ram/user/somebody"},
        ["SecretName must be $Auto for a RAMCredentials secret"],
    ),
    "RAMCredentials of a user whose name cannot be in a secret's name": (
        texts(RAM, ExtendedConfig={"SecretSubType": "RamUserAccessKey", "UserName": "u\0" + "x" * 200}),
        [
            "ExtendedConfig UserName becomes part of a name that has 215 characters, more than 192",
            (
                "ExtendedConfig UserName becomes part of a name that "
                "may have only letters, digits and _ / + = . @ - (U+0000 at 15)"
            ),
        ],
    ),
    "RAMCredentials without keys": (
        RAM | {"SecretData": '{"AccessKeys":[]}'},
        ['SecretData must have the form {"AccessKeys":[{"AccessKeyId":"…","AccessKeySecret":"…"}]}'],
    ),
    "ECS with another name": (
        ECS | {"SecretName": "a"},
        ["SecretName must start with acs/ecs/ for an ECS secret"],
    ),
    "ECS password where a key is due": (
        ECS_KEY | {"SecretData": ECS["SecretData"]},
        ['SecretData must have the form {"UserName":"…","PublicKey":"…","PrivateKey":"…"}'],
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_good_has_no_problems(case: str) -> None:
    """Every limit is inclusive and every type has a form that passes."""
    assert definition_problems(GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_what_is_bad_has_all_its_problems(case: str) -> None:
    """Every reason is told at once: to the writer of a manifest all, by the service those that it heeds."""
    given_parameters, heeded = BAD[case]
    assert set(heeded) <= set(map(str, definition_problems(given_parameters)))
    if given_parameters.get("SecretType", "Generic") in ("", "Generic"):
        heeded = [text for text in heeded if not text.startswith(IGNORED)]
    elif given_parameters.get("EnableAutomaticRotation") != "true":
        heeded = [text for text in heeded if not text.startswith("RotationInterval")]
    assert sorted(map(str, create_secret_problems(given_parameters))) == sorted(heeded)
    assert all(map(reads_well, create_secret_problems(given_parameters)))


@pytest.mark.parametrize("data", ["AAE", "AA=E", "A A E=", "AAE=\n", "é===", "_-8="])
def test_base64_is_asked_of_manifests_only(data: str) -> None:
    """A binary value that does not decode is a problem of the manifest; no page says the service looks."""
    binary = texts(SecretDataType="binary", SecretData=data)
    assert [problem.parameter for problem in definition_problems(binary)] == ["SecretData"]
    assert create_secret_problems(binary) == []


@given(parameters)
@settings(max_examples=100)
def test_generated_definitions_are_good(definition: Parameters) -> None:
    """The definitions of other tests keep the rules."""
    assert definition_problems(definition) == []


words = (
    st.text(max_size=30).map(lambda text: f"Canary{text}")
    | st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2).map(lambda text: f"Canary{text}")
    | st.sampled_from(
        [*limits.SECRET_TYPES, "$Auto", "true", "6h", "{}", "[]", "[{}]", "[[]]", "null", "text", "binary"]
    )
    | st.sampled_from(
        [
            {"SecretSubType": "Canary", "DBInstanceId": ["Canary"], "Canary": 1, "CustomData": "Canary"},
            {"AccountName": "Canary", "CloneAccountName": "Canary", "DBType": {"Canary": 1}},
            {"Accounts": [{"AccountName": "Canary", "AccountPassword": {"Canary": 1}}], "Password": "Canary"},
            [tag("Canary !", "Canary !"), tag("aliyunCanary"), {"Canary": 1}, "Canary"],
            policy(statement(Sid="Canary" * 40, Effect="Canary", Action="Canary"), "Canary"),
            {"Version": "Canary", "Statement": {"Canary": 1}},
        ]
    ).map(json.dumps)
)


@given(st.dictionaries(st.sampled_from(limits.PARAMETERS), words))
@settings(max_examples=500)
def test_nothing_is_raised_and_nothing_is_repeated(any_texts: Parameters) -> None:
    """Whatever the texts are there is an answer, and it does not hold any of them."""
    assert "Canary" not in str(definition_problems(any_texts))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 604_800),
        ("604800s", 604_800),
        ("6h", 21_600),
        ("0m", 0),
        ("", None),
        ("d", None),
        ("7", None),
        ("-7d", None),
        ("7.5d", None),
        ("7 d", None),
        ("7D", None),
        ("\u0667d", None),
        ("9" * 5000 + "d", None),
    ],
)
def test_intervals_are_read_in_seconds(text: str, seconds: int | None) -> None:
    """An integer and a unit; anything else is no interval, and nothing is raised."""
    assert rotation_seconds(text) == seconds


def test_booleans_are_read_in_any_case() -> None:
    """The vendor's SDK writes True, others true."""
    assert [boolean(text) for text in ("true", "True", "FALSE", "1", "")] == [True, True, False, None, None]


def test_the_service_names_a_ram_secret() -> None:
    """Only a RAMCredentials secret gets another name than the one sent."""
    assert created_name("$Auto", "RAMCredentials", RAM["ExtendedConfig"]) == "acs/ram/user/somebody"
    assert created_name("$Auto", "RAMCredentials", "{}") == "$Auto"
    assert created_name("a", None, None) == "a"
    for name, kind in (("$Auto", "RAMCredentials"), ("a", None), ("a", "Rds"), ("acs/ecs/a", "ECS")):
        assert requested_name(created_name(name, kind, RAM["ExtendedConfig"]), kind) == name
