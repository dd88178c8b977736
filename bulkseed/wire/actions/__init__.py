"""The table of actions: name → quota group, request and reply. One file per action, both directions."""

from __future__ import annotations

from typing import NamedTuple

from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_key,
    create_secret,
    delete_secret,
    describe_key,
    describe_secret,
    disable_key,
    enable_key,
    generate_data_key,
    get_kms_instance_quota_infos,
    get_random_password,
    get_secret_value,
    list_keys,
    list_secret_version_ids,
    list_secrets,
    put_secret_value,
    restore_secret,
    rotate_secret,
    schedule_key_deletion,
    tag_resource,
    untag_resource,
    update_secret,
    update_secret_rotation_policy,
    update_secret_version_stage,
)
from bulkseed.wire.actions.codec import Document, Parameters
from bulkseed.wire.message import QuotaGroup


class Action(NamedTuple):
    """An action's quota group and both of its shapes."""

    group: QuotaGroup
    request: type[Parameters]
    reply: type[Document]


ACTIONS: dict[str, Action] = {
    module.ACTION: Action(module.GROUP, module.Request, module.Reply)
    for module in (
        cancel_key_deletion,
        create_key,
        create_secret,
        delete_secret,
        describe_key,
        describe_secret,
        disable_key,
        enable_key,
        generate_data_key,
        get_kms_instance_quota_infos,
        get_random_password,
        get_secret_value,
        list_keys,
        list_secret_version_ids,
        list_secrets,
        put_secret_value,
        restore_secret,
        rotate_secret,
        schedule_key_deletion,
        tag_resource,
        untag_resource,
        update_secret,
        update_secret_rotation_policy,
        update_secret_version_stage,
    )
}
