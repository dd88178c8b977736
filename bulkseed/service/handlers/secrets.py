"""Secrets and their values: CreateSecret, GetSecretValue, PutSecretValue."""

from __future__ import annotations

import re
import uuid

import orjson

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context
from bulkseed.service.generic_secrets import add_generic, fields_of, read_tags
from bulkseed.service.managed_values import accounts_of, first_values
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.stages import STAGE, STAGES_KEPT, VERSIONS_KEPT, make_room, move_stage
from bulkseed.service.storage.store import CURRENT, PREVIOUS, StoredSecret, Version
from bulkseed.wire.actions import create_secret as creating
from bulkseed.wire.actions import get_secret_value as reading
from bulkseed.wire.actions import put_secret_value as putting
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import broken_rule, fault, invalid_parameter
from bulkseed.wire.validation.parameters import create_secret_problems, parameter_problems, rotation_seconds
from bulkseed.wire.validation.secret_types import created_name, json_object

INSTANCE_ID = re.compile("kst-[0-9A-Za-z]{1,60}")  # instances are not modelled: any id of this form exists


def create_secret(context: Context, asked: creating.Request, /) -> creating.Reply | Fault:
    """Create a secret with its initial version, which becomes ACSCurrent; nothing refused is stored."""
    problems = create_secret_problems(context.parameters)
    if problems:
        return broken_rule(*problems[0])
    service, now = context.service, context.now
    store = service.store
    kind = asked.secret_type or "Generic"
    name = created_name(asked.secret_name, kind, asked.extended_config)
    if store.has(name):
        existing = context.find_live(name)
        return existing if isinstance(existing, Fault) else fault("Rejected.ResourceExist")
    if service.secret_quota is not None and store.secret_count >= service.secret_quota:
        return fault("Rejected.LimitExceeded")
    if asked.dkms_instance_id is not None and not INSTANCE_ID.fullmatch(asked.dkms_instance_id):
        return fault("Forbidden.DKMSInstanceNotFound")
    key = service.keys.for_secret(asked.encryption_key_id, asked.dkms_instance_id, now)
    if isinstance(key, Fault):
        return key
    if not context.may_use("GenerateDataKey", key):
        return fault("Forbidden.NoPermission")
    reply = creating.Reply(
        request_id=context.request_id,
        arn=service.account.secret_arn(name),
        secret_name=name,
        version_id=asked.version_id,
        secret_type=kind,
        dkms_instance_id=asked.dkms_instance_id,
    )
    if kind == "Generic":
        creator = context.caller.account
        add_generic(service, fields_of(asked), name, key, asked.secret_data.reveal(), now, creator)
        return reply
    secret = StoredSecret(
        id=None,
        name=name,
        generation="",
        type=kind,
        key_id=key.id,
        stages={CURRENT: asked.version_id},
        created=now,
        updated=now,
        creator=context.caller.account,
        instance_id=asked.dkms_instance_id,
        description=asked.description,
        tags=read_tags(asked.tags),
        policy=asked.policy,
    )
    return _create_managed(context, asked, secret, key, reply)


def _create_managed(
    context: Context, asked: creating.Request, secret: StoredSecret, key: Key, reply: creating.Reply
) -> creating.Reply | Fault:
    """Store a secret whose values the service makes, or takes apart, and whose rotation is its own."""
    data, config = asked.secret_data.reveal(), json_object(asked.extended_config or "") or {}
    if secret.type == "Rds" and context.service.rotation.administers(config, accounts_of(data)):
        return invalid_parameter(
            "SecretData", "It names the account that changes passwords in this database."
        )
    secret.extended_config = asked.extended_config
    if asked.enable_automatic_rotation:
        secret.rotation_state = "Enabled"
        secret.rotation_seconds = rotation_seconds(asked.rotation_interval or "")
        secret.next_rotation = context.now + secret.rotation_seconds if secret.rotation_seconds else None
    data, previous = first_values(secret.type, config, data, context.now)
    if previous is not None:
        secret.stages[PREVIOUS] = uuid.uuid4().hex
    secret.id = context.service.store.add_secret(secret)
    if previous is not None:
        add_version(context, secret, key, secret.stages[PREVIOUS], previous, "text")
    add_version(context, secret, key, asked.version_id, data, asked.secret_data_type or "text")
    reply.automatic_rotation, reply.extended_config = secret.rotation_state, secret.extended_config
    rotation = rotation_fields(secret)
    reply.next_rotation_date = rotation["next_rotation_date"]
    reply.rotation_interval = rotation["rotation_interval"]
    return reply


def get_secret_value(context: Context, asked: reading.Request, /) -> reading.Reply | Fault:
    """Return the version asked for by id or by stage; ACSCurrent without either."""
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    key = context.service.keys.get(secret.key_id)
    if key is not None and not context.may_use("Decrypt", key):
        return fault("Forbidden.NoPermission")
    managed = secret.type != "Generic"
    # Of a managed secret only the stages can be read: VersionId is ignored (SDK 3.3.1).
    version_id = None if managed else asked.version_id
    version_id = version_id or secret.stages.get(asked.version_stage or CURRENT)
    version = context.service.store.version(secret, version_id) if version_id else None
    if version is None or (asked.version_stage and secret.stages.get(asked.version_stage) != version.id):
        return fault("Forbidden.ResourceNotFound")
    value = open_version(context, secret, version)
    if isinstance(value, Fault):
        return value
    return reading.Reply(
        request_id=context.request_id,
        secret_data=SecretValue(value),
        version_id=version.id,
        secret_name=secret.name,
        secret_data_type=version.data_type,
        secret_type=secret.type,
        version_stages=secret.stages_of(version.id),
        create_time=timestamp(version.created),
        automatic_rotation=secret.rotation_state if managed else None,
        extended_config=secret.extended_config if managed and asked.fetch_extended_config else None,
        **rotation_fields(secret),
    )


def put_secret_value(context: Context, asked: putting.Request, /) -> putting.Reply | Fault:
    """Add a version; the same version with the same value again is a success, with another one refused."""
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    stages = _read_stages(asked.version_stages)
    if refusal := _put_problem(asked, secret, stages):
        return refusal
    data, data_type = asked.secret_data.reveal(), asked.secret_data_type or "text"
    there = context.service.store.version(secret, asked.version_id)
    if there is not None:
        value = open_version(context, secret, there)
        if isinstance(value, Fault):
            return value
        if (value, there.data_type) != (data, data_type):
            return fault("Rejected.ResourceExist")
        return _put_reply(context, secret, asked.version_id)
    if len(secret.stages.keys() | set(stages)) > STAGES_KEPT:
        return fault("Rejected.LimitExceeded")
    key = context.service.keys.find(secret.key_id)
    if isinstance(key, Fault):
        return key
    if refusal := context.service.keys.refusal(key.id):
        return refusal
    if not context.may_use("GenerateDataKey", key):
        return fault("Forbidden.NoPermission")
    moved = dict(secret.stages)
    for stage in stages:
        move_stage(moved, stage, asked.version_id)
    if not make_room(context.service.store, secret, moved, VERSIONS_KEPT - 1):
        return fault("Rejected.LimitExceeded")
    secret.stages, secret.updated = moved, context.now
    add_version(context, secret, key, asked.version_id, data, data_type)
    context.service.store.save_secret(secret)
    return _put_reply(context, secret, asked.version_id)


def add_version(
    context: Context, secret: StoredSecret, key: Key, version_id: str, data: str, data_type: str
) -> None:
    """Seal a value under `key` as a new version of `secret`."""
    service = context.service
    number, sealed = service.envelope.seal(key.id, key.version, secret.identity(version_id, data_type), data)
    assert secret.id is not None  # noqa: S101  # it is stored
    service.store.add_version(Version(secret.id, version_id, data_type, number, sealed, context.now))


def open_version(context: Context, secret: StoredSecret, version: Version) -> str | Fault:
    """Return a value, if its key may be used and the row is what was stored."""
    if refusal := context.service.keys.refusal(secret.key_id):
        return refusal
    identity = secret.identity(version.id, version.data_type)
    return context.service.envelope.open(version.data_key, identity, version.sealed)


_NO_ROTATION: dict[str, str | None] = dict.fromkeys(
    ("last_rotation_date", "next_rotation_date", "rotation_interval")
)


def rotation_fields(secret: StoredSecret) -> dict[str, str | None]:
    """Return the rotation dates and the interval in seconds, as long as rotation is not switched off."""
    if secret.type == "Generic":
        return _NO_ROTATION
    on = secret.rotation_state != "Disabled"
    return {
        "last_rotation_date": timestamp(secret.last_rotation) if secret.last_rotation else None,
        "next_rotation_date": timestamp(secret.next_rotation) if on and secret.next_rotation else None,
        "rotation_interval": f"{secret.rotation_seconds}s" if on and secret.rotation_seconds else None,
    }


def _put_reply(context: Context, secret: StoredSecret, version_id: str) -> putting.Reply:
    return putting.Reply(
        request_id=context.request_id,
        secret_name=secret.name,
        version_id=version_id,
        version_stages=secret.stages_of(version_id),
    )


def _read_stages(text: str | None) -> list[str]:
    """Read the JSON array of stages that a new version gets, ACSCurrent without one; empty if malformed."""
    if text is None:
        return [CURRENT]
    try:
        stages = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(stages, list) or len(stages) > STAGES_KEPT:
        return []
    return stages if all(isinstance(stage, str) and STAGE.fullmatch(stage) for stage in stages) else []


def _put_problem(asked: putting.Request, secret: StoredSecret, stages: list[str]) -> Fault | None:
    texts = {
        "VersionId": asked.version_id,
        "SecretData": asked.secret_data.reveal(),
        "SecretDataType": asked.secret_data_type or "text",
    }
    for parameter, text in texts.items():
        if not text:
            return invalid_parameter(parameter, "It is empty.")
        for problem in parameter_problems(parameter, text):
            return broken_rule(parameter, problem)
    if not stages:
        return invalid_parameter("VersionStages")
    if secret.type != "Generic":
        return invalid_parameter("SecretName", "Only Generic secrets take a value of the caller's.")
    return None
