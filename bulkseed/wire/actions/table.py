"""The table of actions: name → quota group, request and reply.

It imports every action: a client imports those that it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters


class Action(NamedTuple):
    """An action's quota group and both of its shapes."""

    group: QuotaGroup
    request: type[Parameters]
    reply: type[Document]


_MODULES = (
    "asymmetric_decrypt",
    "asymmetric_encrypt",
    "asymmetric_sign",
    "asymmetric_verify",
    "batch_get_secret_value",
    "cancel_key_deletion",
    "create_alias",
    "create_key",
    "create_key_version",
    "create_secret",
    "decrypt",
    "delete_alias",
    "delete_secret",
    "describe_account_kms_status",
    "describe_key",
    "describe_key_version",
    "describe_regions",
    "describe_secret",
    "disable_key",
    "enable_key",
    "encrypt",
    "generate_data_key",
    "generate_data_key_without_plaintext",
    "generate_mac",
    "get_key_policy",
    "get_kms_instance_quota_infos",
    "get_public_key",
    "get_random_password",
    "get_secret_policy",
    "get_secret_value",
    "list_aliases",
    "list_aliases_by_key_id",
    "list_key_versions",
    "list_keys",
    "list_resource_tags",
    "list_secret_version_ids",
    "list_secrets",
    "list_tag_resources",
    "open_kms_service",
    "put_secret_value",
    "re_encrypt",
    "restore_secret",
    "rotate_secret",
    "schedule_key_deletion",
    "set_deletion_protection",
    "set_key_policy",
    "set_secret_policy",
    "tag_resource",
    "tag_resources",
    "untag_resource",
    "untag_resources",
    "update_alias",
    "update_key_description",
    "update_rotation_policy",
    "update_secret",
    "update_secret_rotation_policy",
    "update_secret_version_stage",
    "verify_mac",
)

ACTIONS: dict[str, Action] = {
    module.ACTION: Action(module.GROUP, module.Request, module.Reply)
    for module in (import_module(f"bulkseed.wire.actions.{name}") for name in _MODULES)
}
