"""A request of every action that the local KMS grants, and the things that such requests name.

The fuzzer starts from these: what is nearly right gets further than what is only strange. A text with a
dollar stands for a thing of `Things`, which is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from bulkseed.model import SecretValue
from bulkseed.wire.actions import (
    asymmetric_encrypt,
    asymmetric_sign,
    create_alias,
    create_key,
    create_secret,
    delete_secret,
    encrypt,
    generate_mac,
    schedule_key_deletion,
)
from support.kms import Desk

DAY = 86_400
DIGEST = "A" * 43 + "="
POLICY = (
    '{"Version":"1","Statement":[{"Effect":"Deny","Principal":{"RAM":["*"]},"Action":["kms:*"],'
    '"Resource":["*"]}]}'
)
_KEY, _SECRET = {"KeyId": "$Key"}, {"SecretName": "there"}
_SIGNING = {"KeyId": "$Signing", "KeyVersionId": "$SigningVersion"}
_SEALING = {"KeyId": "$Sealing", "KeyVersionId": "$SealingVersion", "Algorithm": "RSAES_OAEP_SHA_256"}
_MAC = {"KeyId": "$Mac", "Algorithm": "HMAC_SHA_256", "Message": "MTIzNA=="}
_TAGGED = {"ResourceType": "secret", "ResourceId.1": "there"}

GOOD: dict[str, dict[str, str]] = {
    "AsymmetricDecrypt": _SEALING | {"CiphertextBlob": "$Sealed"},
    "AsymmetricEncrypt": _SEALING | {"Plaintext": "MTIzNA=="},
    "AsymmetricSign": _SIGNING | {"Algorithm": "ECDSA_SHA_256", "Digest": DIGEST},
    "AsymmetricVerify": _SIGNING | {"Algorithm": "ECDSA_SHA_256", "Digest": DIGEST, "Value": "$Signature"},
    "BatchGetSecretValue": {"SecretsList": '[{"SecretName":"there"}]'},
    "CancelKeyDeletion": {"KeyId": "$Leaving"},
    "CreateAlias": _KEY | {"AliasName": "alias/new"},
    "CreateKey": {},
    "CreateKeyVersion": {"KeyId": "$Signing"},
    "CreateSecret": {"SecretName": "new", "VersionId": "v1", "SecretData": "fake"},
    "Decrypt": {"CiphertextBlob": "$Ciphertext"},
    "DeleteAlias": {"AliasName": "alias/app"},
    "DeleteSecret": _SECRET,
    "DescribeAccountKmsStatus": {},
    "DescribeKey": _KEY,
    "DescribeKeyVersion": _SIGNING,
    "DescribeRegions": {},
    "DescribeSecret": _SECRET,
    "DisableKey": _KEY,
    "EnableKey": _KEY,
    "Encrypt": _KEY | {"Plaintext": "MTIzNA=="},
    "GenerateDataKey": _KEY,
    "GenerateDataKeyWithoutPlaintext": _KEY,
    "GenerateMac": _MAC,
    "GetKeyPolicy": _KEY,
    "GetKmsInstanceQuotaInfos": {},
    "GetPublicKey": _SIGNING,
    "GetRandomPassword": {},
    "GetSecretPolicy": _SECRET,
    "GetSecretValue": _SECRET,
    "ListAliases": {},
    "ListAliasesByKeyId": _KEY,
    "ListKeyVersions": _KEY,
    "ListKeys": {},
    "ListResourceTags": _KEY,
    "ListSecretVersionIds": _SECRET,
    "ListSecrets": {},
    "ListTagResources": {"ResourceType": "secret"},
    "OpenKmsService": {},
    "PutSecretValue": _SECRET | {"VersionId": "v2", "SecretData": "fake"},
    "ReEncrypt": {"CiphertextBlob": "$Ciphertext", "DestinationKeyId": "$Key"},
    "RestoreSecret": {"SecretName": "$Planned"},
    "RotateSecret": {"SecretName": "rds", "VersionId": "v2"},
    "ScheduleKeyDeletion": _KEY | {"PendingWindowInDays": "7"},
    "SetDeletionProtection": _KEY | {"EnableDeletionProtection": "true"},
    "SetKeyPolicy": _KEY | {"Policy": POLICY},
    "SetSecretPolicy": _SECRET | {"Policy": POLICY},
    "TagResource": _SECRET | {"Tags": '[{"TagKey":"k","TagValue":"v"}]'},
    "TagResources": _TAGGED | {"Tag.1.Key": "k", "Tag.1.Value": "v"},
    "UntagResource": _SECRET | {"TagKeys": '["k"]'},
    "UntagResources": _TAGGED | {"TagKey.1": "k"},
    "UpdateAlias": _KEY | {"AliasName": "alias/app"},
    "UpdateKeyDescription": _KEY | {"Description": "words"},
    "UpdateRotationPolicy": _KEY | {"EnableAutomaticRotation": "true", "RotationInterval": "7d"},
    "UpdateSecret": _SECRET | {"Description": "words"},
    "UpdateSecretRotationPolicy": {"SecretName": "rds", "EnableAutomaticRotation": "false"},
    "UpdateSecretVersionStage": _SECRET | {"VersionStage": "mine", "MoveToVersion": "v1"},
    "VerifyMac": _MAC | {"Mac": "$Code"},
}


class Things:
    """A secret, a managed one and a key with an alias on a desk; everything else at the first question.

    Both secrets hold `value`.
    """

    def __init__(self, desk: Desk, value: str) -> None:
        self._desk = desk
        self._made: dict[str, str] = {}
        desk.ask(create_secret.Request("there", "v1", SecretValue(value)))
        config = '{"SecretSubType":"DoubleUsers","DBInstanceId":"rm-1"}'
        text = '{"Accounts":[{"AccountName":"a","AccountPassword":"%s"}]}' % value  # noqa: UP031  # braces
        managed = create_secret.Request(
            "rds", "v1", SecretValue(text), secret_type="Rds", extended_config=config
        )
        desk.ask(managed)
        desk.ask(create_alias.Request("alias/app", self.text("$Key")))

    def text(self, text: str) -> str:
        """Return what a text stands for; itself, if it is no name of a thing."""
        make = _MAKERS.get(text)
        if make is None:
            return text
        if text not in self._made:
            self._made[text] = make(self)
        return self._made[text]

    def key(self, spec: str | None = None, usage: str | None = None) -> str:
        """Return the id of a new key; it is old enough for a further version."""
        self._desk.now -= 8 * DAY
        made = self._desk.ask(create_key.Request(key_spec=spec, key_usage=usage)).key_metadata
        self._desk.now += 8 * DAY
        self._made[f"{made.key_id} version"] = made.primary_key_version
        return str(made.key_id)

    def version(self, name: str) -> str:
        """Return the version of a key."""
        return self._made[f"{self.text(name)} version"]

    def ask(self, request: object, attribute: str) -> str:
        """Return a field of a reply."""
        return str(getattr(self._desk.ask(request), attribute))

    def planned(self) -> str:
        """Return a secret that is planned to be deleted."""
        self._desk.ask(create_secret.Request("planned", "v1", SecretValue("fake")))
        self._desk.ask(delete_secret.Request("planned"))
        return "planned"

    def leaving(self) -> str:
        """Return a key that is planned to be deleted."""
        key = self.key()
        self._desk.ask(schedule_key_deletion.Request(key, 7))
        return key


def _sign(things: Things) -> str:
    key = things.text("$Signing"), things.text("$SigningVersion")
    return things.ask(asymmetric_sign.Request(*key, "ECDSA_SHA_256", DIGEST), "value")


def _seal(things: Things) -> str:
    key = things.text("$Sealing"), things.text("$SealingVersion")
    request = asymmetric_encrypt.Request(*key, "RSAES_OAEP_SHA_256", SecretValue("MTIzNA=="))
    return things.ask(request, "ciphertext_blob")


_MAKERS: dict[str, Callable[[Things], str]] = {
    "$Key": lambda things: things.key(),
    "$Ciphertext": lambda things: things.ask(
        encrypt.Request(things.text("$Key"), SecretValue("cGxhaW4=")), "ciphertext_blob"
    ),
    "$Signing": lambda things: things.key("EC_P256"),
    "$SigningVersion": lambda things: things.version("$Signing"),
    "$Signature": _sign,
    "$Sealing": lambda things: things.key("RSA_2048", "ENCRYPT/DECRYPT"),
    "$SealingVersion": lambda things: things.version("$Sealing"),
    "$Sealed": _seal,
    "$Mac": lambda things: things.key("HMAC_SHA_256"),
    "$Code": lambda things: things.ask(
        generate_mac.Request(things.text("$Mac"), "HMAC_SHA_256", SecretValue("MTIzNA==")), "mac"
    ),
    "$Planned": Things.planned,
    "$Leaving": Things.leaving,
}
THINGS = tuple(_MAKERS)
