"""What can be known without values: DescribeSecret, ListSecrets, GetKmsInstanceQuotaInfos."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.filters import where
from bulkseed.service.handlers.pagination import Page
from bulkseed.service.handlers.secrets import rotation_fields
from bulkseed.service.storage.store import StoredSecret
from bulkseed.wire.actions import describe_secret as describing
from bulkseed.wire.actions import get_kms_instance_quota_infos as quotas
from bulkseed.wire.actions import list_secrets as listing
from bulkseed.wire.actions.describe_secret import Tag
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import invalid_parameter

UNLIMITED = 2**31 - 1  # what a quota that is not set reads as

FILTERS = {  # API metadata; the text is SQL in front of a list of values
    "SecretName": "name IN ({})",
    "Description": "description IN ({})",
    "DKMSInstanceId": "instance_id IN ({})",
    "SecretType": "type COLLATE NOCASE IN ({})",
    "Creator": "creator IN ({})",
    "TagKey": "EXISTS (SELECT 1 FROM json_each(tags) AS t WHERE t.key IN ({}))",
    "TagValue": "EXISTS (SELECT 1 FROM json_each(tags) AS t WHERE t.value IN ({}))",
}


def describe_secret(context: Context, asked: describing.Request, /) -> describing.Reply | Fault:
    """Describe a secret, also one in its delete window."""
    secret = context.find(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    managed = secret.type != "Generic"
    return describing.Reply(
        request_id=context.request_id,
        secret_name=secret.name,
        arn=context.service.account.secret_arn(secret.name),
        secret_type=secret.type,
        description=secret.description or "",
        encryption_key_id=secret.key_id,
        dkms_instance_id=secret.instance_id,
        create_time=timestamp(secret.created),
        update_time=timestamp(secret.updated),
        planned_delete_time=timestamp(secret.delete_at) if secret.delete_at is not None else None,
        tags=tags_of(secret) if asked.fetch_tags else (),
        automatic_rotation=secret.rotation_state if managed else None,
        extended_config=secret.extended_config if managed else None,
        **rotation_fields(secret),
    )


def list_secrets(context: Context, asked: listing.Request, /) -> listing.Reply | Fault:
    """Return one page of the secrets that pass all filters, oldest first."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    filters = where(asked.filters, FILTERS)
    if filters is None:
        return invalid_parameter("Filters")
    condition, parameters = filters
    store = context.service.store
    total = (
        store.read(f"SELECT count(*) FROM secrets {condition}", *parameters).fetchone()[0]  # noqa: S608  # our clauses
        if condition
        else store.secret_count
    )
    if condition:
        found = store.secrets(f"{condition} ORDER BY id LIMIT ? OFFSET ?", *parameters, page.size, page.first)
    else:
        found = store.page(page.first, page.size)
    return listing.Reply(
        request_id=context.request_id,
        total_count=total,
        page_number=page.number,
        page_size=page.size,
        secret_list=tuple(_entry(secret, bool(asked.fetch_tags)) for secret in found),
    )


def get_kms_instance_quota_infos(context: Context, asked: quotas.Request, /) -> quotas.Reply | Fault:
    """Return how many secrets there may be and are; quotas that are not modelled read as unlimited."""
    service = context.service
    used = {
        "secret": (service.secret_quota, service.store.secret_count),
        "key": (None, service.store.read("SELECT count(*) FROM keys").fetchone()[0]),
    }
    if asked.resource_type is not None and asked.resource_type not in {*used, "qps", "vpc"}:
        return invalid_parameter("ResourceType")
    return quotas.Reply(
        request_id=context.request_id,
        kms_instance_id=asked.kms_instance_id,
        kms_instance_quota_infos=tuple(
            quotas.QuotaInfo(kind, UNLIMITED if quota is None else quota, count)
            for kind, (quota, count) in used.items()
            if asked.resource_type in (None, kind)
        ),
    )


def tags_of(secret: StoredSecret) -> tuple[Tag, ...]:
    """Return the tags of a secret as they travel."""
    return tuple(Tag(key, value) for key, value in secret.tags.items())


def _entry(secret: StoredSecret, with_tags: bool) -> listing.Secret:
    return listing.Secret(
        secret_name=secret.name,
        secret_type=secret.type,
        create_time=timestamp(secret.created),
        update_time=timestamp(secret.updated),
        planned_delete_time=timestamp(secret.delete_at) if secret.delete_at is not None else None,
        tags=tags_of(secret) if with_tags else (),
    )
