"""The table of actions: name → lane, request and reply. One file per action, both directions."""

from __future__ import annotations

from typing import NamedTuple

from bulkseed.wire.actions import (
    create_secret,
    delete_secret,
    describe_secret,
    get_kms_instance_quota_infos,
    get_secret_value,
    list_secret_version_ids,
    list_secrets,
    put_secret_value,
    restore_secret,
)
from bulkseed.wire.actions.shape import Document, Parameters
from bulkseed.wire.message import Lane


class Action(NamedTuple):
    """An action's quota group and both of its shapes."""

    lane: Lane
    request: type[Parameters]
    reply: type[Document]


ACTIONS: dict[str, Action] = {
    module.ACTION: Action(module.LANE, module.Request, module.Reply)
    for module in (
        create_secret,
        delete_secret,
        describe_secret,
        get_kms_instance_quota_infos,
        get_secret_value,
        list_secret_version_ids,
        list_secrets,
        put_secret_value,
        restore_secret,
    )
}
