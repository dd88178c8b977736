"""Which handler serves which action, and which resources the caller needs permission for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bulkseed.model import Fault
from bulkseed.service.access import resources as of
from bulkseed.service.access.resources import Resources
from bulkseed.service.context import Context
from bulkseed.service.handlers import (
    account,
    aliases,
    asymmetric,
    batch,
    ciphers,
    deletion,
    describe,
    key_settings,
    keys,
    macs,
    policies,
    re_encryption,
    resource_tags,
    rotation,
    secrets,
    tags,
    versions,
)
from bulkseed.service.handlers import random_password as passwords
from bulkseed.wire.actions.codec import Document


class Served(NamedTuple):
    """A handler and what it needs permission for."""

    handler: Callable[[Context, Any], Document | Fault]
    resources: Resources


SERVED: dict[str, Served] = {
    "AsymmetricDecrypt": Served(asymmetric.decrypt, of.key),
    "AsymmetricEncrypt": Served(asymmetric.encrypt, of.key),
    "AsymmetricSign": Served(asymmetric.sign, of.key),
    "AsymmetricVerify": Served(asymmetric.verify, of.key),
    "BatchGetSecretValue": Served(batch.get_secret_values, of.nothing),
    "CancelKeyDeletion": Served(keys.cancel_deletion, of.key),
    "CreateAlias": Served(aliases.create, of.alias_and_key),
    "CreateKey": Served(keys.create, of.container("key")),
    "CreateKeyVersion": Served(key_settings.create_version, of.key),
    "CreateSecret": Served(secrets.create_secret, of.new_secret),
    "Decrypt": Served(ciphers.decrypt, of.cipher_key),
    "DeleteAlias": Served(aliases.delete, of.alias),
    "DeleteSecret": Served(deletion.delete_secret, of.secret),
    "DescribeAccountKmsStatus": Served(account.status, of.container("*")),
    "DescribeKey": Served(keys.describe, of.key),
    "DescribeKeyVersion": Served(key_settings.describe_version, of.key),
    "DescribeRegions": Served(account.regions, of.nothing),
    "DescribeSecret": Served(describe.describe_secret, of.secret),
    "DisableKey": Served(keys.disable, of.key),
    "EnableKey": Served(keys.enable, of.key),
    "Encrypt": Served(ciphers.encrypt, of.key),
    "GenerateDataKey": Served(ciphers.generate_data_key, of.key),
    "GenerateDataKeyWithoutPlaintext": Served(ciphers.generate_sealed_data_key, of.key),
    "GenerateMac": Served(macs.generate, of.key),
    "GetKeyPolicy": Served(policies.get_of_key, of.key),
    "GetKmsInstanceQuotaInfos": Served(describe.get_kms_instance_quota_infos, of.container("*")),
    "GetPublicKey": Served(asymmetric.get_public_key, of.key),
    "GetRandomPassword": Served(passwords.get_random_password, of.container("*")),
    "GetSecretPolicy": Served(policies.get_of_secret, of.secret),
    "GetSecretValue": Served(secrets.get_secret_value, of.secret),
    "ListAliases": Served(aliases.list_all, of.container("alias")),
    "ListAliasesByKeyId": Served(aliases.list_of_key, of.key),
    "ListKeyVersions": Served(key_settings.list_versions, of.key),
    "ListKeys": Served(keys.list_all, of.container("key")),
    "ListResourceTags": Served(key_settings.list_tags, of.key),
    "ListSecretVersionIds": Served(versions.list_secret_version_ids, of.secret),
    "ListSecrets": Served(describe.list_secrets, of.container("secret")),
    "ListTagResources": Served(resource_tags.list_all, of.listed),
    "OpenKmsService": Served(account.open_service, of.container("*")),
    "PutSecretValue": Served(secrets.put_secret_value, of.secret),
    "ReEncrypt": Served(re_encryption.re_encrypt, of.nothing),
    "RestoreSecret": Served(deletion.restore_secret, of.secret),
    "RotateSecret": Served(rotation.rotate, of.secret),
    "ScheduleKeyDeletion": Served(keys.schedule_deletion, of.key),
    "SetDeletionProtection": Served(key_settings.protect, of.protected_key),
    "SetKeyPolicy": Served(policies.set_of_key, of.key),
    "SetSecretPolicy": Served(policies.set_of_secret, of.secret),
    "TagResource": Served(tags.tag, of.tagged),
    "TagResources": Served(resource_tags.tag, of.listed),
    "UntagResource": Served(tags.untag, of.tagged),
    "UntagResources": Served(resource_tags.untag, of.listed),
    "UpdateAlias": Served(aliases.update, of.alias_and_key),
    "UpdateKeyDescription": Served(key_settings.describe, of.key),
    "UpdateRotationPolicy": Served(key_settings.set_rotation, of.key),
    "UpdateSecret": Served(tags.update, of.secret),
    "UpdateSecretRotationPolicy": Served(rotation.update_policy, of.secret),
    "UpdateSecretVersionStage": Served(versions.update_secret_version_stage, of.secret),
    "VerifyMac": Served(macs.verify, of.key),
}
