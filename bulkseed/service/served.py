"""Which handler serves which action, and which resources the caller needs permission for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bulkseed.model import Fault
from bulkseed.service.access import resources as of
from bulkseed.service.access.resources import Resources
from bulkseed.service.context import Context
from bulkseed.service.handlers import deletion, describe, keys, rotation, secrets, tags, versions
from bulkseed.service.handlers import random_password as passwords
from bulkseed.wire.actions.codec import Document


class Served(NamedTuple):
    """A handler and what it needs permission for."""

    handler: Callable[[Context, Any], Document | Fault]
    resources: Resources


SERVED: dict[str, Served] = {
    "CancelKeyDeletion": Served(keys.cancel_deletion, of.key),
    "CreateKey": Served(keys.create, of.container("key")),
    "CreateSecret": Served(secrets.create_secret, of.new_secret),
    "DeleteSecret": Served(deletion.delete_secret, of.secret),
    "DescribeKey": Served(keys.describe, of.key),
    "DescribeSecret": Served(describe.describe_secret, of.secret),
    "DisableKey": Served(keys.disable, of.key),
    "EnableKey": Served(keys.enable, of.key),
    "GenerateDataKey": Served(keys.generate, of.key),
    "GetKmsInstanceQuotaInfos": Served(describe.get_kms_instance_quota_infos, of.container("*")),
    "GetRandomPassword": Served(passwords.get_random_password, of.container("*")),
    "GetSecretValue": Served(secrets.get_secret_value, of.secret),
    "ListKeys": Served(keys.list_all, of.container("key")),
    "ListSecretVersionIds": Served(versions.list_secret_version_ids, of.secret),
    "ListSecrets": Served(describe.list_secrets, of.container("secret")),
    "PutSecretValue": Served(secrets.put_secret_value, of.secret),
    "RestoreSecret": Served(deletion.restore_secret, of.secret),
    "RotateSecret": Served(rotation.rotate, of.secret),
    "ScheduleKeyDeletion": Served(keys.schedule_deletion, of.key),
    "TagResource": Served(tags.tag, of.tagged),
    "UntagResource": Served(tags.untag, of.tagged),
    "UpdateSecret": Served(tags.update, of.secret),
    "UpdateSecretRotationPolicy": Served(rotation.update_policy, of.secret),
    "UpdateSecretVersionStage": Served(versions.update_secret_version_stage, of.secret),
}
