"""Step → how it travels: its quota group, the call for an item, and the answer in a response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from bulkseed.client.service_time import ServiceTime
from bulkseed.model import Created, Fault, NoReply, QuotaGroup, SecretDefinition
from bulkseed.policy import steps
from bulkseed.policy.moments import CreationTime
from bulkseed.policy.steps import Counted, Described, Done, Found, Step
from bulkseed.wire.actions import (
    create_secret,
    delete_secret,
    describe_secret,
    get_secret_value,
    list_secret_version_ids,
    put_secret_value,
    restore_secret,
    update_secret_version_stage,
)
from bulkseed.wire.actions.codec import MISMATCHED
from bulkseed.wire.encoding import parse_timestamp
from bulkseed.wire.message import Call, Response
from bulkseed.wire.validation.secret_types import MANAGED, holds_value

CURRENT = "ACSCurrent"
"""The stage that marks the version in force."""

Item = TypeVar("Item", contravariant=True)  # noqa: PLC0105  # plain names
A = TypeVar("A", covariant=True)  # noqa: PLC0105  # plain names
R = TypeVar("R", bound="Encodes")


class Operation(NamedTuple, Generic[Item, A]):
    """A kind of request: its quota group and both directions, for any item of its type."""

    group: QuotaGroup
    encode: Callable[[Item], Call]
    decode: Callable[[Response, Item, ServiceTime], A | Fault | NoReply]


class Named(Protocol):
    """Whatever has a secret's name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Superseded(Named, Protocol):
    """A secret in which one version took the place of another."""

    @property
    def superseded(self) -> str | None:
        """The version that was in force before."""
        ...

    @property
    def last(self) -> str:
        """The version that took its place."""
        ...


class Encodes(Protocol):
    """A request of `bulkseed.wire.actions`."""

    def encode(self) -> Call:
        """Return the call."""
        ...


def question(
    group: QuotaGroup, request: type[R], read: Callable[[Response, R], A | Fault | NoReply]
) -> Operation[R, A]:
    """Return the operation whose item is an action's request and whose answer is its reply."""
    return Operation(group, request.encode, lambda response, asked, _time: read(response, asked))


def deletion(recovery_days: int | None) -> Operation[Named, Done]:
    """Return DeleteSecret, restorable for 7 to 30 days, or at once with None.

    The two options exclude each other (DeleteSecret page).
    """

    def encode(item: Named) -> Call:
        if recovery_days is None:
            return delete_secret.Request(item.name, force_delete_without_recovery=True).encode()
        return delete_secret.Request(item.name, recovery_window_in_days=recovery_days).encode()

    def deleted(response: Response, item: Named, _time: ServiceTime) -> Done | Fault | NoReply:
        reply = delete_secret.Reply.read(response, delete_secret.Request(item.name))
        if isinstance(reply, Fault | NoReply):
            return reply
        until = None if recovery_days is None else reply.planned_delete_time
        return Done(reply.request_id, restorable_until=until)

    return Operation(delete_secret.GROUP, encode, deleted)


def _created(
    response: Response, definition: SecretDefinition, _time: ServiceTime
) -> Created | Fault | NoReply:
    return create_secret.decode(response, definition)


def _version(definition: SecretDefinition) -> get_secret_value.Request:
    return get_secret_value.Request(definition.name, version_id=definition.version_id)


def _current(definition: SecretDefinition) -> get_secret_value.Request:
    return get_secret_value.Request(definition.name)


def _reading(
    request: Callable[[SecretDefinition], get_secret_value.Request],
) -> Operation[SecretDefinition, Found]:
    def found(response: Response, definition: SecretDefinition, time: ServiceTime) -> Found | Fault | NoReply:
        return _found(_read_value(response, request(definition)), definition, time)

    return Operation(get_secret_value.GROUP, lambda definition: request(definition).encode(), found)


def _read_value(
    response: Response, asked: get_secret_value.Request
) -> get_secret_value.Reply | Fault | NoReply:
    reply = get_secret_value.Reply.read(response, asked)
    if reply is not MISMATCHED:
        return reply
    # Of a managed secret the service tells the version in force, whatever VersionId is (GetSecretValue page).
    in_force = get_secret_value.Reply.read(response, get_secret_value.Request(asked.secret_name))
    return in_force if isinstance(in_force, get_secret_value.Reply) and _is_managed(in_force) else reply


def _is_managed(reply: get_secret_value.Reply) -> bool:
    return reply.secret_type in MANAGED


def _found(
    reply: get_secret_value.Reply | Fault | NoReply, definition: SecretDefinition, time: ServiceTime
) -> Found | Fault | NoReply:
    if isinstance(reply, Fault | NoReply):
        return reply
    stages = reply.version_stages  # which tell whether this version is in force (GetSecretValue page)
    return Found(
        version_id=reply.version_id,
        same_value=holds_value(definition.secret_type, definition.data.reveal(), reply.secret_data.reveal())
        and (reply.secret_data_type or "text") == (definition.data_type or "text"),
        created=_when(reply.create_time, time),
        in_force=CURRENT in stages or not stages,
        rotated=_is_managed(reply)
        and reply.secret_type == definition.secret_type
        and reply.version_id != definition.version_id
        and reply.last_rotation_date is not None,
    )


def _describe(item: Named) -> Call:
    return describe_secret.Request(item.name).encode()


def _described(response: Response, item: Named, time: ServiceTime) -> Described | Fault | NoReply:
    reply = describe_secret.Reply.read(response, describe_secret.Request(item.name))
    if isinstance(reply, Fault | NoReply):
        return reply
    created = _when(reply.create_time, time)
    return Described(
        created=created,
        dated=None if created is None else reply.create_time,
        unchanged=created is not None and reply.update_time == reply.create_time,
        to_be_deleted=reply.planned_delete_time is not None,
    )


def _when(timestamp: str | None, time: ServiceTime) -> CreationTime | None:
    seconds = parse_timestamp(timestamp) if timestamp else None
    return None if seconds is None else time.creation(seconds)


def _putting_back(item: Superseded) -> update_secret_version_stage.Request:
    return update_secret_version_stage.Request(item.name, CURRENT, item.superseded, item.last)


def _put_back(response: Response, item: Superseded, _time: ServiceTime) -> Done | Fault | NoReply:
    reply = update_secret_version_stage.Reply.read(response, _putting_back(item))
    return reply if isinstance(reply, Fault | NoReply) else Done(reply.request_id)


def _count(item: Named) -> Call:
    return list_secret_version_ids.Request(item.name, include_deprecated=True).encode()


def _counted(response: Response, item: Named, _time: ServiceTime) -> Counted | Fault | NoReply:
    reply = list_secret_version_ids.Reply.read(response, list_secret_version_ids.Request(item.name))
    if isinstance(reply, Fault | NoReply):
        return reply
    current = [entry.version_id for entry in reply.version_ids if CURRENT in entry.version_stages]
    ids = tuple(entry.version_id for entry in reply.version_ids)
    return Counted(reply.total_count, ids, current[0] if len(current) == 1 else None)


def _putting(definition: SecretDefinition) -> put_secret_value.Request:
    return put_secret_value.Request(
        definition.name, definition.version_id, definition.data, definition.data_type
    )


def _put(definition: SecretDefinition) -> Call:
    return _putting(definition).encode()


def _put_done(response: Response, definition: SecretDefinition, _time: ServiceTime) -> Done | Fault | NoReply:
    reply = put_secret_value.Reply.read(response, _putting(definition))
    if isinstance(reply, Fault | NoReply):
        return reply
    # The same version and value again is a success that moves no stage.
    return Done(reply.request_id, current=CURRENT in reply.version_stages)


def _restore(item: Named) -> Call:
    return restore_secret.Request(item.name).encode()


def _restored(response: Response, item: Named, _time: ServiceTime) -> Done | Fault | NoReply:
    reply = restore_secret.Reply.read(response, restore_secret.Request(item.name))
    return reply if isinstance(reply, Fault | NoReply) else Done(reply.request_id)


CREATE: Operation[SecretDefinition, Created] = Operation(create_secret.GROUP, create_secret.encode, _created)

OPERATIONS: Mapping[Step[Any], Operation[Any, Any]] = {
    steps.CREATE: CREATE,
    steps.READ_VERSION: _reading(_version),
    steps.READ_CURRENT: _reading(_current),
    steps.DESCRIBE: Operation(describe_secret.GROUP, _describe, _described),
    steps.COUNT_VERSIONS: Operation(list_secret_version_ids.GROUP, _count, _counted),
    steps.PUT: Operation(put_secret_value.GROUP, _put, _put_done),
    steps.RESTORE: Operation(restore_secret.GROUP, _restore, _restored),
    steps.PUT_BACK: Operation(
        update_secret_version_stage.GROUP, lambda item: _putting_back(item).encode(), _put_back
    ),
    steps.DELETE: deletion(recovery_days=30),
}
