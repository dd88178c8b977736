"""Step → how it travels: its lane, the call for a definition, and the answer in a response."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bulkseed.client.service_time import ServiceTime
from bulkseed.model import Fault, NoReply, SecretDefinition
from bulkseed.policy.steps import Answer, Counted, Described, Done, Found, Step
from bulkseed.wire.actions import (
    create_secret,
    describe_secret,
    get_secret_value,
    list_secret_version_ids,
    put_secret_value,
    restore_secret,
)
from bulkseed.wire.encoding import parse_timestamp
from bulkseed.wire.message import Call, QuotaGroup, Response


class Operation(NamedTuple):
    """One step's lane and both directions."""

    lane: QuotaGroup
    encode: Callable[[SecretDefinition], Call]
    decode: Callable[[Response, SecretDefinition, ServiceTime], Answer]


def _create(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    return create_secret.decode(response)


def _read_version(definition: SecretDefinition) -> Call:
    return get_secret_value.Request(definition.name, version_id=definition.version_id).encode()


def _read_current(definition: SecretDefinition) -> Call:
    return get_secret_value.Request(definition.name).encode()


def _found(response: Response, definition: SecretDefinition, time: ServiceTime) -> Answer:
    reply = get_secret_value.Reply.read(response)
    if isinstance(reply, Fault | NoReply):
        return reply
    return Found(
        version_id=reply.version_id,
        same_value=reply.secret_data == definition.data
        and (reply.secret_data_type or "text") == (definition.data_type or "text"),
        created_at=_when(reply.create_time, time),
    )


def _describe(definition: SecretDefinition) -> Call:
    return describe_secret.Request(definition.name).encode()


def _described(response: Response, _definition: SecretDefinition, time: ServiceTime) -> Answer:
    reply = describe_secret.Reply.read(response)
    if isinstance(reply, Fault | NoReply):
        return reply
    created = parse_timestamp(reply.create_time) if reply.create_time else None
    return Described(
        created_at=None if created is None else time.ours(created),
        dated=None if created is None else reply.create_time,
        not_before=None if created is None else time.ours_not_before(created),
        unchanged=created is not None and reply.update_time == reply.create_time,
        to_be_deleted=reply.planned_delete_time is not None,
    )


def _when(timestamp: str | None, time: ServiceTime) -> float | None:
    seconds = parse_timestamp(timestamp) if timestamp else None
    return None if seconds is None else time.ours(seconds)


def _count(definition: SecretDefinition) -> Call:
    return list_secret_version_ids.Request(definition.name, include_deprecated=True).encode()


def _counted(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    reply = list_secret_version_ids.Reply.read(response)
    if isinstance(reply, Fault | NoReply):
        return reply
    return Counted(reply.total_count, tuple(entry.version_id for entry in reply.version_ids))


def _put(definition: SecretDefinition) -> Call:
    return put_secret_value.Request(
        definition.name, definition.version_id, definition.data, definition.data_type
    ).encode()


def _put_done(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    reply = put_secret_value.Reply.read(response)
    if isinstance(reply, Fault | NoReply):
        return reply
    # The same version and value again is a success that moves no stage.
    return Done(reply.request_id, current="ACSCurrent" in reply.version_stages)


def _restore(definition: SecretDefinition) -> Call:
    return restore_secret.Request(definition.name).encode()


def _restored(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    reply = restore_secret.Reply.read(response)
    if isinstance(reply, Fault) and reply.code == "Rejected.ResourceInUse":
        return Done(reply.request_id)  # it is not, or no longer, scheduled for deletion
    return reply if isinstance(reply, Fault | NoReply) else Done(reply.request_id)


STEPS: dict[Step, Operation] = {
    Step.CREATE: Operation(QuotaGroup.CREATE, create_secret.encode, _create),
    Step.READ_VERSION: Operation(QuotaGroup.READ, _read_version, _found),
    Step.READ_CURRENT: Operation(QuotaGroup.READ, _read_current, _found),
    Step.DESCRIBE: Operation(QuotaGroup.READ, _describe, _described),
    Step.COUNT_VERSIONS: Operation(QuotaGroup.MANAGE, _count, _counted),
    Step.PUT: Operation(QuotaGroup.MANAGE, _put, _put_done),
    Step.RESTORE: Operation(QuotaGroup.MANAGE, _restore, _restored),
}
