"""Managed secrets that tests rotate."""

from __future__ import annotations

import orjson

from bulkseed.model import SecretValue
from bulkseed.wire.actions import (
    create_secret,
    get_secret_value,
)
from support.kms import Desk

DAY = 86_400
Account = dict[str, str]


def accounts(*pairs: tuple[str, str]) -> str:
    """Return a value of accounts and passwords."""
    listed = [{"AccountName": name, "AccountPassword": password} for name, password in pairs]
    return orjson.dumps({"Accounts": listed}).decode()


def rds(
    name: str, value: str, sub_type: str = "SingleUser", interval: str | None = None, key: str | None = None
) -> create_secret.Request:
    """Return a CreateSecret of a managed RDS secret."""
    config = orjson.dumps({"SecretSubType": sub_type, "DBInstanceId": "rm-1"}).decode()
    return create_secret.Request(
        name,
        "v1",
        SecretValue(value),
        secret_type="Rds",
        extended_config=config,
        enable_automatic_rotation=interval is not None,
        rotation_interval=interval,
        encryption_key_id=key,
    )


def account(desk: Desk, name: str, stage: str | None = None) -> Account:
    """Return the account that a stage refers to."""
    reply = desk.ask(get_secret_value.Request(name, version_stage=stage))
    found: Account = orjson.loads(reply.secret_data.reveal())
    return found
