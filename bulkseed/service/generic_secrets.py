"""Storing a Generic secret: what all of its parameters but name and value amount to, and its rows."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from bulkseed.service.context import Service
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.new_secrets import NewSecret
from bulkseed.service.storage.randomness import random_bytes
from bulkseed.service.storage.store import CURRENT, as_json
from bulkseed.wire.actions import create_secret


class SecretFields(NamedTuple):
    """What a CreateSecret asks for beside name and value; `stages` and `tags` are JSON as it is stored."""

    version_id: str
    data_type: str
    stages: str
    tags: str
    description: str | None
    policy: str | None
    encryption_key_id: str | None
    instance_id: str | None


def fields_of(asked: create_secret.Request) -> SecretFields:
    """Return the fields of a request whose parameters were checked."""
    return SecretFields(
        version_id=asked.version_id,
        data_type=asked.secret_data_type or "text",
        stages=as_json({CURRENT: asked.version_id}),
        tags=as_json(read_tags(asked.tags)),
        description=asked.description,
        policy=asked.policy,
        encryption_key_id=asked.encryption_key_id,
        instance_id=asked.dkms_instance_id,
    )


def read_tags(text: str | None) -> dict[str, str]:
    """Return the tags of a JSON array that was checked."""
    return {tag["TagKey"]: tag["TagValue"] for tag in orjson.loads(text)} if text else {}


def add_generic(
    service: Service, fields: SecretFields, name: str, key: Key, data: str, now: float, creator: str
) -> NewSecret:
    """Seal a value under `key`, and store a secret with it."""
    store = service.store
    version_id, data_type, stages, tags, description, policy, _, instance_id = fields
    generation = random_bytes(8).hex()
    number, sealed = service.envelope.seal(
        key.id, key.version, (name, generation, version_id, data_type), data
    )  # `StoredSecret.identity`
    mark = store.marks.of(
        name, generation, "Generic", key.id, stages, instance_id, None, policy, None, None
    )  # as `Store` checks it
    row = (name, generation, key.id, stages, now, now, creator, instance_id, description, tags, policy, mark)
    secret = NewSecret(name, row, (version_id, data_type, number, sealed, now))
    store.add_new(secret)
    return secret
