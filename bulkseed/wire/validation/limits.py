"""What CreateSecret accepts: every limit and word list once, each with the public page that states it.

Sources: "CreateSecret page" is the API reference, "API metadata" the OpenAPI description of Kms 2016-01-20
as of 2024-06, "SDK" the docstrings of alibabacloud_kms20160120 3.3.1. `parameters.py` uses them.
"""

from __future__ import annotations

REQUIRED = ("SecretName", "SecretData", "VersionId")  # CreateSecret page
PARAMETERS = (  # API metadata; in the order of a manifest's documentation
    *REQUIRED,
    "SecretDataType",
    "SecretType",
    "ExtendedConfig",
    "EnableAutomaticRotation",
    "RotationInterval",
    "Description",
    "Tags",
    "Policy",
    "EncryptionKeyId",
    "DKMSInstanceId",
)

LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

NAME_MAX_CHARACTERS = 192  # API metadata, SDK
NAME_CHARACTERS = LETTERS_AND_DIGITS + "_/+=.@-"  # SDK; 2024-06 metadata also let in 64 Chinese characters
NAME_RESERVED_PREFIX = "acs/"  # SDK: not for Generic, Rds and Redis
NAME_ECS_PREFIX = "acs/ecs/"  # SDK
NAME_RAM_PREFIX = "acs/ram/user/"  # SDK: what the service generates for `$Auto`

AUTO = "$Auto"  # SDK: the name of a RAMCredentials secret, the value of a Redis or PolarDB secret

VERSION_ID_MAX_CHARACTERS = 64  # API metadata, SDK

DATA_MAX_BYTES = 30_720  # API metadata, SDK; counted in UTF-8
DATA_TYPES = ("text", "binary")  # CreateSecret page

SECRET_TYPES = ("Generic", "Rds", "Redis", "RAMCredentials", "ECS", "PolarDB")  # SDK

EXTENDED_CONFIG_MAX_CHARACTERS = 1_024  # CreateSecret page
CUSTOM_DATA_MAX_PAIRS = 10  # CreateSecret page

ROTATION_MIN_SECONDS = 6 * 3600  # CreateSecret page: 6 hours
ROTATION_MAX_SECONDS = 8_760 * 3600  # CreateSecret page: 8,760 hours
ROTATION_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}  # CreateSecret page

TAGS_MAX = 20  # API metadata, SDK
TAG_MAX_CHARACTERS = 128  # API metadata, SDK; key and value each
TAG_CHARACTERS = LETTERS_AND_DIGITS + "/\\_-.+=:@"  # API metadata, SDK
TAG_KEY_RESERVED_PREFIXES = ("aliyun", "acs:")  # API metadata, SDK

POLICY_MAX_BYTES = 32_768  # API metadata, SDK
POLICY_VERSION = "1"  # SDK
POLICY_EFFECTS = ("Allow", "Deny")  # SDK
POLICY_ACTION_PREFIX = "kms:"  # SDK
POLICY_SID_MAX_CHARACTERS = 128  # SDK; its own example has spaces, so its list of characters is not held to
