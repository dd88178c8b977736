"""What the page says about actions and their parameters; names, types and what is required are the wire's.

The sentences are in our own words, after the API reference of each action (API metadata 2024-06).
"""

from __future__ import annotations

import re
import sys
from typing import Any

from bulkseed.model import SecretValue
from bulkseed.service.handlers.ciphers import DATA_KEY_BYTES
from bulkseed.service.handlers.filters import ENTRIES_MAX
from bulkseed.service.handlers.key_settings import DESCRIPTION_MAX
from bulkseed.service.handlers.pagination import SIZE_MAX
from bulkseed.service.handlers.resource_tags import RESOURCES_MAX
from bulkseed.service.served import SERVED
from bulkseed.service.storage.specs import ENCRYPT, MAC, SIGN, SPECS
from bulkseed.wire.actions.codec import Field, shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.validation import limits

_JSON = {"Tags", "ExtendedConfig", "ExtendedConfig.CustomData", "Policy", "Filters", "VersionStages"}.union(
    ("SecretsList", "EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext", "TagKeys")
)
_CHOICES = {
    "SecretDataType": limits.DATA_TYPES,
    "SecretType": limits.SECRET_TYPES,
    "KeySpec": tuple(SPECS),
    "KeyUsage": (ENCRYPT, SIGN, MAC),
    "ProtectionLevel": ("SOFTWARE", "HSM"),
    "GenerateDataKey.KeySpec": tuple(DATA_KEY_BYTES),
    "GenerateDataKeyWithoutPlaintext.KeySpec": tuple(DATA_KEY_BYTES),
    "GetKmsInstanceQuotaInfos.ResourceType": ("secret", "key", "qps", "vpc"),
    "ResourceType": ("secret", "key"),
}
_TEXTS = {
    "SecretName": f"The secret; up to {limits.NAME_MAX_CHARACTERS} letters, digits and _ / + = . @ -",
    "SecretData": f"The value; up to {limits.DATA_MAX_BYTES:,} bytes. Managed secrets want JSON.",
    "VersionId": f"A version, unique in the secret; up to {limits.VERSION_ID_MAX_CHARACTERS} characters.",
    "SecretDataType": "text, which is the default, or binary for a value in Base64.",
    "SecretType": "Generic is the default; the others are managed and can rotate.",
    "EncryptionKeyId": "A symmetric key that seals the value; without one the service's own is used.",
    "DKMSInstanceId": "A KMS instance: kst-…",
    "Description": f"A text for people; of a key up to {DESCRIPTION_MAX:,} characters.",
    "Tags": f'Up to {limits.TAGS_MAX} tags: [{{"TagKey":"team","TagValue":"a"}}]',
    "ExtendedConfig": "Of a managed secret: a JSON object, up to 1,024 characters.",
    "ExtendedConfig.CustomData": f"Up to {limits.CUSTOM_DATA_MAX_PAIRS} pairs of your own, a JSON object.",
    "EnableAutomaticRotation": "Whether a managed secret rotates by itself.",
    "RotationInterval": "How often: 7d, 168h, 10080m or 604800s; from 6 hours to 8,760 hours.",
    "Policy": f"Who may use it: JSON of up to {limits.POLICY_MAX_BYTES:,} bytes.",
    "ForceDeleteWithoutRecovery": "Delete at once, for good.",
    "RecoveryWindowInDays": "How long it can be restored: 7 to 30 days; 30 is the default.",
    "FetchTags": "Whether the tags come with the reply.",
    "KeyId": "The key's id, its ARN or an alias.",
    "KeySpec": "The kind of key; the first is the default.",
    "KeyUsage": "What the key is for.",
    "Origin": "Where the key material comes from: Aliyun_KMS; EXTERNAL is not modelled.",
    "ProtectionLevel": "Where the key is kept.",
    "NumberOfBytes": "The length of the data key, in bytes: 1 to 1,024.",
    "EncryptionContext": "A JSON object that Decrypt must be given again.",
    "PendingWindowInDays": "After how many days the key is deleted: 7 to 366.",
    "PageNumber": "Which page; 1 is the first.",
    "PageSize": f"Entries on a page: 1 to {SIZE_MAX}.",
    "IncludeDeprecated": "Whether versions without a stage are listed.",
    "Filters": f'Up to {ENTRIES_MAX}: [{{"Key":"SecretName","Values":["app"]}}]',
    "VersionStage": "A stage's label: ACSCurrent, ACSPrevious or your own.",
    "VersionStages": 'The stages of the new version; ["ACSCurrent"] is the default.',
    "MoveToVersion": "The version that gets the stage.",
    "RemoveFromVersion": "The version that loses the stage.",
    "FetchExtendedConfig": "Whether the settings of a managed secret come with the reply.",
    "DryRun": "Check only; it never succeeds.",
    "TagKeys": 'Keys of tags: ["team","env"]',
    "CertificateId": "A certificate; none exist here.",
    "PasswordLength": "8 to 128 characters; 32 is the default.",
    "ExcludeCharacters": "Characters that the password must not have.",
    "ExcludeLowercase": "Leave out a-z.",
    "ExcludeUppercase": "Leave out A-Z.",
    "ExcludeNumbers": "Leave out 0-9.",
    "ExcludePunctuation": "Leave out punctuation.",
    "RequireEachIncludedType": "Have one of each kind that is not left out.",
    "KmsInstanceId": "A KMS instance: kst-…",
    "ResourceType": "Secrets or keys.",
    "SecretsList": 'Up to 20 secrets: [{"SecretName":"app"}]',
    "KeyVersionId": "A version of the key.",
    "Algorithm": "How, for instance RSAES_OAEP_SHA_256, ECDSA_SHA_256 or HMAC_SHA_256; the key must fit.",
    "CiphertextBlob": "What Encrypt gave, in Base64.",
    "Recipient": "Of confidential computing; not modelled.",
    "Plaintext": "Up to 6 KB, in Base64.",
    "Digest": "The SHA-256 hash of what is signed, in Base64.",
    "Value": "The signature, in Base64.",
    "AliasName": "Another name of a key: alias/…, up to 255 characters.",
    "Message": "Up to 4 KB, in Base64.",
    "Mac": "The code that GenerateMac gave, in Base64.",
    "PolicyName": "default; there is no other one.",
    "ResourceId": f"Up to {RESOURCES_MAX} names of secrets or ids of keys, one on each line.",
    "Tag": f"Up to {limits.TAGS_MAX} tags, one on each line: team=a",
    "TagKey": "Keys of tags, one on each line.",
    "NextToken": "Where the page before ended.",
    "DestinationKeyId": "The key that it is encrypted under from now on.",
    "SourceEncryptionContext": "The context that it was encrypted with.",
    "SourceKeyId": "The key whose public part sealed it, if one did.",
    "SourceKeyVersionId": "The version of that key.",
    "SourceEncryptionAlgorithm": "How it was sealed with the public part.",
    "DestinationEncryptionContext": "The context that it is encrypted with from now on.",
    "EnableDeletionProtection": "Whether the key is kept from being deleted.",
    "ProtectedResourceArn": "The key's ARN.",
    "DeletionProtectionDescription": "Why.",
    "All": "Take away all tags.",
}


def actions_table() -> list[dict[str, Any]]:
    """Return every action that the local KMS serves, with its parameters."""
    return [
        {
            "name": name,
            "group": str(ACTIONS[name].group),
            "text": _about(name),
            "parameters": [_row(name, f) for f in shape(ACTIONS[name].request)],
        }
        for name in sorted(SERVED)
        if name in ACTIONS
    ]


def _about(action: str) -> str:
    document = sys.modules[ACTIONS[action].request.__module__].__doc__ or ""
    return re.sub(r" \([^)]*\)", "", " ".join(document.split("\n\n")[0].split()))  # without its sources


def _row(action: str, f: Field) -> dict[str, Any]:
    choices = _CHOICES.get(f"{action}.{f.wire}", _CHOICES.get(f.wire, ()))
    names = {bool: "boolean", int: "integer"}
    return {
        "name": f.wire,
        "type": "list" if f.numbered else "JSON" if f.wire in _JSON else names.get(f.kind, "string"),
        "required": f.required,
        "secret": f.kind is SecretValue,
        "choices": list(choices) or (["true", "false"] if f.kind is bool else []),
        "text": _TEXTS.get(f.wire, ""),
    }
